//! Every simulated upstream over a real listener, held against the providers' contracts fact by fact.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod control;
mod polled;
mod stream;
mod stream_faults;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use simulators::{Clock, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-01-02T12:00:00Z.
const NOON_MS: i64 = 1_767_355_200_000;

/// A running simulator and its client.
struct Simulator {
    address: SocketAddr,
    client: Client,
    shutdown: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    now_ms: Arc<AtomicI64>,
}

impl Simulator {
    /// On a clock that stands at noon until it is set.
    async fn start(settings: Settings) -> Self {
        let now_ms = Arc::new(AtomicI64::new(NOON_MS));
        let read = Arc::clone(&now_ms);
        let clock: Clock =
            Arc::new(move || DateTime::from_timestamp_millis(read.load(Ordering::Relaxed)).unwrap());
        Self::start_at(settings, clock, now_ms).await
    }

    /// On the machine's clock.
    async fn live(settings: Settings) -> Self {
        Self::start_at(settings, Arc::new(Utc::now), Arc::default()).await
    }

    async fn start_at(settings: Settings, clock: Clock, now_ms: Arc<AtomicI64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(simulators::serve_at(listener, settings, clock, shutdown.clone()));
        // A second installation finds the first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().user_agent("tests/0 (tests@example.com)").no_proxy().build().unwrap();
        Self { address, client, shutdown, server, now_ms }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn text(&self, path: &str) -> (u16, String) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.text(path).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Scripts a fault and returns what the simulator says.
    async fn script(&self, script: Value) -> (u16, String) {
        let request = self.client.post(self.url("/faults")).header("content-type", "application/json");
        let response = request.body(script.to_string()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn fault(&self, path: &str, fault: &str) {
        let (status, body) = self.script(json!({"path": path, "fault": fault})).await;
        assert_eq!(status, 200, "{body}");
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
