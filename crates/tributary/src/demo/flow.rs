//! The topics' ends and the files' checkpoints -> what flows, who is too far ahead, what may be lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use datasets::REGISTRY;
use service::kafka;

use super::broker::{Topics, partitions};
use super::files;
use super::reckoning::Account;

/// Unread records of one partition at which its producer has to wait, and at which it goes on: with some kilobytes a
/// record this is well within the 5 MiB that the embedded broker keeps.
const UNREAD_MAX: i64 = 1000;
const UNREAD_AGAIN: i64 = 200;

/// One partition of a dataset's topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// Index into the registry.
    pub(super) dataset: usize,
    /// Its number.
    pub(super) number: i32,
    /// The oldest offset that the broker still has.
    pub(super) low: i64,
    /// The offset of the next record: how many were published.
    pub(super) end: i64,
    /// Up to where the file is durable.
    pub(super) durable: i64,
}

/// The whole pipeline at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) partitions: Vec<Partition>,
    /// Dead letters, by index into the registry.
    pub(super) dead: Vec<i64>,
}

/// What a producer should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is too far ahead of the files.
    Wait,
    /// The files have caught up.
    Run,
    /// As before.
    Keep,
}

impl Snapshot {
    /// Returns how many records the dataset's topic has had.
    pub(super) fn published(&self, dataset: usize) -> i64 {
        self.of(dataset).map(|partition| partition.end).sum()
    }

    /// Returns how many rows are durable. What became a dead letter is behind the checkpoint and is no row.
    pub(super) fn stored(&self, dataset: usize) -> i64 {
        let durable: i64 = self.of(dataset).map(|partition| partition.durable).sum();
        (durable - self.dead.get(dataset).copied().unwrap_or(0)).max(0)
    }

    /// Returns the durable rows of all datasets.
    pub(super) fn stored_in_all(&self) -> i64 {
        (0..REGISTRY.len()).map(|dataset| self.stored(dataset)).sum()
    }

    /// Returns how many records are in no file and no dead letter yet.
    pub(super) fn unsettled(&self) -> i64 {
        // The checkpoint is read after the end, so it may be ahead of it.
        self.partitions.iter().map(|partition| (partition.end - partition.durable).max(0)).sum()
    }

    /// Returns whether there are none.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled() == 0
    }

    /// Returns what the dataset's producer should do.
    pub(super) fn pace(&self, dataset: usize) -> Pace {
        let unread = self.of(dataset).map(|partition| partition.end - partition.durable).max().unwrap_or(0);
        match unread {
            UNREAD_MAX.. => Pace::Wait,
            ..=UNREAD_AGAIN => Pace::Run,
            _ => Pace::Keep,
        }
    }

    /// Says where the broker has dropped records that no file has.
    pub(super) fn dropped_unread(&self) -> Option<String> {
        let lost = self.partitions.iter().find(|partition| partition.low > partition.durable)?;
        let Partition { dataset, number, low, durable, .. } = lost;
        let topic = REGISTRY[*dataset].topic;
        Some(format!(
            "the embedded broker has dropped records of {topic}:{number} up to offset {low}, and only those before \
             {durable} were stored: it keeps 5 MiB of a partition; lower the rates"
        ))
    }

    fn of(&self, dataset: usize) -> impl Iterator<Item = &Partition> {
        self.partitions.iter().filter(move |partition| partition.dataset == dataset)
    }
}

/// Looks at the topics and the files.
#[derive(Clone)]
pub(super) struct Observer {
    topics: Arc<Topics>,
    folder: PathBuf,
}

impl Observer {
    /// Connects by itself.
    pub(super) fn new(settings: &kafka::Settings, folder: &Path) -> anyhow::Result<Self> {
        Ok(Self { topics: Arc::new(Topics::new(settings)?), folder: folder.to_owned() })
    }

    /// Looks now.
    pub(super) async fn look(&self) -> anyhow::Result<Snapshot> {
        let observer = self.clone();
        tokio::task::spawn_blocking(move || observer.look_blocking()).await.context("look at the topics")?
    }

    fn look_blocking(&self) -> anyhow::Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for (index, dataset) in REGISTRY.iter().enumerate() {
            for number in 0..partitions(dataset) {
                // First the broker, then the file: what the broker has dropped by then may be in the file by now.
                let (low, end) = self.topics.watermarks(dataset, number)?;
                let durable = files::durable_offset(&self.folder, dataset, number)?;
                snapshot.partitions.push(Partition { dataset: index, number, low, end, durable });
            }
            snapshot.dead.push(self.topics.dead_letters_end(dataset)?);
        }
        Ok(snapshot)
    }

    /// Counts, when nobody writes any more: the topics' ends, the rows in the files, the distinct dead letters.
    pub(super) async fn count(&self) -> anyhow::Result<Vec<Account>> {
        let observer = self.clone();
        tokio::task::spawn_blocking(move || observer.count_blocking()).await.context("count the records")?
    }

    fn count_blocking(&self) -> anyhow::Result<Vec<Account>> {
        let mut accounts = Vec::new();
        for dataset in REGISTRY {
            let dead = self.topics.dead_letters(dataset)?;
            for partition in 0..partitions(dataset) {
                let letters = dead.range((partition, 0)..=(partition, i64::MAX)).count();
                accounts.push(Account {
                    dataset: dataset.name,
                    topic: dataset.topic,
                    partition,
                    published: self.topics.watermarks(dataset, partition)?.1,
                    stored: files::rows(&self.folder, dataset, partition)?,
                    dead_lettered: i64::try_from(letters).unwrap_or(i64::MAX),
                });
            }
        }
        Ok(accounts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(low: i64, end: i64, durable: i64) -> Snapshot {
        let partition = Partition { dataset: 1, number: 4, low, end, durable };
        Snapshot { partitions: vec![partition], dead: vec![0; REGISTRY.len()] }
    }

    #[test]
    fn a_producer_far_ahead_waits_until_the_files_have_caught_up() {
        assert_eq!(snapshot(0, 1500, 500).pace(1), Pace::Wait);
        assert_eq!(snapshot(0, 1500, 501).pace(1), Pace::Keep);
        assert_eq!(snapshot(0, 1500, 1300).pace(1), Pace::Run);
        assert_eq!(snapshot(0, 1500, 0).pace(0), Pace::Run, "another dataset's producer has no part in it");
    }

    #[test]
    fn records_dropped_after_they_were_stored_are_no_loss() {
        assert_eq!(snapshot(90, 100, 90).dropped_unread(), None);
    }

    #[test]
    fn records_dropped_before_they_were_stored_are_told_with_their_place() {
        let told = snapshot(91, 100, 90).dropped_unread().unwrap();
        assert!(told.contains("faker:4") && told.contains("91") && told.contains("90"), "{told}");
    }

    #[test]
    fn a_dead_letter_is_settled_and_not_stored() {
        let mut now = snapshot(0, 10, 10);
        now.dead[1] = 3;
        assert_eq!((now.published(1), now.stored(1), now.is_settled()), (10, 7, true));
    }

    #[test]
    fn a_checkpoint_that_is_newer_than_the_end_does_not_hide_what_is_missing_elsewhere() {
        let mut now = snapshot(0, 10, 12);
        now.partitions.push(Partition { dataset: 0, number: 0, low: 0, end: 2, durable: 0 });
        assert_eq!(now.unsettled(), 2);
    }
}
