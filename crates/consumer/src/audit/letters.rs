//! A topic's dead letters -> which of its messages have one, or had one that was purged.
//!
//! Only the keys are looked at, `group/topic/partition/offset/keyspace.table`, whether there is a value, and the message's
//! timestamp: where a topic was deleted and created again, a letter may be of another message in the same place.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use rdkafka::message::{BorrowedMessage, Message as _};
use service::kafka;

use crate::dead_letter::{By, SUFFIX, header};
use crate::message::Message;
use crate::topic::{Topics, Unread};

/// What is known of a message's dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letter {
    /// It is there.
    Waiting,
    /// It was removed.
    Purged,
}

/// The dead letters of one topic and group: by table, partition and offset.
#[derive(Debug, Default)]
pub(crate) struct Letters(HashMap<(usize, i32, i64), Known>);

// A letter, and its message's timestamp if that is known.
#[derive(Debug, Clone, Copy)]
struct Known {
    letter: Letter,
    timestamp_ms: Option<i64>,
}

impl Known {
    fn is_of(self, timestamp_ms: Option<i64>) -> bool {
        self.timestamp_ms.is_none() || self.timestamp_ms == timestamp_ms
    }
}

impl Letters {
    /// Reads them all; `tables` are the names that a letter may be of.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) fn read(topics: &Topics, group: &str, topic: &str, tables: &[String]) -> Result<Self, Unread> {
        let mut letters = Self::default();
        let of = format!("{topic}{SUFFIX}");
        topics.read(&of, &topics.ranges(&of)?, |message| {
            let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
            letters.add(key.and_then(|key| origin(key, group, topic)), known(message), tables);
            ControlFlow::Continue(())
        })?;
        Ok(letters)
    }

    fn add(&mut self, origin: Option<(i32, i64, &str)>, known: Option<Known>, tables: &[String]) {
        let Some((partition, offset, table)) = origin else { return };
        let Some(table) = tables.iter().position(|known| known == table) else { return };
        let place = (table, partition, offset);
        match known {
            // What removed it does not tell its message, if it was another version of ours.
            Some(mut known) => {
                let before = self.0.get(&place).and_then(|before| before.timestamp_ms);
                if known.letter == Letter::Purged {
                    known.timestamp_ms = known.timestamp_ms.or(before);
                }
                self.0.insert(place, known);
            }
            None => drop(self.0.remove(&place)),
        }
    }

    /// The letters of one message, as they are on their topic: their tables and, where they were not purged, why.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) fn reasons(
        topics: &Topics,
        group: &str,
        message: &Message<'_>,
    ) -> Result<BTreeMap<String, Option<String>>, Unread> {
        let mut reasons = BTreeMap::new();
        let Message { topic, partition, offset, timestamp_ms, .. } = *message;
        let of = format!("{topic}{SUFFIX}");
        topics.read(&of, &topics.ranges(&of)?, |letter| {
            let key = letter.key().and_then(|key| std::str::from_utf8(key).ok());
            if let Some((of_partition, of_offset, table)) = key.and_then(|key| origin(key, group, topic))
                && (of_partition, of_offset) == (partition, offset)
            {
                match known(letter) {
                    Some(known) if !known.is_of(timestamp_ms) => {}
                    Some(Known { letter: Letter::Waiting, .. }) => {
                        reasons.insert(table.to_owned(), Some(reason(letter)));
                    }
                    Some(Known { letter: Letter::Purged, .. }) => {
                        reasons.insert(table.to_owned(), None);
                    }
                    None => drop(reasons.remove(table)),
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(reasons)
    }

    /// The letter of the message with this timestamp, which should be in that table.
    pub(crate) fn get(
        &self,
        table: usize,
        partition: i32,
        offset: i64,
        timestamp_ms: Option<i64>,
    ) -> Option<Letter> {
        let known = self.0.get(&(table, partition, offset))?;
        known.is_of(timestamp_ms).then_some(known.letter)
    }
}

// What a record makes of its letter. What was replayed is a row like any other, so nothing is known of it any more.
fn known(record: &BorrowedMessage<'_>) -> Option<Known> {
    let letter = match record.payload() {
        Some(_) => Letter::Waiting,
        None if header(record, header::BY).as_deref() == Some(By::Replay.name()) => return None,
        None => Letter::Purged,
    };
    let timestamp_ms = header(record, header::TIMESTAMP).and_then(|text| text.parse().ok());
    Some(Known { letter, timestamp_ms })
}

fn reason(letter: &BorrowedMessage<'_>) -> String {
    let of = |name: &str| header(letter, name).unwrap_or_else(|| "unknown".to_owned());
    format!("{}: {}", of(header::CLASS), of(header::REASON))
}

fn header(letter: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = kafka::headers(letter).filter(|(known, _)| *known == name.as_bytes());
    headers.last().and_then(|(_, value)| value).map(|value| String::from_utf8_lossy(value).into_owned())
}

// Partition, offset and table of a letter of this group and topic. A group's name may have slashes.
fn origin<'a>(key: &'a str, group: &str, topic: &str) -> Option<(i32, i64, &'a str)> {
    let rest = key.strip_prefix(group)?.strip_prefix('/')?.strip_prefix(topic)?.strip_prefix('/')?;
    let mut parts = rest.splitn(3, '/');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_of_its_group_topic_and_table() {
        let of = |key| origin(key, "my/group", "orders");
        assert_eq!(of("my/group/orders/3/77/shop.orders"), Some((3, 77, "shop.orders")));
        for other in
            ["my/orders/3/77/shop.orders", "my/group/orders-eu/3/77/shop.orders", "my/group/orders/x/7/t"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        let tables = ["shop.by_day".to_owned(), "shop.orders".to_owned()];
        let known = |letter| Some(Known { letter, timestamp_ms: None });
        let mut letters = Letters::default();
        letters.add(of("my/group/orders/3/77/shop.orders"), known(Letter::Waiting), &tables);
        letters.add(of("my/group/orders/3/78/shop.gone"), known(Letter::Waiting), &tables);
        let get = |letters: &Letters, table| letters.get(table, 3, 77, Some(5));
        assert_eq!((get(&letters, 1), get(&letters, 0)), (Some(Letter::Waiting), None));
        letters.add(of("my/group/orders/3/77/shop.orders"), known(Letter::Purged), &tables);
        assert_eq!(get(&letters, 1), Some(Letter::Purged));
        // Replayed: it is a row now, and looked for as such.
        letters.add(of("my/group/orders/3/77/shop.orders"), None, &tables);
        assert_eq!(get(&letters, 1), None);
    }

    #[test]
    fn a_letter_explains_no_message_of_another_time_in_its_place() {
        let tables = ["shop.orders".to_owned()];
        let mut letters = Letters::default();
        let mut add = |letter, timestamp_ms| {
            letters.add(Some((3, 77, "shop.orders")), Some(Known { letter, timestamp_ms }), &tables);
            [Some(5), Some(6), None].map(|timestamp_ms| letters.get(0, 3, 77, timestamp_ms))
        };
        let waiting = Some(Letter::Waiting);
        assert_eq!(add(Letter::Waiting, Some(5)), [waiting, None, None]);
        // A tombstone that does not tell is of the letter before it.
        let purged = Some(Letter::Purged);
        assert_eq!(add(Letter::Purged, None), [purged, None, None]);
        assert_eq!(add(Letter::Purged, Some(6)), [None, purged, None]);
        // Its message had none.
        assert_eq!(add(Letter::Waiting, None), [waiting; 3]);
    }
}
