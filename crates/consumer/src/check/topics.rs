//! Kafka as a check sees it: how topics are configured, and their newest messages.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::message::Message as _;
use service::kafka::{self, Cluster};

use crate::message::{Chunk, Partition};
use crate::topic::{Ranges, Topics, Unread, push};

const PATIENCE: Duration = Duration::from_secs(10);
/// How long the sample of one topic may take.
const SAMPLE_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a sample at most.
const SAMPLE_BYTES_MAX: usize = 64 << 20;

/// A topic's settings, by name.
pub(super) type Config = BTreeMap<String, String>;

/// The newest messages of a topic.
pub(super) struct Newest {
    /// All of them, of the topic with index 0.
    pub(super) chunk: Arc<Chunk>,
    /// Offsets between the topic's beginning and its end.
    pub(super) offsets: i64,
    /// Why there are fewer than there should be.
    pub(super) cut: Option<String>,
}

/// About `count` of the newest messages, in equal shares of the topic's partitions.
pub(super) fn newest(topics: &Topics, topic: &str, count: usize) -> Result<Newest, Unread> {
    let mut ranges = topics.ranges(topic)?;
    let offsets = ranges.values().map(|range| range.end - range.start).sum();
    let starts = shares(&ranges, i64::try_from(count).unwrap_or(i64::MAX));
    for (number, range) in &mut ranges {
        range.start = starts.get(number).copied().unwrap_or(range.end);
    }
    let mut chunk = Chunk::default();
    let mut cut = None;
    let deadline = Instant::now() + SAMPLE_PATIENCE;
    let read = topics.read(topic, &ranges, |message| {
        push(&mut chunk, Partition { topic: 0, number: message.partition() }, message);
        if chunk.size() > SAMPLE_BYTES_MAX {
            cut = Some(format!("the sample is cut at {} MiB", SAMPLE_BYTES_MAX >> 20));
        } else if Instant::now() > deadline {
            cut = Some(format!("not all messages came within {} s", SAMPLE_PATIENCE.as_secs()));
        }
        if cut.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let cut = read.err().map(|error| error.to_string()).or(cut);
    Ok(Newest { chunk: Arc::new(chunk), offsets, cut })
}

// Where to begin in each partition that has messages, so that together they have `count`.
fn shares(ranges: &Ranges, count: i64) -> BTreeMap<i32, i64> {
    let mut by_size: Vec<_> = ranges.iter().filter(|(_, range)| !range.is_empty()).collect();
    by_size.sort_by_key(|(_, range)| range.end - range.start);
    let mut left = count;
    let mut starts = BTreeMap::new();
    let partitions = by_size.len();
    for (place, (number, range)) in by_size.into_iter().enumerate() {
        // What a small partition lacks goes to the larger ones after it.
        let share = left / i64::try_from(partitions - place).unwrap_or(i64::MAX);
        let taken = share.min(range.end - range.start);
        left -= taken;
        if taken > 0 {
            starts.insert(*number, range.end - taken);
        }
    }
    starts
}

/// The topics' settings; the error says why they could not be had.
pub(super) async fn configs(
    settings: &kafka::Settings,
    topics: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, Config>, String> {
    let names: Vec<String> = topics.collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let admin: AdminClient<Cluster> = settings
        .client(super::CLIENT_ID)
        .create_with_context(Cluster::default())
        .map_err(|error| error.to_string())?;
    let wanted: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let answers = admin.describe_configs(&wanted, &options).await.map_err(|error| error.to_string())?;
    let mut configs = BTreeMap::new();
    for (name, answer) in names.iter().zip(answers) {
        let answer = answer.map_err(|code| format!("topic {name}: {code}"))?;
        // rust-rdkafka 0.39 leaves out the error of a single topic, and every topic has settings.
        if answer.entries.is_empty() {
            return Err(format!(
                "topic {name}: this user may not see them; Kafka calls that right DescribeConfigs"
            ));
        }
        let entries = answer.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        configs.insert(name.clone(), entries.collect());
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_partitions_give_their_share_to_larger_ones() {
        let ranges = Ranges::from([(0, 0..1_000), (1, 90..100), (2, 0..0), (3, 500..2_000)]);
        let starts = shares(&ranges, 110);
        assert_eq!(starts, BTreeMap::from([(0, 950), (1, 90), (3, 1_950)]));
    }

    #[test]
    fn sample_is_never_larger_than_asked_for_nor_than_the_topic() {
        assert_eq!(shares(&[(0, 5..8), (1, 0..2)].into(), 1_000), BTreeMap::from([(0, 5), (1, 0)]));
        let few = shares(&[(0, 0..9), (1, 0..9), (2, 0..9)].into(), 2);
        assert_eq!(few.values().map(|start| 9 - start).sum::<i64>(), 2);
        assert!(shares(&[(0, 0..9)].into(), 0).is_empty());
    }
}
