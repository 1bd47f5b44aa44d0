//! Section `[kafka]` -> librdkafka settings shared by every producer and consumer.

mod cluster;
mod headers;
mod security;

use std::path::PathBuf;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use secrecy::SecretString;
use serde::Deserialize;

pub use cluster::Cluster;
pub use headers::headers;
pub use security::{Mechanism, Protocol};

use crate::config::ConfigError;

/// Section `[kafka]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: Protocol,
    /// The authorities whose certificates are trusted, a file in PEM; empty: those of the system. The certificate must
    /// name the host under which the broker is reached.
    pub ca: PathBuf,
    /// `SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`.
    pub sasl_mechanism: Mechanism,
    /// The user, for the two protocols with `sasl`.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            security_protocol: Protocol::default(),
            ca: PathBuf::new(),
            sasl_mechanism: Mechanism::default(),
            username: String::new(),
            password: SecretString::default(),
        }
    }
}

impl Settings {
    /// Checks that what is set goes together.
    ///
    /// # Errors
    /// The first value that has no effect, or lacks another.
    pub fn check(&self) -> Result<(), ConfigError> {
        security::check(self)
    }

    /// What every client needs: addresses, who it is, a name in the broker's log, short reconnects.
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
        security::apply(self, &mut config);
        // From here on librdkafka tells why a connection was closed; `Cluster` passes it to DEBUG.
        config.set_log_level(RDKafkaLogLevel::Info);
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
