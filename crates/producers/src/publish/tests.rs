use datasets::wikipedia::DATASET;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, Timestamp, TopicPartitionList};

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn records(brokers: &str, topic: &str, number: usize) -> Vec<(i64, String)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "test").create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let read = || consumer.poll(Duration::from_secs(10)).expect("a record in time").unwrap();
    let fields = |record: BorrowedMessage<'_>| {
        let value = String::from_utf8(record.payload().unwrap().to_vec()).unwrap();
        (record.timestamp().to_millis().unwrap(), value)
    };
    (0..number).map(|_| fields(read())).collect()
}

struct Fixture {
    cluster: MockCluster<'static, DefaultProducerContext>,
    counts: Arc<Counts>,
    publisher: Publisher,
}

fn start() -> Fixture {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(DATASET.topic, 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let kafka = service::kafka::Settings { brokers, ..service::kafka::Settings::default() };
    let counts = Arc::new(Counts::new(DATASET.name));
    let publisher = Publisher::new(&kafka, &DATASET, Arc::clone(&counts), CancellationToken::new()).unwrap();
    Fixture { cluster, counts, publisher }
}

/// As if Kafka had refused it.
fn returned(publisher: &Publisher, value: &str, at: i64) {
    let (value, at) = (Some(value.as_bytes().to_vec()), Timestamp::CreateTime(at));
    let record = OwnedMessage::new(value, None, DATASET.topic.to_owned(), at, 0, 0, None);
    let mut records = publisher.deliveries().take(usize::MAX);
    records.push_back(record);
    publisher.deliveries().begin();
    publisher.deliveries().put_back(records);
}

#[tokio::test(flavor = "multi_thread")]
async fn record_refused_for_a_clock_that_was_ahead_is_resent_with_the_present_time() {
    let Fixture { cluster, publisher, .. } = start();
    let now = Utc::now().timestamp_millis();
    let (past, future) = (now - HOUR_MS, now + 5 * HOUR_MS);
    for at in [past, future] {
        returned(&publisher, "{}", at);
    }
    publisher.resend().await;
    assert_eq!(publisher.drain().await, 0);
    let times = records(&cluster.bootstrap_servers(), DATASET.topic, 2);
    assert_eq!(times[0].0, past, "a time that has been is kept");
    assert!(times[1].0 >= now && times[1].0 < now + HOUR_MS, "{} is not the present", times[1].0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_record_refused_alone_is_too_large() {
    const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    // All four, then the first two, then the first alone.
    for (refusals, left) in [(0, "abcd"), (1, "abcd"), (2, "abcd"), (3, "bcd")] {
        let Fixture { cluster, counts, publisher } = start();
        cluster.request_errors(RDKafkaApiKey::Produce, &vec![TOO_LARGE; refusals]);
        for value in ["a", "b", "c", "d"] {
            returned(&publisher, value, 1);
        }
        publisher.resend().await;
        assert_eq!(publisher.drain().await, 0);
        let arrived = records(&cluster.bootstrap_servers(), DATASET.topic, left.len());
        let arrived: String = arrived.into_iter().map(|(_, value)| value).collect();
        assert_eq!(arrived, left, "after {refusals} refusals, in order");
        assert_eq!(
            (counts.acknowledged.get(), counts.rejected.get()),
            (left.len() as u64, 4 - left.len() as u64)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn record_between_two_attempts_is_waited_for_at_the_end() {
    let Fixture { publisher, .. } = start();
    returned(&publisher, "{}", 1);
    let taken = publisher.deliveries().take(1);
    assert_eq!((taken.len(), publisher.unacknowledged()), (1, 1));
    publisher.inner.given_up.cancel();
    assert_eq!(publisher.drain().await, 1);
}
