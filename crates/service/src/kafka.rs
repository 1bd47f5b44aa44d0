//! Section `[kafka]` -> librdkafka settings shared by every producer and consumer.
//!
//! librdkafka's own log lines go to DEBUG: what an operator needs of them reaches the health instead.

mod headers;

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use serde::Deserialize;
use tracing::debug;

pub use headers::headers;

/// Section `[kafka]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `host:port`, comma separated.
    pub brokers: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { brokers: "localhost:9092".to_owned() }
    }
}

impl Settings {
    /// What every client needs: addresses, a name in the broker's log, short reconnects.
    pub fn client(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", client_id)
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            .set("broker.address.ttl", "5000")
            // A broker that has moved does not say so: by the shipped 60 and 30 s the old address is given up after a minute.
            .set("socket.timeout.ms", "20000")
            .set("socket.connection.setup.timeout.ms", "10000")
            .set("socket.keepalive.enable", "true");
        config
    }

    /// A producer that neither loses nor doubles: idempotent, acknowledged by all replicas, with no time limit
    /// of its own. An outage fills its bounded queue, which pushes back on the caller.
    ///
    /// Sources: librdkafka's CONFIGURATION.md; `message.timeout.ms=0` is 'infinite' there.
    pub fn producer(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client(client_id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("batch.size", "1000000")
            // Above what topics allow by default (1,048,588): what is too large is for the broker to say.
            .set("message.max.bytes", "2097152")
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "32768");
        config
    }
}

/// librdkafka's view of the cluster: the last error it reported, until something works again.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    error: Arc<Mutex<Option<String>>>,
}

impl Cluster {
    /// The last reported error, such as `all brokers down`.
    pub fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the error: a message or an acknowledgement has arrived.
    pub fn works(&self) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Keeps what the statistics tell: a broker that is connected and does not answer.
    pub fn is_silent(&self, reason: String) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Keeps an error that librdkafka reported.
    pub fn error_reported(&self, error: &KafkaError, reason: &str) {
        debug!(%error, reason, "librdkafka error");
        let text = if reason.is_empty() { error.to_string() } else { reason.to_owned() };
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

impl ClientContext for Cluster {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.error_reported(&error, reason);
    }
}

impl ConsumerContext for Cluster {}
