//! What a load attempted and what Kafka acknowledged: a file, synced before each step that builds on it.
//!
//! One line an entry: `attempt VERSION ID` before a message is handed to the client, `ack VERSION` once Kafka has it, `refused
//! VERSION` if it will not take it. The judge reads the file, not the memory of whoever wrote it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The file while it is written.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    file: File,
    lines: Vec<u8>,
}

/// What the file holds.
#[derive(Debug, Default)]
pub struct Entries {
    /// Each version that was handed to the client, and whose it is.
    pub attempted: HashMap<u64, Uuid>,
    /// The versions that Kafka has.
    pub acknowledged: HashSet<u64>,
    /// Those that Kafka has refused; it may have them all the same.
    pub refused: HashSet<u64>,
}

impl Entries {
    /// How many versions Kafka has neither taken nor refused.
    pub fn pending(&self) -> usize {
        self.attempted.len() - self.acknowledged.union(&self.refused).count()
    }
}

impl Ledger {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::create_new(path)?, lines: Vec::new() })
    }

    pub(crate) fn attempt(&mut self, version: u64, id: Uuid) {
        self.lines.extend_from_slice(format!("attempt {version} {id}\n").as_bytes());
    }

    pub(crate) fn acknowledge(&mut self, version: u64) {
        self.lines.extend_from_slice(format!("ack {version}\n").as_bytes());
    }

    pub(crate) fn refuse(&mut self, version: u64) {
        self.lines.extend_from_slice(format!("refused {version}\n").as_bytes());
    }

    /// What was noted so far is on the disk when this returns.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.lines)?;
        self.lines.clear();
        self.file.sync_data()
    }

    /// Reads back what is on the disk.
    pub(crate) fn entries(self) -> io::Result<Entries> {
        read(&self.path)
    }
}

// A last line without its end is of a write that was cut off: nothing was built on it.
fn read(path: &Path) -> io::Result<Entries> {
    let mut entries = Entries::default();
    let mut file = BufReader::new(File::open(path)?);
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 && line.ends_with('\n') {
        let strange = || io::Error::other(format!("{}: a strange line: {line}", path.display()));
        let mut words = line.split_whitespace();
        let (kind, version) = (words.next(), words.next().and_then(|word| word.parse().ok()));
        let version = version.ok_or_else(strange)?;
        match (kind, words.next()) {
            (Some("attempt"), Some(id)) => {
                entries.attempted.insert(version, id.parse().map_err(|_| strange())?);
            }
            (Some("ack"), None) => {
                entries.acknowledged.insert(version);
            }
            (Some("refused"), None) => {
                entries.refused.insert(version);
            }
            _ => return Err(strange()),
        }
        line.clear();
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_is_read_back_and_a_line_that_was_cut_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::create(&path).unwrap();
        let id = Uuid::from_u128(7);
        ledger.attempt(1, id);
        ledger.attempt(2, id);
        ledger.acknowledge(1);
        ledger.sync().unwrap();
        ledger.file.write_all(b"ack 2").unwrap();
        let entries = ledger.entries().unwrap();
        assert_eq!(entries.attempted, HashMap::from([(1, id), (2, id)]));
        assert_eq!(entries.acknowledged, HashSet::from([1]));
        assert_eq!(entries.pending(), 1);
    }

    #[test]
    fn a_line_that_nobody_wrote_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        std::fs::write(&path, "attempt 1 7\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("a strange line: attempt 1 7\n"));
    }
}
