//! The folder: which file belongs to which partition and route, and whether it still belongs to its topic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracing::warn;

use super::FileId;
use super::file::{Checkpoint, CsvFile};
use super::topics::{FirstMessages, Found, Ranges};
use crate::message::Partition;
use crate::plan::Plan;

pub(super) type Files = BTreeMap<FileId, CsvFile>;

const START_ANEW: &str = "move the file and its .checkpoint away to start anew";

/// Locks the folder until the process ends, however it ends.
pub(super) fn lock(folder: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(".lock");
    let file = File::create(&path)
        .with_context(|| format!("write into {}: is the folder this user's?", folder.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(error) => bail!(
            "{} is in use by another consumer ({error}): one process owns a folder, give each its own consumer.csv_dir",
            folder.display()
        ),
    }
}

/// A file that there is to be.
pub(super) struct Place<'a> {
    id: FileId,
    path: PathBuf,
    topic: &'a str,
    plan: &'a Plan,
    low: i64,
    high: i64,
    checkpoint: Option<Checkpoint>,
}

/// The files of all partitions, with the checkpoints of those that exist.
///
/// # Errors
/// A checkpoint cannot be read.
pub(super) fn places<'a>(
    folder: &Path,
    plans: &'a [Plan],
    topics: &'a [String],
    ranges: &Ranges,
) -> anyhow::Result<Vec<Place<'a>>> {
    let mut places = Vec::new();
    for (&partition, &(low, high)) in ranges {
        let topic = &topics[partition.topic];
        for (number, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.topics.contains(topic)) {
            // No topic has an `@` in its name: no two pairs of table and topic share a file.
            let path = folder.join(format!("{}@{topic}-{}.csv", plan.table, partition.number));
            let checkpoint = Checkpoint::read(&path)?;
            places.push(Place { id: (partition, number), path, topic, plan, low, high, checkpoint });
        }
    }
    Ok(places)
}

