//! What a load's topic holds -> what the table must hold in the end: per user the version with the greatest WRITETIME.
//!
//! It is computed here from (timestamp, offset), independently of the consumer. Both are read from the topic: a broker that
//! already had a message acknowledges it without its offset, which librdkafka then counts up from -1 through the batch.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use rdkafka::message::{Headers, Message};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::hostile::HOSTILE;
use crate::ledger::Entries;
use crate::topics::each_message;
use crate::world::{StoredUser, USER_COLUMNS};

/// The versions on a topic.
#[derive(Debug, Default)]
pub struct Published {
    /// Per user, what its row must hold: a version that is due.
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
    /// The row that it is, if it becomes one.
    pub row: Option<HostileRow>,
    /// Whether it must have become something by now.
    pub due: bool,
}

/// The row that a hostile message may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostileRow {
    /// The key.
    pub id: Uuid,
    /// See [`writetime`].
    pub writetime: i64,
    /// Of the cells, where every one of them is a text in the message.
    pub cells: Option<u64>,
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
        published.read(brokers, topic, |_, _| true);
        published
    }

    /// Adds what a topic holds up to its end: the same topic again, if it was deleted and created anew. `is_due` tells of a
    /// partition's offset whether it must be in the table.
    pub fn read(&mut self, brokers: &str, topic: &str, is_due: impl Fn(i32, i64) -> bool) {
        each_message(brokers, topic, |message| {
            let due = is_due(message.partition(), message.offset());
            if message.headers().is_some_and(|headers| headers.iter().any(|header| header.key == HOSTILE)) {
                self.hostile.push(Hostile::of(message, due));
                return;
            }
            // What a test put among the load, to be refused, is no version.
            if let Some((version, id)) = version(message.payload().unwrap_or_default()) {
                self.add(version, id, writetime(message), due);
            }
        });
    }

    fn add(&mut self, version: u64, id: Uuid, writetime: i64, due: bool) {
        if self.versions.insert(version, writetime).is_some() {
            self.twice.push(version);
        }
        if !due {
            return;
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
    fn of(message: &impl Message, due: bool) -> Self {
        let value = message.payload().unwrap_or_default();
        Self {
            partition: message.partition(),
            offset: message.offset(),
            hash: hash(value),
            row: HostileRow::of(value, writetime(message)),
            due,
        }
    }
}

impl HostileRow {
    fn of(value: &[u8], writetime: i64) -> Option<Self> {
        // Nothing else of it is evaluated: a number that no float can hold is a text, too.
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(value).ok()?;
        let text = |name: &str| serde_json::from_str::<String>(fields.get(name)?.get()).ok();
        let cells: Option<Vec<String>> = USER_COLUMNS.iter().map(|name| text(name)).collect();
        let cells = cells.map(|cells| hash(&cells));
        Some(Self { id: text("id")?.parse().ok()?, writetime, cells })
    }

    /// Whether a row is this one.
    pub fn is(&self, user: &StoredUser) -> bool {
        // A hostile message may have no first name, of which the WRITETIME is read.
        let is_of = user.writetime == self.writetime || (user.writetime == 0 && user.cells[0].is_empty());
        is_of && self.cells.is_none_or(|cells| cells == hash(&user.cells[..]))
    }
}

/// The same in each process, and enough to tell that two differ.
pub fn hash(value: &(impl Hash + ?Sized)) -> u64 {
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
