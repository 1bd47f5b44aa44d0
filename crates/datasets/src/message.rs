//! What comes out of a dataset: messages for Kafka, and the items that could not become one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::brief;

/// A record as published: the key and the JSON value of one Kafka message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The record's identity; messages of one key stay in order.
    pub key: String,
    /// Compact JSON. A field that the upstream left out is left out here too, never null.
    pub value: Vec<u8>,
}

impl Message {
    pub(crate) fn of(key: String, record: &impl Serialize) -> Self {
        let value =
            serde_json::to_vec(record).expect("a record has string keys only and a Vec takes every byte");
        Self { key, value }
    }
}

/// The outcome of one body: one bad item never spoils its neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The good items, in the upstream's order.
    pub messages: Vec<Message>,
    /// The items that broke the upstream's contract, to be counted and logged.
    pub rejected: Vec<Rejected>,
}

impl Parsed {
    /// Parses each item of the body's list `field` by itself and publishes it.
    pub(crate) fn of<'a, T: Deserialize<'a>>(
        field: &str,
        items: &[&'a RawValue],
        publish: impl Fn(T) -> Message,
    ) -> Self {
        let mut parsed = Self::default();
        for (index, item) in items.iter().enumerate() {
            match serde_json::from_str(item.get()) {
                Ok(item) => parsed.messages.push(publish(item)),
                Err(error) => {
                    let reason = brief(&format!("{field}[{index}]: {error}"));
                    parsed.rejected.push(Rejected { reason });
                }
            }
        }
        parsed
    }
}

/// An item of a body that could not become a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where the item was and what was wrong with it, short enough for a log line.
    pub reason: String,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A change to publish.
    Change {
        /// The change as published.
        message: Message,
        /// When the upstream says that it happened.
        at: DateTime<Utc>,
    },
    /// A sign of life that the upstream sends itself; it is no data.
    Canary,
}
