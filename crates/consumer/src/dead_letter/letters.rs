//! Topics of dead letters -> their folds, and the records of those letters that are asked for.
//!
//! Two passes: the first keeps where the letters are, the second reads only those that are wanted, in windows. So a topic
//! with gigabytes of letters takes a few hundred bytes a letter.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use rdkafka::message::Message as _;
use service::kafka;

use super::{Entry, Fold, Key, SUFFIX, Select};
use crate::message::{Chunk, Partition};
use crate::topic::{Commit, Ranges, Topics, Unread, push};

const CLIENT_ID: &str = "tributary-dead-letters";
/// Records of the first pass that are read before they are folded.
const FOLDED_AT_ONCE: usize = 512;
/// Bytes of such records: a letter may have 32 MiB.
const FOLDED_BYTES: usize = 4 << 20;

/// The dead letters of some topics, as they were when they were read.
pub struct Letters {
    topics: Arc<Topics>,
    /// The topics that have a topic of dead letters, with their folds.
    pub folds: Vec<(String, Fold)>,
    /// Those that have none.
    pub missing: Vec<String>,
}

/// A letter that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its name.
    pub key: Key,
    /// Where it is.
    pub entry: Entry,
}

impl Letters {
    /// Reads the dead letters of these topics to their ends.
    ///
    /// # Errors
    /// Kafka does not answer, or stops to.
    pub async fn read(settings: &kafka::Settings, topics: Vec<String>) -> Result<Self, Unread> {
        let settings = settings.clone();
        blocking(move || {
            let client = Topics::connect(&settings, CLIENT_ID)?;
            let mut letters = Self { topics: Arc::new(client), folds: Vec::new(), missing: Vec::new() };
            for topic in topics {
                let source = format!("{topic}{SUFFIX}");
                if letters.topics.partitions(&source).is_none() {
                    letters.missing.push(topic);
                    continue;
                }
                let fold = fold(&letters.topics, &source)?;
                letters.folds.push((topic, fold));
            }
            Ok(letters)
        })
        .await
    }

    /// What the group has committed of a topic; `None` where there is no such topic any more.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub async fn committed(
        &self,
        settings: &kafka::Settings,
        group: &str,
        topic: &str,
    ) -> Result<Option<Vec<Commit>>, Unread> {
        if self.topics.partitions(topic).is_none() {
            return Ok(None);
        }
        let (topics, settings) = (Arc::clone(&self.topics), settings.clone());
        let (group, topic) = (group.to_owned(), topic.to_owned());
        blocking(move || Ok(Some(topics.committed(&settings, &group, &topic)?.into_values().collect()))).await
    }

    /// The letters that are meant, by topic, in the order in which they stand.
    pub fn select(&self, select: &Select) -> Vec<(String, Vec<Selected>)> {
        let of_topic = |(topic, fold): &(String, Fold)| {
            let meant = fold.standing().filter(|(_, entry)| select.takes(&fold.causes[entry.cause], entry));
            let selected = meant.map(|(key, entry)| Selected { key: key.clone(), entry: entry.clone() });
            let mut selected: Vec<_> = selected.collect();
            selected.sort_by_key(|selected| (selected.key.partition, selected.entry.place));
            (topic.clone(), selected)
        };
        self.folds.iter().map(of_topic).filter(|(_, selected)| !selected.is_empty()).collect()
    }

    /// The records of these letters of a topic. A letter that was replaced or removed meanwhile may be missing.
    ///
    /// # Errors
    /// Kafka does not deliver.
    pub async fn records(&self, topic: &str, selected: &[Selected]) -> Result<Chunk, Unread> {
        let mut ranges = Ranges::new();
        let mut places = BTreeSet::new();
        for Selected { key, entry } in selected {
            let range = ranges.entry(key.partition).or_insert(entry.place..entry.place + 1);
            range.start = range.start.min(entry.place);
            range.end = range.end.max(entry.place + 1);
            places.insert((key.partition, entry.place));
        }
        let (topics, source) = (Arc::clone(&self.topics), format!("{topic}{SUFFIX}"));
        blocking(move || {
            let mut records = Chunk::default();
            topics.read(&source, &ranges, |message| {
                let number = message.partition();
                if places.contains(&(number, message.offset())) {
                    push(&mut records, Partition { topic: 0, number }, message);
                }
                ControlFlow::Continue(())
            })?;
            Ok(records)
        })
        .await
    }
}

fn fold(topics: &Topics, source: &str) -> Result<Fold, Unread> {
    let mut fold = Fold::default();
    let mut records = Chunk::default();
    let mut take = |records: &Chunk| {
        for run in records.spans() {
            run.messages
                .clone()
                .for_each(|place| fold.take(&records.message(source, run.partition.number, place)));
        }
    };
    topics.read(source, &topics.ranges(source)?, |message| {
        push(&mut records, Partition { topic: 0, number: message.partition() }, message);
        if records.len() >= FOLDED_AT_ONCE || records.size() >= FOLDED_BYTES {
            take(&std::mem::take(&mut records));
        }
        ControlFlow::Continue(())
    })?;
    take(&records);
    Ok(fold)
}

// Librdkafka's consumer blocks its thread.
async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, Unread> + Send + 'static,
) -> Result<T, Unread> {
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.unwrap_or_else(|error| Err(Unread::new(error.to_string())))
}
