//! Any history of one file: kills and power cuts at any byte of the file and of its checkpoint, changed headers, late
//! dead letters. Whatever happens, the rows are those of the offsets before the checkpoint, each once and in order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const HEADERS: [&[&str]; 3] = [&["id", "b"], &["id"], &["id", "odd \"name\",\r\n", "c"]];

/// What a message of the topic becomes.
#[derive(Debug, Clone)]
enum Message {
    Row(String),
    Expired,
    Letter,
}

#[derive(Debug, Clone)]
enum Step {
    Read {
        messages: usize,
    },
    /// Kafka has a dead letter.
    Acknowledge {
        pick: usize,
    },
    /// The rows go to the kernel, as when the buffer is full.
    Flush,
    BeginSync,
    EndSync,
    /// The power fails, and the next start has this header. Of what was not synced, so many bytes are there and so many
    /// are zeros.
    Crash {
        during: During,
        bytes: usize,
        zeros: usize,
        header: usize,
    },
    /// As before, then another crash while the file is opened, with so many bytes of the header, and another start.
    CrashAtStart {
        header: usize,
        bytes: usize,
        then: usize,
    },
}

/// Where a sync had got to.
#[derive(Debug, Clone, Copy)]
enum During {
    Rows,
    Checkpoint { bytes: usize },
    Rename,
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        6 => "[a=\",\r\n é]{0,5}".prop_map(Message::Row),
        1 => Just(Message::Expired),
        2 => Just(Message::Letter),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let during = prop_oneof![
        Just(During::Rows),
        any::<usize>().prop_map(|bytes| During::Checkpoint { bytes }),
        Just(During::Rename),
    ];
    let header = prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(2)];
    prop_oneof![
        8 => (1..6_usize).prop_map(|messages| Step::Read { messages }),
        4 => any::<usize>().prop_map(|pick| Step::Acknowledge { pick }),
        2 => Just(Step::Flush),
        4 => Just(Step::BeginSync),
        4 => Just(Step::EndSync),
        3 => (during, any::<usize>(), any::<usize>(), header.clone())
            .prop_map(|(during, bytes, zeros, header)| Step::Crash { during, bytes, zeros, header }),
        1 => (header.clone(), any::<usize>(), header)
            .prop_map(|(header, bytes, then)| Step::CrashAtStart { header, bytes, then }),
    ]
}

struct Scene {
    folder: tempfile::TempDir,
    messages: Vec<Message>,
    file: Option<CsvFile>,
    syncing: Option<FileSync>,
    /// Bytes of the file that no crash takes away.
    on_disk: u64,
    /// The highest checkpoint that was told.
    told: i64,
    in_kafka: BTreeSet<i64>,
    on_their_way: BTreeSet<i64>,
}

impl Scene {
    fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    fn file(&mut self) -> &mut CsvFile {
        self.file.as_mut().unwrap()
    }

    fn settled(&self) -> i64 {
        self.on_their_way.first().copied().unwrap_or(i64::MAX)
    }

    fn start(&mut self, header: usize) -> Result<(), TestCaseError> {
        let path = self.path();
        let file = Checkpoint::read(&path).and_then(|known| CsvFile::open(path, known, HEADERS[header], 0));
        let file = file.map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        let next = file.next_offset();
        self.on_disk = length(&self.path());
        self.file = Some(file);
        prop_assert!(next >= self.told, "read again from {next}, told {}", self.told);
        prop_assert_eq!(rows(self.folder.path()), self.expected(next));
        for offset in 0..next {
            let letter = matches!(self.messages[usize::try_from(offset).unwrap()], Message::Letter);
            prop_assert!(!letter || self.in_kafka.contains(&offset), "the dead letter of {offset} is lost");
        }
        Ok(())
    }

    // The rows of the messages before that offset.
    fn expected(&self, next: i64) -> Vec<String> {
        let before = self.messages.iter().enumerate().take(usize::try_from(next).unwrap());
        let row = |(offset, message): (usize, &Message)| match message {
            Message::Row(text) => Some(format!("{offset} {text}")),
            Message::Expired | Message::Letter => None,
        };
        before.filter_map(row).collect()
    }

    fn read(&mut self, messages: usize) {
        for _ in 0..messages {
            let file = self.file.as_mut().unwrap();
            let offset = file.next_offset();
            match self.messages.get(usize::try_from(offset).unwrap()) {
                None => return,
                Some(Message::Row(text)) => {
                    let text = format!("{offset} {text}");
                    let width = file.checkpoint.header.len();
                    file.append(offset, Some(offset), std::iter::repeat_n(text.as_bytes(), width)).unwrap();
                }
                Some(Message::Expired) => file.pass(offset, None),
                Some(Message::Letter) => {
                    self.on_their_way.insert(offset);
                    file.pass(offset, Some(offset));
                }
            }
        }
    }

    fn begin_sync(&mut self) {
        let settled = self.settled();
        if self.syncing.is_none() {
            self.syncing = self.file().begin_sync(settled).unwrap();
        }
    }

