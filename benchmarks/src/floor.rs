//! `floor`: the same rows from memory through the bare driver, as fast as this machine's Cassandra takes them.
//!
//! No code of the consumer is involved. Rows are parsed and bound before the clock starts; each carries a WRITETIME of
//! its own, as the consumer's do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use scylla::statement::batch::{Batch, BatchType};
use testbed::Cassandra;
use uuid::Uuid;

use crate::database::{self, Database};
use crate::messages::{Messages, TABLE};
use crate::report::{Figures, Report, as_figure, grouped, median, millis, percentile, rounded, table};
use crate::user::{COLUMNS, User};

/// Rows a batch, and batches in flight: the best that were found for each size.
pub(crate) const SIZES: [(usize, usize); 3] = [(8, 24), (32, 8), (64, 6)];
/// What a cold JVM writes before anything is measured.
const WARM_UP_ROWS: usize = 200_000;

/// The values of one insert: the columns of the table and the WRITETIME.
#[rustfmt::skip]
type Bound<'a> = (Uuid, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str, i64);

/// What one run took.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) rows_per_s: f64,
    pub(crate) client_cpu_s_per_million: f64,
    pub(crate) server_cpu_s_per_million: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Rows that are ready to be sent.
pub(crate) struct Floor<'a> {
    users: Vec<User<'a>>,
}

/// Measures each size so often, in turn, on a table that is emptied before.
pub(crate) async fn run(rows: u32, runs: u32) -> Result<Report> {
    let messages = Messages::generate(rows)?;
    let cassandra = tokio::task::spawn_blocking(|| Cassandra::start(database::options())).await??;
    let database = Database::on(cassandra).await?;
    let floor = Floor::of(&messages)?;
    floor.warm_up(&database).await?;
    let mut done = [const { Vec::new() }; SIZES.len()];
    for number in 1..=runs {
        for (size, done) in SIZES.iter().zip(&mut done) {
            database.empty().await?;
            eprintln!("==> run {number} of {runs}: batches of {}, {} in flight", size.0, size.1);
            done.push(floor.measure(&database, *size).await?);
            database.check(&messages).await?;
        }
    }
    let medians = done.map(|runs| Run::median_of(&runs.iter().collect::<Vec<_>>()));
    let best = medians.iter().max_by(|a, b| a.rows_per_s.total_cmp(&b.rows_per_s)).context("no run")?;
    let lines: Vec<_> = SIZES.iter().zip(&medians).map(|(size, run)| run.line(*size)).collect();
    let text = format!("floor: {rows} rows, medians of {runs} runs\n{}", table(&HEADER, &lines));
    let figures = Figures {
        rows_per_s: Some(rounded(best.rows_per_s, 0)),
        client_cpu_s_per_million: Some(rounded(best.client_cpu_s_per_million, 2)),
        server_cpu_s_per_million: Some(rounded(best.server_cpu_s_per_million, 2)),
        floor_rows_per_s: Some(rounded(best.rows_per_s, 0)),
        p50_ms: Some(millis(best.p50)),
        p99_ms: Some(millis(best.p99)),
        ..Figures::default()
    };
    Ok(Report { name: "floor", rows: u64::from(rows), figures, text })
}

/// The columns of [`Run::line`].
pub(crate) const HEADER: [&str; 6] =
    ["statement", "rows/s", "client CPU-s per M", "Cassandra CPU-s per M", "p50 ms", "p99 ms"];

impl Run {
    /// The median of each figure.
    pub(crate) fn median_of(runs: &[&Run]) -> Run {
        let of = |figure: fn(&Run) -> f64| median(&runs.iter().map(|run| figure(run)).collect::<Vec<_>>());
        Run {
            rows_per_s: of(|run| run.rows_per_s),
            client_cpu_s_per_million: of(|run| run.client_cpu_s_per_million),
            server_cpu_s_per_million: of(|run| run.server_cpu_s_per_million),
            p50: Duration::from_secs_f64(of(|run| run.p50.as_secs_f64())),
            p99: Duration::from_secs_f64(of(|run| run.p99.as_secs_f64())),
        }
    }

