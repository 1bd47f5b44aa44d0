//! Topics as the operator's commands read them: from known offsets to known ends, then no further.
//!
//! Reads by explicit assignment: no group is joined, no offset is committed. Everything here blocks; the consumer itself
//! reads by `receive`.

mod advertised;
mod commits;
mod follow;
mod group;
mod since;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

pub use advertised::advertised;
pub use commits::Commit;
pub use group::{Group, Member};
pub use since::Since;
pub(crate) use walk::{CHUNK_MESSAGES, Walk};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::{self, Cluster};

use crate::message::{Chunk, Partition};

const PATIENCE: Duration = Duration::from_secs(10);
/// A broker that delivers nothing for so many times the patience with one answer is away.
const SILENCES_MAX: u32 = 3;

/// Offsets of each partition: the first, and one past the last.
pub type Ranges = BTreeMap<i32, Range<i64>>;

/// Kafka could not be asked, or did not deliver; says what and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unread {
    why: String,
    refused: bool,
}

impl Unread {
    pub(crate) fn new(why: String) -> Self {
        Self { why, refused: false }
    }

    /// For another reason.
    pub(crate) fn because(error: &impl std::fmt::Display) -> Self {
        Self::new(error.to_string())
    }

    /// Whether the broker does not accept this user, or this client not the broker's certificate.
    pub fn is_refusal(&self) -> bool {
        self.refused
    }
}

/// The broker, asked once for all its topics.
pub struct Topics {
    consumer: BaseConsumer<Cluster>,
    /// `host:port`, comma separated.
    brokers: String,
    /// How long one answer may take.
    patience: Duration,
    partitions: BTreeMap<String, Vec<i32>>,
}

impl Topics {
    /// Asks the broker; `client_id` is this client's name in its log.
    ///
    /// # Errors
    /// It does not answer.
    pub fn connect(settings: &kafka::Settings, client_id: &str) -> Result<Self, Unread> {
        Self::connect_within(PATIENCE, settings, client_id)
    }

    /// As [`Topics::connect`], with another patience.
    ///
    /// # Errors
    /// It does not answer within that time.
    pub fn connect_within(
        patience: Duration,
        settings: &kafka::Settings,
        client_id: &str,
    ) -> Result<Self, Unread> {
        let consumer: BaseConsumer<Cluster> = settings
            .client(client_id)
            // librdkafka wants a name; nothing is stored under it.
            .set("group.id", client_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // As the consumer has it, and for its reasons: less memory, and no second of waiting once it is full.
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.max.bytes", "4194304")
            .create_with_context(Cluster::default())
            .map_err(|error| Unread::new(format!("kafka at {}: {error}", settings.brokers)))?;
        let metadata = consumer.fetch_metadata(None, patience).map_err(|error| {
            let reason = Cluster::reason(&consumer).unwrap_or_else(|| error.to_string());
            Unread {
                why: format!("kafka at {} does not answer: {reason}", settings.brokers),
                refused: consumer.context().refused().is_some(),
            }
        })?;
        let partitions = metadata.topics().iter().map(|topic| {
            let numbers = topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
            (topic.name().to_owned(), numbers.collect())
        });
        let partitions = partitions.collect();
        Ok(Self { consumer, brokers: settings.brokers.clone(), patience, partitions })
    }

    /// With another patience from now on.
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How many partitions the topic has; `None` if there is no such topic.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.partitions.get(topic).map(Vec::len)
    }

