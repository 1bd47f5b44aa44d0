//! The simulated upstreams in this process, told what to do wrong and asked what they have seen.

use chrono::{DateTime, Utc};
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Record;

/// The path of the stream.
pub(crate) const STREAM: &str = "/v2/stream/recentchange";
/// Events of the stream.
pub(crate) const PER_S: u32 = 200;

/// Ends when dropped.
pub(crate) struct Simulators {
    pub(crate) url: String,
    client: Client,
    _stop: DropGuard,
}

/// A request that the simulators have answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) at: DateTime<Utc>,
    pub(crate) status: u64,
}

impl Simulators {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let settings = simulators::Settings { wikipedia_per_s: PER_S, ..simulators::Settings::default() };
        tokio::spawn(simulators::serve(listener, settings, stop.clone()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { url, client: Client::new(), _stop: stop.drop_guard() }
    }

    /// Scripts a fault.
    pub(crate) async fn fault(&self, script: Value) {
        let answer = self
            .client
            .post(format!("{}/faults", self.url))
            .header("content-type", "application/json")
            .body(script.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Ends the trouble.
    pub(crate) async fn calm(&self) {
        self.client.delete(format!("{}/faults", self.url)).send().await.unwrap();
    }

    /// Waits until every fault that was scripted has struck.
    pub(crate) async fn wait_until_struck(&self) {
        let started = std::time::Instant::now();
        loop {
            let left = self.get("/faults").await;
            if left.as_array().unwrap().is_empty() {
                return;
            }
            assert!(started.elapsed() < super::PATIENCE, "still to strike: {left}");
            tokio::time::sleep(super::LOOK_EVERY).await;
        }
    }

    /// The requests of a path, in order.
    pub(crate) async fn asked(&self, path: &str) -> Vec<Asked> {
        let journal = self.get("/requests").await;
        let recent = journal["recent"].as_array().unwrap().iter();
        let of_path = recent.filter(|entry| entry["path"] == path);
        of_path
            .map(|entry| Asked {
                at: entry["at"].as_str().unwrap().parse().unwrap(),
                status: entry["status"].as_u64().unwrap(),
            })
            .collect()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }
}

/// The seconds between each request and the next.
pub(crate) fn pauses(asked: &[Asked]) -> Vec<f64> {
    asked.windows(2).map(|pair| (pair[1].at - pair[0].at).as_seconds_f64()).collect()
}

/// The times of both datacentres in the record's SSE id, in ms.
pub(crate) fn times(record: &Record) -> Vec<i64> {
    let id: Value = serde_json::from_str(record.sse_id.as_ref().unwrap()).unwrap();
    id.as_array().unwrap().iter().filter_map(|topic| topic["timestamp"].as_i64()).collect()
}

/// The changes are in order, each once, and none is missing: the simulators have one in each time slot, but for a canary
/// a minute.
pub(crate) fn assert_whole(records: &[Record]) {
    let slots: Vec<i64> = records.iter().map(|record| *times(record).iter().max().unwrap()).collect();
    let slot_ms = i64::from(1000 / PER_S);
    for pair in slots.windows(2) {
        let step = pair[1] - pair[0];
        assert!(step == slot_ms || step == 2 * slot_ms, "{step} ms from {} to {}", pair[0], pair[1]);
    }
    let passed = slots[slots.len() - 1] - slots[0];
    let missing = passed / slot_ms + 1 - i64::try_from(slots.len()).unwrap();
    assert!(missing <= passed / 60_000 + 1, "{missing} changes are missing");
}
