//! Delivery while Kafka is down, refuses, or is slow: nothing is lost, nothing is doubled, and the health says why.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use datasets::{Upstream as Contract, faker};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use service::health::State;
use support::{Kafka, Running, settings, wait_for};

const KAFKA: &str = "kafka";

fn start(kafka: &Kafka, rate: u32, producer: Value) -> Running {
    let section = json!({"rate": rate, "seed": 7});
    Running::start(&faker::DATASET, settings(&kafka.brokers(), &faker::DATASET, section, producer))
}

/// The keys that the generator makes first.
fn made(number: usize) -> BTreeSet<String> {
    let Contract::Generated { new } = faker::DATASET.upstream else { panic!("faker is generated") };
    let mut generator = new(&json!({"seed": 7}), 0).unwrap();
    (0..number).map(|_| generator.next().0.to_owned()).collect()
}

/// Everything made until the end is in the topic, each record once.
fn assert_complete(kafka: &Kafka) {
    let records = kafka.records();
    let keys: BTreeSet<String> = records.iter().map(|record| record.key.clone()).collect();
    assert_eq!(keys.len(), records.len(), "no record twice");
    assert!(keys == made(keys.len()), "{} records are not the first that were made", keys.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_carry_their_origin_and_spread_over_the_partitions() {
    let kafka = Kafka::start(&faker::DATASET);
    let producer = start(&kafka, 1000, json!({}));
    wait_for("records", || kafka.written() >= 200).await;
    producer.stop().await.unwrap();
    assert_complete(&kafka);
    let records = kafka.records();
    assert!(records.iter().all(|record| record.origin == "generated" && record.value["id"] == record.key));
    let partitions: BTreeSet<i32> = records.iter().map(|record| record.partition).collect();
    assert_eq!(partitions.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_that_is_down_at_the_start_is_waited_for_and_named() {
    let kafka = Kafka::start(&faker::DATASET);
    kafka.cluster.broker_down(-1).unwrap();
    let producer = start(&kafka, 100, json!({}));
    producer.wait_for_state(KAFKA, State::Red).await;
    let reason = producer.reason(KAFKA);
    assert!(reason.contains(&kafka.brokers()) && reason.contains("next attempt in"), "{reason}");
    kafka.cluster.broker_up(-1).unwrap();
    producer.wait_for_state(KAFKA, State::Green).await;
    wait_for("records", || kafka.written() > 0).await;
    producer.stop().await.unwrap();
    assert_complete(&kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_while_waiting_for_kafka_ends_at_once() {
    let kafka = Kafka::start(&faker::DATASET);
    kafka.cluster.broker_down(-1).unwrap();
    let producer = start(&kafka, 100, json!({}));
    producer.wait_for_state(KAFKA, State::Red).await;
    producer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_in_mid_flow_is_red_and_loses_nothing() {
    let kafka = Kafka::start(&faker::DATASET);
    let producer = start(&kafka, 500, json!({}));
    wait_for("records", || kafka.written() > 100).await;
    kafka.cluster.broker_down(-1).unwrap();
    producer.wait_for_state(KAFKA, State::Red).await;
    let reason = producer.reason(KAFKA);
    assert!(reason.contains(&kafka.brokers()) && reason.contains("records wait"), "{reason}");
    kafka.cluster.broker_up(-1).unwrap();
    producer.wait_for_state(KAFKA, State::Green).await;
    producer.stop().await.unwrap();
    assert_complete(&kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_kept_told_and_sent_again() {
    let kafka = Kafka::start(&faker::DATASET);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    kafka.cluster.request_errors(RDKafkaApiKey::Produce, &[denied; 3]);
    let producer = start(&kafka, 200, json!({}));
    producer.wait_for_state(KAFKA, State::Red).await;
    let reason = producer.reason(KAFKA);
    assert!(reason.contains("refused") && reason.contains("topic faker"), "{reason}");
    producer.wait_for_state(KAFKA, State::Green).await;
    wait_for("records", || kafka.written() > 200).await;
    producer.stop().await.unwrap();
    assert_complete(&kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_too_large_for_kafka_loses_none_of_its_records() {
    let kafka = Kafka::start(&faker::DATASET);
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    kafka.cluster.request_errors(RDKafkaApiKey::Produce, &[too_large]);
    let producer = start(&kafka, 200, json!({}));
    wait_for("records", || kafka.written() > 200).await;
    producer.stop().await.unwrap();
    assert_complete(&kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_beyond_repair_ends_the_producer_with_the_reason() {
    let kafka = Kafka::start(&faker::DATASET);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    kafka.cluster.request_errors(RDKafkaApiKey::InitProducerId, &[denied; 10]);
    let producer = start(&kafka, 100, json!({}));
    let health = producer.health.clone();
    let error = producer.end().await.unwrap_err().to_string();
    assert!(error.contains("failed for good") && error.contains("not acknowledged"), "{error}");
    assert_eq!(health.report().state, State::Red);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topic_is_named_and_nothing_is_made_until_it_exists() {
    let kafka = Kafka::start(&faker::DATASET);
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    kafka.cluster.topic_error("faker", unknown).unwrap();
    let producer = start(&kafka, 100, json!({}));
    producer.wait_for_reason(KAFKA, "topic faker").await;
    assert_eq!(producer.state(KAFKA), Some(State::Red));
    kafka.cluster.topic_error("faker", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    producer.wait_for_state(KAFKA, State::Green).await;
    wait_for("records", || kafka.written() > 0).await;
    producer.stop().await.unwrap();
    assert_complete(&kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_at_full_speed_leaves_nothing_unacknowledged() {
    let kafka = Kafka::start(&faker::DATASET);
    let producer = start(&kafka, 0, json!({}));
    wait_for("a flood", || kafka.written() > 20_000).await;
    // `Ok` says that every record handed over was acknowledged.
    producer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn end_with_unacknowledged_records_is_a_failure_that_counts_them() {
    let kafka = Kafka::start(&faker::DATASET);
    let producer = start(&kafka, 500, json!({"flush_timeout": "300ms"}));
    wait_for("records", || kafka.written() > 0).await;
    kafka.cluster.broker_down(-1).unwrap();
    producer.wait_for_state(KAFKA, State::Red).await;
    let error = producer.stop().await.unwrap_err().to_string();
    let count: u64 = error.split(' ').next().unwrap().parse().unwrap();
    assert!(count > 0 && error.contains("not acknowledged within 300ms"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_stops_the_generator() {
    let kafka = Kafka::start(&faker::DATASET);
    for rate in [0, 1000] {
        let producer = start(&kafka, rate, json!({}));
        let before = kafka.written();
        wait_for("records", || kafka.written() > before).await;
        producer.paused.send(true).unwrap();
        producer.wait_for_state("producer", State::Yellow).await;
        let still = || kafka.written();
        let mut last = -1;
        wait_for("no more records", || std::mem::replace(&mut last, still()) == last).await;
        support::stays("no record", Duration::from_millis(200), || kafka.written() == last).await;
        producer.paused.send(false).unwrap();
        wait_for("records again", || kafka.written() > last).await;
        producer.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_makes_one_seconds_worth() {
    let kafka = Kafka::start(&faker::DATASET);
    let section = json!({"rate": 25, "seed": 7});
    let settings = settings(&kafka.brokers(), &faker::DATASET, section, json!({}));
    Running::once(&faker::DATASET, settings).end().await.unwrap();
    assert_eq!(kafka.written(), 25);
    assert_complete(&kafka);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_end_the_start_with_section_and_key() {
    let kafka = MockCluster::new(1).unwrap();
    let section = json!({"rat": 25});
    let settings = settings(&kafka.bootstrap_servers(), &faker::DATASET, section, json!({}));
    let error = Running::start(&faker::DATASET, settings).end().await.unwrap_err();
    assert_eq!(service::exit_code(&error), 78);
    assert!(error.to_string().contains("[faker]") && error.to_string().contains("rat"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_of_nothing_ends_the_start_with_its_key() {
    let kafka = MockCluster::new(1).unwrap();
    let producer = json!({"backoff_min": "0s"});
    let settings = settings(&kafka.bootstrap_servers(), &faker::DATASET, json!({}), producer);
    let error = Running::start(&faker::DATASET, settings).end().await.unwrap_err();
    assert_eq!(service::exit_code(&error), 78);
    assert!(error.to_string().starts_with("producer.backoff_min = \"0s\""), "{error}");
}
