//! librdkafka's mock cluster -> a Kafka broker inside this process, with every dataset's topics.
//!
//! It speaks Kafka's protocol on a loopback port and keeps everything in memory: at most 5 MiB of a partition, then it
//! drops the oldest in silence. That bounds the demo's memory, and is why the demo watches what is unread.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use datasets::{Dataset, REGISTRY, Upstream};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::{self, Cluster};

const BROKERS: i32 = 1;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The embedded broker; it ends with the process.
pub(crate) struct Broker {
    // Never torn down: that waits for its clients, and they for it.
    cluster: ManuallyDrop<MockCluster<'static, DefaultProducerContext>>,
}

impl Broker {
    /// Starts it and creates the topics: nobody can do that later, it knows no such request.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let cluster = MockCluster::new(BROKERS).context("start the embedded kafka broker")?;
        for dataset in REGISTRY {
            let create = |topic: &str, partitions| {
                cluster
                    .create_topic(topic, partitions, BROKERS)
                    .with_context(|| format!("create topic {topic} on the embedded broker"))
            };
            create(dataset.topic, partitions(dataset))?;
            create(&dead_letter_topic(dataset), 1)?;
        }
        Ok(Self { cluster: ManuallyDrop::new(cluster) })
    }

    /// Returns its `host:port`.
    pub(crate) fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Returns what its clients need.
    pub(crate) fn settings(&self) -> kafka::Settings {
        kafka::Settings { brokers: self.address(), ..kafka::Settings::default() }
    }
}

/// Returns how many partitions the dataset's topic has.
pub(crate) fn partitions(dataset: &Dataset) -> i32 {
    // A stream resumes from the last record of its one partition.
    if matches!(dataset.upstream, Upstream::Streamed { .. }) { 1 } else { 6 }
}

fn dead_letter_topic(dataset: &Dataset) -> String {
    format!("{}{}", dataset.topic, consumer::dead_letter::SUFFIX)
}

/// Asks the broker what it has; blocks.
pub(crate) struct Topics {
    // Closing it can hang while the broker goes away.
    consumer: ManuallyDrop<BaseConsumer<Cluster>>,
}

impl Topics {
    /// A client of its own, which joins no group.
    pub(crate) fn new(settings: &kafka::Settings) -> anyhow::Result<Self> {
        let mut config = settings.client("tributary-demo");
        config
            .set("group.id", "tributary-demo")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error");
        let consumer =
            config.create_with_context(Cluster::default()).context("set up the kafka client that counts")?;
        Ok(Self { consumer: ManuallyDrop::new(consumer) })
    }

    /// Returns the first offset that is still there, and the end: how many records were ever published.
    pub(crate) fn watermarks(&self, dataset: &Dataset, partition: i32) -> anyhow::Result<(i64, i64)> {
        self.ask(dataset.topic, partition)
    }

    /// Returns how many dead letters were ever published, one that was sent twice counted twice.
    pub(crate) fn dead_letters_end(&self, dataset: &Dataset) -> anyhow::Result<i64> {
        Ok(self.ask(&dead_letter_topic(dataset), 0)?.1)
    }

    /// Reads the dead letters; returns partition and offset of the records that they stand for, each once.
    pub(crate) fn dead_letters(&self, dataset: &Dataset) -> anyhow::Result<BTreeSet<(i32, i64)>> {
        let topic = dead_letter_topic(dataset);
        let (low, end) = self.ask(&topic, 0)?;
        let mut found = BTreeSet::new();
        if end == 0 {
            return Ok(found);
        }
        if low > 0 {
            bail!("the embedded broker has dropped {low} dead letters of {topic}: they cannot be counted");
        }
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&topic, 0, Offset::Beginning)?;
        self.consumer.assign(&assignment)?;
        let started = Instant::now();
        loop {
            if started.elapsed() >= READ_TIMEOUT {
                bail!("{topic}: {} of {end} dead letters read within {READ_TIMEOUT:?}", found.len());
            }
            let Some(letter) = self.consumer.poll(Duration::from_millis(100)) else { continue };
            let letter = letter.with_context(|| format!("read {topic}"))?;
            let key = String::from_utf8_lossy(letter.key().unwrap_or_default());
            found.insert(origin(&key).with_context(|| format!("{topic}: a dead letter's key is {key:?}"))?);
            if letter.offset() + 1 >= end {
                return Ok(found);
            }
        }
    }

    fn ask(&self, topic: &str, partition: i32) -> anyhow::Result<(i64, i64)> {
        self.consumer
            .fetch_watermarks(topic, partition, ANSWER_TIMEOUT)
            .with_context(|| format!("ask the embedded broker for the end of {topic}:{partition}"))
    }
}

