//! `dashboard`: 5,000 messages a second through Kafka into the table -> what it costs to look on.
//!
//! Measured in turn, each with a fresh process: nobody looks on, one viewer, fifty; viewers who also open one page after the
//! other; and `tributary status`, once and as `--watch`. A viewer is a connection that reads every snapshot, as the page
//! does. The dashboard asks one consumer for its metrics, Kafka for the ends of the topics, and Cassandra whether it is
//! there, each once a second. How long its page takes to be drawn is the matter of the browser tests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use testbed::{Kafka, Port, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::child::Child;
use crate::database::{self, Database};
use crate::drain::{consumer, stored};
use crate::messages::{Messages, TOPIC};
use crate::report::{Figures, Report, as_figure, highest, median, millis, percentile, rounded, table};
use crate::topic::{self, Deliveries};

const PER_S: u32 = 5_000;
const VIEWERS: usize = 50;
/// Viewers who open pages: each opening asks Kafka or Cassandra anew.
const READERS: usize = 3;
const BETWEEN_PAGES: Duration = Duration::from_secs(1);
const PAGES: [&str; 5] = [
    "/api/topics",
    "/api/topics/users_created/records?search=moreau",
    "/api/tables/spark_streams.created_users/rows",
    "/api/dead-letters",
    "/api/pictures",
];
const EVENT: &[u8] = b"event: snapshot";
const STATUS_CALLS: usize = 20;
const SOON: Duration = Duration::from_secs(60);
/// Messages that are published over and over.
const DISTINCT: u32 = 100_000;

/// Who looks on.
#[derive(Clone, Copy, PartialEq)]
enum Audience {
    Nobody,
    Viewers(usize),
    Readers,
    Watch,
}

const AUDIENCES: [Audience; 5] =
    [Audience::Nobody, Audience::Viewers(1), Audience::Viewers(VIEWERS), Audience::Readers, Audience::Watch];

struct Figure {
    core_share: f64,
    rss_mb: f64,
    /// Of `tributary status --watch`, where that looks on.
    watch_share: Option<f64>,
}

struct Scene<'a> {
    child: Child,
    address: String,
    folder: &'a Path,
    window: Duration,
}

/// Looks on while that many messages flow, with each audience that often.
pub(crate) async fn run(rows: u32, runs: u32) -> Result<Report> {
    let window = Duration::from_secs(1) * rows / PER_S;
    ensure!(window >= Duration::from_secs(5), "--rows: {} or more, for 5 s at {PER_S}/s", 5 * PER_S);
    let messages = Arc::new(Messages::generate(DISTINCT)?);
    let started =
        tokio::task::spawn_blocking(|| testbed::pair(topic::options(), database::options())).await?;
    let (kafka, cassandra) = started?;
    topic::create(&kafka, TOPIC)?;
    let database = Database::on(cassandra).await?;
    let folder = tempfile::tempdir()?;
    let drain = consumer(&kafka, &database, folder.path())?;
    let flow = Flow::start(&kafka.brokers(), &messages)?;
    drain.wait("rows", SOON, |child| Ok(stored(child)?.filter(|rows| *rows > 0).map(drop)))?;
    let mut done: Vec<Vec<Figure>> = AUDIENCES.iter().map(|_| Vec::new()).collect();
    for number in 1..=runs {
        for (audience, figures) in AUDIENCES.into_iter().zip(&mut done) {
            let scene = Scene::open(&kafka, &database, &drain, folder.path(), window)?;
            let figure = scene.measure(audience).await?;
            scene.child.end()?;
            let behind = flow.published().saturating_sub(stored(&drain)?.unwrap_or(0));
            ensure!(
                behind < u64::from(PER_S),
                "the consumer is {behind} messages behind: the machine is too busy"
            );
            eprintln!(
                "==> run {number} of {runs}, {}: {:.2} % of a core, {:.1} MB",
                audience.name(),
                figure.core_share * 100.0,
                figure.rss_mb
            );
            figures.push(figure);
        }
    }
    let scene = Scene::open(&kafka, &database, &drain, folder.path(), window)?;
    let status = scene.status()?;
    let (published, seconds) = flow.end()?;
    drain
        .wait("the last row", SOON, |child| Ok(stored(child)?.filter(|rows| *rows >= published).map(drop)))?;
    scene.child.end()?;
    drain.end()?;
    Ok(report(rows, runs, as_figure(published) / seconds, &done, &status))
}

