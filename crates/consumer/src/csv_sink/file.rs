//! One CSV file and its checkpoint: rows and the offset behind them become durable together.
//!
//! The sidecar `NAME.csv.checkpoint` holds the next offset, the file's length and its header. It is replaced
//! atomically, after the file is synced. At start the file is cut to that length: rows behind it are read again.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Rows are handed to the kernel in pieces of about this size.
const BUFFER_BYTES: usize = 256 * 1024;

/// An open file.
#[derive(Debug)]
pub(super) struct CsvFile {
    path: PathBuf,
    file: File,
    checkpoint: Checkpoint,
    next_offset: i64,
    written_bytes: u64,
    buffer: csv::Writer<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    next_offset: i64,
    bytes: u64,
    header: Vec<String>,
}

impl CsvFile {
    /// Opens `NAME.csv` at its checkpoint, or starts it at `first_offset`. A file with another header is kept
    /// under another name, and a new one goes on from its offset.
    ///
    /// # Errors
    /// The file and its checkpoint contradict each other, or the disk refuses.
    pub(super) fn open(
        folder: &Path,
        name: &str,
        header: &[&str],
        first_offset: i64,
    ) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.csv"));
        let sidecar = sidecar(&path);
        let checkpoint = match std::fs::read(&sidecar) {
            Ok(text) => Some(serde_json::from_slice::<Checkpoint>(&text).with_context(|| {
                format!("{} is damaged; move it and its file away to start anew", sidecar.display())
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("read {}", sidecar.display())),
        };
        match checkpoint {
            Some(checkpoint) if checkpoint.header == header => Self::resume(path, checkpoint),
            Some(checkpoint) => {
                let kept = folder.join(format!("{name}.until-{}.csv", checkpoint.next_offset));
                let next_offset = checkpoint.next_offset;
                // The old rows are complete up to its checkpoint, and no further.
                drop(Self::resume(path.clone(), checkpoint)?);
                std::fs::rename(&path, &kept).with_context(|| format!("rename {}", path.display()))?;
                Self::create(path, header, next_offset)
            }
            None => Self::create(path, header, first_offset),
        }
    }

    fn create(path: PathBuf, header: &[&str], next_offset: i64) -> anyhow::Result<Self> {
        if path.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            // Cut off between the two steps below, or somebody else's file.
            let header_only = std::fs::read(&path).is_ok_and(|bytes| bytes == line(header));
            if !header_only {
                bail!(
                    "{} exists and has no .checkpoint: move it away, it is not overwritten",
                    path.display()
                );
            }
        }
        std::fs::write(&path, line(header)).with_context(|| format!("create {}", path.display()))?;
        let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        let bytes = path.metadata()?.len();
        let checkpoint = Checkpoint { next_offset, bytes, header };
        let file = Self::resume(path, checkpoint)?;
        file.file.sync_all()?;
        file.save()?;
        Ok(file)
    }

    fn resume(path: PathBuf, checkpoint: Checkpoint) -> anyhow::Result<Self> {
        let open = || format!("open {}", path.display());
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
        file.set_len(checkpoint.bytes)?;
        file.seek(SeekFrom::Start(checkpoint.bytes))?;
        let (next_offset, written_bytes) = (checkpoint.next_offset, checkpoint.bytes);
        Ok(Self { path, file, checkpoint, next_offset, written_bytes, buffer: writer(Vec::new()) })
    }

    /// Appends one row and moves the next offset behind it.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn append<'a>(
        &mut self,
        offset: i64,
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> anyhow::Result<()> {
        self.buffer.write_record(fields)?;
        self.next_offset = offset + 1;
        if self.buffer.get_ref().len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Moves the next offset behind a message without a row.
    pub(super) fn pass(&mut self, offset: i64) {
        self.next_offset = offset + 1;
    }

    /// Makes everything so far durable: first the rows, then the checkpoint.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn sync(&mut self) -> anyhow::Result<()> {
        if self.next_offset == self.checkpoint.next_offset {
            return Ok(());
        }
        self.flush()?;
        self.file.sync_data().with_context(|| format!("sync {}", self.path.display()))?;
        self.checkpoint.next_offset = self.next_offset;
        self.checkpoint.bytes = self.written_bytes;
        self.save()
    }

    /// The offset of the next row.
    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
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
        self.written_bytes += bytes.len() as u64;
        bytes.clear();
        self.buffer = writer(bytes);
        Ok(())
    }

    fn save(&self) -> anyhow::Result<()> {
        let target = sidecar(&self.path);
        let temporary = target.with_extension("checkpoint.new");
        let save = || -> std::io::Result<()> {
            let mut file = File::create(&temporary)?;
            serde_json::to_writer(&mut file, &self.checkpoint)?;
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
}

fn writer(buffer: Vec<u8>) -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(buffer)
}

fn line(header: &[&str]) -> Vec<u8> {
    let mut writer = writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(header);
    writer.into_inner().unwrap_or_default()
}

fn sidecar(path: &Path) -> PathBuf {
    path.with_extension("csv.checkpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(file: &mut CsvFile, offset: i64, field: &str) {
        file.append(offset, [field.as_bytes(), b"x"].into_iter()).unwrap();
    }

    fn open(folder: &Path) -> anyhow::Result<CsvFile> {
        CsvFile::open(folder, "k.t-0", &["a", "b"], 0)
    }

    #[test]
    fn rows_behind_the_checkpoint_are_cut_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path()).unwrap();
        append(&mut file, 0, "one");
        file.sync().unwrap();
        append(&mut file, 1, "two");
        file.flush().unwrap();
        drop(file);
        let mut again = open(folder.path()).unwrap();
        assert_eq!(again.next_offset(), 1);
        append(&mut again, 1, "two, \"quoted\"");
        again.pass(2);
        again.sync().unwrap();
        let text = std::fs::read_to_string(again.path()).unwrap();
        assert_eq!(text, "a,b\r\none,x\r\n\"two, \"\"quoted\"\"\",x\r\n");
        assert_eq!(open(folder.path()).unwrap().next_offset(), 3);
    }

    #[test]
    fn a_changed_header_starts_a_new_file_and_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path()).unwrap();
        append(&mut file, 7, "one");
        file.sync().unwrap();
        drop(file);
        let file = CsvFile::open(folder.path(), "k.t-0", &["a"], 0).unwrap();
        assert_eq!(file.next_offset(), 8);
        let kept = std::fs::read_to_string(folder.path().join("k.t-0.until-8.csv")).unwrap();
        assert_eq!(kept, "a,b\r\none,x\r\n");
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "a\r\n");
    }

    #[test]
    fn foreign_and_shortened_files_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.t-0.csv");
        std::fs::write(&path, "precious").unwrap();
        assert!(open(folder.path()).unwrap_err().to_string().contains("not overwritten"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
        let mut file = open(folder.path()).unwrap();
        append(&mut file, 0, "one");
        file.sync().unwrap();
        file.file.set_len(3).unwrap();
        drop(file);
        assert!(open(folder.path()).unwrap_err().to_string().contains("rows are missing"));
    }

    #[test]
    fn a_crash_while_a_file_is_created_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("k.t-0.csv"), "a,b\r\n").unwrap();
        assert_eq!(open(folder.path()).unwrap().next_offset(), 0);
    }
}