/// Partition and offset in a dead letter's key, `group/topic/partition/offset/table`.
fn origin(key: &str) -> Option<(i32, i64)> {
    let mut parts = key.rsplit('/').skip(1);
    let offset = parts.next()?.parse().ok()?;
    let partition = parts.next()?.parse().ok()?;
    Some((partition, offset))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    use super::*;

    #[test]
    fn topics_are_those_of_production() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../kafka/topics.conf");
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let production: BTreeMap<String, i32> = lines
            .map(|line| {
                let mut words = line.split_whitespace();
                (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
            })
            .collect();
        let ours = REGISTRY.iter().flat_map(|dataset| {
            [(dataset.topic.to_owned(), partitions(dataset)), (dead_letter_topic(dataset), 1)]
        });
        // A user's own topics may stand beside them.
        for (topic, partitions) in ours {
            assert_eq!(production.get(&topic), Some(&partitions), "{topic}");
        }
    }

    #[test]
    fn what_the_broker_drops_shows_in_its_low_watermark_and_not_in_its_end() {
        let broker = Broker::start().unwrap();
        let topics = Topics::new(&broker.settings()).unwrap();
        let producer: BaseProducer = broker.settings().producer("test").create().unwrap();
        // Not compressible: the broker counts what comes over the wire.
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let value: Vec<u8> = (0..900_000).map(|_| random()).collect();
        for _ in 0..8 {
            let record = BaseRecord::<(), [u8]>::to("wikipedia").partition(0).payload(&value);
            producer.send(record).unwrap();
            producer.flush(READ_TIMEOUT).unwrap();
        }
        let (low, end) = topics.watermarks(&datasets::wikipedia::DATASET, 0).unwrap();
        assert_eq!(end, 8);
        assert!(low > 0, "8 x 900 kB are more than 5 MiB");
    }

    #[test]
    fn a_dead_letter_that_was_sent_twice_is_one() {
        let broker = Broker::start().unwrap();
        let topics = Topics::new(&broker.settings()).unwrap();
        assert_eq!(topics.dead_letters(&datasets::faker::DATASET).unwrap().len(), 0);
        let producer: BaseProducer = broker.settings().producer("test").create().unwrap();
        for key in ["tributary/faker/2/7/k.t", "tributary/faker/2/7/k.t", "tributary/faker/3/7/k.t"] {
            producer.send(BaseRecord::to("faker.dlq").key(key).payload("{")).unwrap();
        }
        producer.flush(READ_TIMEOUT).unwrap();
        let letters = topics.dead_letters(&datasets::faker::DATASET).unwrap();
        assert_eq!(letters, BTreeSet::from([(2, 7), (3, 7)]));
        assert_eq!(topics.dead_letters_end(&datasets::faker::DATASET).unwrap(), 3);
    }

    #[test]
    fn a_dead_letters_key_tells_its_origin_whatever_the_group_is_called() {
        assert_eq!(origin("tributary/users_created/5/42/k.t"), Some((5, 42)));
        assert_eq!(origin("a/b/users_created/0/7/k.t"), Some((0, 7)));
        assert_eq!(origin("users_created"), None);
    }
}
