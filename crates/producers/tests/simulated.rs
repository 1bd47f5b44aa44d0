//! The five datasets end to end: the simulated upstreams -> the loops -> the topics, field by field where it counts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeSet;

use datasets::{Dataset, companies, random_user, weather, wikipedia};
use serde_json::{Value, json};
use service::health::State;
use support::simulators::Simulators;
use support::{Kafka, Record, Running, settings, wait_for};

const UPSTREAM: &str = "upstream";

fn start(kafka: &Kafka, simulators: &Simulators, dataset: &'static Dataset, section: Value) -> Running {
    let producer = json!({"upstreams": "simulated", "simulator": simulators.url});
    Running::start(dataset, settings(&kafka.brokers(), dataset, section, producer))
}

/// Runs the dataset against the simulators until so many records are there.
async fn records(dataset: &'static Dataset, section: Value, number: i64) -> Vec<Record> {
    let (kafka, simulators) = (Kafka::start(dataset), Simulators::start().await);
    let producer = start(&kafka, &simulators, dataset, section);
    wait_for("records", || kafka.written() >= number).await;
    producer.wait_for_state(UPSTREAM, State::Yellow).await;
    assert!(producer.reason(UPSTREAM).contains("simulated data from"), "{}", producer.reason(UPSTREAM));
    producer.stop().await.unwrap();
    let records = kafka.records();
    assert!(records.iter().all(|record| record.origin == "simulated"));
    records
}

fn has(record: &Record, fields: &[&str]) -> bool {
    fields.iter().all(|field| record.value.get(field).is_some_and(|value| !value.is_null()))
}

#[tokio::test(flavor = "multi_thread")]
async fn weather_of_every_configured_city_arrives_under_its_name() {
    let section = json!({"cities": "Amsterdam,NL;52.37,4.89", "every": "50ms", "requests_per_minute": 3000});
    let records = records(&weather::DATASET, section, 4).await;
    let keys: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, BTreeSet::from(["Amsterdam,NL", "52.37,4.89"]));
    for record in &records {
        assert!(
            has(record, &["city", "observed_at", "longitude", "conditions", "temperature_kelvin"]),
            "{record:?}"
        );
        assert_eq!(record.value["city"], record.key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_users_arrive_without_passwords() {
    let records = records(&random_user::DATASET, json!({"results": 50, "every": "50ms"}), 100).await;
    for record in &records {
        assert!(
            has(record, &["id", "first_name", "address", "post_code", "registered_date", "picture"]),
            "{record:?}"
        );
        assert_eq!(record.value["id"], record.key);
        let text = record.value.to_string();
        assert!(!text.contains("password") && !text.contains("salt") && !text.contains("sha256"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn companies_of_several_polls_do_not_share_keys() {
    let records = records(&companies::DATASET, json!({"quantity": 20, "every": "50ms"}), 60).await;
    let keys: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys.len(), records.len());
    assert!(records.iter().all(|record| has(record, &["id", "name", "vat", "addresses"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_in_order_each_once_with_their_sse_id() {
    let records = records(&wikipedia::DATASET, json!({}), 300).await;
    let keys: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys.len(), records.len());
    assert!(records.iter().all(|record| record.partition == 0 && record.sse_id.is_some()));
    assert!(records.iter().all(|record| has(record, &["id", "dt", "wiki"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_takes_an_upstream_that_answers_by_its_contract_for_live() {
    let simulators = Simulators::start().await;
    for dataset in [&random_user::DATASET, &companies::DATASET, &wikipedia::DATASET] {
        let kafka = Kafka::start(dataset);
        let section = json!({ "base_url": simulators.url });
        let auto = json!({"upstreams": "auto", "simulator": "http://127.0.0.1:9"});
        let producer = Running::start(dataset, settings(&kafka.brokers(), dataset, section, auto));
        producer.wait_for_state(UPSTREAM, State::Green).await;
        wait_for("records", || kafka.written() >= 1).await;
        producer.stop().await.unwrap();
        assert!(kafka.records().iter().all(|record| record.origin == "live"), "{}", dataset.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_without_a_key_is_simulated_and_names_the_variable() {
    let (kafka, simulators) = (Kafka::start(&weather::DATASET), Simulators::start().await);
    let auto = json!({"upstreams": "auto", "simulator": simulators.url});
    let producer =
        Running::start(&weather::DATASET, settings(&kafka.brokers(), &weather::DATASET, json!({}), auto));
    producer.wait_for_reason(UPSTREAM, "TRIBUTARY__WEATHER__API_KEY").await;
    wait_for("records", || kafka.written() >= 1).await;
    producer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn live_without_a_key_refuses_to_start() {
    // Nothing listens there: the refusal does not wait for Kafka.
    let settings = settings("127.0.0.1:9", &weather::DATASET, json!({}), json!({"upstreams": "live"}));
    let error = Running::start(&weather::DATASET, settings).end().await.unwrap_err();
    assert!(error.to_string().contains("TRIBUTARY__WEATHER__API_KEY"), "{error}");
    assert_eq!(service::exit_code(&error), 78);
}
