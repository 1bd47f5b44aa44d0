//! The demo's folder -> a new subfolder for this run, and what is in its CSV files afterwards.
//!
//! Deliberately absent: deleting. Each run has a subfolder of its own, `run-1`, `run-2`, and leaves it behind.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use datasets::Dataset;
use serde::Deserialize;

/// More subfolders than anybody keeps.
const RUNS_MAX: u32 = 1_000_000;

/// This run's subfolder; the folder above it is locked until the process ends.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Locks `dir`, created if need be, and makes a new subfolder in it.
    pub(super) fn claim(dir: &Path) -> anyhow::Result<Self> {
        let shown = dir.display();
        std::fs::create_dir_all(dir)
            .with_context(|| format!("create the demo's folder {shown}; --dir names another"))?;
        let lock = File::create(dir.join(".lock"))
            .with_context(|| format!("write into the demo's folder {shown}; --dir names another"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another demo is running in {shown}: end it, or give this one its own folder by --dir")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock the demo's folder {shown}"));
            }
        }
        Ok(Self { path: new_subfolder(dir)?, _lock: lock })
    }

    /// Returns where this run's files are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn new_subfolder(dir: &Path) -> anyhow::Result<PathBuf> {
    for run in 1..=RUNS_MAX {
        let path = dir.join(format!("run-{run}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("create {}", path.display())),
        }
    }
    bail!("{} has {RUNS_MAX} runs in it; --dir names another folder", dir.display())
}

fn csv_file(folder: &Path, dataset: &Dataset, partition: i32) -> PathBuf {
    folder.join(format!("{}@{}-{partition}.csv", dataset.table, dataset.topic))
}

/// What the sink keeps beside each file, as far as the demo reads it.
#[derive(Deserialize)]
struct Checkpoint {
    next_offset: i64,
}

/// Returns the offset up to which a partition is durable in its file; 0 before there is one.
pub(super) fn durable_offset(folder: &Path, dataset: &Dataset, partition: i32) -> anyhow::Result<i64> {
    let path = csv_file(folder, dataset, partition).with_extension("csv.checkpoint");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let checkpoint: Checkpoint =
        serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    Ok(checkpoint.next_offset)
}

/// Reads a partition's file and returns how many rows it has; 0 where there is none.
pub(super) fn rows(folder: &Path, dataset: &Dataset, partition: i32) -> anyhow::Result<i64> {
    let path = csv_file(folder, dataset, partition);
    if !path.exists() {
        return Ok(0);
    }
    let read = || format!("read {}", path.display());
    // Not flexible: a row that has not the header's number of fields is an error.
    let mut reader = csv::Reader::from_path(&path).with_context(read)?;
    let mut record = csv::ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record).with_context(read)? {
        rows += 1;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use datasets::faker::DATASET;

    use super::*;

    #[test]
    fn each_run_gets_a_subfolder_of_its_own_and_nothing_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let first = Folder::claim(dir.path()).unwrap();
        std::fs::write(first.path().join("a.csv"), "kept").unwrap();
        let path = first.path().to_owned();
        drop(first);
        let second = Folder::claim(dir.path()).unwrap();
        assert_ne!(second.path(), path);
        assert_eq!(std::fs::read_to_string(path.join("a.csv")).unwrap(), "kept");
    }

    #[test]
    fn a_folder_in_use_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Folder::claim(dir.path()).unwrap();
        let error = Folder::claim(dir.path()).unwrap_err().to_string();
        assert!(error.contains("another demo") && error.contains("--dir"), "{error}");
    }

    #[test]
    fn rows_are_records_not_lines() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(rows(dir.path(), &DATASET, 3).unwrap(), 0);
        std::fs::write(csv_file(dir.path(), &DATASET, 3), "id,name\r\n1,\"two\r\nlines\"\r\n2,b\r\n")
            .unwrap();
        assert_eq!(rows(dir.path(), &DATASET, 3).unwrap(), 2);
    }

    #[test]
    fn a_torn_row_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(csv_file(dir.path(), &DATASET, 0), "id,name\r\n1,a\r\n2").unwrap();
        let error = format!("{:#}", rows(dir.path(), &DATASET, 0).unwrap_err());
        assert!(error.contains("kafkapipeline.fakerdata@faker-0.csv"), "{error}");
    }

    #[test]
    fn a_partition_without_a_checkpoint_has_nothing_durable() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(durable_offset(dir.path(), &DATASET, 0).unwrap(), 0);
        let path = csv_file(dir.path(), &DATASET, 0).with_extension("csv.checkpoint");
        std::fs::write(path, r#"{"next_offset":7,"bytes":90,"header":["id"]}"#).unwrap();
        assert_eq!(durable_offset(dir.path(), &DATASET, 0).unwrap(), 7);
    }
}