/// The publisher's thread.
struct Flow {
    ended: Arc<AtomicBool>,
    published: Arc<AtomicU64>,
    deliveries: Deliveries,
    since: Instant,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Flow {
    fn start(brokers: &str, messages: &Arc<Messages>) -> Result<Self> {
        let deliveries = Deliveries::default();
        let producer: ThreadedProducer<Deliveries> =
            topic::producer(brokers).create_with_context(deliveries.clone())?;
        let (ended, published) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (end, count, messages) = (Arc::clone(&ended), Arc::clone(&published), Arc::clone(messages));
        let since = Instant::now();
        let thread = std::thread::spawn(move || {
            let mut due = since;
            for (key, value) in std::iter::repeat_with(|| messages.iter()).flatten() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += Duration::from_secs(1) / PER_S;
                let record = BaseRecord::to(TOPIC).key(key).payload(value).headers(topic::headers());
                producer.send(record).map_err(|(error, _)| error)?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            producer.flush(SOON).context("publish")
        });
        Ok(Self { ended, published, deliveries, since, thread })
    }

    fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    // How many messages were published, and in how many seconds.
    fn end(self) -> Result<(u64, f64)> {
        self.ended.store(true, Ordering::Relaxed);
        let seconds = self.since.elapsed().as_secs_f64();
        self.thread.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
        let published = self.published.load(Ordering::Relaxed);
        self.deliveries.all(published)?;
        Ok((published, seconds))
    }
}

impl<'a> Scene<'a> {
    fn open(
        kafka: &Kafka,
        database: &Database,
        drain: &Child,
        folder: &'a Path,
        window: Duration,
    ) -> Result<Self> {
        let port = Port::claim()?;
        let settings = [
            ("KAFKA__BROKERS", kafka.brokers()),
            ("CASSANDRA__CONTACT_POINTS", database.contact_point()),
            ("DASHBOARD__BIND", port.address()),
            ("DASHBOARD__SERVICES", format!("consumer={}", drain.http())),
        ];
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let child = Child::start("dashboard", &settings, folder)?;
        let address = port.address();
        child.wait("the stream on its page", SOON, |_| {
            let page = testbed::get(&address, "/api/tables");
            Ok(page.filter(|(status, text)| *status == 200 && text.contains("created_users")).map(drop))
        })?;
        Ok(Self { child, address, folder, window })
    }

    async fn measure(&self, audience: Audience) -> Result<Figure> {
        let mut looking = JoinSet::new();
        let seen: Vec<Arc<AtomicU64>> = (0..audience.viewers()).map(|_| Arc::default()).collect();
        for seen in &seen {
            let (address, seen) = (self.address.clone(), Arc::clone(seen));
            looking.spawn(async move { view(&address, &seen).await });
        }
        let watch = (audience == Audience::Watch).then(|| self.watch()).transpose()?;
        let watched_before = watch.as_ref().map(cpu_s).transpose()?;
        let (before, since) = (self.child.cpu_s()?, Instant::now());
        let mut page = 0;
        while since.elapsed() < self.window {
            tokio::time::sleep(BETWEEN_PAGES).await;
            if audience == Audience::Readers {
                let (address, path) = (self.address.clone(), PAGES[page % PAGES.len()]);
                page += 1;
                let (status, text) =
                    tokio::task::spawn_blocking(move || testbed::get(&address, path)).await?.context(path)?;
                ensure!(status == 200, "{path}: {status}: {text}");
            }
        }
        let seconds = since.elapsed().as_secs_f64();
        // One a second, and one more or less at both ends.
        let expected = self.window.as_secs() - 2;
        let least = seen.iter().map(|seen| seen.load(Ordering::Relaxed)).min();
        ensure!(
            least.is_none_or(|least| least >= expected),
            "a viewer has seen {least:?} of {expected} snapshots"
        );
        let core_share = (self.child.cpu_s()? - before) / seconds;
        let watched = watch.as_ref().map(cpu_s).transpose()?;
        Ok(Figure {
            core_share,
            rss_mb: self.child.peak_rss_mb()?,
            watch_share: watched.zip(watched_before).map(|(after, before)| (after - before) / seconds),
        })
    }

