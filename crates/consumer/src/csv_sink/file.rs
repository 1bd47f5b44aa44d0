//! One CSV file and its checkpoint: rows and the offset behind them become durable together.
//!
//! The sidecar `NAME.csv.checkpoint` holds the next offset, the file's length and its header, and by which timestamp
//! the topic is known again. It is replaced atomically, after the file is synced. At start the file is cut to that
//! length: rows behind it are read again.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Rows are handed to the kernel in pieces of about this size.
const BUFFER_BYTES: usize = 256 * 1024;
/// As Kafka writes it.
pub(super) const NO_TIMESTAMP: i64 = -1;

/// An open file.
#[derive(Debug)]
pub(super) struct CsvFile {
    path: PathBuf,
    file: File,
    checkpoint: Checkpoint,
    /// Its bytes are those that the kernel has.
    next: Position,
    /// Where a checkpoint was due while dead letters before it were on their way.
    due: Option<Position>,
    buffer: csv::Writer<Vec<u8>>,
}

/// The way of a file to its next checkpoint, on any thread.
#[derive(Debug)]
pub(super) struct FileSync {
    path: PathBuf,
    file: File,
    checkpoint: Checkpoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    offset: i64,
    bytes: u64,
    last_timestamp_ms: Option<i64>,
}

/// The sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    /// Everything before this offset is in the file, or its dead letter in Kafka.
    pub(super) next_offset: i64,
    bytes: u64,
    header: Vec<String>,
    /// Of the message before `next_offset`, -1 if that has none; absent where no message was read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_timestamp_ms: Option<i64>,
}

impl Checkpoint {
    /// The checkpoint of that file, if it has one.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let sidecar = sidecar(path);
        match std::fs::read(&sidecar) {
            Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| {
                format!("{} is damaged; move it and its file away to start anew", sidecar.display())
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", sidecar.display())),
        }
    }

    fn head(&self) -> Vec<u8> {
        line(self.header.iter())
    }

