//! What can never become a row -> topic `<topic>.dlq`: the raw bytes, and in the headers why and from where.
//!
//! One dead letter is one key, `group/topic/partition/offset/keyspace.table`, on a compacted topic: a redelivered message
//! that is refused again replaces its own dead letter, and not the one of another route's table. A dead letter is settled
//! only when Kafka has acknowledged it; until then its message is not, so that nothing is lost when the topic is missing or
//! full. A tombstone removes a letter: its row is durable by then, or an operator has purged it.
//!
//! [`Letter`] reads what is sent here, [`Fold`] tells which letters stand.

mod fold;
mod letter;
mod letters;
pub mod replay;

use std::time::Duration;

use futures::{StreamExt, stream};

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

pub use fold::{Address, Cause, Entry, Fold, Key, Select};
pub use letter::{Letter, NoLetter};
pub use letters::{Letters, Selected};

/// Added to a topic's name.
pub const SUFFIX: &str = ".dlq";

/// Names of the headers, which [`Letter`] reads as well.
pub(crate) mod header {
    pub(crate) const REASON: &str = "reason";
    pub(crate) const CLASS: &str = "class";
    pub(super) const GROUP: &str = "group";
    pub(super) const TABLE: &str = "table";
    pub(super) const TOPIC: &str = "topic";
    pub(super) const PARTITION: &str = "partition";
    pub(super) const OFFSET: &str = "offset";
    pub(crate) const TIMESTAMP: &str = "timestamp";
    pub(super) const WRITETIME: &str = "writetime";
    pub(super) const MESSAGE_KEY: &str = "message-key";
    /// `null` where the message had no value; the letter's own is empty then.
    pub(super) const VALUE: &str = "value";
    /// How many replays gave it another reason.
    pub(super) const REPLAYS: &str = "replays";
    /// Of a tombstone: what removed the letter.
    pub(crate) const BY: &str = "by";
    /// Before the names of the message's own.
    pub(super) const OWN: &str = "header.";
}

/// What a command says that was told to stop.
pub(crate) const INTERRUPTED: &str = "it was interrupted";

/// Letters that are on their way at once where many are sent.
const SENT_AT_ONCE: usize = 256;

/// The producer of dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    producer: FutureProducer<Cluster>,
    /// `host:port`, comma separated.
    brokers: String,
    group: String,
    health: Health,
}

/// A dead letter on its way, or the tombstone of one.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    topic: String,
    /// `None`: as its key falls.
    partition: Option<i32>,
    key: Vec<u8>,
    /// `None` is a tombstone.
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

/// Why a letter is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Its row is durable, or has expired.
    Replay,
    /// An operator gave it up.
    Purge,
}

impl By {
    /// As the tombstone's header tells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Purge => "purge",
        }
    }
}

impl DeadLetter {
    /// The same letter once more, in the place of the one that stands, after a replay that failed for another reason.
    pub fn again(letter: &Letter<'_>, error: &DataError) -> Self {
        let mut headers = OwnedHeaders::new();
        let mut add = |key: &str, value: Option<&[u8]>| {
            headers = std::mem::take(&mut headers).insert(Header { key, value });
        };
        let replays = (letter.replays + 1).to_string();
        add(header::REASON, Some(error.reason.as_bytes()));
        add(header::CLASS, Some(error.class.name().as_bytes()));
        add(header::REPLAYS, Some(replays.as_bytes()));
        for (name, value) in letter.record.headers.iter() {
            let name = String::from_utf8_lossy(name);
            if ![header::REASON, header::CLASS, header::REPLAYS].contains(&name.as_ref()) {
                add(&name, value);
            }
        }
        Self {
            topic: letter.record.topic.to_owned(),
            partition: Some(letter.record.partition),
            key: letter.record.key.unwrap_or_default().to_vec(),
            value: Some(letter.record.value.unwrap_or_default().to_vec()),
            headers,
        }
    }

