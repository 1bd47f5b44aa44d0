//! `csv`: a filled topic -> the real consumer with its CSV sink -> durable files, undisturbed and across three kills.
//!
//! A row counts when a checkpoint covers it, that is when its file was synced. Each file is read back: the undisturbed
//! run must hold every message once, the killed one every offset once and in order.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use testbed::Kafka;

use crate::child::Child;
use crate::drain::{steady, stored};
use crate::messages::{Messages, TABLE, TOPIC};
use crate::report::{Figures, Report, as_figure, grouped, highest, median, rounded, table};
use crate::topic;

const ROUTE: &str = include_str!("../../routes/random-user.toml");
/// Appended to the columns of the route.
const ORIGIN: &str = "partition = { meta = \"partition\" }\noffset = { meta = \"offset\" }\n";
const KILLS: u64 = 3;
const SLOWEST_ROWS_PER_S: u64 = 5_000;

type Ends = BTreeMap<i32, i64>;

struct Figure {
    rows_per_s: f64,
    steady_rows_per_s: f64,
    client_cpu_s_per_million: f64,
    peak_rss_mb: f64,
    bytes: u64,
}

/// Measures so many runs, then kills another one three times.
pub(crate) fn run(rows: u32, runs: u32) -> Result<Report> {
    let messages = Messages::generate(rows)?;
    let kafka = Kafka::start(topic::options())?;
    topic::users(&kafka, &messages)?;
    let ends = topic::ends(&kafka.brokers(), TOPIC)?;
    let mut done = Vec::new();
    for number in 1..=runs {
        done.push(undisturbed(&kafka, &messages, &ends)?);
        let rows_per_s = done.last().map_or(f64::NAN, |run| run.rows_per_s);
        eprintln!("==> run {number} of {runs}: {} rows/s", grouped(rows_per_s));
    }
    let whole = done.first().map_or(0, |run| run.bytes);
    let kills = killed(&kafka, &messages, &ends, whole)?;
    let of = |figure: fn(&Figure) -> f64| median(&done.iter().map(figure).collect::<Vec<_>>());
    let rows_per_s = of(|run| run.rows_per_s);
    let client_cpu_s_per_million = of(|run| run.client_cpu_s_per_million);
    let peak_rss_mb = highest(done.iter().map(|run| run.peak_rss_mb));
    let line = vec![
        grouped(rows_per_s),
        grouped(of(|run| run.steady_rows_per_s)),
        format!("{client_cpu_s_per_million:.2}"),
        format!("{peak_rss_mb:.0}"),
    ];
    let header = ["durable rows/s", "steady rows/s", "client CPU-s per M", "peak RSS MB"];
    let mut text = format!("csv: {rows} rows, medians of {runs} runs\n{}", table(&header, &[line]));
    text += &format!("\nacross {KILLS} kills ({kills}): every offset is one row\n");
    let figures = Figures {
        rows_per_s: Some(rounded(rows_per_s, 0)),
        client_cpu_s_per_million: Some(rounded(client_cpu_s_per_million, 2)),
        peak_rss_mb: Some(rounded(peak_rss_mb, 1)),
        ..Figures::default()
    };
    Ok(Report { name: "csv", rows: u64::from(rows), figures, text })
}

fn undisturbed(kafka: &Kafka, messages: &Messages, ends: &Ends) -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let child = sink(kafka, folder.path(), ROUTE)?;
    let first = child.wait("the first row", Duration::from_secs(60), |child| {
        Ok(stored(child)?.filter(|rows| *rows > 0).map(|rows| (Instant::now(), rows)))
    })?;
    complete(&child, folder.path(), ends)?;
    let last = Instant::now();
    let (client, peak_rss_mb) = (child.cpu_s()?, child.peak_rss_mb()?);
    let seconds = (last - child.started).as_secs_f64();
    child.end()?;
    check(folder.path(), messages, ends, false)?;
    let rows = as_figure(messages.len());
    Ok(Figure {
        rows_per_s: rows / seconds,
        steady_rows_per_s: steady(messages.len(), first, last),
        client_cpu_s_per_million: client / rows * 1e6,
        peak_rss_mb,
        bytes: bytes(folder.path(), ends)?,
    })
}

