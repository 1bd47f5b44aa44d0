//! `latency`: 200 messages a second -> the topic -> the consumer -> how long until a row can be queried.
//!
//! Every tenth message is watched by a task of its own, which asks for its id again and again. The clock starts when the
//! message was due, even if the publisher was late, and what is measured includes up to one such question and the pause
//! after it. The publisher sends each message at once (`linger.ms` 0): what a producer gathers is not the consumer's.
//! How late its own thread wakes is printed beside: on the way to its row a message wakes half a dozen threads.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use scylla::statement::prepared::PreparedStatement;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::child::Child;
use crate::database::{self, Database};
use crate::drain::{consumer, stored};
use crate::messages::{Messages, TOPIC};
use crate::report::{Figures, Report, as_figure, highest, median, millis, percentile, rounded, table};
use crate::topic::{self, Deliveries};

const PER_S: u32 = 200;
/// One in so many is watched: the questions must not become a load of their own.
const WATCHED: usize = 10;
const PAUSE: Duration = Duration::from_micros(300);
const QUESTIONS_IN_FLIGHT: usize = 32;
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// Drained and asked for before, so that nothing is cold.
const BACKLOG: u32 = 100_000;
/// Published before: the producer connects, and the servers compile what only such messages run. Faster, because the
/// compiler goes by how often a method is called: at 200/s the tail shrinks for minutes.
const WARM_UP: Load = Load { rows: 40_000, per_s: 1_000 };

type Publisher = ThreadedProducer<Deliveries>;

#[derive(Clone, Copy)]
struct Load {
    rows: u32,
    per_s: u32,
}

struct Figure {
    messages_per_s: f64,
    watched: f64,
    p50_ms: f64,
    p99_ms: f64,
    late_p99_ms: f64,
    longest_ms: f64,
    client_share: f64,
    server_share: f64,
}

/// A message that is watched: its id, and when it was due.
type Sent = (Uuid, Instant);

/// Publishes that many messages so often, at 200 a second.
pub(crate) async fn run(rows: u32, runs: u32) -> Result<Report> {
    let messages = Arc::new(Messages::generate(BACKLOG + WARM_UP.rows + rows * runs)?);
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
    ask_for(&database, messages.iter().take(backlog)).await?;
    database.idle().await?;

    let deliveries = Deliveries::default();
    let producer: Publisher =
        topic::producer(&kafka.brokers()).set("linger.ms", "0").create_with_context(deliveries.clone())?;
    let producer = Arc::new(producer);
    let mut skipped = backlog;
    measure(&producer, &database, &child, &messages, skipped, WARM_UP).await?;
    skipped += usize::try_from(WARM_UP.rows)?;
    let load = Load { rows, per_s: PER_S };
    let mut done = Vec::new();
    for number in 1..=runs {
        let run = measure(&producer, &database, &child, &messages, skipped, load).await?;
        skipped += usize::try_from(rows)?;
        eprintln!(
            "==> run {number} of {runs}: p50 {:.2} ms, p99 {:.2} ms, the publisher's own p99 {:.2} ms",
            run.p50_ms, run.p99_ms, run.late_p99_ms
        );
        done.push(run);
    }
    deliveries.all(u64::from(WARM_UP.rows + rows * runs))?;
    all_of(messages.len())?;
    let peak_rss_mb = child.peak_rss_mb()?;
    child.end()?;
    database.check(&messages).await?;

    let of = |figure: fn(&Figure) -> f64| median(&done.iter().map(figure).collect::<Vec<_>>());
    let line = vec![
        format!("{:.1}", of(|run| run.messages_per_s)),
        format!("{:.0}", of(|run| run.watched)),
        format!("{:.2}", of(|run| run.p50_ms)),
        format!("{:.2}", of(|run| run.p99_ms)),
        format!("{:.2}", highest(done.iter().map(|run| run.longest_ms))),
        format!("{:.2}", of(|run| run.late_p99_ms)),
        format!("{:.1} %", of(|run| run.client_share) * 100.0),
        format!("{:.1} %", of(|run| run.server_share) * 100.0),
        format!("{peak_rss_mb:.0}"),
    ];
    let header = [
        "messages/s",
        "watched",
        "p50 ms",
        "p99 ms",
        "longest ms",
        "publisher late p99 ms",
        "client of a core",
        "Cassandra of a core",
        "peak RSS MB",
    ];
    let text = format!(
        "latency: from produce to queryable, {rows} messages, linger 0, medians of {runs} runs\n{}",
        table(&header, &[line])
    );
    let figures = Figures {
        rows_per_s: Some(rounded(of(|run| run.messages_per_s), 1)),
        peak_rss_mb: Some(rounded(peak_rss_mb, 1)),
        p50_ms: Some(of(|run| run.p50_ms)),
        p99_ms: Some(of(|run| run.p99_ms)),
        ..Figures::default()
    };
    Ok(Report { name: "latency", rows: u64::from(rows), figures, text })
}

