//! What the producers' tests stand on: a broker in the process, an upstream that does as told, a producer to watch.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::needless_pass_by_value, reason = "tests write their settings in place")]

pub(crate) mod simulators;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, Uri};
use datasets::Dataset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{ClientConfig, Offset};
use serde_json::Value;
use service::health::State;
use service::{Health, Service};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits for a condition; fails in words when it does not come.
pub(crate) async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Checks that a condition holds all the time for `duration`.
pub(crate) async fn stays(what: &str, duration: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while started.elapsed() < duration {
        assert!(condition(), "no longer after {:?}: {what}", started.elapsed());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A broker inside this process.
pub(crate) struct Kafka {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    topic: &'static str,
    partitions: i32,
}

/// A record as it lies in the topic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) origin: String,
    pub(crate) sse_id: Option<String>,
}

impl Kafka {
    /// Starts with the dataset's topic.
    pub(crate) fn start(dataset: &Dataset) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let partitions = if dataset.name == "wikipedia" { 1 } else { 6 };
        cluster.create_topic(dataset.topic, partitions, 1).unwrap();
        Self { cluster, topic: dataset.topic, partitions }
    }

    pub(crate) fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    fn consumer(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.brokers())
            .set("group.id", "test")
            .set("enable.auto.commit", "false")
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap()
    }

    /// How many records were ever written, whatever the broker still keeps.
    pub(crate) fn written(&self) -> i64 {
        let consumer = self.consumer();
        let high =
            |partition| consumer.fetch_watermarks(self.topic, partition, Duration::from_secs(10)).unwrap().1;
        (0..self.partitions).map(high).sum()
    }

    /// All records of the topic, by partition and offset.
    pub(crate) fn records(&self) -> Vec<Record> {
        let consumer = self.consumer();
        let mut assignment = TopicPartitionList::new();
        let mut left = 0;
        for partition in 0..self.partitions {
            let (low, high) =
                consumer.fetch_watermarks(self.topic, partition, Duration::from_secs(10)).unwrap();
            left += high - low;
            assignment.add_partition_offset(self.topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut records = Vec::new();
        let started = Instant::now();
        while left > 0 {
            assert!(started.elapsed() < PATIENCE, "{left} records of {} did not come", self.topic);
            let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
            let record = record.unwrap();
            let header = |key: &str| {
                let headers = record.headers()?;
                let value = headers.iter().find(|header| header.key == key)?.value?;
                Some(String::from_utf8(value.to_vec()).unwrap())
            };
            records.push(Record {
                partition: record.partition(),
                offset: record.offset(),
                key: String::from_utf8(record.key().unwrap().to_vec()).unwrap(),
                value: serde_json::from_slice(record.payload().unwrap()).unwrap(),
                origin: header("origin").unwrap(),
                sse_id: header("sse-id"),
            });
            left -= 1;
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }
}

/// A producer running in this process.
pub(crate) struct Running {
    pub(crate) health: Health,
    pub(crate) paused: watch::Sender<bool>,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) fn start(dataset: &'static Dataset, settings: producers::Settings) -> Self {
        Self::command(None, dataset, settings)
    }

    pub(crate) fn once(dataset: &'static Dataset, settings: producers::Settings) -> Self {
        Self::command(Some("once"), dataset, settings)
    }

    fn command(
        command: Option<&'static str>,
        dataset: &'static Dataset,
        settings: producers::Settings,
    ) -> Self {
        let paused = watch::Sender::new(false);
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let service =
            Service { command, health: health.clone(), shutdown: shutdown.clone(), pause: paused.clone() };
        let task = tokio::spawn(producers::run(dataset, settings, service));
        Self { health, paused, shutdown, task }
    }

    /// Sends what SIGTERM sends and waits for the end.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        self.end().await
    }

    /// Waits for the end.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the producer ends in time").unwrap()
    }

    pub(crate) fn state(&self, part: &str) -> Option<State> {
        self.health.report().parts.get(part).map(|part| part.state)
    }

    pub(crate) fn reason(&self, part: &str) -> String {
        self.health.report().parts.get(part).map(|part| part.reason.clone()).unwrap_or_default()
    }

    pub(crate) async fn wait_for_state(&self, part: &str, state: State) {
        wait_for(&format!("{part} is {state:?}"), || self.state(part) == Some(state)).await;
    }

    pub(crate) async fn wait_for_reason(&self, part: &str, words: &str) {
        wait_for(&format!("{part} says {words:?}"), || self.reason(part).contains(words)).await;
    }
}

/// Settings with short waits: `section` is the dataset's, `producer` goes over the defaults below.
pub(crate) fn settings(
    brokers: &str,
    dataset: &Dataset,
    section: Value,
    producer: Value,
) -> producers::Settings {
    let mut all = serde_json::json!({
        "kafka": {"brokers": brokers},
        "producer": {
            "upstreams": "live", "backoff_min": "10ms", "backoff_max": "50ms", "refused_wait": "1h",
            "request_timeout": "5s", "idle_timeout": "10s", "contact": "ops@example.com",
        },
    });
    for (key, value) in producer.as_object().unwrap() {
        all["producer"][key] = value.clone();
    }
    all[dataset.section()] = section;
    serde_json::from_value(all).unwrap()
}

/// A request that an [`Upstream`] has seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.headers.get("last-event-id").map(|value| value.to_str().unwrap())
    }
}

/// An upstream on a free port that answers as the test says.
pub(crate) struct Upstream {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    /// `answer` is given the number of requests before this one.
    pub(crate) async fn start(
        answer: impl Fn(usize, &Seen) -> Response<Body> + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let handler = move |request: Request| {
            let mut noted = noted.lock().unwrap();
            let now =
                Seen { at: Instant::now(), uri: request.uri().clone(), headers: request.headers().clone() };
            noted.push(now.clone());
            let response = answer(noted.len() - 1, &now);
            async move { response }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { url, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

/// A body that begins with `start` and then neither goes on nor ends.
pub(crate) fn endless(start: &(impl AsRef<[u8]> + ?Sized)) -> Body {
    use futures::StreamExt;
    let start: Result<_, std::io::Error> = Ok(start.as_ref().to_vec());
    Body::from_stream(futures::stream::iter([start]).chain(futures::stream::pending()))
}

/// A body that repeats `piece` for ever.
pub(crate) fn flood(piece: &'static str) -> Body {
    Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece)))
}

/// A body whose connection breaks after `start`.
pub(crate) fn broken(start: &str) -> Body {
    use futures::StreamExt;
    let start: Result<_, std::io::Error> = Ok(start.to_owned());
    let end = futures::stream::once(async {
        // Time for the start to leave: a failing body takes what is buffered down with it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("broken on purpose"))
    });
    Body::from_stream(futures::stream::iter([start]).chain(end))
}

/// The value of a counter in this process's `/metrics`.
pub(crate) fn metric(name: &str, labels: &str) -> f64 {
    let text = service::telemetry::metrics().render();
    let line = text.lines().find(|line| line.starts_with(name) && line.contains(labels));
    line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, value)| value.parse().unwrap())
}
