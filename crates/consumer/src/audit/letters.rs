//! A topic's dead letters -> which of its messages have one, or had one that was purged.
//!
//! Only the keys are looked at, `group/topic/partition/offset/keyspace.table`, and whether there is a value.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use rdkafka::message::{BorrowedMessage, Message as _};
use service::kafka;

use crate::dead_letter::{By, SUFFIX, header};
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
pub(crate) struct Letters(HashMap<(usize, i32, i64), Letter>);

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
            letters.add(key.and_then(|key| origin(key, group, topic)), state(message), tables);
            ControlFlow::Continue(())
        })?;
        Ok(letters)
    }

    fn add(&mut self, origin: Option<(i32, i64, &str)>, letter: Option<Letter>, tables: &[String]) {
        let Some((partition, offset, table)) = origin else { return };
        let Some(table) = tables.iter().position(|known| known == table) else { return };
        match letter {
            Some(letter) => drop(self.0.insert((table, partition, offset), letter)),
            None => drop(self.0.remove(&(table, partition, offset))),
        }
    }

    /// The letters of one message, as they are on their topic: their tables and, where they were not purged, why.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) fn reasons(
        topics: &Topics,
        group: &str,
        topic: &str,
        place: (i32, i64),
    ) -> Result<BTreeMap<String, Option<String>>, Unread> {
        let mut reasons = BTreeMap::new();
        let of = format!("{topic}{SUFFIX}");
        topics.read(&of, &topics.ranges(&of)?, |message| {
            let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
            if let Some((partition, offset, table)) = key.and_then(|key| origin(key, group, topic))
                && (partition, offset) == place
            {
                match state(message) {
                    Some(Letter::Waiting) => drop(reasons.insert(table.to_owned(), Some(reason(message)))),
                    Some(Letter::Purged) => drop(reasons.insert(table.to_owned(), None)),
                    None => drop(reasons.remove(table)),
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(reasons)
    }

    /// The letter of a message that should be in that table.
    pub(crate) fn get(&self, table: usize, partition: i32, offset: i64) -> Option<Letter> {
        self.0.get(&(table, partition, offset)).copied()
    }
}

// What a record makes of its letter. What was replayed is a row like any other, so nothing is known of it any more.
fn state(letter: &BorrowedMessage<'_>) -> Option<Letter> {
    match letter.payload() {
        Some(_) => Some(Letter::Waiting),
        None if header(letter, header::BY).as_deref() == Some(By::Replay.name()) => None,
        None => Some(Letter::Purged),
    }
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
        let mut letters = Letters::default();
        letters.add(of("my/group/orders/3/77/shop.orders"), Some(Letter::Waiting), &tables);
        letters.add(of("my/group/orders/3/78/shop.gone"), Some(Letter::Waiting), &tables);
        assert_eq!((letters.get(1, 3, 77), letters.get(0, 3, 77)), (Some(Letter::Waiting), None));
        letters.add(of("my/group/orders/3/77/shop.orders"), Some(Letter::Purged), &tables);
        assert_eq!(letters.get(1, 3, 77), Some(Letter::Purged));
        // Replayed: it is a row now, and looked for as such.
        letters.add(of("my/group/orders/3/77/shop.orders"), None, &tables);
        assert_eq!(letters.get(1, 3, 77), None);
    }
}
