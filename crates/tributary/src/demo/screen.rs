//! What a person reads while the demo runs.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use datasets::REGISTRY;
use producers::Upstreams;

use super::flow::Snapshot;
use super::services::Ports;
use super::settings::Settings;

/// The heading comes again after so many lines.
pub(super) const LINES_A_HEADING: usize = 20;
const CELL: usize = 17;
const HERE: usize = 54;

/// What the demo embeds, and what production has in its place.
pub(super) fn intro(
    kafka: &str,
    ports: &Ports,
    settings: &Settings,
    folder: &Path,
) -> anyhow::Result<String> {
    let (simulators, page) = (ports.simulators.local_addr()?, ports.page.local_addr()?);
    let upstreams = match settings.producers.producer.upstreams {
        Upstreams::Auto => format!("live if they answer, else simulated on {simulators}"),
        Upstreams::Live => "live".to_owned(),
        Upstreams::Simulated => format!("simulated on {simulators}"),
    };
    let rows = [
        ("", "in this demo".to_owned(), "in production"),
        ("broker", format!("librdkafka's mock cluster on {kafka}"), "Apache Kafka"),
        ("store", format!("CSV files in {}", folder.display()), "Apache Cassandra"),
        (
            "services",
            "five producers and the consumer, in this process".to_owned(),
            "the same, a container each",
        ),
        ("upstreams", upstreams, "the same choice"),
    ];
    let mut text =
        String::from("tributary: the whole pipeline in one process; only the servers are stand-ins\n\n");
    for (what, here, there) in rows {
        // Writing into a string does not fail.
        let _ = writeln!(text, "  {what:<10} {here:<HERE$} {there}");
    }
    let _ = write!(
        text,
        "\n  see it flow:            http://{page}\n  production starts with: docker compose up -d --build\n  \
         Ctrl-C ends the demo and counts\n"
    );
    for note in &settings.notes {
        let _ = write!(text, "\n  note: {note}");
    }
    Ok(text)
}

/// The line above the numbers.
pub(super) fn heading() -> String {
    let mut text = format!("\n{:>7}", "");
    for dataset in REGISTRY {
        let _ = write!(text, "{:>CELL$}", dataset.name);
    }
    text.push_str("\n       ");
    for _ in REGISTRY {
        text.push_str("  publ stored   /s");
    }
    text.push_str(" unstored");
    text
}

/// One line of numbers: what was published and stored so far, and published a second since `before`.
pub(super) fn line(before: &Snapshot, now: &Snapshot, since: Duration, elapsed: Duration) -> String {
    let mut text = format!("{:>5} s", elapsed.as_secs());
    let since_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX).max(1);
    for dataset in 0..REGISTRY.len() {
        let (published, stored) = (now.published(dataset), now.stored(dataset));
        let new = published - before.published(dataset);
        let rate = (new * 1000 + since_ms / 2) / since_ms;
        let _ = write!(text, " {published:>5} {stored:>6} {rate:>3}");
    }
    let _ = write!(text, " {:>8}", now.unsettled());
    text
}

#[cfg(test)]
mod tests {
    use super::super::flow::Partition;
    use super::*;

    #[test]
    fn a_line_tells_published_stored_and_the_rate_of_each_dataset() {
        let at = |end, durable| Snapshot {
            partitions: vec![Partition { dataset: 1, number: 0, low: 0, end, durable }],
            dead: Vec::new(),
        };
        let line = line(&at(100, 60), &at(200, 150), Duration::from_secs(2), Duration::from_secs(7));
        assert!(line.starts_with("    7 s"), "{line}");
        assert!(line.contains("   200    150  50"), "{line}");
        assert!(line.ends_with(" 50"), "{line}");
    }
}
