//! What is asked of the broker before the first row: the range of each partition, and the messages that files ended
//! with. Waits for the broker and the topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use service::Service;
use service::kafka::Cluster;

use super::file::NO_TIMESTAMP;
use crate::message::Partition;
use crate::settings::Settings;

const AGAIN_AFTER: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);
/// For the messages of all partitions together.
const MESSAGES_PATIENCE: Duration = Duration::from_secs(10);

/// The first offset and the end of each partition.
pub(super) type Ranges = BTreeMap<Partition, (i64, i64)>;

/// A message, as far as it tells one topic from another of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
}

/// The first message at or behind an offset; `None` where there is none (any more).
pub(super) type FirstMessages = BTreeMap<(Partition, i64), Option<Found>>;

/// A consumer without a group's offsets, for questions.
pub(super) struct Topics {
    consumer: Arc<BaseConsumer<Cluster>>,
    brokers: String,
    names: Arc<[String]>,
}

impl Topics {
    pub(super) fn new(settings: &Settings, names: &[String]) -> Result<Self, KafkaError> {
        let mut config = settings.kafka.client("tributary-csv");
        config
            .set("group.id", "tributary-csv")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            // One message of each partition is wanted, not what follows it.
            .set("fetch.message.max.bytes", "1024")
            .set("fetch.wait.max.ms", "10");
        let consumer = Arc::new(config.create_with_context(Cluster::default())?);
        Ok(Self { consumer, brokers: settings.kafka.brokers.clone(), names: names.into() })
    }

    /// The ranges of all partitions; `None` when the service is told to stop.
    pub(super) async fn ranges(&self, service: &Service) -> anyhow::Result<Option<Ranges>> {
        self.patiently(service, ask_ranges).await
    }

    /// The first message at or behind each of these offsets; `None` when the service is told to stop.
    pub(super) async fn first_messages(
        &self,
        service: &Service,
        offsets: BTreeSet<(Partition, i64)>,
    ) -> anyhow::Result<Option<FirstMessages>> {
        self.patiently(service, move |consumer, names| ask_messages(consumer, names, &offsets)).await
    }

    async fn patiently<T: Send + 'static>(
        &self,
        service: &Service,
        ask: impl Fn(&BaseConsumer<Cluster>, &[String]) -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Option<T>> {
        let ask = Arc::new(ask);
        loop {
            let (consumer, names, ask) =
                (Arc::clone(&self.consumer), Arc::clone(&self.names), Arc::clone(&ask));
            let answer = tokio::task::spawn_blocking(move || {
                ask(&consumer, &names).map_err(|error| (error, Cluster::reason(&consumer)))
            });
            let answer = tokio::select! {
                answer = answer => answer?,
                () = service.shutdown.cancelled() => return Ok(None),
            };
            match answer {
                Ok(answer) => return Ok(Some(answer)),
                Err((error, reason)) => {
                    if let Some(reason) = self.consumer.context().refused() {
                        bail!("kafka at {}: {reason}", self.brokers);
                    }
                    let reason =
                        reason.map_or_else(|| format!("{error:#}"), |reason| format!("{error:#}: {reason}"));
                    service.health.red("kafka", format!("{}: {reason}; next try in 2 s", self.brokers));
                }
            }
            if service.stops_within(AGAIN_AFTER).await {
                return Ok(None);
            }
        }
    }
}

fn ask_ranges(consumer: &BaseConsumer<Cluster>, topics: &[String]) -> anyhow::Result<Ranges> {
    let mut ranges = Ranges::new();
    for (topic, name) in topics.iter().enumerate() {
        let metadata = consumer.fetch_metadata(Some(name), PATIENCE)?;
        let known = metadata.topics().iter().find(|known| known.name() == name && known.error().is_none());
        let Some(known) = known else {
            bail!("topic {name} does not exist: create it (kafka/create-topics.sh does)")
        };
        for partition in known.partitions() {
            let range = consumer.fetch_watermarks(name, partition.id(), PATIENCE)?;
            ranges.insert(Partition { topic, number: partition.id() }, range);
        }
    }
    Ok(ranges)
}

// Files of one partition may end at different offsets, but a partition is read from one at a time: hence rounds.
// Each is of one topic, since librdkafka tells the end of a partition without its topic.
fn ask_messages(
    consumer: &BaseConsumer<Cluster>,
    topics: &[String],
    offsets: &BTreeSet<(Partition, i64)>,
) -> anyhow::Result<FirstMessages> {
    let until = Instant::now() + MESSAGES_PATIENCE;
    let mut answers = FirstMessages::new();
    for (topic, name) in topics.iter().enumerate() {
        let mut left: BTreeSet<_> =
            offsets.iter().filter(|(partition, _)| partition.topic == topic).copied().collect();
        while !left.is_empty() {
            let round: BTreeMap<i32, i64> =
                left.iter().rev().map(|(partition, offset)| (partition.number, *offset)).collect();
            for (number, found) in ask_round(consumer, name, &round, until)? {
                let asked = (Partition { topic, number }, round[&number]);
                left.remove(&asked);
                answers.insert(asked, found);
            }
        }
    }
    consumer.unassign()?;
    Ok(answers)
}

fn ask_round(
    consumer: &BaseConsumer<Cluster>,
    topic: &str,
    round: &BTreeMap<i32, i64>,
    until: Instant,
) -> anyhow::Result<BTreeMap<i32, Option<Found>>> {
    let mut list = TopicPartitionList::with_capacity(round.len());
    for (partition, offset) in round {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&list)?;
    let mut answers = BTreeMap::new();
    let mut trouble = String::new();
    while answers.len() < round.len() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let wanting = round.keys().find(|partition| !answers.contains_key(*partition)).unwrap_or(&0);
            bail!("{topic}:{wanting} was not read within {} s{trouble}", MESSAGES_PATIENCE.as_secs());
        }
        match consumer.poll(left) {
            Some(Ok(message)) => {
                let timestamp_ms = message.timestamp().to_millis().unwrap_or(NO_TIMESTAMP);
                let found = Found { offset: message.offset(), timestamp_ms };
                answers.entry(message.partition()).or_insert(Some(found));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                answers.entry(partition).or_insert(None);
            }
            Some(Err(error)) => trouble = format!(": {error}"),
            None => {}
        }
    }
    Ok(answers)
}