    fn end_sync(&mut self) {
        let Some(sync) = self.syncing.take() else { return };
        self.on_disk = length(&self.path());
        let checkpoint = sync.run().unwrap();
        self.file().synced(checkpoint);
        self.told = self.file().synced_offset();
    }

    fn crash(&mut self, during: During, bytes: usize, zeros: usize) {
        let path = self.path();
        let written = length(&path);
        match (self.syncing.take(), during) {
            (None, _) | (_, During::Rows) => {}
            (Some(sync), During::Checkpoint { bytes }) => {
                self.on_disk = written;
                let mut text = serde_json::to_vec(&sync.checkpoint).unwrap();
                text.truncate(bytes % (text.len() + 1));
                std::fs::write(sidecar(&path).with_extension("checkpoint.new"), text).unwrap();
            }
            (Some(sync), During::Rename) => {
                self.on_disk = written;
                self.told = sync.run().unwrap().next_offset;
            }
        }
        self.file = None;
        // What was on its way may have arrived: that makes it a second letter of one key, which is one letter.
        self.on_their_way.clear();
        let kept = self.on_disk + bytes as u64 % (written - self.on_disk + 1);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(kept).unwrap();
        file.set_len(kept + zeros as u64 % (written - kept + 1)).unwrap();
    }

    // The files as they are when the crash comes before the first checkpoint of a new one.
    fn crash_at_start(&mut self, header: usize, bytes: usize) -> Result<(), TestCaseError> {
        let (path, sidecar) = (self.path(), sidecar(&self.path()));
        let (before, kept) = (std::fs::read(&sidecar).ok(), kept_files(self.folder.path()));
        self.start(header)?;
        self.file = None;
        let created = before != std::fs::read(&sidecar).ok();
        if !created {
            return Ok(());
        }
        let all = length(&path);
        let left = bytes as u64 % (all + 2);
        if left <= all {
            OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
        } else if before.is_none() || kept_files(self.folder.path()) > kept {
            std::fs::remove_file(&path).unwrap();
        }
        match before {
            Some(before) => std::fs::write(&sidecar, before).unwrap(),
            None => std::fs::remove_file(&sidecar).unwrap(),
        }
        Ok(())
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}

fn kept_files(folder: &Path) -> usize {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    std::fs::read_dir(folder).unwrap().map(name).filter(|name| name.contains(".until-")).count()
}

// The first fields of all files, the kept ones first, in the order in which they ended.
fn rows(folder: &Path) -> Vec<String> {
    let mut files = files(folder);
    let number = |name: &str| {
        let ends = name.strip_suffix(".csv").unwrap().split_once("until-")?.1;
        let (end, again) = ends.split_once('-').unwrap_or((ends, "1"));
        Some((end.parse::<u64>().unwrap(), again.parse::<u64>().unwrap()))
    };
    files.sort_by_key(|(name, _)| number(name).unwrap_or((u64::MAX, 0)));
    let mut rows = Vec::new();
    for (_, text) in files {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        rows.extend(reader.records().map(|record| record.unwrap()[0].to_owned()));
    }
    rows
}

proptest! {
    #[test]
    fn every_offset_is_there_once_after_crashes_at_any_byte(
        messages in prop::collection::vec(message(), 0..40),
        first_start in any::<usize>(),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut scene = Scene {
            folder: tempfile::tempdir().unwrap(),
            messages,
            file: None,
            syncing: None,
            on_disk: 0,
            told: 0,
            in_kafka: BTreeSet::new(),
            on_their_way: BTreeSet::new(),
        };
        scene.crash_at_start(0, first_start)?;
        scene.start(0)?;
        for step in steps {
            match step {
                Step::Read { messages } => scene.read(messages),
                Step::Acknowledge { pick } => {
                    let letters: Vec<i64> = scene.on_their_way.iter().copied().collect();
                    if let Some(offset) = letters.get(pick % letters.len().max(1)) {
                        scene.on_their_way.remove(offset);
                        scene.in_kafka.insert(*offset);
                    }
                }
                Step::Flush => scene.file().flush().unwrap(),
                Step::BeginSync => scene.begin_sync(),
                Step::EndSync => scene.end_sync(),
                Step::Crash { during, bytes, zeros, header } => {
                    scene.crash(during, bytes, zeros);
                    scene.start(header)?;
                }
                Step::CrashAtStart { header, bytes, then } => {
                    scene.crash(During::Rows, bytes, 0);
                    scene.crash_at_start(header, bytes)?;
                    scene.start(then)?;
                }
            }
        }
        scene.read(usize::MAX);
        let last = std::mem::take(&mut scene.on_their_way);
        scene.in_kafka.extend(last);
        scene.end_sync();
        scene.file().sync(i64::MAX).unwrap();
        scene.on_disk = length(&scene.path());
        scene.crash(During::Rows, 0, 0);
        scene.start(0)?;
        let next = scene.file().next_offset();
        prop_assert_eq!(next, i64::try_from(scene.messages.len()).unwrap());
    }
}
