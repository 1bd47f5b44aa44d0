//! The end of a stream's topic -> the last change that an earlier process published, and the keys of the last ones.
//!
//! This is why a streaming producer needs no state of its own: what is in the topic is what has been published, by
//! definition. The search goes back in growing steps until it has the place and enough keys, so that it is short as a
//! rule, and bounded in any case.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::DateTime;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Offset, Timestamp};
use service::kafka::Cluster;
use tokio_util::sync::CancellationToken;

use crate::publish::{ORIGIN, SSE_ID};
use crate::resume::{Place, RECENT_MAX, time_of};
use crate::upstream::Origin;

const STEP: i64 = 1000;
const STEP_FACTOR: i64 = 10;
/// What lies further back is not looked at: beyond hours of the busiest stream the upstream itself has forgotten, or
/// the records are another origin's.
const NEWEST_MAX: i64 = 1_000_000;
/// So many of the newest records are looked at for keys, as many as are remembered.
#[expect(clippy::cast_possible_wrap, reason = "ten thousand")]
const KEYS_WITHIN: i64 = RECENT_MAX as i64;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Without any record for so long, the scan starts over.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// What the topic tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The last change of the origin asked for.
    pub(crate) place: Option<Place>,
    /// Keys of its last changes, oldest first.
    pub(crate) keys: Vec<String>,
    /// Whether the topic has any record at all.
    pub(crate) empty: bool,
    /// How many of the newest records were looked at, at most.
    pub(crate) searched: i64,
}

/// Scans partition 0 of `topic` backwards; blocks.
///
/// # Errors
/// Kafka does not answer, or `stop` came first.
pub(crate) fn scan(
    kafka: &service::kafka::Settings,
    topic: &str,
    origin: Origin,
    stop: &CancellationToken,
) -> anyhow::Result<Found> {
    let mut config = kafka.client(&format!("tributary-{topic}-resume"));
    config
        // Named because the client asks for one; nothing is committed and no group is joined.
        .set("group.id", format!("tributary-{topic}-resume"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "8192")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer<Cluster> = config
        .create_with_context(Cluster::default())
        .context("set up the kafka client that reads the topic's end")?;
    let found = search(&consumer, topic, origin, stop);
    // Closing a consumer can hang while the broker is gone; nobody waits for it.
    std::thread::spawn(move || drop(consumer));
    found.with_context(|| format!("read the end of topic {topic} on {}", kafka.brokers))
}

fn search(
    consumer: &BaseConsumer<Cluster>,
    topic: &str,
    origin: Origin,
    stop: &CancellationToken,
) -> anyhow::Result<Found> {
    let (low, high) = consumer.fetch_watermarks(topic, 0, ANSWER_TIMEOUT)?;
    let mut found = Found { empty: high <= low, ..Found::default() };
    for offsets in steps(low, high) {
        found.searched = high - offsets.start;
        let mut older = Found::default();
        read(consumer, topic, origin, offsets, stop, &mut older)?;
        found.place = found.place.or(older.place);
        older.keys.append(&mut found.keys);
        found.keys = older.keys;
        // The place alone is not enough: what comes again from there on must be known by its key.
        if found.place.is_some() && found.searched >= KEYS_WITHIN {
            break;
        }
    }
    Ok(found)
}

/// What to read, one after the other: from the end back, in growing steps.
fn steps(low: i64, high: i64) -> Vec<Range<i64>> {
    let low = low.max(high - NEWEST_MAX);
    let (mut steps, mut step, mut end) = (Vec::new(), STEP, high);
    while end > low {
        let start = (high - step).max(low);
        steps.push(start..end);
        (end, step) = (start, step.saturating_mul(STEP_FACTOR));
    }
    steps
}

fn read(
    consumer: &BaseConsumer<Cluster>,
    topic: &str,
    origin: Origin,
    offsets: Range<i64>,
    stop: &CancellationToken,
    found: &mut Found,
) -> anyhow::Result<()> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Offset(offsets.start))?;
    consumer.assign(&assignment)?;
    let mut heard_at = Instant::now();
    loop {
        if stop.is_cancelled() {
            bail!("stopped");
        }
        let record = match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(record)) => record,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            // The client goes on by itself after an error that passes; one that stays ends in silence.
            Some(Err(_)) | None => {
                if heard_at.elapsed() > SILENCE_MAX {
                    let reason = consumer.context().error().unwrap_or_else(|| "no records".to_owned());
                    bail!("nothing came for {} s: {reason}", SILENCE_MAX.as_secs());
                }
                continue;
            }
        };
        heard_at = Instant::now();
        if record.offset() < offsets.end {
            note(&record, origin, found);
        }
        if record.offset() + 1 >= offsets.end {
            return Ok(());
        }
    }
}

fn note(record: &BorrowedMessage<'_>, origin: Origin, found: &mut Found) {
    if header(record, ORIGIN) != Some(origin.as_str()) {
        return;
    }
    if let Some(key) = record.key().and_then(|key| str::from_utf8(key).ok()) {
        found.keys.push(key.to_owned());
        if found.keys.len() > 2 * RECENT_MAX {
            found.keys.drain(..RECENT_MAX);
        }
    }
    let Some(id) = header(record, SSE_ID) else { return };
    let published = match record.timestamp() {
        Timestamp::NotAvailable => None,
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => DateTime::from_timestamp_millis(ms),
    };
    // A record without any time is no place to resume from: no gap could be told.
    let Some(at) = time_of(id).or(published) else { return };
    found.place = Some(Place { id: id.to_owned(), at });
}

fn header<'a>(record: &'a BorrowedMessage<'_>, key: &str) -> Option<&'a str> {
    let (_, value) = service::kafka::headers(record).find(|(name, _)| *name == key.as_bytes())?;
    str::from_utf8(value?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_grows_back_from_the_end_without_a_hole() {
        assert!(steps(0, 0).is_empty());
        assert_eq!(steps(999, 2_500), [1_500..2_500, 999..1_500]);
        assert_eq!(steps(0, 15_000), [14_000..15_000, 5_000..14_000, 0..5_000]);
    }

    #[test]
    fn search_ends_after_the_newest_million() {
        let steps = steps(3, 900_000_000);
        assert_eq!(steps.last().unwrap().start, 899_000_000);
        assert_eq!(steps.iter().map(|step| step.end - step.start).sum::<i64>(), NEWEST_MAX);
    }
}
