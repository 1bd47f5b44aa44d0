//! `drain`: a filled topic -> the real consumer -> the table, interleaved with the floors of the same table.
//!
//! Each pair is one run of every floor and one drain by a fresh process in a fresh group; the order alternates. Every
//! run begins with an empty table and an idle node, and every drain is checked: all rows counted, and the fields of some compared.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use testbed::Kafka;

use crate::child::Child;
use crate::database::{self, Database};
use crate::floor::{self, Floor, Run};
use crate::messages::Messages;
use crate::report::{Figures, Report, as_figure, grouped, highest, median, rounded, table};
use crate::topic;

/// Slower than this is taken for standing still.
const SLOWEST_ROWS_PER_S: u64 = 1_000;

struct Drain {
    rows_per_s: f64,
    steady_rows_per_s: f64,
    first_row_s: f64,
    client_cpu_s_per_million: f64,
    server_cpu_s_per_million: f64,
    peak_rss_mb: f64,
}

struct Pair {
    floors: Vec<Run>,
    drain: Drain,
}

impl Pair {
    fn best_floor(&self) -> f64 {
        self.floors.iter().map(|run| run.rows_per_s).fold(0.0, f64::max)
    }

    fn ratio(&self) -> f64 {
        self.drain.rows_per_s / self.best_floor()
    }
}

/// Measures that many pairs.
pub(crate) async fn run(rows: u32, runs: u32) -> Result<Report> {
    let messages = Messages::generate(rows)?;
    let started =
        tokio::task::spawn_blocking(|| testbed::pair(topic::options(), database::options())).await?;
    let (kafka, cassandra) = started?;
    topic::users(&kafka, &messages)?;
    let database = Database::on(cassandra).await?;
    let floor = Floor::of(&messages)?;
    floor.warm_up(&database).await?;
    let mut done = Vec::new();
    for number in 1..=runs {
        let drain_first = number % 2 == 0;
        let mut drain = None;
        if drain_first {
            drain = Some(drain_once(&kafka, &database, &messages).await?);
        }
        let mut floors = Vec::new();
        for size in floor::SIZES {
            database.empty().await?;
            floors.push(floor.measure(&database, size).await?);
        }
        let drain = match drain {
            Some(drain) => drain,
            None => drain_once(&kafka, &database, &messages).await?,
        };
        let pair = Pair { floors, drain };
        eprintln!(
            "==> pair {number} of {runs}: drain {} rows/s, best floor {}, ratio {:.3}",
            grouped(pair.drain.rows_per_s),
            grouped(pair.best_floor()),
            pair.ratio()
        );
        done.push(pair);
    }
    Ok(report(rows, &done))
}

async fn drain_once(kafka: &Kafka, database: &Database, messages: &Messages) -> Result<Drain> {
    database.empty().await?;
    let folder = tempfile::tempdir()?;
    let server_before = database.cpu_s()?;
    let child = consumer(kafka, database, folder.path())?;
    let count = messages.len();
    let (child, first, last) = tokio::task::spawn_blocking(move || drained(child, count)).await??;
    let (client, server) = (child.cpu_s()?, database.cpu_s()? - server_before);
    let peak_rss_mb = child.peak_rss_mb()?;
    let seconds = (last - child.started).as_secs_f64();
    let first_row_s = (first.0 - child.started).as_secs_f64();
    child.end()?;
    database.check(messages).await?;
    let rows = as_figure(messages.len());
    Ok(Drain {
        rows_per_s: rows / seconds,
        steady_rows_per_s: steady(count, first, last),
        first_row_s,
        client_cpu_s_per_million: client / rows * 1e6,
        server_cpu_s_per_million: server / rows * 1e6,
        peak_rss_mb,
    })
}

/// The first look that saw rows, with their number, and the one that saw all.
pub(crate) fn drained(child: Child, count: u64) -> Result<(Child, (Instant, u64), Instant)> {
    let first = child.wait("the first row", Duration::from_secs(60), |child| {
        Ok(stored(child)?.filter(|rows| *rows > 0).map(|rows| (Instant::now(), rows)))
    })?;
    let within = Duration::from_secs(60 + count / SLOWEST_ROWS_PER_S);
    let last = child.wait("the last row", within, |child| {
        Ok(stored(child)?.filter(|rows| *rows >= count).map(|_| Instant::now()))
    })?;
    Ok((child, first, last))
}

