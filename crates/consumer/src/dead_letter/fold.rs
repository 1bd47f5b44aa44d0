//! The records of a topic of dead letters -> the letters that stand, by cause.
//!
//! The last record of a key wins, and a tombstone removes it: as compaction would do it, some day. Takes values and returns
//! values. What a letter holds is not kept, only where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::Letter;
use crate::decode::{NAMESPACE, kind};
use crate::message::Message;

/// Kinds of reasons that are told apart within a group, topic, table and class; the rest is counted as one. Reasons may
/// quote messages.
const KINDS_MAX: usize = 50;

/// Names a letter on its topic of dead letters. Keys of different partitions are different letters, as for compaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The partition of dead letters.
    pub partition: i32,
    /// The record's key.
    pub bytes: Box<[u8]>,
}

/// A letter that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its offset among the dead letters.
    pub place: i64,
    /// Its cause, as an index into [`Fold::causes`].
    pub cause: usize,
    /// The message's partition.
    pub partition: i32,
    /// The message's offset.
    pub offset: i64,
    /// When the letter was sent, in milliseconds since 1970.
    pub sent_ms: i64,
    /// Bytes of the letter, with its key and its headers.
    pub bytes: usize,
    /// The message's own timestamp, in milliseconds since 1970, if it had one.
    pub timestamp_ms: Option<i64>,
}

/// Why letters of a kind are dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Eight hexadecimal digits, the same each time: made of all that follows, with the reason as its kind
    /// ([`kind`]).
    pub id: String,
    /// The consumer group.
    pub group: String,
    /// The messages' topic.
    pub topic: String,
    /// `keyspace.table`
    pub table: String,
    /// The kind of error.
    pub class: String,
    /// The reason of one of them.
    pub reason: String,
    /// Whether it gathers all reasons behind the first fifty. Which ones these are may be others the next time.
    pub is_rest: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Fold {
    /// By key; `None` where a tombstone came last.
    pub letters: BTreeMap<Key, Option<Entry>>,
    /// The causes of letters that stand or stood.
    pub causes: Vec<Cause>,
    /// Records that are no dead letters of this consumer's.
    pub foreign: usize,
    known: BTreeMap<String, usize>,
    kinds: BTreeMap<String, usize>,
}

impl Fold {
    /// Takes in the next record of its partition.
    pub fn take(&mut self, record: &Message<'_>) {
        let key = Key { partition: record.partition, bytes: record.key.unwrap_or_default().into() };
        let entry = match (record.value, Letter::of(*record)) {
            (None, _) => None,
            (Some(_), Err(_)) => {
                self.foreign += 1;
                None
            }
            (Some(_), Ok(letter)) => Some(Entry {
                place: record.offset,
                cause: self.cause(&letter),
                partition: letter.partition,
                offset: letter.offset,
                sent_ms: record.timestamp_ms.unwrap_or_default(),
                bytes: record.size(),
                timestamp_ms: letter.timestamp_ms,
            }),
        };
        self.letters.insert(key, entry);
    }

    /// The letters that stand.
    pub fn standing(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.letters.iter().filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
    }

    fn cause(&mut self, letter: &Letter<'_>) -> usize {
        let Letter { group, topic, table, class, reason, .. } = letter;
        let place = [*group, topic, table, class].join("\0");
        let mut identity = format!("{place}\0{}", kind(class, reason));
        let (mut is_rest, mut more) = (false, "");
        if !self.known.contains_key(&identity) {
            let kinds = self.kinds.entry(place.clone()).or_default();
            if *kinds == KINDS_MAX {
                (identity, is_rest, more) = (place, true, "other reasons, such as: ");
            } else {
                *kinds += 1;
            }
        }
        *self.known.entry(identity).or_insert_with_key(|identity| {
            let id = Uuid::new_v5(&NAMESPACE, identity.as_bytes()).simple().to_string();
            self.causes.push(Cause {
                id: id[..8].to_owned(),
                group: (*group).to_owned(),
                topic: (*topic).to_owned(),
                table: (*table).to_owned(),
                class: (*class).to_owned(),
                reason: format!("{more}{reason}"),
                is_rest,
            });
            self.causes.len() - 1
        })
    }
}

/// Where a message is, or was: `topic:partition:offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset } = self;
        write!(f, "{topic}:{partition}:{offset}")
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.rsplitn(3, ':');
        let (offset, partition, topic) = (parts.next(), parts.next(), parts.next());
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<i64>().ok()).filter(|n| *n >= 0);
        match (topic, number(partition).and_then(|n| i32::try_from(n).ok()), number(offset)) {
            (Some(topic), Some(partition), Some(offset)) if !topic.is_empty() => {
                Ok(Self { topic: topic.to_owned(), partition, offset })
            }
            _ => Err("expected topic:partition:offset, as in users_created:3:20114".to_owned()),
        }
    }
}

/// Which letters are meant: those of one group that pass each of these filters. An empty one lets all pass.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// The consumer group.
    pub group: String,
    /// Topics of the messages.
    pub topics: Vec<String>,
    /// Ids of causes.
    pub causes: Vec<String>,
    /// Tables, as `keyspace.table`.
    pub tables: Vec<String>,
    /// Messages.
    pub addresses: Vec<Address>,
}

impl Select {
    /// Whether it means this letter.
    pub fn takes(&self, cause: &Cause, entry: &Entry) -> bool {
        let Entry { partition, offset, .. } = entry;
        let is_there = |address: &Address| {
            (&address.topic, address.partition, address.offset) == (&cause.topic, *partition, *offset)
        };
        cause.group == self.group
            && (self.topics.is_empty() || self.topics.contains(&cause.topic))
            && (self.causes.is_empty() || self.causes.contains(&cause.id))
            && (self.tables.is_empty() || self.tables.contains(&cause.table))
            && (self.addresses.is_empty() || self.addresses.iter().any(is_there))
    }
}

#[cfg(test)]
mod tests;
