//! What the metrics count. One test for each dataset: the counters are the whole process's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Response;
use datasets::{faker, wikipedia};
use serde_json::json;
use service::health::State;
use support::{Kafka, Running, Upstream, answer, endless, metric, settings, wait_for};

/// 2026-01-02T12:00:00Z.
const NOON_MS: i64 = 1_767_355_200_000;

fn event(second: i64, domain: &str) -> String {
    let at = NOON_MS + second * 1000;
    let dt = chrono::DateTime::from_timestamp_millis(at).unwrap();
    let data = json!({
        "meta": {"id": format!("c2a5f6d4-91e0-4c44-9c0e-{second:012}"), "dt": dt.to_rfc3339(), "domain": domain,
            "stream": "mediawiki.recentchange"},
        "type": "edit", "wiki": "nlwiki",
    });
    format!("id: [{{\"topic\":\"t\",\"partition\":0,\"timestamp\":{at}}}]\ndata: {data}\n\n")
}

fn stream(text: &str) -> Response<Body> {
    answer(200, "text/event-stream", endless(text))
}

fn count(name: &str) -> f64 {
    metric(&format!("tributary_{name}_total"), "dataset=\"wikipedia\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_duplicates_and_malformed_events_are_counted_and_canaries_are_not_fetched() {
    service::telemetry::metrics();
    let kafka = Kafka::start(&wikipedia::DATASET);
    let changes =
        |seconds: &[i64]| seconds.iter().map(|at| event(*at, "nl.wikipedia.org")).collect::<String>();

    // An empty topic does not tell where the stream was left: a gap.
    let text = format!("{}data: not json\n\n{}", changes(&[0, 1]), event(2, "canary"));
    let upstream = Upstream::start(move |_, _| stream(&text)).await;
    let section = json!({ "base_url": upstream.url });
    let producer = Running::start(
        &wikipedia::DATASET,
        settings(&kafka.brokers(), &wikipedia::DATASET, section, json!({})),
    );
    wait_for("a malformed event", || count("rejected") > 0.0).await;
    producer.stop().await.unwrap();
    let seen = (count("fetched"), count("sent"), count("acknowledged"), count("rejected"), count("gaps"));
    assert_eq!(seen, (3.0, 2.0, 2.0, 1.0, 1.0));
    assert_eq!(metric("tributary_errors_total", "dataset=\"wikipedia\",kind=\"malformed\""), 1.0);
    assert_eq!(count("duplicates"), 0.0);
    assert_eq!(metric("tributary_origin", "dataset=\"wikipedia\",origin=\"live\""), 1.0);
    assert_eq!(metric("tributary_origin", "dataset=\"wikipedia\",origin=\"simulated\""), 0.0);

    // Resumed at once, with one change repeated: a duplicate, no gap.
    let text = changes(&[1, 2, 3]);
    let upstream = Upstream::start(move |_, _| stream(&text)).await;
    let section = json!({ "base_url": upstream.url });
    let producer = Running::start(
        &wikipedia::DATASET,
        settings(&kafka.brokers(), &wikipedia::DATASET, section, json!({})),
    );
    wait_for("two more changes", || count("acknowledged") == 4.0).await;
    producer.stop().await.unwrap();
    assert_eq!((count("duplicates"), count("gaps"), kafka.written()), (1.0, 1.0, 4));

    // Resumed beyond what the upstream keeps, 61 s after the last change: a gap.
    let text = changes(&[64]);
    let upstream = Upstream::start(move |_, _| stream(&text)).await;
    let section = json!({ "base_url": upstream.url });
    let producer = Running::start(
        &wikipedia::DATASET,
        settings(&kafka.brokers(), &wikipedia::DATASET, section, json!({})),
    );
    wait_for("one more change", || count("acknowledged") == 5.0).await;
    producer.stop().await.unwrap();
    assert_eq!((count("duplicates"), count("gaps")), (1.0, 2.0));

    // The place is refused: a gap, however soon the next change comes.
    let text = changes(&[65]);
    let upstream = Upstream::start(move |_, seen| match seen.last_event_id() {
        Some(_) => answer(400, "text/plain", "bad Last-Event-ID"),
        None => stream(&text),
    })
    .await;
    let section = json!({ "base_url": upstream.url });
    let producer = Running::start(
        &wikipedia::DATASET,
        settings(&kafka.brokers(), &wikipedia::DATASET, section, json!({})),
    );
    wait_for("the change after the gap", || count("acknowledged") == 6.0).await;
    producer.stop().await.unwrap();
    assert_eq!((count("duplicates"), count("gaps")), (1.0, 3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queue_holds_the_generator_back_and_drains_whole() {
    service::telemetry::metrics();
    let count = |name: &str| metric(&format!("tributary_{name}_total"), "dataset=\"faker\"");
    let kafka = Kafka::start(&faker::DATASET);
    let section = json!({"rate": 0});
    let producer =
        Running::start(&faker::DATASET, settings(&kafka.brokers(), &faker::DATASET, section, json!({})));
    wait_for("acknowledgements", || count("acknowledged") > 0.0).await;
    kafka.cluster.broker_down(-1).unwrap();
    producer.wait_for_state("kafka", State::Red).await;
    let (mut last, mut since) = (-1.0, Instant::now());
    // Longer than the longest pause between two attempts to hand over a record.
    wait_for("a full queue", || {
        if count("sent") != last {
            (last, since) = (count("sent"), Instant::now());
        }
        since.elapsed() > Duration::from_secs(1)
    })
    .await;
    let waiting = count("sent") - count("acknowledged");
    assert!((10_000.0..=100_000.0).contains(&waiting), "{waiting} wait");
    kafka.cluster.broker_up(-1).unwrap();
    producer.wait_for_state("kafka", State::Green).await;
    producer.stop().await.unwrap();
    assert_eq!(count("sent"), count("acknowledged"));
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let written = kafka.written() as f64;
    assert_eq!(count("sent"), written);
}
