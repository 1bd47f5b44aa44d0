//! A topic -> its newest messages.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use consumer::topic::{Ranges, Topics};
use rdkafka::message::Message as _;
use serde::Serialize;
use service::kafka;

use super::message::{ANSWER_BYTES_MAX, Shown};
use super::{BrowseError, Deadline, ask_kafka, unavailable};

/// Messages that are looked through for a search.
const SEARCHED_MAX: usize = 1_000;
const CLIENT: &str = "tributary-dashboard-records";

/// The newest messages of a topic, the newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Records {
    topic: String,
    /// How many of the newest were looked through.
    searched: usize,
    /// Whether older ones were left out because those that are here are large.
    truncated: bool,
    records: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Record {
    partition: i32,
    offset: i64,
    /// Bytes of the value.
    bytes: usize,
    #[serde(flatten)]
    shown: Shown,
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
        let mut found = Found::new(limit, ANSWER_BYTES_MAX);
        let mut searched = 0;
        read(topics, &topic, look_through, deadline, |message| {
            searched += 1;
            let record = Record::of(message);
            if record.shown.contains(&search) {
                found.push(record);
            }
        })?;
        Ok(Records { topic, searched, truncated: found.truncated, records: found.newest() })
    })
    .await
}

/// When a record was published, and where it stands: the order in which they are shown.
type Place = (Option<DateTime<Utc>>, i64, i32);

/// The newest records of those that were found, so many and so many bytes of them at most.
struct Found {
    records: BTreeMap<Place, Record>,
    limit: usize,
    bytes: usize,
    bytes_max: usize,
    /// The newest that was dropped: an older one would leave a gap.
    dropped: Option<Place>,
    /// Whether one was dropped for the bytes.
    truncated: bool,
}

impl Found {
    fn new(limit: usize, bytes_max: usize) -> Self {
        Self { records: BTreeMap::new(), limit, bytes: 0, bytes_max, dropped: None, truncated: false }
    }

    fn push(&mut self, record: Record) {
        let place = (record.shown.at, record.offset, record.partition);
        if self.dropped >= Some(place) {
            return;
        }
        self.bytes += record.shown.bytes();
        self.records.insert(place, record);
        while self.records.len() > self.limit || self.bytes > self.bytes_max {
            let Some((place, oldest)) = self.records.pop_first() else { break };
            self.truncated |= self.records.len() < self.limit;
            self.bytes -= oldest.shown.bytes();
            self.dropped = Some(place);
        }
    }

    fn newest(self) -> Vec<Record> {
        self.records.into_values().rev().collect()
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
        let timestamp_ms = message.timestamp().to_millis();
        let headers = kafka::headers(message);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            bytes: message.payload_len(),
            shown: Shown::of(timestamp_ms, message.key(), message.payload(), headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(partition: i32, offset: i64, bytes: usize) -> Record {
        let value = vec![b'x'; bytes];
        let shown = Shown::of(Some(offset), None, Some(&value), std::iter::empty());
        Record { partition, offset, bytes, shown }
    }

    // Of two partitions, one read after the other.
    fn found(limit: usize, bytes_max: usize, bytes: usize) -> (Vec<i64>, bool) {
        let mut found = Found::new(limit, bytes_max);
        for offset in (0..100).step_by(2) {
            found.push(record(0, offset, bytes));
        }
        for offset in (1..100).step_by(2) {
            found.push(record(1, offset, if offset < 90 { 1 } else { bytes }));
            assert!(found.bytes <= bytes_max);
        }
        let truncated = found.truncated;
        (found.newest().iter().map(|record| record.offset).collect(), truncated)
    }

    #[test]
    fn the_newest_found_are_kept_so_many_and_so_many_bytes_of_them() {
        assert_eq!(found(3, 1 << 20, 1_000), (vec![99, 98, 97], false));
        let (offsets, truncated) = found(50, 9_000, 2_000);
        // Small ones that are older than one that was dropped are left out too.
        assert_eq!((offsets, truncated), (vec![99, 98, 97, 96], true));
    }

    #[test]
    fn a_record_is_written_as_the_page_reads_it() {
        let written = serde_json::to_value(record(1, 0, 2)).unwrap();
        let expected = serde_json::json!({"partition": 1, "offset": 0, "bytes": 2, "at": "1970-01-01T00:00:00Z",
            "key": null, "value": "xx", "hex": false, "cut": false, "headers": []});
        assert_eq!(written, expected);
    }

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
