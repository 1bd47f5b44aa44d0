//! The topics of dead letters -> what stands there, by cause, with some of the messages.

use std::cmp::Reverse;
use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use consumer::dead_letter::{Entry, Fold, Letter, SUFFIX};
use consumer::message::{Chunk, Partition};
use serde::Serialize;
use service::kafka;

use super::message::{ANSWER_BYTES_MAX, Shown};
use super::records::read;
use super::{BrowseError, ask_kafka};

const CLIENT: &str = "tributary-dashboard-dead-letters";
/// Letters of one topic that are looked at, the newest.
const LETTERS_MAX: usize = 5_000;
/// Messages that are shown of a cause, the newest.
const EXAMPLES_MAX: usize = 5;

/// See the module.
#[derive(Debug, Serialize)]
pub(crate) struct Letters {
    letters: usize,
    /// Whether there are older ones, which were not looked at.
    truncated: bool,
    causes: Vec<Cause>,
    /// Of the examples.
    #[serde(skip)]
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct Cause {
    id: String,
    topic: String,
    table: String,
    class: String,
    reason: String,
    count: usize,
    oldest: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    examples: Vec<Example>,
}

#[derive(Debug, Clone, Serialize)]
struct Example {
    /// `topic:partition:offset` of the message.
    origin: String,
    #[serde(flatten)]
    shown: Shown,
}

/// Reads them, those of one group.
///
/// # Errors
/// Kafka does not answer.
pub(crate) async fn of_group(settings: &kafka::Settings, group: String) -> Result<Letters, BrowseError> {
    ask_kafka(settings, CLIENT, move |topics, deadline| {
        let sources: Vec<String> =
            topics.names().filter(|name| name.ends_with(SUFFIX)).map(str::to_owned).collect();
        let mut all = Letters { letters: 0, truncated: false, causes: Vec::new(), bytes: 0 };
        for source in sources {
            let bytes_max = ANSWER_BYTES_MAX.saturating_sub(all.bytes);
            let mut newest = Newest { bytes_max, ..Newest::default() };
            // Compaction leaves fewer than so many offsets have.
            all.truncated |=
                read(topics, &source, LETTERS_MAX, deadline, |message| newest.take(message, &source))?;
            all.add(&newest, &group);
        }
        all.causes
            .sort_by(|one, other| (Reverse(one.newest), &one.id).cmp(&(Reverse(other.newest), &other.id)));
        Ok(all)
    })
    .await
}

impl Letters {
    fn add(&mut self, newest: &Newest, group: &str) {
        let fold = &newest.fold;
        for (number, cause) in fold.causes.iter().enumerate().filter(|(_, cause)| cause.group == group) {
            let mut entries: Vec<(i32, &Entry)> = fold
                .standing()
                .filter(|(_, entry)| entry.cause == number)
                .map(|(key, entry)| (key.partition, entry))
                .collect();
            if entries.is_empty() {
                continue;
            }
            entries.sort_by_key(|(_, entry)| Reverse((entry.sent_ms, entry.offset)));
            let sent = |entry: Option<&(i32, &Entry)>| {
                entry.and_then(|(_, entry)| DateTime::from_timestamp_millis(entry.sent_ms))
            };
            self.letters += entries.len();
            let examples =
                entries.iter().filter_map(|(partition, entry)| newest.example(*partition, entry.place));
            let examples: Vec<Example> = examples.take(EXAMPLES_MAX).collect();
            self.bytes += examples.iter().map(|example| example.shown.bytes()).sum::<usize>();
            self.causes.push(Cause {
                id: cause.id.clone(),
                topic: cause.topic.clone(),
                table: cause.table.clone(),
                class: cause.class.clone(),
                reason: cause.reason.clone(),
                count: entries.len(),
                oldest: sent(entries.last()),
                newest: sent(entries.first()),
                examples,
            });
        }
    }
}

/// The newest letters of one topic: what became of them, and the last of them whole.
#[derive(Default)]
struct Newest {
    fold: Fold,
    kept: VecDeque<(i32, i64, Example)>,
    bytes: usize,
    bytes_max: usize,
}

impl Newest {
    fn take(&mut self, message: &rdkafka::message::BorrowedMessage<'_>, source: &str) {
        use rdkafka::message::Message as _;
        let mut chunk = Chunk::default();
        let partition = Partition { topic: 0, number: message.partition() };
        let timestamp_ms = message.timestamp().to_millis();
        let headers = kafka::headers(message);
        chunk.push(partition, message.offset(), timestamp_ms, message.key(), message.payload(), headers);
        let record = chunk.message(source, partition.number, 0);
        self.fold.take(&record);
        let Ok(letter) = Letter::of(record) else { return };
        let shown = Shown::of(letter.timestamp_ms, letter.key(), letter.value(), letter.headers());
        self.bytes += shown.bytes();
        let example = Example { origin: letter.address().to_string(), shown };
        self.kept.push_back((partition.number, message.offset(), example));
        while self.bytes > self.bytes_max {
            let Some((_, _, oldest)) = self.kept.pop_front() else { break };
            self.bytes -= oldest.shown.bytes();
        }
    }

    fn example(&self, partition: i32, place: i64) -> Option<Example> {
        let found = self.kept.iter().find(|(number, offset, _)| (*number, *offset) == (partition, place));
        found.map(|(_, _, example)| example.clone())
    }
}
