//! What the page and `tributary status` are told once a second, as JSON. What is not known is null.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service::health::State;

/// The whole pipeline at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// When the dashboard was started.
    pub started_at: DateTime<Utc>,
    /// The dashboard's.
    pub version: String,
    /// Whether producers can be paused and resumed here.
    pub control: bool,
    /// The datasets, and then other topics that the consumer reads.
    pub streams: Vec<Stream>,
    /// In the order in which the data flows.
    pub services: Vec<Service>,
}

/// One dataset, or a topic of the user's own, on its way into a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// The dataset's, or the topic's.
    pub name: String,
    /// One sentence on a dataset.
    pub about: String,
    /// The host of a dataset's upstream, or `generator`.
    pub upstream: Option<String>,
    /// The service that publishes it, where that is one of ours.
    pub producer: Option<String>,
    /// Its topic.
    pub topic: String,
    /// As `keyspace.table`; none until the consumer has told.
    pub tables: Vec<String>,
    /// `live`, `simulated` or `generated`.
    pub origin: Option<String>,
    /// Messages that arrived in the topic, over the last seconds.
    pub published_per_s: Option<f64>,
    /// Rows that the store acknowledged, over the last seconds.
    pub stored_per_s: Option<f64>,
    /// Messages that the topic ever had.
    pub published: Option<u64>,
    /// Rows since the consumer started.
    pub stored: Option<u64>,
    /// Messages whose row would have expired already, since then.
    pub expired: Option<u64>,
    /// Messages that became dead letters, since then.
    pub dead_lettered: Option<u64>,
    /// Messages that have no outcome yet.
    pub lag_written: Option<u64>,
    /// Messages whose outcome is not durable yet.
    pub lag_durable: Option<u64>,
    /// Since the newest message that has a row was published, in seconds.
    pub newest_row_age_s: Option<f64>,
    /// From a message's timestamp to its row, in milliseconds: the median over the last minute.
    pub latency_p50_ms: Option<f64>,
    /// The same: 99 of 100 take no longer.
    pub latency_p99_ms: Option<f64>,
    /// The worst of the parts that it passes.
    pub state: State,
    /// Which part, and why; empty when green.
    pub reason: String,
}

/// What a service is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The upstreams' simulators.
    Upstreams,
    /// Publishes a dataset.
    Producer,
    /// Kafka.
    Broker,
    /// Writes rows.
    Consumer,
    /// Cassandra, or the CSV files.
    Store,
    /// This one.
    Dashboard,
}

/// One service, with all its instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// As its container is called.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// How many of it answer.
    pub instances: usize,
    /// The worst of its parts.
    pub state: State,
    /// Which part, and why; empty when green.
    pub reason: String,
    /// When the state last changed.
    pub since: DateTime<Utc>,
    /// Its parts, as it tells them.
    pub parts: Vec<Part>,
    /// Whether it has a loop that can be paused.
    pub can_pause: bool,
    /// Whether an operator has paused it.
    pub paused: bool,
}

/// One part of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Such as `kafka`, `upstream`, `schema`.
    pub name: String,
    /// How it does.
    pub state: State,
    /// Why; empty when green.
    pub reason: String,
    /// When the state last changed.
    pub since: DateTime<Utc>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn snapshot(second: i64, streams: Vec<Stream>) -> Snapshot {
        let at = DateTime::from_timestamp(second, 0).unwrap();
        Snapshot { at, started_at: at, version: String::new(), control: false, streams, services: Vec::new() }
    }

    pub(crate) fn stream(name: &str, published_per_s: Option<f64>) -> Stream {
        Stream {
            name: name.to_owned(),
            about: String::new(),
            upstream: None,
            producer: None,
            topic: name.to_owned(),
            tables: Vec::new(),
            origin: None,
            published_per_s,
            stored_per_s: None,
            published: None,
            stored: None,
            expired: None,
            dead_lettered: None,
            lag_written: None,
            lag_durable: None,
            newest_row_age_s: None,
            latency_p50_ms: None,
            latency_p99_ms: None,
            state: State::Green,
            reason: String::new(),
        }
    }
}
