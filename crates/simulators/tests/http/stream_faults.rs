//! Faults that strike an open stream of recent changes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use simulators::Settings;

use super::stream::{Event, PATH, Reader, past};
use super::{NOON_MS, Simulator};

/// The stream from now on.
fn present(simulator: &Simulator) -> RequestBuilder {
    simulator.client.get(simulator.url(PATH))
}

#[tokio::test]
async fn mid_event_eof_ends_an_open_stream_cleanly_inside_an_event() {
    let simulator = Simulator::start(Settings::default()).await;
    let mut reader = Reader::open(present(&simulator)).await;
    assert_eq!(reader.block().await.unwrap(), ":ok\n\n");
    simulator.fault(PATH, "mid_event_eof").await;
    simulator.now_ms.store(NOON_MS + 1000, Ordering::Relaxed);
    assert_eq!(reader.event().await, None);
    assert!(reader.buffer.starts_with(b"event: message\nid: [{"), "{:?}", reader.buffer);
}

#[tokio::test]
async fn truncated_stream_loses_its_connection_inside_an_event() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(PATH, "truncated").await;
    let response = past(&simulator).send().await.unwrap();
    assert!(response.text().await.is_err());
}

#[tokio::test]
async fn stalled_stream_falls_silent_without_ending() {
    let settings = Settings {
        wikipedia_heartbeat: Duration::from_millis(10),
        wikipedia_session: Duration::from_millis(300),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings).await;
    simulator.fault(PATH, "stalled").await;
    let started = Instant::now();
    let text = past(&simulator).send().await.unwrap().text().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300) && !text.contains(":heartbeat"), "{text}");
}

#[tokio::test]
async fn slow_stream_gives_its_next_event_byte_by_byte() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(PATH, "slow").await;
    let mut reader = Reader::open(past(&simulator)).await;
    assert_eq!(reader.block().await.unwrap(), ":ok\n\n");
    let started = Instant::now();
    while reader.buffer.len() < 6 {
        reader.buffer.extend(reader.response.chunk().await.unwrap().unwrap());
    }
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    assert!(b"event: message".starts_with(&reader.buffer), "{:?}", reader.buffer);
}

#[tokio::test]
async fn endless_line_flows_without_an_end_of_line() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(PATH, "endless_line").await;
    let mut reader = Reader::open(past(&simulator)).await;
    assert_eq!(reader.block().await.unwrap(), ":ok\n\n");
    while reader.buffer.len() < 8 << 20 {
        reader.buffer.extend(reader.response.chunk().await.unwrap().unwrap());
    }
    let line = reader.buffer.strip_prefix(b"data: ").unwrap();
    assert!(line.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn retry_of_zero_comes_before_whole_events_and_a_clean_end() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(PATH, "retry_zero").await;
    let mut reader = Reader::open(past(&simulator)).await;
    assert_eq!(reader.block().await.unwrap(), ":ok\n\n");
    assert_eq!(reader.block().await.unwrap(), "retry: 0\n\n");
    let mut events = Vec::new();
    while let Some(event) = reader.event().await {
        events.push(event);
    }
    assert!(!events.is_empty() && reader.buffer.is_empty(), "{:?}", reader.buffer);
    assert_eq!(simulator.json("/faults").await.1, json!([]));
}

/// The topic of the event, and the times of eqiad and codfw in its id.
fn place(event: &Event) -> (&str, Value, Value) {
    let id: Value = serde_json::from_str(&event.id).unwrap();
    (event.data["meta"]["topic"].as_str().unwrap(), id[0]["timestamp"].clone(), id[1]["timestamp"].clone())
}

#[tokio::test]
async fn switched_stream_goes_on_under_the_other_topic_and_resumes_by_both_without_a_gap() {
    let simulator = Simulator::start(Settings::default()).await;
    let mut reader = Reader::open(present(&simulator)).await;
    assert_eq!(reader.block().await.unwrap(), ":ok\n\n");
    simulator.fault(PATH, "switched").await;
    simulator.now_ms.store(NOON_MS + 1000, Ordering::Relaxed);
    let before = reader.events(25).await;
    simulator.now_ms.store(NOON_MS + 2000, Ordering::Relaxed);
    let after = reader.events(25).await;
    let (eqiad, codfw) = ("eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange");
    assert_eq!(place(&before[24]), (codfw, Value::Null, json!(NOON_MS + 1000)));
    assert_eq!(place(&after[24]), (eqiad, json!(NOON_MS + 2000), json!(NOON_MS + 1000)));

    let from = |event: &Event| present(&simulator).header("last-event-id", &event.id);
    let resumed = Reader::open(from(&after[9])).await.events(17).await;
    assert_eq!(
        resumed[0].number(),
        before[24].number(),
        "the last event of either topic comes twice, as upstream"
    );
    assert_eq!((&resumed[0].id, &resumed[1..]), (&after[9].id, &after[9..]));
    let resumed = Reader::open(from(&before[9])).await.events(41).await;
    let told: Vec<Event> = before.into_iter().skip(9).chain(after).collect();
    assert_eq!(resumed, told, "history is told again as it was");
}
