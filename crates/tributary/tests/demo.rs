//! The built command as a person runs it: a few seconds of the whole pipeline, then its counts against the files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use datasets::REGISTRY;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running demo; killed if a test ends before it does.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// How a demo ended.
struct Ended {
    status: ExitStatus,
    stdout: Vec<String>,
    stderr: String,
}

impl Demo {
    /// Starts in `folder`, without configuration and with every upstream simulated.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("TRIBUTARY_") || name == "RUST_LOG" {
                command.env_remove(&*name);
            }
        }
        let mut child = command
            .current_dir(folder)
            .args(["demo", "--upstreams", "simulated"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                sender.send(line.unwrap()).unwrap();
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with these words.
    fn wait_for_line(&mut self, words: &str) -> String {
        let started = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {words:?} in {:#?}", self.seen)
            };
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "still running after {PATIENCE:?}: {:#?}", self.seen);
            std::thread::sleep(LOOK_EVERY);
        };
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let mut stdout = std::mem::take(&mut self.seen);
        stdout.extend(self.lines.iter());
        Ended { status, stdout, stderr }
    }

    /// Sends what Ctrl-C sends.
    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already, unless the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    fn assert_well(&self) {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout.join("\n"), self.stderr);
        assert!(!self.stderr.contains("ERROR"), "{}", self.stderr);
        // All that is worth a warning here is that the data is not real.
        let other = self.stderr.lines().find(|line| !line.contains("data is simulated, not real"));
        assert_eq!(other, None);
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.stdout.last().unwrap()).unwrap()
    }
}

fn numbers(json: &Value, field: &str) -> BTreeMap<String, i64> {
    serde_json::from_value(json[field].clone()).unwrap()
}

/// Rows of every CSV file of a run, by table; each file must parse, and each row begin with an identity.
fn rows(run: &Path) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(run).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let (table, _topic_and_partition) = stem.split_once('@').unwrap();
        let mut reader = csv::Reader::from_path(&path).unwrap();
        for record in reader.records() {
            let record = record.unwrap();
            assert!(!record[0].is_empty(), "{} has a row without an identity: {record:?}", path.display());
            *rows.entry(table.to_owned()).or_default() += 1;
        }
    }
    rows
}

/// Waits for a file of the dataset faker that has rows, by its checkpoint.
fn file_with_rows(run: &Path) -> PathBuf {
    let started = Instant::now();
    loop {
        for partition in 0..6 {
            let file = run.join(format!("kafkapipeline.fakerdata@faker-{partition}.csv"));
            let checkpoint = std::fs::read(file.with_extension("csv.checkpoint")).unwrap();
            let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap();
            if checkpoint["next_offset"].as_i64().unwrap() > 0 {
                return file;
            }
        }
        assert!(started.elapsed() < PATIENCE, "no file of faker has a row after {PATIENCE:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

#[test]
fn everything_published_is_in_the_files_of_all_five_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Demo::start(folder.path(), &["--seconds", "5", "--json"]).end();
    ended.assert_well();
    let json = ended.json();
    let (published, stored) = (numbers(&json, "published"), numbers(&json, "stored"));
    assert_eq!(published, stored);
    assert_eq!(json["in_flight"], 0);
    assert!(json["seconds"].as_f64().unwrap() >= 5.0, "{json}");
    let files = rows(&folder.path().join("demo-data/run-1"));
    for dataset in REGISTRY {
        assert!(published[dataset.name] > 0, "{}: {json}", dataset.name);
        assert_eq!(files[dataset.table], stored[dataset.name], "{}", dataset.name);
        assert_eq!(json["dead_lettered"][dataset.name], 0, "{json}");
    }
}

#[test]
fn interrupted_demo_ends_with_a_summary_that_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path(), &["--json"]);
    demo.wait_for_line("first rows stored");
    demo.interrupt();
    let ended = demo.end();
    ended.assert_well();
    assert!(ended.stdout.iter().any(|line| line.contains("it adds up")), "{:#?}", ended.stdout);
    let json = ended.json();
    assert_eq!(numbers(&json, "published"), numbers(&json, "stored"));
    assert!(numbers(&json, "stored").values().sum::<i64>() > 0, "{json}");
}

#[test]
fn second_demo_in_the_same_folder_is_refused_and_the_first_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Demo::start(folder.path(), &[]);
    first.wait_for_line("Ctrl-C ends the demo");
    let second = Demo::start(folder.path(), &["--seconds", "1"]).end();
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stderr.contains("another demo is running in demo-data"), "{}", second.stderr);
    assert!(second.stderr.contains("--dir"), "{}", second.stderr);
    first.wait_for_line("first rows stored");
    first.interrupt();
    first.end().assert_well();
}

#[test]
fn record_that_can_never_be_a_row_is_dead_lettered_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path(), &["--json"]);
    let line = demo.wait_for_line("mock cluster on");
    let broker = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", broker).create().unwrap();
    producer.send(BaseRecord::to("users_created").key("poison").payload("{\"id\": ")).unwrap();
    producer.flush(PATIENCE).unwrap();
    demo.wait_for_line("first rows stored");
    demo.interrupt();
    let ended = demo.end();
    ended.assert_well();
    let json = ended.json();
    assert_eq!(json["dead_lettered"]["random-user"], 1, "{json}");
    assert_eq!(json["in_flight"], 0);
    let (published, stored) = (numbers(&json, "published"), numbers(&json, "stored"));
    assert_eq!(published["random-user"], stored["random-user"] + 1, "{json}");
}

#[test]
fn lost_file_is_told_and_the_demo_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path(), &["--json"]);
    demo.wait_for_line("first rows stored");
    let file = file_with_rows(&folder.path().join("demo-data/run-1"));
    std::fs::remove_file(&file).unwrap();
    demo.interrupt();
    let ended = demo.end();
    assert_eq!(ended.status.code(), Some(1));
    let partition = file.file_stem().unwrap().to_str().unwrap().rsplit_once('-').unwrap().1;
    assert!(ended.stderr.contains(&format!("faker:{partition} does not add up")), "{}", ended.stderr);
    assert!(ended.json()["in_flight"].as_i64().unwrap() > 0);
}

#[test]
fn live_without_a_weather_key_names_the_variable_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tributary"))
        .current_dir(folder.path())
        .env_remove("TRIBUTARY__WEATHER__API_KEY")
        .args(["demo", "--upstreams", "live", "--seconds", "30"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78), "wrong configuration has a code of its own");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("TRIBUTARY__WEATHER__API_KEY"), "{stderr}");
}
