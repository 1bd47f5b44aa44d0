use std::path::PathBuf;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response};
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use secrecy::SecretString;
use service::{Health, http, kafka, telemetry};
use tokio::sync::watch;

use super::*;
use crate::settings::{Address, Dashboard};
use crate::{Snapshot, Sources, Tables, state};

const TOKEN: &str = "a token of some length";

struct Page {
    base: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

// A page of one producer, which answers, and of a Kafka that does not.
async fn page(token: &str) -> (Page, watch::Receiver<bool>) {
    let stop = CancellationToken::new();
    let (health, pause) = (Health::default(), watch::Sender::new(false));
    let paused = pause.subscribe();
    health.green("kafka");
    let settings = http::Settings { bind: ([127, 0, 0, 1], 0).into() };
    let weather = http::serve(&settings, health, telemetry::metrics(), pause, stop.clone()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dashboard = Dashboard {
        services: vec![Address { name: "weather".to_owned(), at: weather.to_string() }],
        token: SecretString::from(token.to_owned()),
        ..Dashboard::default()
    };
    let kafka = kafka::Settings { brokers: "127.0.0.1:1".to_owned(), ..kafka::Settings::default() };
    let tables = Tables::Files(PathBuf::from(folder.path()));
    let sources = Sources { dashboard, kafka, group: "tributary".to_owned(), tables };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let shared = state::start(sources, &stop);
    tokio::spawn(serve(listener, Arc::clone(&shared), stop.clone()));
    (Page { base, shared, stop, _folder: folder }, paused)
}

impl Page {
    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = legacy::Client::builder(TokioExecutor::new()).build_http();
        client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap().map(Body::new)
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.ask(Method::GET, path, &[]).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(Method::POST, path, headers).await.status().as_u16()
    }

    // Snapshots as they come, until one is as it should be.
    async fn until(&self, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let mut answer = self.get("/api/events").await.into_body();
        let mut text = String::new();
        let wait = async {
            loop {
                let frame = answer.frame().await.unwrap().unwrap().into_data().unwrap();
                text.push_str(str::from_utf8(&frame).unwrap());
                while let Some((event, rest)) = text.split_once("\n\n") {
                    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                    let snapshot = data.map(|data| serde_json::from_str::<Snapshot>(data).unwrap());
                    text = rest.to_owned();
                    if let Some(snapshot) = snapshot.filter(|snapshot| is_so(snapshot)) {
                        return snapshot;
                    }
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.unwrap()
    }
}

#[tokio::test]
async fn events_tell_who_answers_and_who_does_not() {
    let (page, _paused) = page("").await;
    let found =
        |snapshot: &Snapshot, name: &str| snapshot.services.iter().any(|service| service.name == name);
    let state = |snapshot: &Snapshot, name: &str| {
        snapshot
            .services
            .iter()
            .find(|service| service.name == name)
            .map(|service| (service.state, service.reason.clone()))
    };
    let snapshot = page
        .until(|snapshot| {
            let said = state(snapshot, "kafka").is_some_and(|(_, reason)| reason.contains("127.0.0.1:1"));
            found(snapshot, "weather") && said
        })
        .await;
    assert_eq!(state(&snapshot, "weather").unwrap().0, service::health::State::Green);
    assert_eq!(state(&snapshot, "files").unwrap().0, service::health::State::Green);
    assert_eq!(state(&snapshot, "kafka").unwrap().0, service::health::State::Red);
    assert_eq!(snapshot.streams.len(), datasets::REGISTRY.len());
}

#[tokio::test]
async fn one_page_more_than_can_be_told_is_refused_in_words_until_another_is_closed() {
    let (page, _paused) = page("").await;
    let app = App::new(Arc::clone(&page.shared), page.stop.clone());
    let ask = || events(State(app.clone()));
    let mut told = Vec::new();
    for _ in 0..VIEWERS_MAX {
        told.push(ask().await);
    }
    assert!(told.iter().all(|answer| answer.status().is_success()));
    let refused = ask().await;
    assert_eq!(refused.status().as_u16(), 503);
    assert_eq!(refused.headers()["retry-after"], "4");
    let refused: serde_json::Value = serde_json::from_str(&text(refused).await).unwrap();
    assert!(refused["error"].as_str().unwrap().starts_with("256 pages"), "{refused}");
    told.pop();
    assert_eq!(ask().await.status().as_u16(), 200);
}

#[tokio::test]
async fn every_answer_has_the_headers_and_unknown_hosts_get_none() {
    let (page, _paused) = page("").await;
    for path in ["/", "/api/snapshot", "/api/history?range=15m", "/assets/none.js", "/none"] {
        let answer = page.get(path).await;
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    let answer = page.ask(Method::GET, "/api/snapshot", &[("host", "evil.example")]).await;
    assert_eq!(answer.status().as_u16(), 421);
    assert!(text(answer).await.contains("dashboard.hosts"));
    for (origin, status) in [("http://evil.example", 403), (page.base.as_str(), 200)] {
        let answer = page.ask(Method::GET, "/api/snapshot", &[("origin", origin)]).await;
        assert_eq!(answer.status().as_u16(), status, "{origin}");
    }
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let answer = page.ask(Method::GET, "/api/snapshot", &[("sec-fetch-site", site)]).await;
        assert_eq!(answer.status().as_u16(), status, "{site}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_an_answer_in_words() {
    let (page, _paused) = page("").await;
    let answer = page.get("/api/tables/k.none/rows").await;
    assert_eq!(answer.status().as_u16(), 404);
    let answer = page.get("/api/topics").await;
    assert_eq!(answer.status().as_u16(), 503);
    let text = text(answer).await;
    assert!(text.contains("\"error\"") && text.contains("127.0.0.1:1 does not answer"), "{text}");
}

#[tokio::test]
async fn pausing_is_off_without_a_token() {
    let (page, paused) = page("").await;
    let token = format!("Bearer {TOKEN}");
    assert_eq!(page.post("/api/services/weather/pause", &[("authorization", &token)]).await, 404);
    assert_eq!(page.post("/api/services/weather/pause", &[("authorization", "Bearer ")]).await, 404);
    assert!(!*paused.borrow());
}

#[tokio::test]
async fn whoever_has_the_token_pauses_and_resumes_and_nobody_else_does() {
    let (page, paused) = page(TOKEN).await;
    let token = format!("Bearer {TOKEN}");
    let pause = "/api/services/weather/pause";
    assert_eq!(page.post(pause, &[]).await, 403);
    assert_eq!(page.post(pause, &[("authorization", "Bearer wrong")]).await, 403);
    let elsewhere = [("authorization", token.as_str()), ("origin", "https://evil.example")];
    assert_eq!(page.post(pause, &elsewhere).await, 403);
    assert_eq!(page.post("/api/services/none/pause", &[("authorization", &token)]).await, 404);
    assert!(!*paused.borrow());
    assert_eq!(page.post(pause, &[("authorization", &token), ("origin", &page.base)]).await, 200);
    assert!(*paused.borrow());
    let is_paused = |snapshot: &Snapshot| snapshot.services.iter().any(|service| service.paused);
    assert!(page.until(is_paused).await.control);
    assert_eq!(page.post("/api/services/weather/resume", &[("authorization", &token)]).await, 200);
    assert!(!*paused.borrow());
}

#[tokio::test]
async fn history_is_told_in_both_ranges_and_no_other() {
    let (page, _paused) = page("").await;
    page.until(|snapshot| snapshot.at > DateTime::<Utc>::UNIX_EPOCH).await;
    for (range, step) in [("15m", 5), ("12h", 60)] {
        let history = text(page.get(&format!("/api/history?range={range}")).await).await;
        let history: serde_json::Value = serde_json::from_str(&history).unwrap();
        assert_eq!(history["step_s"], step);
        assert!(history["streams"]["weather"]["lag_written"].is_array());
    }
    assert_eq!(page.get("/api/history?range=1y").await.status().as_u16(), 400);
}
