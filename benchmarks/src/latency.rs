//! `latency`: 200 messages a second -> the topic -> the consumer -> how long until a row can be queried.
//!
//! Every tenth message is watched by a task of its own, which asks for its id again and again from the moment at which
//! the message was handed to the producer. What is measured includes up to one such question and the pause after it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use scylla::statement::prepared::PreparedStatement;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::database::{self, Database};
use crate::drain::{consumer, stored};
use crate::messages::{Messages, TOPIC};
use crate::report::{Figures, Report, as_figure, millis, percentile, rounded, table};
use crate::topic::{self, Deliveries};

const PER_S: u32 = 200;
/// One in so many is watched: the questions must not become a load of their own.
const WATCHED: usize = 10;
const PAUSE: Duration = Duration::from_micros(300);
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Drained before, so that nothing is cold.
const BACKLOG: u32 = 100_000;

/// A message that is watched: its id, and when it was handed to the producer.
type Sent = (Uuid, Instant);

/// Publishes that many messages, at 200 a second.
pub(crate) async fn run(rows: u32) -> Result<Report> {
    let messages = Arc::new(Messages::generate(BACKLOG + rows)?);
    let backlog = usize::try_from(BACKLOG)?;
    let started =
        tokio::task::spawn_blocking(|| testbed::pair(topic::options(), database::options())).await?;
    let (kafka, cassandra) = started?;
    topic::create(&kafka, TOPIC)?;
    topic::fill(&kafka.brokers(), TOPIC, messages.iter().take(backlog))?;
    let database = Arc::new(Database::on(cassandra).await?);
    let folder = tempfile::tempdir()?;
    let child = consumer(&kafka, &database, folder.path())?;
    let all_of = |count: u64| {
        child.wait("the last row", Duration::from_secs(120), |child| {
            Ok(stored(child)?.filter(|rows| *rows >= count).map(drop))
        })
    };
    all_of(u64::from(BACKLOG))?;
    database.idle().await?;

    eprintln!("==> {rows} messages at {PER_S} a second");
    let (client_before, server_before, since) = (child.cpu_s()?, database.cpu_s()?, Instant::now());
    let (sender, mut sent) = unbounded_channel();
    let deliveries = Deliveries::default();
    let producer: ThreadedProducer<Deliveries> =
        topic::producer(&kafka.brokers()).set("linger.ms", "0").create_with_context(deliveries.clone())?;
    let (ours, theirs) = (Arc::clone(&messages), since);
    let publisher = tokio::task::spawn_blocking(move || publish(&producer, &ours, backlog, theirs, &sender));
    let select = Arc::new(database.select("id").await?);
    let mut watchers = JoinSet::new();
    while let Some(sent) = sent.recv().await {
        let (database, select) = (Arc::clone(&database), Arc::clone(&select));
        let handle = Handle::current();
        watchers.spawn_blocking(move || seen_after(&handle, &database, &select, sent));
    }
    publisher.await??;
    let mut seen_after = Vec::new();
    while let Some(watched) = watchers.join_next().await {
        seen_after.push(watched??);
    }
    let seconds = since.elapsed().as_secs_f64();
    let (client, server) = (child.cpu_s()? - client_before, database.cpu_s()? - server_before);
    deliveries.all(u64::from(rows))?;
    all_of(messages.len())?;
    let peak_rss_mb = child.peak_rss_mb()?;
    child.end()?;
    database.check(&messages).await?;

    ensure!(!seen_after.is_empty(), "no message was watched: publish more than {WATCHED}");
    seen_after.sort_unstable();
    let line = vec![
        format!("{:.1}", as_figure(u64::from(rows)) / seconds),
        seen_after.len().to_string(),
        format!("{:.2}", millis(percentile(&seen_after, 50))),
        format!("{:.2}", millis(percentile(&seen_after, 99))),
        format!("{:.2}", millis(percentile(&seen_after, 100))),
        format!("{:.1} %", client / seconds * 100.0),
        format!("{:.1} %", server / seconds * 100.0),
        format!("{peak_rss_mb:.0}"),
    ];
    let header = [
        "messages/s",
        "watched",
        "p50 ms",
        "p99 ms",
        "longest ms",
        "client of a core",
        "Cassandra of a core",
        "peak RSS MB",
    ];
    let text = format!("latency: from produce to queryable, {rows} messages\n{}", table(&header, &[line]));
    let figures = Figures {
        rows_per_s: Some(rounded(as_figure(u64::from(rows)) / seconds, 1)),
        peak_rss_mb: Some(rounded(peak_rss_mb, 1)),
        p50_ms: Some(millis(percentile(&seen_after, 50))),
        p99_ms: Some(millis(percentile(&seen_after, 99))),
        ..Figures::default()
    };
    Ok(Report { name: "latency", rows: u64::from(rows), figures, text })
}

fn publish(
    producer: &ThreadedProducer<Deliveries>,
    messages: &Messages,
    skipped: usize,
    since: Instant,
    watch: &UnboundedSender<Sent>,
) -> Result<()> {
    for (place, (key, value)) in (0_u32..).zip(messages.iter().skip(skipped)) {
        let due = since + Duration::from_secs(1) / PER_S * place;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let record = BaseRecord::to(TOPIC).key(key).payload(value).headers(topic::headers());
        let sent_at = Instant::now();
        producer.send(record).map_err(|(error, _)| error)?;
        if usize::try_from(place)?.is_multiple_of(WATCHED) {
            let id = Uuid::try_parse_ascii(key)?;
            // Nobody listens any more only after an error, which is told elsewhere.
            let _ = watch.send((id, sent_at));
        }
    }
    producer.flush(SEEN_WITHIN).context("publish")
}

fn seen_after(
    handle: &Handle,
    database: &Database,
    select: &PreparedStatement,
    (id, sent_at): Sent,
) -> Result<Duration> {
    loop {
        let answer = handle.block_on(database.session.execute_unpaged(select, (id,)))?;
        let found = answer.into_rows_result()?.rows_num() > 0;
        let elapsed = sent_at.elapsed();
        if found {
            return Ok(elapsed);
        }
        ensure!(elapsed < SEEN_WITHIN, "row {id} cannot be queried {elapsed:?} after its message");
        thread::sleep(PAUSE);
    }
}
