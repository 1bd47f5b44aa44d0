//! A topic -> its newest messages.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use consumer::topic::{Ranges, Topics};
use rdkafka::message::Message as _;
use serde::Serialize;
use service::kafka;

use super::{BrowseError, Deadline, Text, ask_kafka, contains, unavailable};

/// Messages that are looked through for a search.
const SEARCHED_MAX: usize = 1_000;
/// Headers of one that are shown.
const HEADERS_MAX: usize = 50;
const CLIENT: &str = "tributary-dashboard-records";

/// The newest messages of a topic, the newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Records {
    topic: String,
    /// How many of the newest were looked through.
    searched: usize,
    records: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Record {
    partition: i32,
    offset: i64,
    at: Option<DateTime<Utc>>,
    key: Option<String>,
    value: Option<String>,
    hex: bool,
    /// Bytes of the value.
    bytes: usize,
    headers: Vec<(String, String)>,
    cut: bool,
}

/// Reads them; with a search those in which it occurs, in lower case.
///
/// # Errors
/// There is no such topic, or Kafka does not answer.
pub(crate) async fn newest(
    settings: &kafka::Settings,
    topic: String,
    search: String,
    limit: usize,
) -> Result<Records, BrowseError> {
    ask_kafka(settings, CLIENT, move |topics, deadline| {
        let look_through = if search.is_empty() { limit } else { SEARCHED_MAX };
        let mut found = Found { records: Vec::new(), limit };
        let mut searched = 0;
        read(topics, &topic, look_through, deadline, |message| {
            searched += 1;
            let record = Record::of(message);
            if record.contains(&search) {
                found.push(record);
            }
        })?;
        Ok(Records { topic, searched, records: found.newest() })
    })
    .await
}

/// The newest records of those that were found; of more than twice as many the older ones are dropped.
struct Found {
    records: Vec<Record>,
    limit: usize,
}

impl Found {
    fn push(&mut self, record: Record) {
        self.records.push(record);
        if self.records.len() > 2 * self.limit {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.records.sort_by_key(|record| Reverse((record.at, record.offset)));
        self.records.truncate(self.limit);
    }

    fn newest(mut self) -> Vec<Record> {
        self.cut();
        self.records
    }
}

/// Hands over about that many of the newest messages: as many of each partition, fewer where it has no more. Returns whether
/// there are older ones.
pub(super) fn read(
    topics: &Topics,
    topic: &str,
    newest: usize,
    deadline: Deadline,
    mut take: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
) -> Result<bool, BrowseError> {
    // Kafka's own topics are nobody's records.
    if !topics.names().any(|known| known == topic) {
        return Err(BrowseError::Unknown(format!("there is no topic {topic}")));
    }
    let all = topics.ranges(topic).map_err(|error| unavailable(&error))?;
    let mut ranges = all.clone();
    last(&mut ranges, newest);
    let mut over = false;
    let taken = topics.read(topic, &ranges, |message| {
        over = deadline.is_over();
        if over {
            return ControlFlow::Break(());
        }
        take(message);
        ControlFlow::Continue(())
    });
    taken.map_err(|error| unavailable(&error))?;
    if over {
        return Err(BrowseError::Unavailable(format!("reading topic {topic} takes too long")));
    }
    Ok(ranges != all)
}

// Shared out evenly, and what a small partition leaves goes to the others.
fn last(ranges: &mut Ranges, newest: usize) {
    let mut left = i64::try_from(newest).unwrap_or(i64::MAX);
    let mut by_size: Vec<i32> = ranges.keys().copied().collect();
    by_size.sort_by_key(|number| ranges[number].end - ranges[number].start);
    let mut partitions = i64::try_from(by_size.len()).unwrap_or(i64::MAX);
    for number in by_size {
        if let Some(range) = ranges.get_mut(&number) {
            let share = (left + partitions - 1) / partitions;
            range.start = range.start.max(range.end - share);
            left -= range.end - range.start;
            partitions -= 1;
        }
    }
}

impl Record {
    fn of(message: &rdkafka::message::BorrowedMessage<'_>) -> Self {
        let value = message.payload().map(Text::of);
        let text = |bytes: &[u8]| Text::of(bytes).text;
        let headers = kafka::headers(message)
            .take(HEADERS_MAX)
            .map(|(name, value)| (text(name), value.map_or_else(String::new, text)))
            .collect();
        Self {
            partition: message.partition(),
            offset: message.offset(),
            at: message.timestamp().to_millis().and_then(DateTime::from_timestamp_millis),
            key: message.key().map(text),
            hex: value.as_ref().is_some_and(|value| value.hex),
            cut: value.as_ref().is_some_and(|value| value.cut),
            value: value.map(|value| value.text),
            bytes: message.payload_len(),
            headers,
        }
    }

    fn contains(&self, search: &str) -> bool {
        let texts = self.key.iter().chain(&self.value).chain(self.headers.iter().map(|(_, value)| value));
        search.is_empty() || texts.into_iter().any(|text| contains(text, search))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_shared_out_over_the_partitions() {
        let mut ranges = Ranges::from([(0, 0..1_000), (1, 500..503), (2, 0..0), (3, 0..1_000)]);
        last(&mut ranges, 100);
        let lengths: Vec<i64> = ranges.values().map(|range| range.end - range.start).collect();
        assert_eq!(lengths.iter().sum::<i64>(), 100);
        assert_eq!((lengths[1], lengths[2]), (3, 0));
        assert!(lengths[0].abs_diff(lengths[3]) <= 1);
        assert!(ranges.values().all(|range| range.end == 1_000 || range.end <= 503));
    }
}
