//! Kafka as a check sees it: which topics there are, how they are configured, and their newest messages.
//!
//! Reads by explicit assignment: no group is joined, no offset is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::{self, Cluster};

use crate::message::{Chunk, Partition};

const PATIENCE: Duration = Duration::from_secs(10);
/// How long the sample of one topic may take.
const SAMPLE_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a sample at most.
const SAMPLE_BYTES_MAX: usize = 64 << 20;

/// A topic's settings, by name.
pub(super) type Config = BTreeMap<String, String>;

/// The broker, asked once for all its topics.
pub(super) struct Topics {
    consumer: BaseConsumer<Cluster>,
    partitions: BTreeMap<String, Vec<i32>>,
}

/// The newest messages of a topic.
pub(super) struct Newest {
    /// All of them, of the topic with index 0.
    pub(super) chunk: Arc<Chunk>,
    /// Offsets between the topic's beginning and its end.
    pub(super) offsets: i64,
    /// Why there are fewer than there should be.
    pub(super) cut: Option<String>,
}

impl Topics {
    /// Asks the broker; the error says why it could not be reached.
    pub(super) fn connect(settings: &kafka::Settings) -> Result<Self, String> {
        let cluster = Cluster::default();
        let consumer: BaseConsumer<Cluster> = settings
            .client("tributary-check")
            // librdkafka wants a name; nothing is stored under it.
            .set("group.id", "tributary-check")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .create_with_context(cluster.clone())
            .map_err(|error| error.to_string())?;
        let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(|error| {
            // The reason is in an event that waits to be polled, behind others.
            let reason = (0..20).find_map(|_| {
                drop(consumer.poll(Duration::from_millis(5)));
                cluster.error()
            });
            let reason = reason.unwrap_or_else(|| error.to_string());
            format!("kafka at {} does not answer: {reason}", settings.brokers)
        })?;
        let partitions = metadata.topics().iter().map(|topic| {
            let numbers = topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
            (topic.name().to_owned(), numbers.collect())
        });
        let partitions = partitions.collect();
        Ok(Self { consumer, partitions })
    }

    /// How many partitions the topic has; `None` if there is no such topic.
    pub(super) fn partitions(&self, topic: &str) -> Option<usize> {
        self.partitions.get(topic).map(Vec::len)
    }

    /// The names of all topics that are not Kafka's own.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.partitions.keys().map(String::as_str).filter(|name| !name.starts_with("__"))
    }

    /// About `count` of the newest messages, in equal shares of the topic's partitions.
    pub(super) fn newest(&self, topic: &str, count: usize) -> Result<Newest, KafkaError> {
        let mut ranges = Vec::new();
        for number in self.partitions.get(topic).into_iter().flatten() {
            let (low, high) = self.consumer.fetch_watermarks(topic, *number, PATIENCE)?;
            ranges.push((*number, low, high));
        }
        let offsets = ranges.iter().map(|(_, low, high)| high - low).sum();
        let starts = shares(&ranges, i64::try_from(count).unwrap_or(i64::MAX));
        let (chunk, cut) = self.read(topic, &starts)?;
        Ok(Newest { chunk: Arc::new(chunk), offsets, cut })
    }

    // From these offsets to the ends, as they are when they are reached.
    fn read(&self, topic: &str, starts: &BTreeMap<i32, i64>) -> Result<(Chunk, Option<String>), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (number, start) in starts {
            list.add_partition_offset(topic, *number, Offset::Offset(*start))?;
        }
        let mut chunk = Chunk::default();
        let mut open: BTreeSet<i32> = starts.keys().copied().collect();
        self.consumer.assign(&list)?;
        let deadline = Instant::now() + SAMPLE_PATIENCE;
        let mut cut = None;
        while !open.is_empty() && cut.is_none() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if open.contains(&message.partition()) => {
                    let partition = Partition { topic: 0, number: message.partition() };
                    chunk.push(
                        partition,
                        message.offset(),
                        message.timestamp().to_millis(),
                        message.key(),
                        message.payload(),
                        kafka::headers(&message),
                    );
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    open.remove(&number);
                }
                // What arrives after its partition's end is newer than the sample.
                Some(Ok(_)) | None => {}
                Some(Err(error)) => cut = Some(error.to_string()),
            }
            if chunk.size() > SAMPLE_BYTES_MAX {
                cut = Some(format!("the sample is cut at {} MiB", SAMPLE_BYTES_MAX >> 20));
            } else if Instant::now() > deadline && !open.is_empty() {
                cut = Some(format!("not all messages came within {} s", SAMPLE_PATIENCE.as_secs()));
            }
        }
        self.consumer.unassign()?;
        Ok((chunk, cut))
    }
}

// Where to begin in each partition that has messages, so that together they have `count`.
fn shares(ranges: &[(i32, i64, i64)], count: i64) -> BTreeMap<i32, i64> {
    let mut by_size: Vec<_> = ranges.iter().filter(|(_, low, high)| high > low).collect();
    by_size.sort_by_key(|(_, low, high)| high - low);
    let mut left = count;
    let mut starts = BTreeMap::new();
    let partitions = by_size.len();
    for (place, (number, low, high)) in by_size.into_iter().enumerate() {
        // What a small partition lacks goes to the larger ones after it.
        let share = left / i64::try_from(partitions - place).unwrap_or(i64::MAX);
        let taken = share.min(high - low);
        left -= taken;
        if taken > 0 {
            starts.insert(*number, high - taken);
        }
    }
    starts
}

/// The topics' settings; the error says why they could not be had.
pub(super) async fn configs(
    settings: &kafka::Settings,
    topics: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, Config>, String> {
    let names: Vec<String> = topics.collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let admin: AdminClient<Cluster> = settings
        .client("tributary-check")
        .create_with_context(Cluster::default())
        .map_err(|error| error.to_string())?;
    let wanted: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = admin.describe_configs(&wanted, &options).await.map_err(|error| error.to_string())?;
    let mut configs = BTreeMap::new();
    for (name, answer) in names.iter().zip(answers) {
        let answer = answer.map_err(|code| format!("topic {name}: {code}"))?;
        let entries = answer.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        configs.insert(name.clone(), entries.collect());
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_partitions_give_their_share_to_larger_ones() {
        let ranges = [(0, 0, 1_000), (1, 90, 100), (2, 0, 0), (3, 500, 2_000)];
        let starts = shares(&ranges, 110);
        assert_eq!(starts, BTreeMap::from([(0, 950), (1, 90), (3, 1_950)]));
    }

    #[test]
    fn sample_is_never_larger_than_asked_for_nor_than_the_topic() {
        assert_eq!(shares(&[(0, 5, 8), (1, 0, 2)], 1_000), BTreeMap::from([(0, 5), (1, 0)]));
        let few = shares(&[(0, 0, 9), (1, 0, 9), (2, 0, 9)], 2);
        assert_eq!(few.values().map(|start| 9 - start).sum::<i64>(), 2);
        assert!(shares(&[(0, 0, 9)], 0).is_empty());
    }
}