// Each of them once, many at a time: the watchers' few questions would take minutes to be compiled.
async fn ask_for<'a>(
    database: &Database,
    messages: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<()> {
    let select = &database.select("id").await?;
    let questions = messages.map(|(key, _)| async move {
        database.session.execute_unpaged(select, (Uuid::try_parse_ascii(key)?,)).await?;
        Ok(())
    });
    stream::iter(questions).buffer_unordered(QUESTIONS_IN_FLIGHT).try_collect().await
}

// One run, with the messages behind the first `skipped`.
async fn measure(
    producer: &Arc<Publisher>,
    database: &Arc<Database>,
    child: &Child,
    messages: &Arc<Messages>,
    skipped: usize,
    load: Load,
) -> Result<Figure> {
    let (sender, mut sent) = unbounded_channel();
    let select = Arc::new(database.select("id").await?);
    let (client_before, server_before, since) = (child.cpu_s()?, database.cpu_s()?, Instant::now());
    let (producer, ours) = (Arc::clone(producer), Arc::clone(messages));
    let publisher = tokio::task::spawn_blocking(move || {
        let messages = ours.iter().skip(skipped).take(usize::try_from(load.rows)?);
        publish(&producer, messages, load.per_s, since, &sender)
    });
    let mut watchers = JoinSet::new();
    while let Some(sent) = sent.recv().await {
        let (database, select) = (Arc::clone(database), Arc::clone(&select));
        let handle = Handle::current();
        watchers.spawn_blocking(move || seen_after(&handle, &database, &select, sent));
    }
    let mut late = publisher.await??;
    late.sort_unstable();
    let mut seen_after = Vec::new();
    while let Some(watched) = watchers.join_next().await {
        seen_after.push(watched??);
    }
    let seconds = since.elapsed().as_secs_f64();
    let (client, server) = (child.cpu_s()? - client_before, database.cpu_s()? - server_before);
    ensure!(!seen_after.is_empty(), "no message was watched: publish more than {WATCHED}");
    seen_after.sort_unstable();
    Ok(Figure {
        messages_per_s: as_figure(u64::from(load.rows)) / seconds,
        watched: as_figure(seen_after.len() as u64),
        p50_ms: millis(percentile(&seen_after, 50)),
        p99_ms: millis(percentile(&seen_after, 99)),
        late_p99_ms: millis(percentile(&late, 99)),
        longest_ms: millis(percentile(&seen_after, 100)),
        client_share: client / seconds,
        server_share: server / seconds,
    })
}

// Returns by how much it was late for each message.
fn publish<'a>(
    producer: &Publisher,
    messages: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    per_s: u32,
    since: Instant,
    watch: &UnboundedSender<Sent>,
) -> Result<Vec<Duration>> {
    let mut late = Vec::new();
    for (place, (key, value)) in (0_u32..).zip(messages) {
        let due = since + Duration::from_secs(1) / per_s * place;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        late.push(due.elapsed());
        let record = BaseRecord::to(TOPIC).key(key).payload(value).headers(topic::headers());
        producer.send(record).map_err(|(error, _)| error)?;
        if usize::try_from(place)?.is_multiple_of(WATCHED) {
            let id = Uuid::try_parse_ascii(key)?;
            // Nobody listens any more only after an error, which is told elsewhere.
            let _ = watch.send((id, due));
        }
    }
    producer.flush(SEEN_WITHIN).context("publish")?;
    Ok(late)
}

fn seen_after(
    handle: &Handle,
    database: &Database,
    select: &PreparedStatement,
    (id, due): Sent,
) -> Result<Duration> {
    loop {
        let answer = handle.block_on(database.session.execute_unpaged(select, (id,)))?;
        let found = answer.into_rows_result()?.rows_num() > 0;
        let elapsed = due.elapsed();
        if found {
            return Ok(elapsed);
        }
        ensure!(elapsed < SEEN_WITHIN, "row {id} cannot be queried {elapsed:?} after its message");
        thread::sleep(PAUSE);
    }
}
