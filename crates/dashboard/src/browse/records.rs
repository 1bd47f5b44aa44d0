//! A topic -> its newest messages.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use consumer::topic::{Ranges, Topics, Unread};
use rdkafka::message::Message as _;
use serde::Serialize;
use service::kafka;

use super::{BrowseError, Text, blocking, contains};

/// Messages that are looked through for a search.
const SEARCHED_MAX: usize = 1_000;
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
    settings: kafka::Settings,
    topic: String,
    search: String,
    limit: usize,
) -> Result<Records, BrowseError> {
    blocking(move || {
        let topics = connect(&settings, CLIENT)?;
        let look_through = if search.is_empty() { limit } else { SEARCHED_MAX };
        let mut records = Vec::new();
        let mut searched = 0;
        read(&topics, &topic, look_through, |message| {
            searched += 1;
            let record = Record::of(message);
            if record.contains(&search) {
                records.push(record);
            }
        })?;
        records.sort_by_key(|record| Reverse((record.at, record.offset)));
        records.truncate(limit);
        Ok(Records { topic, searched, records })
    })
    .await
}

/// A client for one question.
pub(super) fn connect(settings: &kafka::Settings, client: &str) -> Result<Topics, BrowseError> {
    Topics::connect(settings, client).map_err(|error| unavailable(&error))
}

pub(super) fn unavailable(error: &Unread) -> BrowseError {
    BrowseError::Unavailable(error.to_string())
}

/// Hands over about that many of the newest messages: as many of each partition, fewer where it has no more.
pub(super) fn read(
    topics: &Topics,
    topic: &str,
    newest: usize,
    mut take: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
) -> Result<(), BrowseError> {
    let mut ranges = topics.ranges(topic).map_err(|error| unavailable(&error))?;
    if ranges.is_empty() {
        return Err(BrowseError::Unknown(format!("there is no topic {topic}")));
    }
    last(&mut ranges, newest);
    let taken = topics.read(topic, &ranges, |message| {
        take(message);
        ControlFlow::Continue(())
    });
    taken.map_err(|error| unavailable(&error))
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
