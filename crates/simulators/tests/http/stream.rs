//! The recentchange stream: framing, resume, limits, speed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use simulators::Settings;

use super::{NOON_MS, Simulator};

pub(super) const PATH: &str = "/v2/stream/recentchange";

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) data: Value,
}

impl Event {
    pub(super) fn number(&self) -> u64 {
        self.data["meta"]["offset"].as_u64().unwrap()
    }
}

/// Reads blocks that end in an empty line.
pub(super) struct Reader {
    pub(super) response: Response,
    pub(super) buffer: Vec<u8>,
}

impl Reader {
    pub(super) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, buffer: Vec::new() }
    }

    /// The next block, or None at the stream's end; what was cut stays in the buffer.
    pub(super) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(String::from_utf8(block).unwrap());
            }
            self.buffer.extend(self.response.chunk().await.unwrap()?);
        }
    }

    pub(super) async fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let lines: Vec<&str> = block.trim_end().lines().collect();
            assert_eq!((lines.len(), lines[0]), (3, "event: message"), "{block}");
            let id = lines[1].strip_prefix("id: ").unwrap().to_owned();
            return Some(Event {
                id,
                data: serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap(),
            });
        }
    }

    pub(super) async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.expect("the stream goes on"));
        }
        events
    }
}

/// The stream from ten minutes ago: 15,000 events at the default rate.
pub(super) fn past(simulator: &Simulator) -> RequestBuilder {
    simulator.client.get(simulator.url(&format!("{PATH}?since={}", NOON_MS - 600_000)))
}

#[tokio::test]
async fn stream_greets_and_frames_events_as_upstream() {
    let simulator = Simulator::start(Settings::default()).await;
    let mut reader = Reader::open(past(&simulator)).await;
    let content_type = reader.response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(content_type.starts_with("text/event-stream"), "{content_type}");
    assert_eq!(reader.block().await.unwrap(), ":ok\n\n");
    let event = reader.event().await.unwrap();
    assert_eq!(
        event.id,
        format!(
            r#"[{{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":-1}},{{"topic":"codfw.mediawiki.recentchange","partition":0,"timestamp":{}}}]"#,
            NOON_MS - 600_000
        )
    );
    assert_eq!(event.data["meta"]["topic"], "codfw.mediawiki.recentchange");
    assert_eq!(event.data["meta"]["dt"].as_str().unwrap().len(), 24);
}

#[tokio::test]
async fn resume_continues_with_the_last_event_and_leaves_no_gap_after_a_restart() {
    let first = Simulator::start(Settings::default()).await;
    let before = Reader::open(past(&first)).await.events(500).await;
    drop(first);
    let second = Simulator::start(Settings::default()).await;
    let request = second.client.get(second.url(PATH)).header("last-event-id", &before[499].id);
    let after = Reader::open(request).await.events(500).await;
    assert_eq!(after[0], before[499], "the last event comes twice, as upstream");
    let numbers: Vec<u64> = before.iter().chain(&after[1..]).map(Event::number).collect();
    let expected: Vec<u64> = (numbers[0]..numbers[0] + 999).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn position_beyond_the_retention_silently_starts_at_the_end() {
    let simulator = Simulator::start(Settings::default()).await;
    let since = NOON_MS - 2 * 3_600_000;
    let request = simulator.client.get(simulator.url(&format!("{PATH}?since={since}")));
    let mut reader = Reader::open(request).await;
    simulator.now_ms.store(NOON_MS + 1000, Ordering::Relaxed);
    let event = reader.event().await.unwrap();
    assert!(event.id.contains(&format!("\"timestamp\":{}", NOON_MS + 40)), "{}", event.id);
}

#[tokio::test]
async fn bad_positions_streams_and_anonymous_clients_are_refused() {
    let simulator = Simulator::start(Settings::default()).await;
    assert_eq!(simulator.text(&format!("{PATH}?since=yesterday")).await.0, 400);
    assert_eq!(simulator.text("/v2/stream/gossip").await.0, 400);
    let bad_id = simulator.client.get(simulator.url(PATH)).header("last-event-id", "42");
    assert_eq!(bad_id.send().await.unwrap().status(), 400);
    let anonymous = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(anonymous.get(simulator.url(PATH)).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn json_is_a_line_an_event_without_ids() {
    let simulator = Simulator::start(Settings::default()).await;
    let mut response = past(&simulator).header("accept", "application/json").send().await.unwrap();
    let chunk = response.chunk().await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&chunk).into_owned();
    let lines: Vec<&str> = text.lines().take(3).collect();
    for line in lines {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["meta"]["stream"], "mediawiki.recentchange");
    }
}

#[tokio::test]
async fn streams_of_one_address_are_limited_and_a_closed_one_makes_room() {
    let simulator = Simulator::start(Settings { wikipedia_connections: 1, ..Settings::default() }).await;
    let first = simulator.get(PATH).await;
    assert_eq!(simulator.text(PATH).await.0, 429);
    drop(first);
    // The server learns of the end in its own time.
    let deadline = Instant::now() + Duration::from_secs(10);
    while simulator.get(PATH).await.status() == 429 {
        assert!(Instant::now() < deadline, "the closed stream kept its place");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn idle_stream_beats_and_a_session_ends_after_its_time() {
    let settings = Settings {
        wikipedia_per_s: 0,
        wikipedia_heartbeat: Duration::from_millis(20),
        wikipedia_session: Duration::from_millis(200),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings).await;
    let (status, text) = simulator.text(PATH).await;
    assert_eq!(status, 200);
    assert!(text.starts_with(":ok\n\n:heartbeat\n\n:heartbeat\n\n"), "{text}");
}

#[tokio::test]
async fn five_thousand_events_a_second_reach_one_reader_in_order() {
    let simulator = Simulator::live(Settings { wikipedia_per_s: 5000, ..Settings::default() }).await;
    let mut reader = Reader::open(simulator.client.get(simulator.url(PATH))).await;
    let events = reader.events(5000).await;
    assert!(events.windows(2).all(|pair| pair[1].number() == pair[0].number() + 1));
    // Seconds of the clock that the slots are cut from: the reader may be late, the slots may not.
    let slot =
        |event: &Event| serde_json::from_str::<Value>(&event.id).unwrap()[1]["timestamp"].as_i64().unwrap();
    let spread = slot(&events[4999]) - slot(&events[0]);
    assert!((999..=1001).contains(&spread), "{spread}");
}

#[tokio::test]
async fn reader_that_does_not_read_makes_the_simulator_make_no_more() {
    let settings = Settings { wikipedia_per_s: 5000, ..Settings::default() };
    let simulator = Simulator::start(settings).await;
    // Three million events are due at once; the client takes none of them.
    let _unread = past(&simulator).send().await.unwrap();
    let made = async || simulator.json("/requests").await.1["events"].as_u64().unwrap();
    // Whatever the sockets buffer is filled once; then the count stands.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut before = made().await;
    let mut still_since = Instant::now();
    while before == 0 || still_since.elapsed() < Duration::from_millis(500) {
        assert!(Instant::now() < deadline, "{before} events and still counting");
        let now = made().await;
        if now != before {
            (before, still_since) = (now, Instant::now());
        }
    }
    assert!(before < 100_000, "{before}");
}