    /// A line of a table.
    pub(crate) fn line(&self, (rows, in_flight): (usize, usize)) -> Vec<String> {
        vec![
            format!("batches of {rows}, {in_flight} in flight"),
            grouped(self.rows_per_s),
            format!("{:.2}", self.client_cpu_s_per_million),
            format!("{:.1}", self.server_cpu_s_per_million),
            format!("{:.1}", millis(self.p50)),
            format!("{:.1}", millis(self.p99)),
        ]
    }
}

impl<'a> Floor<'a> {
    /// Parses the messages.
    pub(crate) fn of(messages: &'a Messages) -> Result<Self> {
        let users: serde_json::Result<_> = messages.iter().map(|(_, value)| User::parse(value)).collect();
        Ok(Self { users: users? })
    }

    /// Writes some rows that are not measured.
    pub(crate) async fn warm_up(&self, database: &Database) -> Result<()> {
        eprintln!("==> warming up");
        let some = self.bound(self.users.len().min(WARM_UP_ROWS))?;
        write(database, &some, SIZES[1]).await.map(drop)
    }

    /// Writes all rows in batches of that size, so many in flight.
    pub(crate) async fn measure(&self, database: &Database, size: (usize, usize)) -> Result<Run> {
        let rows = self.bound(self.users.len())?;
        let (client_before, server_before) = (testbed::cpu_s(std::process::id())?, database.cpu_s()?);
        let started = Instant::now();
        let mut answered_in = write(database, &rows, size).await?;
        let seconds = started.elapsed().as_secs_f64();
        let client = testbed::cpu_s(std::process::id())? - client_before;
        let server = database.cpu_s()? - server_before;
        let count = as_figure(rows.len() as u64);
        answered_in.sort_unstable();
        Ok(Run {
            rows_per_s: count / seconds,
            client_cpu_s_per_million: client / count * 1e6,
            server_cpu_s_per_million: server / count * 1e6,
            p50: percentile(&answered_in, 50),
            p99: percentile(&answered_in, 99),
        })
    }

    fn bound(&self, count: usize) -> Result<Vec<Bound<'_>>> {
        let now_us = chrono::Utc::now().timestamp_micros();
        let mut rows = Vec::new();
        for (at, user) in (now_us..).zip(self.users.iter().take(count)) {
            let id = Uuid::parse_str(user.id)?;
            let [a, b, c, d, e, f, g, h, i, j] = user.texts();
            rows.push((id, a, b, c, d, e, f, g, h, i, j, at));
        }
        Ok(rows)
    }
}

// Returns how long each request took.
async fn write(
    database: &Database,
    rows: &[Bound<'_>],
    (size, in_flight): (usize, usize),
) -> Result<Vec<Duration>> {
    ensure!(!rows.is_empty(), "no rows");
    let marks = vec!["?"; COLUMNS.len()].join(", ");
    let columns = COLUMNS.join(", ");
    let insert = format!("INSERT INTO {TABLE} ({columns}) VALUES ({marks}) USING TIMESTAMP ?");
    let mut insert = database.session.prepare(insert).await?;
    insert.set_is_idempotent(true);
    let batch_of = |rows: usize| {
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        (0..rows).for_each(|_| batch.append_statement(insert.clone()));
        batch
    };
    let (whole, rest) = (&batch_of(size), &batch_of(rows.len() % size));
    let requests = rows.chunks(size).map(|rows| async move {
        let batch = if rows.len() == size { whole } else { rest };
        let sent = Instant::now();
        database.session.batch(batch, rows).await?;
        anyhow::Ok(sent.elapsed())
    });
    stream::iter(requests).buffer_unordered(in_flight).try_collect().await
}
