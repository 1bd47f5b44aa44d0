//! Sections `[consumer]` and `[cassandra]`, with the limits that go with each value.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use service::config::ConfigError;
use service::{http, kafka};

/// Everything that the consumer reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Section `[kafka]`.
    pub kafka: kafka::Settings,
    /// Section `[http]`.
    pub http: http::Settings,
    /// Section `[cassandra]`.
    pub cassandra: Cassandra,
    /// Section `[consumer]`.
    pub consumer: Consumer,
}

impl service::Configured for Settings {
    fn http(&self) -> &http::Settings {
        &self.http
    }
}

/// Section `[cassandra]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cassandra {
    /// `host:port`, comma separated.
    pub contact_points: String,
    /// Empty for a server without authentication.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
    /// The authorities whose certificates are trusted, a file in PEM; set, every connection is encrypted.
    pub ca: PathBuf,
    /// The name that each node's certificate has; empty: it has the node's address.
    pub tls_name: String,
    /// How long one request may take.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

impl Default for Cassandra {
    fn default() -> Self {
        Self {
            contact_points: "localhost:9042".to_owned(),
            username: String::new(),
            password: SecretString::default(),
            ca: PathBuf::new(),
            tls_name: String::new(),
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// Cassandra tables.
    Cassandra,
    /// CSV files, one a table and partition.
    Csv,
}

/// Section `[consumer]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consumer {
    /// The Kafka consumer group.
    pub group: String,
    /// The folder of route files.
    pub routes: PathBuf,
    /// Where rows go.
    pub sink: Sink,
    /// The folder of the CSV files.
    pub csv_dir: PathBuf,
    /// How often the CSV files are synced and their checkpoints moved on.
    #[serde(with = "humantime_serde")]
    pub csv_sync_every: Duration,
    /// How long an acknowledged row must have aged before its offset is committed: 1.5 times the server's
    /// `commitlog_sync_period` and a second. `0s` only where the server syncs before it acknowledges
    /// (`commitlog_sync: batch` or `group`).
    #[serde(with = "humantime_serde")]
    pub durable_after: Duration,
    /// Rows a batch at most.
    pub batch_rows: usize,
    /// Bytes of a batch at most, as the server counts them; below its `batch_size_fail_threshold` (50 KiB).
    pub batch_bytes: usize,
    /// Batches that are being written at most.
    pub in_flight: usize,
    /// Bytes of messages that wait for their outcome at most.
    pub buffer_bytes: usize,
    /// Bytes of one row at most; the server takes half a commit log segment.
    pub row_bytes_max: usize,
    /// How long a member of the group may be silent before its partitions go to the others.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// How long a member may go without asking for messages, though it is there, before its partitions go to the others; at
    /// least the session timeout.
    #[serde(with = "humantime_serde")]
    pub poll_timeout: Duration,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            group: "tributary".to_owned(),
            routes: "routes".into(),
            sink: Sink::Cassandra,
            csv_dir: "csv".into(),
            csv_sync_every: Duration::from_secs(1),
            durable_after: Duration::from_secs(16),
            batch_rows: 64,
            batch_bytes: 48 * 1024,
            in_flight: 8,
            buffer_bytes: 8 * 1024 * 1024,
            row_bytes_max: 8 * 1024 * 1024,
            session_timeout: Duration::from_secs(10),
            poll_timeout: Duration::from_secs(300),
        }
    }
}

impl Consumer {
    /// Checks the values' ranges.
    ///
    /// # Errors
    /// The first value that is out of range, with what is allowed.
    pub fn check(&self) -> Result<(), ConfigError> {
        let range = |key: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::Range {
                key: format!("consumer.{key}"),
                value: value.to_string(),
                expected: format!("expected {low} to {high}"),
            })
        };
        let time = |key: &str, value: Duration, low: Duration, high: Duration| {
            service::config::check_time(&format!("consumer.{key}"), value, low..=high)
        };
        range("batch_rows", self.batch_rows, 1, 1_000)?;
        range("batch_bytes", self.batch_bytes, 1, 16 << 20)?;
        range("in_flight", self.in_flight, 1, 1_024)?;
        range("buffer_bytes", self.buffer_bytes, 1 << 20, 1 << 30)?;
        range("row_bytes_max", self.row_bytes_max, 1, 15 << 20)?;
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        time("session_timeout", self.session_timeout, s(6), s(300))?;
        time("poll_timeout", self.poll_timeout, self.session_timeout, s(86_400))?;
        time("csv_sync_every", self.csv_sync_every, ms(10), s(60))?;
        time("durable_after", self.durable_after, Duration::ZERO, s(3600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_told_with_key_and_range() {
        Consumer::default().check().unwrap();
        let zero = Duration::ZERO;
        let refused = [
            (
                Consumer { csv_sync_every: zero, ..Consumer::default() },
                "consumer.csv_sync_every = \"0s\": expected 10ms",
            ),
            (
                Consumer { session_timeout: zero, ..Consumer::default() },
                "consumer.session_timeout = \"0s\": expected 6s",
            ),
            (
                Consumer { poll_timeout: Duration::from_secs(9), ..Consumer::default() },
                "consumer.poll_timeout = \"9s\": expected 10s",
            ),
            (
                Consumer { batch_rows: 0, ..Consumer::default() },
                "consumer.batch_rows = \"0\": expected 1 to 1000",
            ),
        ];
        for (settings, words) in refused {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