    fn watch(&self) -> Result<Service> {
        let log = self.folder.join("watch.log");
        Ok(self.tributary(&["status", "--watch"], &log)?)
    }

    // How long `tributary status` takes, from its start to its end.
    fn status(&self) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        for _ in 0..STATUS_CALLS {
            let log = self.folder.join("status.log");
            let since = Instant::now();
            let mut status = self.tributary(&["status"], &log)?;
            let code = status.wait(SOON).context("tributary status has not ended")?;
            took.push(since.elapsed());
            ensure!(code == 0, "tributary status ended with {code}:\n{}", status.log());
        }
        took.sort_unstable();
        Ok(took)
    }

    fn tributary(&self, arguments: &[&str], log: &Path) -> std::io::Result<Service> {
        let url = format!("http://{}", self.address);
        Service::spawn_with("tributary", arguments, &[("TRIBUTARY__DASHBOARD__URL", &url)], log)
    }
}

fn cpu_s(service: &Service) -> Result<f64> {
    Ok(testbed::cpu_s(service.pid().context("it has ended")?)?)
}

// Reads and counts snapshots until it is aborted, or the connection ends.
async fn view(address: &str, seen: &AtomicU64) -> Result<()> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET /api/events HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = connection.read(&mut bytes).await?;
        ensure!(read > 0, "the connection has ended");
        // An event is written at once, its name first.
        let events = bytes[..read].windows(EVENT.len()).filter(|window| *window == EVENT).count();
        seen.fetch_add(events as u64, Ordering::Relaxed);
    }
}

impl Audience {
    fn viewers(self) -> usize {
        match self {
            Self::Viewers(count) => count,
            Self::Readers => READERS,
            Self::Nobody | Self::Watch => 0,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Nobody => "nobody looks on".to_owned(),
            Self::Viewers(1) => "1 viewer".to_owned(),
            Self::Viewers(count) => format!("{count} viewers"),
            Self::Readers => format!("{READERS} viewers, a page opened each second"),
            Self::Watch => "tributary status --watch".to_owned(),
        }
    }
}

fn report(rows: u32, runs: u32, per_s: f64, done: &[Vec<Figure>], status: &[Duration]) -> Report {
    let share =
        |figures: &[Figure]| median(&figures.iter().map(|figure| figure.core_share).collect::<Vec<_>>());
    let watch = |figures: &[Figure]| {
        let shares: Vec<f64> = figures.iter().filter_map(|figure| figure.watch_share).collect();
        (!shares.is_empty()).then(|| median(&shares))
    };
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let line = |(audience, figures): (Audience, &Vec<Figure>)| {
        vec![
            audience.name(),
            percent(share(figures)),
            format!("{:.1}", highest(figures.iter().map(|figure| figure.rss_mb))),
            watch(figures).map_or_else(String::new, percent),
        ]
    };
    let lines: Vec<_> = AUDIENCES.into_iter().zip(done).map(line).collect();
    let header = ["", "dashboard, of a core", "its peak RSS MB", "the command, of a core"];
    let status_ms = millis(percentile(status, 50));
    let text = format!(
        "dashboard: {per_s:.0} messages/s, medians of {runs} runs of {:.0} s each\n{}\
         tributary status: {status_ms:.0} ms, {:.0} ms at most, from its start to its end\n",
        f64::from(rows) / f64::from(PER_S),
        table(&header, &lines),
        millis(percentile(status, 100)),
    );
    let of = |audience: Audience| {
        AUDIENCES.into_iter().zip(done).find(|(known, _)| *known == audience).map(|(_, figures)| figures)
    };
    let figures = Figures {
        rows_per_s: Some(rounded(per_s, 0)),
        peak_rss_mb: Some(rounded(highest(done.iter().flatten().map(|figure| figure.rss_mb)), 1)),
        core_share: of(Audience::Nobody).map(|figures| rounded(share(figures), 4)),
        viewers_core_share: of(Audience::Viewers(VIEWERS)).map(|figures| rounded(share(figures), 4)),
        status_core_share: of(Audience::Watch)
            .and_then(|figures| watch(figures))
            .map(|share| rounded(share, 4)),
        p50_ms: Some(status_ms),
        ..Figures::default()
    };
    Report { name: "dashboard", rows: u64::from(rows), figures, text }
}
