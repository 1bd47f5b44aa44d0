//! The topics of dead letters -> what stands there, by cause, with some of the messages.

use std::cmp::Reverse;
use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use consumer::dead_letter::{Entry, Fold, Letter, SUFFIX};
use consumer::message::{Chunk, Partition};
use consumer::topic::Topics;
use serde::Serialize;
use service::kafka;

use super::records::read;
use super::{BrowseError, Deadline, Text, ask_kafka};

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
    at: Option<DateTime<Utc>>,
    key: Option<String>,
    value: Option<String>,
    hex: bool,
    cut: bool,
    headers: Vec<(String, String)>,
}

/// Reads them, those of one group.
///
/// # Errors
/// Kafka does not answer.
pub(crate) async fn of_group(settings: &kafka::Settings, group: String) -> Result<Letters, BrowseError> {
    ask_kafka(settings, CLIENT, move |topics, deadline| {
        let sources: Vec<String> =
            topics.names().filter(|name| name.ends_with(SUFFIX)).map(str::to_owned).collect();
        let mut all = Letters { letters: 0, truncated: false, causes: Vec::new() };
        for source in sources {
            of_topic(topics, &source, &group, deadline, &mut all)?;
        }
        all.causes
            .sort_by(|one, other| (Reverse(one.newest), &one.id).cmp(&(Reverse(other.newest), &other.id)));
        Ok(all)
    })
    .await
}

fn of_topic(
    topics: &Topics,
    source: &str,
    group: &str,
    deadline: Deadline,
    all: &mut Letters,
) -> Result<(), BrowseError> {
    let mut newest = Newest::default();
    // Compaction leaves fewer than so many offsets have.
    all.truncated |= read(topics, source, LETTERS_MAX, deadline, |message| newest.take(message, source))?;
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
        all.letters += entries.len();
        all.causes.push(Cause {
            id: cause.id.clone(),
            topic: cause.topic.clone(),
            table: cause.table.clone(),
            class: cause.class.clone(),
            reason: cause.reason.clone(),
            count: entries.len(),
            oldest: sent(entries.last()),
            newest: sent(entries.first()),
            examples: entries
                .iter()
                .filter_map(|(partition, entry)| newest.example(*partition, entry.place))
                .take(EXAMPLES_MAX)
                .collect(),
        });
    }
    Ok(())
}

/// Bytes of letters that are kept to be shown.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// The newest letters of one topic: what became of them, and the last of them whole.
#[derive(Default)]
struct Newest {
    fold: Fold,
    kept: VecDeque<(i32, i64, Example)>,
    kept_bytes: usize,
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
        let example = Example::of(&letter);
        self.kept_bytes += example.bytes();
        self.kept.push_back((partition.number, message.offset(), example));
        while self.kept_bytes > KEPT_BYTES_MAX {
            let Some((_, _, oldest)) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.bytes();
        }
    }

    fn example(&self, partition: i32, place: i64) -> Option<Example> {
        let found = self.kept.iter().find(|(number, offset, _)| (*number, *offset) == (partition, place));
        found.map(|(_, _, example)| example.clone())
    }
}

impl Example {
    fn of(letter: &Letter<'_>) -> Self {
        let text = |bytes: &[u8]| Text::of(bytes).text;
        let value = letter.value().map(Text::of);
        Self {
            origin: letter.address().to_string(),
            at: letter.timestamp_ms.and_then(DateTime::from_timestamp_millis),
            key: letter.key().map(text),
            hex: value.as_ref().is_some_and(|value| value.hex),
            cut: value.as_ref().is_some_and(|value| value.cut),
            value: value.map(|value| value.text),
            headers: letter
                .headers()
                .map(|(name, value)| (text(name), value.map_or_else(String::new, text)))
                .collect(),
        }
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        size_of::<Self>()
            + self.value.as_ref().map_or(0, String::len)
            + self.key.as_ref().map_or(0, String::len)
            + headers.sum::<usize>()
    }
}
