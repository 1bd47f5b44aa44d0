//! Simulated users -> the producer's own parsing -> messages of topic `users_created`, packed in memory.
//!
//! One seed: message `n` is the same in every run, so that runs can be compared and rows can be checked.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use datasets::{Polled, Upstream, random_user};
use serde_json::Value;

/// The topic that the messages belong to.
pub(crate) const TOPIC: &str = random_user::DATASET.topic;
/// The table that their route fills.
pub(crate) const TABLE: &str = random_user::DATASET.table;

const SEED: &str = "benchmark";
const PAGE: u32 = 5_000;

/// Messages in their order.
pub(crate) struct Messages {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

struct Record {
    key: Range<usize>,
    value: Range<usize>,
}

impl Messages {
    /// Makes that many.
    pub(crate) fn generate(count: u32) -> Result<Self> {
        eprintln!("==> {count} messages of {TOPIC} into memory");
        let dataset = dataset()?;
        let mut messages = Self { bytes: Vec::new(), records: Vec::new() };
        let mut left = count;
        for page in 1.. {
            if left == 0 {
                break;
            }
            let wanted = left.min(PAGE);
            messages.append(&*dataset, page, wanted)?;
            left -= wanted;
        }
        Ok(messages)
    }

    fn append(&mut self, dataset: &dyn Polled, page: u64, wanted: u32) -> Result<()> {
        let request = dataset.probe();
        let exclude = request.query.iter().find(|(name, _)| *name == "exc");
        let exclude = exclude.map_or("", |(_, fields)| fields.as_str());
        let body = simulators::users(SEED, page, u64::from(wanted), exclude, DateTime::<Utc>::UNIX_EPOCH);
        let parsed = dataset.parse(&request, &body).context("parse simulated users")?;
        if let Some(rejected) = parsed.rejected.first() {
            bail!("a simulated user is no message: {}", rejected.reason);
        }
        for message in parsed.messages {
            let record = Record { key: self.copy(message.key.as_bytes()), value: self.copy(&message.value) };
            self.records.push(record);
        }
        Ok(())
    }

    /// Keys and values.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        (0..self.records.len()).map(|place| self.get(place))
    }

    fn get(&self, place: usize) -> (&[u8], &[u8]) {
        let Record { key, value } = &self.records[place];
        (&self.bytes[key.clone()], &self.bytes[value.clone()])
    }

    /// How many.
    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// Bytes of all values.
    pub(crate) fn value_bytes(&self) -> u64 {
        self.records.iter().map(|record| record.value.len() as u64).sum()
    }

    /// Any one of them.
    pub(crate) fn any(&self) -> (&[u8], &[u8]) {
        self.get(rand::random_range(0..self.records.len()))
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

fn dataset() -> Result<Box<dyn Polled>> {
    match &random_user::DATASET.upstream {
        Upstream::Polled { new, .. } => Ok(new(&Value::Null)?),
        other => bail!("random-user is not polled: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;
    use std::collections::HashSet;

    #[test]
    fn messages_are_seeded_distinct_and_shaped_like_published_ones() {
        let messages = Messages::generate(6_000).unwrap();
        let again = Messages::generate(6_000).unwrap();
        assert!(messages.iter().eq(again.iter()));
        let keys: HashSet<&[u8]> = messages.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), 6_000);
        for (key, value) in messages.iter() {
            let user = User::parse(value).unwrap();
            assert_eq!(user.id.as_bytes(), key);
        }
        let mean = messages.value_bytes() / messages.len();
        assert!((340..400).contains(&mean), "mean {mean} bytes");
    }

    #[test]
    fn the_micro_benchmark_decodes_the_first_of_the_same_messages() {
        let lines = include_str!("../../crates/consumer/benches/users.jsonl");
        let messages = Messages::generate(64).unwrap();
        let values: Vec<&str> =
            messages.iter().map(|(_, value)| std::str::from_utf8(value).unwrap()).collect();
        assert_eq!(lines.lines().collect::<Vec<_>>(), values);
    }
}
