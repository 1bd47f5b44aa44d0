//! Messages in memory -> a topic of the real Kafka, with the producers' own settings; and where the topic ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use testbed::{Kafka, Options};

use crate::messages::{Messages, TOPIC};

const HEAP_MB: u32 = 1_024;
/// As `kafka/topics.conf` has it.
pub(crate) const PARTITIONS: i32 = 6;
const PATIENCE: Duration = Duration::from_secs(10);
const FLUSH_WITHIN: Duration = Duration::from_secs(120);

/// How the broker is started.
pub(crate) fn options() -> Options {
    Options::default().heap_mb(HEAP_MB)
}

/// Creates the topic with its dead letters, as the pipeline does.
pub(crate) fn create(kafka: &Kafka, topic: &str) -> Result<()> {
    kafka.create_topic(topic, PARTITIONS, &[("message.timestamp.type", "CreateTime")])?;
    let limits = [("cleanup.policy", "compact"), ("max.message.bytes", "2097152")];
    Ok(kafka.create_topic(&format!("{topic}.dlq"), 1, &limits)?)
}

/// What every producer here is made from: the producers' own settings.
pub(crate) fn producer(brokers: &str) -> ClientConfig {
    let brokers = brokers.to_owned();
    service::kafka::Settings { brokers, ..service::kafka::Settings::default() }.producer("benchmarks")
}

/// The header that the producer of the dataset adds.
pub(crate) fn headers() -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "origin", value: Some("simulated") })
}

/// Counts what becomes of a producer's messages; clones share their counts.
#[derive(Clone, Default)]
pub(crate) struct Deliveries(Arc<Counts>);

#[derive(Default)]
struct Counts {
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl Deliveries {
    /// Fails unless so many messages were acknowledged and none refused.
    pub(crate) fn all(&self, published: u64) -> Result<()> {
        let refused = self.0.refused.load(Ordering::Relaxed);
        ensure!(refused == 0, "kafka refused {refused} messages");
        let acknowledged = self.0.acknowledged.load(Ordering::Relaxed);
        ensure!(acknowledged == published, "kafka acknowledged {acknowledged} of {published} messages");
        Ok(())
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.0.acknowledged } else { &self.0.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Publishes all messages to an empty topic; returns when each is acknowledged and the topic ends where it should.
pub(crate) fn fill<'a>(
    brokers: &str,
    topic: &str,
    messages: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<()> {
    let published = messages.len() as u64;
    eprintln!("==> {published} messages into topic {topic}");
    let deliveries = Deliveries::default();
    let producer: BaseProducer<Deliveries> = producer(brokers).create_with_context(deliveries.clone())?;
    for (key, value) in messages {
        let mut record = BaseRecord::to(topic).key(key).payload(value).headers(headers());
        while let Err((error, refused)) = producer.send(record) {
            if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(error).with_context(|| format!("publish to {topic}"));
            }
            record = refused;
            producer.poll(Duration::from_millis(100));
        }
    }
    producer.flush(FLUSH_WITHIN).with_context(|| format!("publish to {topic}"))?;
    deliveries.all(published).with_context(|| format!("publish to {topic}"))?;
    let end: i64 = ends(brokers, topic)?.values().sum();
    ensure!(u64::try_from(end)? == published, "{topic}: the ends of {published} messages sum up to {end}");
    Ok(())
}

/// End offsets by partition.
pub(crate) fn ends(brokers: &str, topic: &str) -> Result<BTreeMap<i32, i64>> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "benchmarks").create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let known = metadata.topics().first().with_context(|| format!("no topic {topic}"))?;
    let end = |partition: i32| -> Result<(i32, i64)> {
        Ok((partition, consumer.fetch_watermarks(topic, partition, PATIENCE)?.1))
    };
    known.partitions().iter().map(|partition| end(partition.id())).collect()
}

/// The topic of the messages.
pub(crate) fn users(kafka: &Kafka, messages: &Messages) -> Result<()> {
    create(kafka, TOPIC)?;
    fill(&kafka.brokers(), TOPIC, messages.iter())
}