    /// What removes the letter of that key from that topic of dead letters. `timestamp_ms` is its message's: a topic that was
    /// created anew has other messages in the same places.
    pub fn removal(topic: &str, key: &Key, by: By, timestamp_ms: Option<i64>) -> Self {
        let mut headers = OwnedHeaders::new().insert(Header { key: header::BY, value: Some(by.name()) });
        if let Some(timestamp_ms) = timestamp_ms {
            let value = timestamp_ms.to_string();
            headers = headers.insert(Header { key: header::TIMESTAMP, value: Some(&value) });
        }
        Self {
            topic: topic.to_owned(),
            partition: Some(key.partition),
            key: key.bytes.to_vec(),
            value: None,
            headers,
        }
    }
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
        Ok(Self { producer, brokers: settings.brokers.clone(), group: group.to_owned(), health })
    }

    /// The dead letter of a message that this plan cannot make a row of.
    pub fn letter(&self, plan: &Plan, message: &Message<'_>, error: &DataError) -> DeadLetter {
        let Message { topic, partition, offset, .. } = message;
        let mut headers = OwnedHeaders::new_with_capacity(13);
        let mut add = |key: &str, value: &str| {
            headers = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
        };
        add(header::REASON, &error.reason);
        add(header::CLASS, error.class.name());
        add(header::GROUP, &self.group);
        add(header::TABLE, &plan.table);
        add(header::TOPIC, topic);
        add(header::PARTITION, &partition.to_string());
        add(header::OFFSET, &offset.to_string());
        if let Some(timestamp_ms) = message.timestamp_ms {
            add(header::TIMESTAMP, &timestamp_ms.to_string());
            // A field may be what is wrong with the message: then nobody knows.
            if plan.writetime.is_none() {
                add(header::WRITETIME, &writetime(timestamp_ms, *offset).to_string());
            }
        }
        if message.value.is_none() {
            add(header::VALUE, letter::NULL);
        }
        let mut headers = headers;
        if let Some(key) = message.key {
            headers = headers.insert(Header { key: header::MESSAGE_KEY, value: Some(key) });
        }
        // The message's own headers, apart from ours by their prefix.
        for (name, value) in message.headers.iter() {
            let name = format!("{}{}", header::OWN, String::from_utf8_lossy(name));
            headers = headers.insert(Header { key: &name, value });
        }
        DeadLetter {
            topic: format!("{topic}{SUFFIX}"),
            partition: None,
            key: key(&self.group, message, &plan.table).into_bytes(),
            // A tombstone here would say that the letter is removed.
            value: Some(message.value.unwrap_or_default().to_vec()),
            headers,
        }
    }

    /// Sends it until it is acknowledged; `false` if cancelled before.
    pub async fn send(&self, letter: DeadLetter, cancelled: CancellationToken) -> bool {
        let mut backoff = Backoff::default();
        loop {
            let mut record = FutureRecord::<[u8], [u8]>::to(&letter.topic)
                .key(&letter.key)
                .headers(letter.headers.clone());
            record.payload = letter.value.as_deref();
            record.partition = letter.partition;
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

    /// Sends all of them, unless `stop` is cancelled before.
    ///
    /// # Errors
    /// Not all are acknowledged within that time.
    pub async fn send_all(
        &self,
        letters: Vec<DeadLetter>,
        within: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Unsent> {
        let count = letters.len();
        let sent = stream::iter(letters).map(|letter| self.send(letter, stop.clone()));
        let mut sent = sent.buffer_unordered(SENT_AT_ONCE);
        let mut acknowledged = 0;
        let all = async {
            while let Some(is_sent) = sent.next().await {
                acknowledged += usize::from(is_sent);
            }
        };
        // What is late is told by the count.
        let _ = tokio::time::timeout(within, all).await;
        let unsent = |why| Err(Unsent { acknowledged, why });
        if acknowledged == count {
            return Ok(());
        }
        if stop.is_cancelled() {
            return unsent(INTERRUPTED.to_owned());
        }
        let known = self.health.report().parts.remove("dead letters");
        let why = known.map(|part| part.reason).filter(|reason| !reason.is_empty());
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        unsent(format!(
            "kafka at {} did not acknowledge all records within {} s{why}",
            self.brokers,
            within.as_secs()
        ))
    }
}

/// Why not all letters were sent. Those on their way may arrive all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unsent {
    /// How many of them Kafka has acknowledged.
    pub acknowledged: usize,
    /// In words, as far as Kafka has told.
    pub why: String,
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

    #[tokio::test]
    async fn letters_that_nobody_acknowledges_are_given_up_with_the_brokers_name_or_at_a_signal() {
        let settings = kafka::Settings { brokers: "127.0.0.1:1".to_owned(), ..kafka::Settings::default() };
        let sender = DeadLetters::new(&settings, "g", Health::default()).unwrap();
        let key = Key { partition: 0, bytes: b"k"[..].into() };
        let letters = || vec![DeadLetter::removal("orders.dlq", &key, By::Purge, Some(7)); 3];
        let stop = CancellationToken::new();
        let late = sender.send_all(letters(), Duration::from_millis(50), &stop).await.unwrap_err();
        assert!(late.acknowledged == 0 && late.why.contains("kafka at 127.0.0.1:1"), "{late:?}");
        stop.cancel();
        let unsent = Unsent { acknowledged: 0, why: INTERRUPTED.to_owned() };
        let an_hour = Duration::from_secs(3_600);
        assert_eq!(sender.send_all(letters(), an_hour, &stop).await, Err(unsent));
        assert_eq!(sender.send_all(Vec::new(), an_hour, &stop).await, Ok(()), "there was nothing to do");
    }

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