/// The rate from the first look that saw rows to the last; of no use where one look saw them all.
pub(crate) fn steady(count: u64, first: (Instant, u64), last: Instant) -> f64 {
    as_figure(count.saturating_sub(first.1)) / (last - first.0).as_secs_f64()
}

/// The consumer in a group of its own, with the shipped route.
pub(crate) fn consumer(kafka: &Kafka, database: &Database, folder: &Path) -> Result<Child> {
    let routes = folder.join("routes");
    std::fs::create_dir_all(&routes)?;
    std::fs::write(routes.join("random-user.toml"), include_str!("../../routes/random-user.toml"))?;
    let settings = [
        ("KAFKA__BROKERS", kafka.brokers()),
        ("CASSANDRA__CONTACT_POINTS", database.contact_point()),
        ("CONSUMER__GROUP", testbed::unique("benchmark")),
        ("CONSUMER__ROUTES", routes.display().to_string()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Child::start("consumer", &settings, folder)
}

/// Rows that the sink has acknowledged; an error if any message became something else.
pub(crate) fn stored(child: &Child) -> Result<Option<u64>> {
    let Some(metrics) = child.metrics() else { return Ok(None) };
    let outcome =
        |outcome: &str| metrics.sum("tributary_messages_total", &[&format!("outcome=\"{outcome}\"")]);
    for lost in ["dead_lettered", "expired"] {
        if outcome(lost) > 0 {
            bail!("{} messages were {lost}", outcome(lost));
        }
    }
    // What is read again after one is counted again.
    let rewinds = metrics.sum("tributary_rewinds_total", &[]);
    ensure!(rewinds == 0, "the consumer went back {rewinds} times");
    Ok(Some(outcome("stored")))
}

fn report(rows: u32, pairs: &[Pair]) -> Report {
    let of = |figure: fn(&Pair) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    let peak_rss_mb = highest(pairs.iter().map(|pair| pair.drain.peak_rss_mb));
    let mut lines = Vec::new();
    for (place, size) in floor::SIZES.iter().enumerate() {
        let runs: Vec<&Run> = pairs.iter().map(|pair| &pair.floors[place]).collect();
        lines.push(Run::median_of(&runs).line(*size));
    }
    let mut text = format!("drain: {rows} rows, medians of {} pairs\n", pairs.len());
    text += &table(&floor::HEADER, &lines);
    let drain = vec![
        "the consumer".to_owned(),
        grouped(of(|pair| pair.drain.rows_per_s)),
        grouped(of(|pair| pair.drain.steady_rows_per_s)),
        format!("{:.2}", of(|pair| pair.drain.first_row_s)),
        format!("{:.2}", of(|pair| pair.drain.client_cpu_s_per_million)),
        format!("{:.1}", of(|pair| pair.drain.server_cpu_s_per_million)),
        format!("{peak_rss_mb:.0}"),
        format!("{:.3}", of(Pair::ratio)),
    ];
    let header = [
        "drain",
        "rows/s",
        "steady rows/s",
        "first row after s",
        "client CPU-s per M",
        "Cassandra CPU-s per M",
        "peak RSS MB",
        "of the best floor",
    ];
    text += &format!("\n{}", table(&header, &[drain]));
    let ratios: Vec<String> = pairs.iter().map(|pair| format!("{:.3}", pair.ratio())).collect();
    text += &format!("\nratio of each pair: {}\n", ratios.join(" "));
    let figures = Figures {
        rows_per_s: Some(rounded(of(|pair| pair.drain.rows_per_s), 0)),
        client_cpu_s_per_million: Some(rounded(of(|pair| pair.drain.client_cpu_s_per_million), 2)),
        server_cpu_s_per_million: Some(rounded(of(|pair| pair.drain.server_cpu_s_per_million), 2)),
        peak_rss_mb: Some(rounded(peak_rss_mb, 1)),
        floor_rows_per_s: Some(rounded(of(Pair::best_floor), 0)),
        floor_ratio: Some(rounded(of(Pair::ratio), 3)),
        ..Figures::default()
    };
    Report { name: "drain", rows: u64::from(rows), figures, text }
}
