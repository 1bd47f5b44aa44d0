//! What librdkafka reports of the cluster -> the last error, for a health's words.
//!
//! librdkafka's own log lines go to DEBUG: what an operator needs of them reaches the health instead.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use tracing::debug;

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
