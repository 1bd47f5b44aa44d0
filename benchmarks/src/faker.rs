//! `faker`: the real faker producer at full speed -> the real Kafka -> acknowledged messages a second.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testbed::Kafka;

use crate::child::Child;
use crate::report::{Figures, Report, as_figure, grouped, highest, median, rounded, table};
use crate::topic;

const TOPIC: &str = datasets::faker::DATASET.topic;
/// Not measured: connections are made, the broker's code is compiled.
const WARM_UP: Duration = Duration::from_secs(3);
const WITHIN: Duration = Duration::from_secs(180);

struct Look {
    at: Instant,
    acknowledged: u64,
    client_s: f64,
    server_s: f64,
}

struct Figure {
    messages_per_s: f64,
    seconds: f64,
    client_cpu_s_per_million: f64,
    server_cpu_s_per_million: f64,
    peak_rss_mb: f64,
}

/// Measures so often the time in which Kafka acknowledges that many messages.
pub(crate) fn run(rows: u32, runs: u32) -> Result<Report> {
    let kafka = Kafka::start(topic::options())?;
    topic::create(&kafka, TOPIC)?;
    let mut done = Vec::new();
    for number in 1..=runs {
        let figure = measure(&kafka, rows)?;
        eprintln!("==> run {number} of {runs}: {} messages/s", grouped(figure.messages_per_s));
        done.push(figure);
    }
    let of = |figure: fn(&Figure) -> f64| median(&done.iter().map(figure).collect::<Vec<_>>());
    let messages_per_s = of(|run| run.messages_per_s);
    let peak_rss_mb = highest(done.iter().map(|run| run.peak_rss_mb));
    let (client, server) = (of(|run| run.client_cpu_s_per_million), of(|run| run.server_cpu_s_per_million));
    let line = vec![
        grouped(messages_per_s),
        format!("{:.1}", of(|run| run.seconds)),
        format!("{client:.2}"),
        format!("{server:.2}"),
        format!("{peak_rss_mb:.0}"),
    ];
    let header =
        ["acknowledged messages/s", "seconds", "producer CPU-s per M", "Kafka CPU-s per M", "peak RSS MB"];
    let text = format!("faker: {rows} messages, medians of {runs} runs\n{}", table(&header, &[line]));
    let figures = Figures {
        rows_per_s: Some(rounded(messages_per_s, 0)),
        client_cpu_s_per_million: Some(rounded(client, 2)),
        server_cpu_s_per_million: Some(rounded(server, 2)),
        peak_rss_mb: Some(rounded(peak_rss_mb, 1)),
        ..Figures::default()
    };
    Ok(Report { name: "faker", rows: u64::from(rows), figures, text })
}

// One run by a fresh producer.
fn measure(kafka: &Kafka, rows: u32) -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let brokers = kafka.brokers();
    let end_before = end(&brokers)?;
    let child = Child::start("faker", &[("KAFKA__BROKERS", &brokers), ("FAKER__RATE", "0")], folder.path())?;
    let begun = child.wait("the first acknowledgement", Duration::from_secs(60), |child| {
        Ok(look(child, kafka)?.filter(|look| look.acknowledged > 0))
    })?;
    let before = child.wait("the warm-up", WARM_UP * 4, |child| {
        Ok(look(child, kafka)?.filter(|look| look.at > begun.at + WARM_UP))
    })?;
    let wanted = before.acknowledged + u64::from(rows);
    let after = child.wait("the last acknowledgement", WITHIN, |child| {
        Ok(look(child, kafka)?.filter(|look| look.acknowledged >= wanted))
    })?;
    let peak_rss_mb = child.peak_rss_mb()?;
    child.end()?;
    let published = end(&brokers)? - end_before;
    ensure!(
        published >= after.acknowledged,
        "{} messages were acknowledged, {TOPIC} has {published} more than before",
        after.acknowledged
    );
    let count = as_figure(after.acknowledged - before.acknowledged);
    let seconds = (after.at - before.at).as_secs_f64();
    Ok(Figure {
        messages_per_s: count / seconds,
        seconds,
        client_cpu_s_per_million: (after.client_s - before.client_s) / count * 1e6,
        server_cpu_s_per_million: (after.server_s - before.server_s) / count * 1e6,
        peak_rss_mb,
    })
}

fn look(child: &Child, kafka: &Kafka) -> Result<Option<Look>> {
    let Some(metrics) = child.metrics() else { return Ok(None) };
    let at = Instant::now();
    let acknowledged = metrics.sum("tributary_acknowledged_total", &[]);
    let server_s = testbed::cpu_s(kafka.pid().context("kafka has ended")?)?;
    Ok(Some(Look { at, acknowledged, client_s: child.cpu_s()?, server_s }))
}

fn end(brokers: &str) -> Result<u64> {
    Ok(u64::try_from(topic::ends(brokers, TOPIC)?.values().sum::<i64>())?)
}
