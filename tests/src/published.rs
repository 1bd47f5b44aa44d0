//! What a load's topic holds -> what the table must hold in the end: per user the version with the greatest WRITETIME.
//!
//! It is computed here from (timestamp, offset), independently of the consumer. Both are read from the topic: a broker that
//! already had a message acknowledges it without its offset, which librdkafka then counts up from -1 through the batch.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rdkafka::message::{Headers, Message};
use uuid::Uuid;

use crate::hostile::HOSTILE;
use crate::ledger::Entries;
use crate::topics::each_message;

/// The versions on a topic.
#[derive(Debug, Default)]
pub struct Published {
    /// Per user, what its row must hold.
    pub winners: HashMap<Uuid, Winner>,
    /// Versions that the topic has more than once.
    pub twice: Vec<u64>,
    /// The WRITETIME of each version.
    pub versions: HashMap<u64, i64>,
    /// Messages that no producer should send.
    pub hostile: Vec<Hostile>,
}

/// A message that becomes a row or a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hostile {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Of its value.
    pub hash: u64,
    /// Whose row it is, if it becomes one, and with which WRITETIME.
    pub row: Option<(Uuid, i64)>,
}

/// The version that a row must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Winner {
    /// The version.
    pub version: u64,
    /// Its WRITETIME.
    pub writetime: i64,
}

impl Published {
    /// Reads the topic up to its end.
    pub fn of(brokers: &str, topic: &str) -> Self {
        let mut published = Self::default();
        published.read(brokers, topic);
        published
    }

    /// Adds what a topic holds up to its end: the same topic again, if it was deleted and created anew.
    pub fn read(&mut self, brokers: &str, topic: &str) {
        each_message(brokers, topic, |message| {
            if message.headers().is_some_and(|headers| headers.iter().any(|header| header.key == HOSTILE)) {
                self.hostile.push(Hostile::of(message));
                return;
            }
            // What a test put among the load, to be refused, is no version.
            if let Some((version, id)) = version(message.payload().unwrap_or_default()) {
                self.add(version, id, writetime(message));
            }
        });
    }

    fn add(&mut self, version: u64, id: Uuid, writetime: i64) {
        if self.versions.insert(version, writetime).is_some() {
            self.twice.push(version);
        }
        let winner = Winner { version, writetime };
        let known = self.winners.entry(id).or_insert(winner);
        if known.writetime < writetime {
            *known = winner;
        }
    }

    /// The versions that Kafka acknowledged and does not have.
    pub fn lacks(&self, entries: &Entries) -> Vec<u64> {
        entries.acknowledged.iter().filter(|version| !self.versions.contains_key(version)).copied().collect()
    }
}

impl Hostile {
    fn of(message: &impl Message) -> Self {
        let value = message.payload().unwrap_or_default();
        // Nothing else of it is evaluated: a number that no float can hold is a text, too.
        #[derive(serde::Deserialize)]
        struct Identified {
            id: Uuid,
        }
        let id = serde_json::from_slice(value).ok().map(|Identified { id }| id);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            hash: hash(value),
            row: id.map(|id| (id, writetime(message))),
        }
    }
}

/// Of a message's value: the same in each process, and enough to tell that two differ.
pub fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The WRITETIME that a message's row has.
pub fn writetime(message: &impl Message) -> i64 {
    message.timestamp().to_millis().unwrap_or_default() * 1000 + message.offset() % 1000
}

/// The version and the user of a load's message; `None` for any other.
pub fn version(value: &[u8]) -> Option<(u64, Uuid)> {
    let value: serde_json::Value = serde_json::from_slice(value).ok()?;
    Some((value["first_name"].as_str()?.parse().ok()?, value["id"].as_str()?.parse().ok()?))
}