/// Refuses files that are ahead of their topic, or begin behind its beginning: a log's first offset never goes back.
///
/// # Errors
/// All such files.
pub(super) fn within(places: &[Place<'_>]) -> anyhow::Result<()> {
    let mut strangers = Vec::new();
    for Place { id, path, topic, low, high, checkpoint, .. } in places {
        let Some(known @ Checkpoint { next_offset, last_timestamp_ms, .. }) = checkpoint else { continue };
        let but = if next_offset > high {
            format!("ends at {high}")
        } else if last_timestamp_ms.is_none() && !known.has_rows() && low < next_offset {
            format!("began there when the file did, and begins at {low} now")
        } else {
            continue;
        };
        strangers.push(ahead(path, *next_offset, topic, id.0, &but));
    }
    refuse(&strangers)
}

/// The messages by which topics are known again: the last one of each file.
pub(super) fn last_messages(places: &[Place<'_>]) -> BTreeSet<(Partition, i64)> {
    let last = |place: &Place<'_>| {
        let known = place.checkpoint.as_ref().filter(|known| known.last_timestamp_ms.is_some())?;
        Some((place.id.0, known.next_offset - 1))
    };
    places.iter().filter_map(last).collect()
}

/// Refuses files whose last message is another one now.
///
/// # Errors
/// All such files.
pub(super) fn same_topics(places: &[Place<'_>], found: &FirstMessages) -> anyhow::Result<()> {
    let mut strangers = Vec::new();
    for Place { id, path, topic, checkpoint, .. } in places {
        let Some(Checkpoint { next_offset, last_timestamp_ms: Some(last_timestamp_ms), .. }) = checkpoint
        else {
            continue;
        };
        let found = found.get(&(id.0, next_offset - 1)).copied().flatten();
        if let Some(why) = difference(next_offset - 1, *last_timestamp_ms, found) {
            strangers.push(format!(
                "{} goes to offset {next_offset} of {}:{}, but {why}: the topic was recreated, or the file is \
                 another's; {START_ANEW}, or, if it is the same topic after all, remove last_timestamp_ms from the \
                 .checkpoint to go on",
                path.display(),
                topic,
                id.0.number,
            ));
        }
    }
    refuse(&strangers)
}

fn difference(last: i64, last_timestamp_ms: i64, found: Option<Found>) -> Option<String> {
    match found {
        // Deleted by retention, like all that followed it.
        None => None,
        Some(Found { offset, timestamp_ms }) if offset == last => {
            (timestamp_ms != last_timestamp_ms).then(|| {
                format!(
                    "the message at {last} had the timestamp {last_timestamp_ms} and now has {timestamp_ms}"
                )
            })
        }
        // Deleted by retention or compaction: what follows it came later.
        Some(Found { offset, timestamp_ms }) => (timestamp_ms < last_timestamp_ms).then(|| {
            format!(
                "the message at {last}, of timestamp {last_timestamp_ms}, is gone, and the next one, at {offset}, \
                 is older: {timestamp_ms}"
            )
        }),
    }
}

/// Says that a topic is behind its file.
pub(super) fn ahead(path: &Path, next: i64, topic: &str, partition: Partition, but: &str) -> String {
    format!(
        "{} goes to offset {next} of {topic}:{}, which {but}: the topic was recreated, or the file is another's; \
         {START_ANEW}",
        path.display(),
        partition.number
    )
}

fn refuse(strangers: &[String]) -> anyhow::Result<()> {
    if strangers.is_empty() { Ok(()) } else { bail!(strangers.join("\n  ")) }
}

/// Opens or creates every file; returns where reading has to begin.
///
/// # Errors
/// A file and its checkpoint contradict each other, or the disk refuses.
pub(super) fn open(places: Vec<Place<'_>>) -> anyhow::Result<(Files, BTreeMap<Partition, i64>)> {
    let mut files = Files::new();
    let mut starts = BTreeMap::new();
    for Place { id, path, topic, plan, low, high, checkpoint } in places {
        let header: Vec<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
        let file = CsvFile::open(path, checkpoint, &header, low)?;
        let next = file.next_offset();
        if next < low {
            let partition = id.0.number;
            warn!(topic, partition, next, low, "offsets were deleted before they were read");
        }
        let start = starts.entry(id.0).or_insert(high);
        *start = next.max(low).min(*start);
        files.insert(id, file);
    }
    Ok((files, starts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: Partition = Partition { topic: 0, number: 3 };

    fn plan(columns: &str) -> Plan {
        let text = format!("topic = \"orders\"\ntable = \"shop.orders\"\n[columns]\n{columns}");
        Plan::for_csv(&crate::route::parse(Path::new("r.toml"), text).unwrap()).unwrap()
    }

    fn one(offset: i64, timestamp_ms: i64) -> Option<Found> {
        Some(Found { offset, timestamp_ms })
    }

    #[test]
    fn a_topic_is_known_again_by_its_last_message_or_by_a_later_one() {
        assert_eq!(difference(9, 700, one(9, 700)), None);
        assert_eq!(difference(9, 700, one(12, 700)), None);
        assert_eq!(difference(9, 700, None), None);
        let other = difference(9, 700, one(9, 701)).unwrap();
        assert_eq!(other, "the message at 9 had the timestamp 700 and now has 701");
        assert!(difference(9, 700, one(9, -1)).unwrap().ends_with("now has -1"));
        let older = difference(9, 700, one(12, 699)).unwrap();
        assert!(older.contains("the next one, at 12, is older: 699"), "{older}");
        assert!(difference(9, 700, one(12, -1)).is_some());
    }

    fn checkpoint(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(format!("{name}.csv.checkpoint")), text).unwrap();
    }

    #[test]
    fn a_file_of_another_topic_is_refused_before_it_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (plans, topics) = ([plan("id = \"id\"")], ["orders".to_owned()]);
        let ranges = Ranges::from([(PARTITION, (0, 20))]);
        let path = folder.path().join("shop.orders@orders-3.csv");
        std::fs::write(&path, "id\r\n1\r\nnot in the checkpoint").unwrap();
        let text = r#"{"next_offset":10,"bytes":7,"header":["id"],"last_timestamp_ms":700}"#;
        checkpoint(folder.path(), "shop.orders@orders-3", text);
        let places = places(folder.path(), &plans, &topics, &ranges).unwrap();
        within(&places).unwrap();
        assert_eq!(last_messages(&places), BTreeSet::from([(PARTITION, 9)]));
        let found = |timestamp_ms| FirstMessages::from([((PARTITION, 9), one(9, timestamp_ms))]);
        let refused = same_topics(&places, &found(5)).unwrap_err().to_string();
        for words in
            [&*path.to_string_lossy(), "orders:3", "offset 10", "had the timestamp 700", "move the file"]
        {
            assert!(refused.contains(words), "{words} is not in: {refused}");
        }
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("not in the checkpoint"));
        same_topics(&places, &found(700)).unwrap();
        let (files, starts) = open(places).unwrap();
        assert_eq!((files.len(), starts[&PARTITION]), (1, 10));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "id\r\n1\r\n");
    }

    #[test]
    fn a_file_beyond_either_end_of_its_topic_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (plans, topics) = ([plan("id = \"id\"")], ["orders".to_owned()]);
        // No message yet: the topic began at 10.
        checkpoint(folder.path(), "shop.orders@orders-3", r#"{"next_offset":10,"bytes":4,"header":["id"]}"#);
        let within = |low, high| {
            let ranges = Ranges::from([(PARTITION, (low, high))]);
            let places = super::places(folder.path(), &plans, &topics, &ranges).unwrap();
            assert!(last_messages(&places).is_empty());
            within(&places).map_err(|error| error.to_string())
        };
        within(10, 10).unwrap();
        within(12, 15).unwrap();
        let refused = within(0, 9).unwrap_err();
        let expected = "goes to offset 10 of orders:3, which ends at 9: the topic was";
        assert!(refused.contains(expected), "{refused}");
        let refused = within(0, 15).unwrap_err();
        let expected =
            "10 of orders:3, which began there when the file did, and begins at 0 now: the topic was";
        assert!(refused.contains(expected), "{refused}");
    }
}
