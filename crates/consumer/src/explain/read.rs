//! A message's place -> the message as it is on its topic, its dead letters, and what the group has committed there.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use rdkafka::message::Message as _;

use super::{CLIENT, Place, Unexplained};
use crate::audit::Unready;
use crate::audit::letters::Letters;
use crate::message::{Chunk, Partition};
use crate::settings::Settings;
use crate::topic::{self, Topics, Unread};

/// The one message, and what Kafka knows of it besides.
pub(super) struct Read {
    pub(super) chunk: Chunk,
    pub(super) committed: Option<i64>,
    /// By table; `None` where it was purged.
    pub(super) letters: BTreeMap<String, Option<String>>,
}

impl Read {
    pub(super) fn of(settings: &Settings, place: &Place) -> Result<Self, Unexplained> {
        let away = |error: Unread| Unready::Away(error.to_string());
        let Place { topic, partition, offset } = place;
        let topics = Topics::connect(&settings.kafka, CLIENT).map_err(away)?;
        let ranges = topics.ranges(topic).map_err(away)?;
        let Some(range) = ranges.get(partition) else {
            let known: Vec<String> = ranges.keys().map(i32::to_string).collect();
            let known = known.join(", ");
            return Err(Unexplained::NoMessage(format!(
                "topic {topic} has no partition {partition}; it has {}",
                if known.is_empty() { "none at all" } else { &known }
            )));
        };
        let holds = held(topic, *partition, range);
        if !range.contains(offset) {
            return Err(Unexplained::NoMessage(format!("no message at offset {offset}: {holds}")));
        }
        let mut chunk = Chunk::default();
        let mut next = None;
        let from = [(*partition, *offset..range.end)].into();
        topics
            .read(topic, &from, |message| {
                if message.offset() == *offset {
                    topic::push(&mut chunk, Partition { topic: 0, number: *partition }, message);
                } else {
                    next = Some(message.offset());
                }
                ControlFlow::Break(())
            })
            .map_err(away)?;
        if chunk.is_empty() {
            let next = next.map_or_else(String::new, |next| format!("; the next one is at {next}"));
            return Err(Unexplained::NoMessage(format!(
                "offset {offset} has no message any more, by compaction for instance: {holds}{next}"
            )));
        }
        let group = &settings.consumer.group;
        let committed = topics.committed(&settings.kafka, group, topic).map_err(away)?;
        let message = chunk.message(topic, *partition, 0);
        let letters = Letters::reasons(&topics, group, &message).map_err(away)?;
        let committed = committed.get(partition).map(|commit| commit.offset);
        Ok(Self { chunk, committed, letters })
    }
}

fn held(topic: &str, partition: i32, range: &Range<i64>) -> String {
    if range.is_empty() {
        return format!("{topic}:{partition} holds none");
    }
    format!("{topic}:{partition} holds offsets {} to {}", range.start, range.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_partition_holds_is_told() {
        assert_eq!(held("orders", 1, &(4..10)), "orders:1 holds offsets 4 to 9");
        assert_eq!(held("orders", 1, &(7..7)), "orders:1 holds none");
    }
}
