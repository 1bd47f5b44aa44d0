//! A record of a topic of dead letters -> the letter, and the message that it was.
//!
//! Nothing is guessed: whatever became of the message depends on its bytes, its timestamp and its place, and the letter
//! has them all. Decoded again it makes the row, with the WRITETIME, that it would have made at first.

use std::str;

use super::{Address, header};
use crate::message::{Chunk, Message, Partition};

/// What the header `value` says of a message without one.
pub(super) const NULL: &str = "null";

/// A dead letter, borrowed from its record.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The record, of the topic of dead letters.
    pub record: Message<'a>,
    /// The consumer group that refused the message.
    pub group: &'a str,
    /// `keyspace.table`
    pub table: &'a str,
    /// The kind of error, as [`crate::decode::Class::name`] tells it.
    pub class: &'a str,
    /// What is wrong, in words. They may quote the message.
    pub reason: &'a str,
    /// The message's topic.
    pub topic: &'a str,
    /// The message's partition.
    pub partition: i32,
    /// The message's offset.
    pub offset: i64,
    /// The message's timestamp in milliseconds since 1970, if it had one.
    pub timestamp_ms: Option<i64>,
    /// How many replays gave it another reason.
    pub replays: u32,
}

/// A record that is no dead letter, or not one that can be read; says what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoLetter(String);

impl<'a> Letter<'a> {
    /// Reads the record's headers.
    ///
    /// # Errors
    /// One is missing, or is not what this consumer writes.
    pub fn of(record: Message<'a>) -> Result<Self, NoLetter> {
        let text = |name: &str| match record.headers.get(name).map(str::from_utf8) {
            Some(Ok(text)) => Ok(text),
            Some(Err(_)) => Err(NoLetter(format!("header {name} is not UTF-8"))),
            None => Err(NoLetter(format!("it has no header {name}"))),
        };
        let optional = |name: &str| match record.headers.get(name) {
            None => Ok(None),
            Some(_) => number(name, text(name)?).map(Some),
        };
        Ok(Self {
            group: text(header::GROUP)?,
            table: text(header::TABLE)?,
            class: text(header::CLASS)?,
            reason: text(header::REASON)?,
            topic: text(header::TOPIC)?,
            partition: number(header::PARTITION, text(header::PARTITION)?)?,
            offset: number(header::OFFSET, text(header::OFFSET)?)?,
            timestamp_ms: optional(header::TIMESTAMP)?,
            replays: match record.headers.get(header::REPLAYS) {
                None => 0,
                Some(_) => number(header::REPLAYS, text(header::REPLAYS)?)?,
            },
            record,
        })
    }

    /// Where the message is, or was.
    pub fn address(&self) -> Address {
        Address { topic: self.topic.to_owned(), partition: self.partition, offset: self.offset }
    }

    /// The message's value; `None` where it had none. Letters of before the header `value` tell by their class.
    pub fn value(&self) -> Option<&'a [u8]> {
        let bytes = self.record.value.unwrap_or_default();
        let is_null = self.record.headers.get(header::VALUE) == Some(NULL.as_bytes())
            || (self.class == "tombstone" && bytes.is_empty());
        (!is_null).then_some(bytes)
    }

    /// The message's key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.record.headers.get(header::MESSAGE_KEY)
    }

    /// Names and values of the message's own headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let own = |(name, value): (&'a [u8], _)| Some((name.strip_prefix(header::OWN.as_bytes())?, value));
        self.record.headers.iter().filter_map(own)
    }

    /// Appends the message that it was, of the topic with index 0.
    pub fn restore(&self, messages: &mut Chunk) {
        let partition = Partition { topic: 0, number: self.partition };
        messages.push(partition, self.offset, self.timestamp_ms, self.key(), self.value(), self.headers());
    }
}

fn number<T: str::FromStr>(name: &str, text: &str) -> Result<T, NoLetter> {
    text.parse().map_err(|_| NoLetter(format!("header {name} is {text:?}, which is no number that fits")))
}

#[cfg(test)]
mod tests;
