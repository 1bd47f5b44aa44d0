//! Section `[kafka]` -> librdkafka settings shared by every producer and consumer.

mod cluster;
mod headers;

use rdkafka::config::ClientConfig;
use serde::Deserialize;

pub use cluster::Cluster;
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
