//! `audit`: a filled topic and its filled table -> `tributary audit`, which must find each message stored.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::{Kafka, Service};

use crate::child::LOOK_EVERY;
use crate::database::{self, Database};
use crate::drain;
use crate::messages::Messages;
use crate::report::{Figures, Report, as_figure, grouped, highest, median, rounded, table};
use crate::topic;

const WITHIN: Duration = Duration::from_secs(900);

struct Audit {
    seconds: f64,
    client_cpu_s_per_million: f64,
    server_cpu_s_per_million: f64,
    peak_rss_mb: f64,
}

/// Measures that many audits of one table.
pub(crate) async fn run(rows: u32, runs: u32) -> Result<Report> {
    let messages = Messages::generate(rows)?;
    let started =
        tokio::task::spawn_blocking(|| testbed::pair(topic::options(), database::options())).await?;
    let (kafka, cassandra) = started?;
    topic::users(&kafka, &messages)?;
    let database = Database::on(cassandra).await?;
    database.empty().await?;
    let folder = tempfile::tempdir()?;
    let consumer = drain::consumer(&kafka, &database, folder.path())?;
    let count = messages.len();
    let stored = tokio::task::spawn_blocking(move || drain::drained(consumer, count)).await??;
    stored.0.end()?;
    let mut done = Vec::new();
    for number in 1..=runs {
        database.idle().await?;
        let audit = audit(&kafka, &database, folder.path(), rows)?;
        let rate = as_figure(u64::from(rows)) / audit.seconds;
        eprintln!("==> audit {number} of {runs}: {:.1} s, {} messages/s", audit.seconds, grouped(rate));
        done.push(audit);
    }
    Ok(report(rows, &done))
}

fn audit(kafka: &Kafka, database: &Database, folder: &Path, rows: u32) -> Result<Audit> {
    let (brokers, contact_point) = (kafka.brokers(), database.contact_point());
    let routes = folder.join("routes").display().to_string();
    let settings = [
        ("TRIBUTARY__KAFKA__BROKERS", brokers.as_str()),
        ("TRIBUTARY__CASSANDRA__CONTACT_POINTS", contact_point.as_str()),
        ("TRIBUTARY__CONSUMER__ROUTES", routes.as_str()),
    ];
    let server_before = database.cpu_s()?;
    let began = Instant::now();
    let log = folder.join("audit.log");
    let mut audit =
        Service::spawn_with("tributary", &["audit", "--until", "end", "--json"], &settings, &log)?;
    // What a process has used is known while it runs: the last look is a fifth of a second old at most.
    let (mut cpu_s, mut peak_rss_mb) = (0.0, 0.0);
    let code = loop {
        if let Some(pid) = audit.pid() {
            cpu_s = testbed::cpu_s(pid).unwrap_or(cpu_s);
            peak_rss_mb = testbed::peak_rss_mb(pid).unwrap_or(peak_rss_mb);
        }
        if let Some(code) = audit.wait(LOOK_EVERY) {
            break code;
        }
        ensure!(began.elapsed() < WITHIN, "the audit has not ended within {WITHIN:?}");
    };
    let log = audit.log();
    ensure!(code == 0, "the audit ended with {code}:\n{log}");
    let object: Value = serde_json::from_str(log.lines().last().context("the audit's report")?)?;
    ensure!(object["stored"] == rows, "{} of {rows} messages are stored", object["stored"]);
    let million = as_figure(u64::from(rows)) / 1e6;
    Ok(Audit {
        seconds: object["seconds"].as_f64().context("how long it took")?,
        client_cpu_s_per_million: cpu_s / million,
        server_cpu_s_per_million: (database.cpu_s()? - server_before) / million,
        peak_rss_mb,
    })
}

fn report(rows: u32, audits: &[Audit]) -> Report {
    let of = |figure: fn(&Audit) -> f64| median(&audits.iter().map(figure).collect::<Vec<_>>());
    let peak_rss_mb = highest(audits.iter().map(|audit| audit.peak_rss_mb));
    let rate = as_figure(u64::from(rows)) / of(|audit| audit.seconds);
    let line = vec![
        "tributary audit".to_owned(),
        format!("{:.1}", of(|audit| audit.seconds)),
        grouped(rate),
        format!("{:.2}", of(|audit| audit.client_cpu_s_per_million)),
        format!("{:.1}", of(|audit| audit.server_cpu_s_per_million)),
        format!("{peak_rss_mb:.0}"),
    ];
    let header = ["audit", "s", "messages/s", "client CPU-s per M", "Cassandra CPU-s per M", "peak RSS MB"];
    let text =
        format!("audit: {rows} messages, medians of {} runs\n{}", audits.len(), table(&header, &[line]));
    let figures = Figures {
        rows_per_s: Some(rounded(rate, 0)),
        client_cpu_s_per_million: Some(rounded(of(|audit| audit.client_cpu_s_per_million), 2)),
        server_cpu_s_per_million: Some(rounded(of(|audit| audit.server_cpu_s_per_million), 2)),
        peak_rss_mb: Some(rounded(peak_rss_mb, 1)),
        ..Figures::default()
    };
    Report { name: "audit", rows: u64::from(rows), figures, text }
}