// Returns in words what the kills met.
fn killed(kafka: &Kafka, messages: &Messages, ends: &Ends, whole: u64) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let route = format!("{ROUTE}{ORIGIN}");
    let mut met = Vec::new();
    for kill in 1..=KILLS {
        eprintln!("==> into files, kill {kill} of {KILLS}");
        let child = sink(kafka, folder.path(), &route)?;
        // In the middle of it: rows are in a file and not yet under its checkpoint.
        child.wait("rows behind a checkpoint", Duration::from_secs(60), |_| {
            let written = bytes(folder.path(), ends)?;
            Ok((written >= whole / (KILLS + 1) * kill && behind(folder.path(), ends)? > 0).then_some(()))
        })?;
        child.kill();
        let lost = behind(folder.path(), ends)?;
        ensure!(
            lost > 0,
            "a checkpoint came between the look and kill {kill}: try again, or with more --rows"
        );
        met.push(format!("{lost} bytes cut"));
    }
    let child = sink(kafka, folder.path(), &route)?;
    complete(&child, folder.path(), ends)?;
    child.end()?;
    check(folder.path(), messages, ends, true)?;
    Ok(met.join(", "))
}

fn sink(kafka: &Kafka, folder: &Path, route: &str) -> Result<Child> {
    let routes = folder.join("routes");
    fs::create_dir_all(&routes)?;
    fs::write(routes.join("random-user.toml"), route)?;
    let settings = [
        ("KAFKA__BROKERS", kafka.brokers()),
        ("CONSUMER__GROUP", testbed::unique("benchmark")),
        ("CONSUMER__ROUTES", routes.display().to_string()),
        ("CONSUMER__SINK", "csv".to_owned()),
        ("CONSUMER__CSV_DIR", folder.join("csv").display().to_string()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Child::start("consumer", &settings, folder)
}

fn complete(child: &Child, folder: &Path, ends: &Ends) -> Result<()> {
    let rows: i64 = ends.values().sum();
    let within = Duration::from_secs(60 + u64::try_from(rows)? / SLOWEST_ROWS_PER_S);
    child.wait("checkpoints at the topic's end", within, |_| {
        for (partition, end) in ends {
            if checkpoint(folder, *partition)?.is_none_or(|safe| safe.next_offset < *end) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
}

#[derive(Deserialize)]
struct Checkpoint {
    next_offset: i64,
    bytes: u64,
}

fn file(folder: &Path, partition: i32) -> PathBuf {
    folder.join("csv").join(format!("{TABLE}@{TOPIC}-{partition}.csv"))
}

fn checkpoint(folder: &Path, partition: i32) -> Result<Option<Checkpoint>> {
    let path = file(folder, partition).with_extension("csv.checkpoint");
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

// Bytes of all files.
fn bytes(folder: &Path, ends: &Ends) -> Result<u64> {
    let length = |partition: &i32| match file(folder, *partition).metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    };
    ends.keys().map(length).sum()
}

// Bytes that no checkpoint covers.
fn behind(folder: &Path, ends: &Ends) -> Result<u64> {
    let mut safe = 0;
    // First the checkpoints: what is written meanwhile must not look safe.
    for partition in ends.keys() {
        safe += checkpoint(folder, *partition)?.map_or(0, |checkpoint| checkpoint.bytes);
    }
    Ok(bytes(folder, ends)?.saturating_sub(safe))
}

// Each message is one row; where the rows carry their offset, the offsets of a file are 0, 1, 2 and so on.
fn check(folder: &Path, messages: &Messages, ends: &Ends, offsets: bool) -> Result<()> {
    let mut missing: HashSet<&[u8]> = messages.iter().map(|(key, _)| key).collect();
    for (partition, end) in ends {
        let path = file(folder, *partition);
        let mut reader = ::csv::Reader::from_path(&path).with_context(|| path.display().to_string())?;
        let width = reader.byte_headers()?.len();
        let mut rows = 0_i64;
        for record in reader.byte_records() {
            let record = record.with_context(|| path.display().to_string())?;
            if !missing.remove(&record[0]) {
                bail!(
                    "{}: {} is there twice, or is no message",
                    path.display(),
                    String::from_utf8_lossy(&record[0])
                );
            }
            if offsets && record[width - 1] != *rows.to_string().as_bytes() {
                let found = String::from_utf8_lossy(&record[width - 1]);
                bail!("{}: offset {found} where {rows} belongs", path.display());
            }
            rows += 1;
        }
        ensure!(rows == *end, "{}: {rows} rows of {end} offsets", path.display());
    }
    ensure!(missing.is_empty(), "{} messages are in no file", missing.len());
    Ok(())
}