    pub(super) fn has_rows(&self) -> bool {
        self.bytes > self.head().len() as u64
    }

    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let target = sidecar(path);
        let temporary = target.with_extension("checkpoint.new");
        let save = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&temporary, &target)?;
            // The rename itself is durable only when the folder is.
            match target.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        save().with_context(|| format!("write {}", target.display()))
    }

    // Whether the file is the one that this was written for.
    fn describes(&self, path: &Path) -> std::io::Result<bool> {
        let head = self.head();
        let mut start = Vec::new();
        match File::open(path) {
            Ok(file) if file.metadata()?.len() >= self.bytes => {
                file.take(head.len() as u64).read_to_end(&mut start)?;
                Ok(start == head)
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl CsvFile {
    /// Opens the file at the checkpoint that was read of it, or starts it at `first_offset`. A file with another header is kept under
    /// another name, and a new one goes on from its offset.
    ///
    /// # Errors
    /// The file and its checkpoint contradict each other, or the disk refuses.
    pub(super) fn open(
        path: PathBuf,
        checkpoint: Option<Checkpoint>,
        header: &[&str],
        first_offset: i64,
    ) -> anyhow::Result<Self> {
        let Some(checkpoint) = checkpoint else {
            let untouched = match std::fs::read(&path) {
                // Cut off before its first checkpoint, maybe within the header.
                Ok(bytes) => line(header.iter()).starts_with(&bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => true,
                Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
            };
            if !untouched {
                bail!(
                    "{} exists and has no .checkpoint: move it away, it is not overwritten",
                    path.display()
                );
            }
            return Self::create(path, header, first_offset, None);
        };
        let Checkpoint { next_offset, last_timestamp_ms, .. } = checkpoint;
        if checkpoint.describes(&path).with_context(|| format!("read {}", path.display()))? {
            if checkpoint.header == header {
                return Self::resume(path, checkpoint);
            }
            if checkpoint.has_rows() {
                keep(&path, checkpoint)?;
            }
        } else if !cut_off(&path, &checkpoint)? {
            return Self::resume(path, checkpoint);
        }
        Self::create(path, header, next_offset, last_timestamp_ms)
    }

    fn create(
        path: PathBuf,
        header: &[&str],
        next_offset: i64,
        last_timestamp_ms: Option<i64>,
    ) -> anyhow::Result<Self> {
        std::fs::write(&path, line(header.iter())).with_context(|| format!("create {}", path.display()))?;
        let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        let bytes = path.metadata()?.len();
        let file = Self::resume(path, Checkpoint { next_offset, bytes, header, last_timestamp_ms })?;
        file.file.sync_all()?;
        file.checkpoint.save(&file.path)?;
        Ok(file)
    }

    fn resume(path: PathBuf, checkpoint: Checkpoint) -> anyhow::Result<Self> {
        let open =
            || format!("open {}, which has a .checkpoint; move that away to start anew", path.display());
        let mut file = OpenOptions::new().read(true).write(true).open(&path).with_context(open)?;
        let length = file.metadata()?.len();
        if length < checkpoint.bytes {
            bail!(
                "{} has {length} bytes, its checkpoint says {}: rows are missing; restore it, or move it and its \
                 .checkpoint away to start anew",
                path.display(),
                checkpoint.bytes
            );
        }
        if !checkpoint.describes(&path)? {
            bail!(
                "{} does not begin with the header of its .checkpoint: it was edited; restore it, or move it and \
                 its .checkpoint away to start anew",
                path.display()
            );
        }
        file.set_len(checkpoint.bytes)?;
        file.seek(SeekFrom::Start(checkpoint.bytes))?;
        let Checkpoint { next_offset: offset, bytes, last_timestamp_ms, .. } = checkpoint;
        let next = Position { offset, bytes, last_timestamp_ms };
        Ok(Self { path, file, checkpoint, next, due: None, buffer: writer(Vec::new()) })
    }

    /// Appends one row and moves the next offset behind it.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn append<'a>(
        &mut self,
        offset: i64,
        timestamp_ms: Option<i64>,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> anyhow::Result<()> {
        self.buffer.write_record(fields)?;
        self.pass(offset, timestamp_ms);
        if self.buffer.get_ref().len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Moves the next offset behind a message without a row.
    pub(super) fn pass(&mut self, offset: i64, timestamp_ms: Option<i64>) {
        self.next.offset = offset + 1;
        self.next.last_timestamp_ms = Some(timestamp_ms.unwrap_or(NO_TIMESTAMP));
    }

    /// What makes everything so far durable; rows may be appended while it runs, and [`CsvFile::synced`] takes what it
    /// returns. It never passes `settled`, the offset of the first message whose dead letter Kafka does not have yet: it
    /// goes as far as was due at an earlier call and is settled by now. `None`: there is nothing to be done.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn begin_sync(&mut self, settled: i64) -> anyhow::Result<Option<FileSync>> {
        if self.due.is_none() && self.next.offset != self.checkpoint.next_offset {
            self.flush()?;
            self.due = Some(self.next);
        }
        let Some(due) = self.due.take_if(|due| due.offset <= settled) else { return Ok(None) };
        let Position { offset: next_offset, bytes, last_timestamp_ms } = due;
        let header = self.checkpoint.header.clone();
        let checkpoint = Checkpoint { next_offset, bytes, header, last_timestamp_ms };
        Ok(Some(FileSync { path: self.path.clone(), file: self.file.try_clone()?, checkpoint }))
    }

    /// The checkpoint that was reached.
    pub(super) fn synced(&mut self, checkpoint: Checkpoint) {
        self.checkpoint = checkpoint;
    }

    /// Makes everything durable that is settled, and waits for it.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn sync(&mut self, settled: i64) -> anyhow::Result<()> {
        while let Some(sync) = self.begin_sync(settled)? {
            self.synced(sync.run()?);
        }
        Ok(())
    }

    /// The offset of the next row.
    pub(super) fn next_offset(&self) -> i64 {
        self.next.offset
    }

    /// Everything before this offset is durable.
    pub(super) fn synced_offset(&self) -> i64 {
        self.checkpoint.next_offset
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.buffer.flush()?;
        let full = std::mem::replace(&mut self.buffer, writer(Vec::new()));
        let mut bytes = full.into_inner().map_err(|error| error.into_error())?;
        self.file.write_all(&bytes).with_context(|| format!("write {}", self.path.display()))?;
        self.next.bytes += bytes.len() as u64;
        bytes.clear();
        self.buffer = writer(bytes);
        Ok(())
    }
}

impl FileSync {
    /// First the rows, then the checkpoint, which is returned.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn run(self) -> anyhow::Result<Checkpoint> {
        let Self { path, file, checkpoint } = self;
        file.sync_data().with_context(|| format!("sync {}", path.display()))?;
        checkpoint.save(&path)?;
        Ok(checkpoint)
    }
}

// Renames the file, cut to its checkpoint: its rows are complete up to there, and no further.
fn keep(path: &Path, checkpoint: Checkpoint) -> anyhow::Result<()> {
    let next_offset = checkpoint.next_offset;
    CsvFile::resume(path.to_owned(), checkpoint)?.file.sync_all()?;
    let taken = kept(path, next_offset).count() + 1;
    let free = kept_name(path, next_offset, taken);
    std::fs::rename(path, &free).with_context(|| format!("rename {} to {}", path.display(), free.display()))
}

// Whether a crash has cut off the step from a kept file to its successor's first checkpoint: the rows are in the
// kept file, and there are none in this one.
fn cut_off(path: &Path, checkpoint: &Checkpoint) -> anyhow::Result<bool> {
    let moved = !checkpoint.has_rows()
        || kept(path, checkpoint.next_offset)
            .any(|kept| kept.metadata().is_ok_and(|metadata| metadata.len() == checkpoint.bytes));
    if !moved || !path.exists() {
        return Ok(moved);
    }
    let reader = csv::ReaderBuilder::new().flexible(true).from_path(path);
    let mut reader = reader.with_context(|| format!("read {}", path.display()))?;
    Ok(reader.byte_records().next().is_none())
}

// The kept files that end at that offset.
fn kept(path: &Path, next_offset: i64) -> impl Iterator<Item = PathBuf> {
    (1..).map(move |number| kept_name(path, next_offset, number)).take_while(|name| name.exists())
}

// `NAME.until-7.csv`, `NAME.until-7-2.csv` ...
fn kept_name(path: &Path, next_offset: i64, number: usize) -> PathBuf {
    let number = if number == 1 { String::new() } else { format!("-{number}") };
    path.with_extension(format!("until-{next_offset}{number}.csv"))
}

fn writer(buffer: Vec<u8>) -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(buffer)
}

fn line(header: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut writer = writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(header);
    writer.into_inner().unwrap_or_default()
}

fn sidecar(path: &Path) -> PathBuf {
    path.with_extension("csv.checkpoint")
}

#[cfg(test)]
mod tests;