    /// The names of all topics that are not Kafka's own.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.partitions.keys().map(String::as_str).filter(|name| !name.starts_with("__"))
    }

    /// What each partition of the topic holds now; nothing where there is no such topic.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn ranges(&self, topic: &str) -> Result<Ranges, Unread> {
        let mut ranges = Ranges::new();
        for number in self.partitions.get(topic).into_iter().flatten() {
            let asked = self.consumer.fetch_watermarks(topic, *number, self.patience);
            let (low, high) = asked.map_err(|error| self.unread(topic, &error))?;
            ranges.insert(*number, low..high);
        }
        Ok(ranges)
    }

    /// What each partition of all topics holds now that are not Kafka's own, by two questions to each broker. A topic of which
    /// a partition does not tell, since it has no leader for instance, is left out.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn all_ranges(&self) -> Result<BTreeMap<&str, Ranges>, Unread> {
        let lows = self.edges(Offset::Beginning)?;
        let mut all = BTreeMap::new();
        for (topic, ends) in self.edges(Offset::End)? {
            let low = |number: &i32| lows.get(topic).and_then(|lows| lows.get(number)).copied();
            let ranges =
                ends.iter().filter_map(|(number, end)| Some((*number, low(number)?..*end))).collect();
            all.insert(topic, ranges);
        }
        Ok(all)
    }

    /// The ends alone, by one question to each broker; otherwise as [`Topics::all_ranges`].
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn all_ends(&self) -> Result<BTreeMap<&str, BTreeMap<i32, i64>>, Unread> {
        self.edges(Offset::End)
    }

    fn edges(&self, edge: Offset) -> Result<BTreeMap<&str, BTreeMap<i32, i64>>, Unread> {
        let mut list = TopicPartitionList::new();
        for topic in self.names() {
            for number in &self.partitions[topic] {
                let added = list.add_partition_offset(topic, *number, edge);
                added.map_err(|error| self.unread(topic, &error))?;
            }
        }
        let mut edges: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        if list.count() == 0 {
            return Ok(edges);
        }
        let found = self.consumer.offsets_for_times(list, self.patience).map_err(|error| {
            let reason = Cluster::reason(&self.consumer).unwrap_or_else(|| error.to_string());
            Unread::new(format!("kafka at {} does not answer: {reason}", self.brokers))
        })?;
        for element in found.elements() {
            let Some((topic, _)) = self.partitions.get_key_value(element.topic()) else { continue };
            if let (Ok(()), Offset::Offset(offset)) = (element.error(), element.offset()) {
                edges.entry(topic).or_default().insert(element.partition(), offset);
            }
        }
        edges.retain(|topic, edges| edges.len() == self.partitions[*topic].len());
        Ok(edges)
    }

    /// The first offset of each partition whose message is of this time or later, in milliseconds since 1970; the end where
    /// there is none.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<BTreeMap<i32, i64>, Unread> {
        let mut list = TopicPartitionList::new();
        for number in self.partitions.get(topic).into_iter().flatten() {
            let added = list.add_partition_offset(topic, *number, Offset::Offset(time_ms));
            added.map_err(|error| self.unread(topic, &error))?;
        }
        let found = self
            .consumer
            .offsets_for_times(list, self.patience)
            .map_err(|error| self.unread(topic, &error))?;
        let ends = self.ranges(topic)?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| self.unread(topic, &error))?;
            let number = element.partition();
            match (element.offset(), ends.get(&number)) {
                (Offset::Offset(offset), _) => drop(offsets.insert(number, offset)),
                (_, Some(range)) => drop(offsets.insert(number, range.end)),
                (_, None) => {}
            }
        }
        Ok(offsets)
    }

    /// Hands the messages of these offsets to `take`, in the order of each partition, until it breaks. Offsets that are
    /// gone (by compaction, or markers of transactions) are passed over.
    ///
    /// # Errors
    /// The broker delivers nothing for three times the patience with an answer (30 s in all, unless another was given); or the
    /// topic ends before these offsets, or begins again below them, because it was deleted and created anew.
    pub fn read(
        &self,
        topic: &str,
        ranges: &Ranges,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let mut list = TopicPartitionList::new();
        let mut open = BTreeSet::new();
        for (number, range) in ranges.iter().filter(|(_, range)| !range.is_empty()) {
            let added = list.add_partition_offset(topic, *number, Offset::Offset(range.start));
            added.map_err(|error| self.unread(topic, &error))?;
            open.insert(*number);
        }
        self.consumer.assign(&list).map_err(|error| self.unread(topic, &error))?;
        let mut heard_at = Instant::now();
        let mut trouble = String::new();
        while !open.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                // What arrives after its partition's end is newer than what was asked for.
                Some(Ok(message)) if open.contains(&message.partition()) => {
                    let (start, end) =
                        ranges.get(&message.partition()).map_or((0, 0), |range| (range.start, range.end));
                    if message.offset() < start {
                        return Err(self.created_anew(topic, message.partition(), message.offset(), start));
                    }
                    if message.offset() + 1 >= end {
                        open.remove(&message.partition());
                    }
                    if message.offset() < end && take(&message).is_break() {
                        break;
                    }
                    // Not before: who takes them may have made the broker wait.
                    heard_at = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    self.ends_behind(topic, number, ranges)?;
                    heard_at = Instant::now();
                    open.remove(&number);
                }
                Some(Err(error)) => trouble = format!(": {error}"),
                Some(Ok(_)) | None => {}
            }
            let silence_max = SILENCES_MAX * self.patience;
            if heard_at.elapsed() > silence_max {
                let silence = silence_max.as_secs();
                return Err(Unread::new(format!(
                    "topic {topic} on {}: no message came for {silence} s{trouble}; see that the brokers are up and that this \
                     user may read the topic, then run it again",
                    self.brokers
                )));
            }
        }
        self.consumer.unassign().map_err(|error| self.unread(topic, &error))
    }

    // At the end of a partition nothing more comes. The last offsets may be markers of transactions, but are there.
    fn ends_behind(&self, topic: &str, number: i32, ranges: &Ranges) -> Result<(), Unread> {
        let Some(range) = ranges.get(&number) else { return Ok(()) };
        let asked = self.consumer.fetch_watermarks(topic, number, self.patience);
        let (_, end) = asked.map_err(|error| self.unread(topic, &error))?;
        if end < range.end { Err(self.created_anew(topic, number, end, range.end)) } else { Ok(()) }
    }

    fn created_anew(&self, topic: &str, number: i32, is: i64, was: i64) -> Unread {
        Unread::new(format!(
            "topic {topic} on {}: partition {number} is at offset {is}, and was at {was} a moment ago: it was deleted and \
             created again, or cut; run it again",
            self.brokers
        ))
    }

    fn unread(&self, topic: &str, error: &KafkaError) -> Unread {
        Unread::new(format!(
            "topic {topic} on {}: {error}; run it again when the broker answers",
            self.brokers
        ))
    }
}

/// Copies a message into the chunk.
pub(crate) fn push(chunk: &mut Chunk, partition: Partition, message: &BorrowedMessage<'_>) {
    let headers = kafka::headers(message);
    let timestamp_ms = message.timestamp().to_millis();
    chunk.push(partition, message.offset(), timestamp_ms, message.key(), message.payload(), headers);
}

#[cfg(test)]
mod tests;
