//! What can never become a row -> topic `<topic>.dlq`: the raw bytes, and in the headers why and from where.
//!
//! One dead letter is one key, `group/topic/partition/offset/keyspace.table`, on a compacted topic: a redelivered message
//! that is refused again replaces its own dead letter, and not the one of another route's table. A dead letter is settled only when Kafka has acknowledged it; until
//! then its message is not, so that nothing is lost when the topic is missing or full.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use service::Health;
use service::kafka::{self, Cluster};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::backoff::Backoff;
use crate::decode::{DataError, writetime};
use crate::message::Message;
use crate::plan::Plan;

/// Added to a topic's name.
pub const SUFFIX: &str = ".dlq";

/// The producer of dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    producer: FutureProducer<Cluster>,
    group: String,
    health: Health,
}

/// A dead letter on its way.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    topic: String,
    key: String,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

impl DeadLetters {
    /// A producer for the dead letters of one group.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn new(settings: &kafka::Settings, group: &str, health: Health) -> Result<Self, KafkaError> {
        let producer = settings
            .producer("tributary-dead-letters")
            // Above the source's limit: a message that Kafka took once fits with its headers.
            .set("message.max.bytes", "33554432")
            .create_with_context(Cluster::default())?;
        Ok(Self { producer, group: group.to_owned(), health })
    }

    /// The dead letter of a message that this plan cannot make a row of.
    pub fn letter(&self, plan: &Plan, message: &Message<'_>, error: &DataError) -> DeadLetter {
        let Message { topic, partition, offset, .. } = message;
        let mut headers = OwnedHeaders::new_with_capacity(13);
        let mut add = |key: &str, value: &str| {
            headers = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
        };
        add("reason", &error.reason);
        add("class", error.class.name());
        add("group", &self.group);
        add("table", &plan.table);
        add("topic", topic);
        add("partition", &partition.to_string());
        add("offset", &offset.to_string());
        if let Some(timestamp_ms) = message.timestamp_ms {
            add("timestamp", &timestamp_ms.to_string());
            // A field may be what is wrong with the message: then nobody knows.
            if plan.writetime.is_none() {
                add("writetime", &writetime(timestamp_ms, *offset).to_string());
            }
        }
        let mut headers = headers;
        if let Some(key) = message.key {
            headers = headers.insert(Header { key: "message-key", value: Some(key) });
        }
        // The message's own headers, apart from ours by their prefix.
        for (name, value) in message.headers.iter() {
            let name = format!("header.{}", String::from_utf8_lossy(name));
            headers = headers.insert(Header { key: &name, value });
        }
        DeadLetter {
            topic: format!("{topic}{SUFFIX}"),
            key: key(&self.group, message, &plan.table),
            value: message.value.map(<[u8]>::to_vec),
            headers,
        }
    }

    /// Sends it until it is acknowledged; `false` if cancelled before.
    pub async fn send(&self, letter: DeadLetter, cancelled: CancellationToken) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let mut record = FutureRecord::to(&letter.topic).key(&letter.key).headers(letter.headers.clone());
            // A tombstone here would say that the letter is purged.
            record = record.payload(letter.value.as_deref().unwrap_or_default());
            let sent = tokio::select! {
                sent = self.producer.send(record, Timeout::Never) => sent,
                () = cancelled.cancelled() => return false,
            };
            match sent {
                Ok(_) => {
                    self.health.green("dead letters");
                    return true;
                }
                Err((error, _)) => {
                    self.health.red("dead letters", hint(&error, &letter.topic));
                    debug!(%error, topic = letter.topic, "dead letter not sent");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next(rand::random())) => {}
                () = cancelled.cancelled() => return false,
            }
        }
    }
}

fn key(group: &str, message: &Message<'_>, table: &str) -> String {
    let Message { topic, partition, offset, .. } = message;
    format!("{group}/{topic}/{partition}/{offset}/{table}")
}

fn hint(error: &KafkaError, topic: &str) -> String {
    let what_to_do = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            "; create it, compacted, with a larger max.message.bytes than its source"
        }
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => "; raise its max.message.bytes above its source's",
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "; allow this user to write to it",
        _ => "",
    };
    format!("topic {topic}: {error}{what_to_do}; trying on, nothing is skipped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;

    #[test]
    fn a_message_has_one_key_for_each_table_that_does_not_get_it() {
        let message = Message {
            topic: "orders",
            partition: 3,
            offset: 77,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Headers::NONE,
        };
        assert_eq!(key("g", &message, "shop.orders"), "g/orders/3/77/shop.orders");
        assert_ne!(key("g", &message, "shop.orders"), key("g", &message, "shop.by_day"));
    }
}
