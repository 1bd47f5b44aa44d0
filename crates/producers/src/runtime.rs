//! From the settings to a running loop and its orderly end: what all three loops share.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use chrono::Utc;
use datasets::{Dataset, Generated, Polled, SettingsError, Streamed, Upstream as Contract};
use rand::random;
use reqwest::Url;
use service::config::ConfigError;
use service::{Health, Service};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::counts::Counts;
use crate::fetch::FetchError;
use crate::once::Once;
use crate::publish::{Publisher, Stopped};
use crate::settings::{Producer, Section, Settings, url};
use crate::{generate, http, monitor, poll, stream, summary, upstream};

/// The health's part that tells of an operator's pause.
const PART: &str = "producer";
/// Failures in a row that are still a hiccup, and the wait that no longer is.
const HICCUPS: u32 = 2;
const HICCUP_WAIT: Duration = Duration::from_secs(30);
/// How long `once` waits for Kafka.
const ONCE_WAIT: Duration = Duration::from_secs(30);
/// How long the end waits for the Kafka client's own.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What a loop works with.
pub(crate) struct Runtime {
    pub(crate) dataset: &'static Dataset,
    pub(crate) settings: Producer,
    pub(crate) kafka: service::kafka::Settings,
    pub(crate) publisher: Publisher,
    pub(crate) counts: Arc<Counts>,
    pub(crate) health: Health,
    /// Cancelled by SIGTERM, or when the Kafka client is beyond repair.
    pub(crate) stop: CancellationToken,
    pub(crate) paused: watch::Receiver<bool>,
    /// One round instead of a service.
    pub(crate) once: bool,
    /// Requests that brought nothing in that round.
    pub(crate) unanswered: usize,
}

enum Source {
    Polled(Box<dyn Polled>, Url),
    Streamed(Box<dyn Streamed>, Url, &'static str),
    Generated(Box<dyn Generated>),
}

impl Source {
    // Every mistake in the settings shows here, before anything is connected.
    fn of(dataset: &Dataset, section: &Section) -> Result<Self, ConfigError> {
        let wrong = |error: SettingsError| ConfigError::Section(error.to_string());
        let base = |real: &str| match section.base_url.clone() {
            Some(configured) => Ok(configured),
            None => url("base_url", real),
        };
        let values = &section.values;
        match dataset.upstream {
            Contract::Polled { base_url, new } => {
                Ok(Self::Polled(new(values).map_err(wrong)?, base(base_url)?))
            }
            Contract::Streamed { base_url, path, new } => {
                Ok(Self::Streamed(new(values).map_err(wrong)?, base(base_url)?, path))
            }
            Contract::Generated { new } => Ok(Self::Generated(new(values, random()).map_err(wrong)?)),
        }
    }

    fn check(&self, dataset: &Dataset, settings: &Producer) -> anyhow::Result<()> {
        let missing = match self {
            Self::Polled(polled, _) => polled.missing_credential(),
            Self::Streamed(..) => None,
            Self::Generated(_) => return Ok(()),
        };
        upstream::check(settings, dataset.name, missing)?;
        http::client(settings).map(drop)
    }
}

/// See [`crate::check`].
pub(crate) fn check(dataset: &Dataset, settings: &Settings) -> anyhow::Result<()> {
    checked(dataset, settings).map(drop)
}

fn checked(dataset: &Dataset, settings: &Settings) -> anyhow::Result<Source> {
    settings.kafka.check()?;
    settings.producer.check()?;
    let source = Source::of(dataset, &settings.section(dataset)?)?;
    source.check(dataset, &settings.producer)?;
    Ok(source)
}

/// See [`crate::run`].
pub(crate) async fn run(
    dataset: &'static Dataset,
    settings: Settings,
    service: Service,
) -> anyhow::Result<()> {
    let source = checked(dataset, &settings)?;
    let counts = Arc::new(Counts::new(dataset.name));
    let stop = service.shutdown.child_token();
    let given_up = CancellationToken::new();
    let done = CancellationToken::new();
    // However this function ends, its tasks end too.
    let _tasks_end = done.clone().drop_guard();
    let publisher = Publisher::new(&settings.kafka, dataset, Arc::clone(&counts), given_up.clone())?;
    let once = service.command == Some("once");
    let mut runtime = Runtime {
        dataset,
        settings: settings.producer,
        kafka: settings.kafka,
        publisher: publisher.clone(),
        counts: Arc::clone(&counts),
        health: service.health.clone(),
        stop: stop.clone(),
        paused: service.paused(),
        once,
        unanswered: 0,
    };
    tokio::spawn(give_up_after(runtime.settings.flush_timeout, stop.clone(), given_up, done.clone()));

    runtime.wait_for_kafka().await?;
    let acknowledged = {
        let counts = Arc::clone(&counts);
        move || counts.acknowledged.get()
    };
    let watched =
        monitor::run(publisher.clone(), service.health.clone(), acknowledged, stop.clone(), done.clone());
    let mut tasks = vec![tokio::spawn(watched)];
    if !once {
        let waiting = publisher.clone();
        tasks.push(tokio::spawn(summary::run(
            dataset.name,
            counts,
            move || waiting.unacknowledged(),
            done.clone(),
        )));
    }
    let outcome = runtime.produce(source).await;
    let stopped = stop.is_cancelled();

    // The clock of the last acknowledgements starts here, if SIGTERM has not started it already.
    stop.cancel();
    let left = publisher.drain().await;
    done.cancel();
    for task in tasks {
        let _ = task.await;
    }
    // The last but one: what remains is the runtime's, which ends it in bounded time.
    drop(publisher);
    runtime.conclude(outcome, left, stopped).await
}

impl Runtime {
    async fn wait_for_kafka(&self) -> anyhow::Result<()> {
        let ready = monitor::wait_until_ready(&self.publisher, &self.health, &self.stop);
        let refused = if !self.once {
            ready.await
        } else if let Ok(refused) = tokio::time::timeout(ONCE_WAIT, ready).await {
            refused
        } else {
            let report = self.health.report();
            let reason = report.parts.get(monitor::PART).map_or("", |part| part.reason.as_str());
            bail!("kafka is not ready within {} s: {reason}", ONCE_WAIT.as_secs());
        };
        refused.map_err(anyhow::Error::msg)
    }

    async fn produce(&mut self, source: Source) -> anyhow::Result<()> {
        if self.stop.is_cancelled() {
            return Ok(());
        }
        if !matches!(source, Source::Generated(_)) && self.settings.contact.trim().is_empty() {
            info!(
                dataset = self.dataset.name,
                "no contact in the user agent; set TRIBUTARY__PRODUCER__CONTACT to a mail address or url"
            );
        }
        match source {
            Source::Polled(dataset, live) => poll::run(self, &*dataset, live).await,
            Source::Streamed(dataset, live, path) => stream::run(self, &*dataset, live, path).await,
            Source::Generated(dataset) => generate::run(self, dataset).await,
        }
    }

    async fn conclude(self, outcome: anyhow::Result<()>, left: u64, stopped: bool) -> anyhow::Result<()> {
        let (dataset, counts) = (self.dataset.name, &self.counts);
        let (fetched, acknowledged) = (counts.fetched.get(), counts.acknowledged.get());
        let fatal = self.publisher.deliveries().fatal();
        if left > 0 {
            error!(dataset, acknowledged, left, "records without an acknowledgement at the end");
        } else {
            info!(dataset, acknowledged, "all records acknowledged");
        }
        let rejected = counts.rejected.get();
        let once = Once { acknowledged, rejected, unanswered: self.unanswered, stopped };
        if self.once {
            let errors = counts.errors();
            // `println!` would panic where nobody reads any more.
            let _ = writeln!(
                std::io::stdout(),
                "{dataset}: {fetched} fetched, {acknowledged} acknowledged, {rejected} rejected, {errors} errors"
            );
        }
        if !close_within(CLOSE_WAIT, self.publisher).await {
            debug!(dataset, "the kafka client does not end, it is left behind");
        }
        outcome?;
        if let Some(reason) = fatal {
            bail!("the kafka client failed for good: {reason}; {left} records were not acknowledged");
        }
        if left > 0 {
            bail!("{left} records were not acknowledged within {:?}", self.settings.flush_timeout);
        }
        match once.missing() {
            Some(missing) if self.once => bail!(missing),
            _ => Ok(()),
        }
    }

    /// Sleeps.
    ///
    /// # Errors
    /// The end has come first.
    pub(crate) async fn sleep(&self, wait: Duration) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stopped),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Waits while an operator has paused the producer, and says so.
    ///
    /// # Errors
    /// The end has come first.
    pub(crate) async fn gate(&mut self) -> Result<(), Stopped> {
        if self.stop.is_cancelled() {
            return Err(Stopped);
        }
        if !*self.paused.borrow_and_update() {
            return Ok(());
        }
        self.health.yellow(PART, "paused by an operator; POST /resume continues");
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Stopped),
            // Whoever could resume is gone: run rather than rest for ever.
            _ = self.paused.wait_for(|paused| !paused) => {}
        }
        self.health.green(PART);
        Ok(())
    }

    /// Waits while Kafka refuses or is out of reach, so that nothing is fetched that cannot be sent.
    ///
    /// # Errors
    /// The end has come first.
    pub(crate) async fn kafka_takes(&self) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stopped),
            () = self.publisher.ready() => Ok(()),
        }
    }

    /// Says in the log and in the health that the upstream failed, and when it is asked next; `None` is not at all.
    pub(crate) fn failed(&self, what: &str, error: &FetchError, failures: u32, wait: Option<Duration>) {
        self.counts.error(error.kind());
        let next_attempt = wait.map_or_else(|| "none".to_owned(), clock_in);
        warn!(dataset = self.dataset.name, what, %error, kind = %error.kind(), next_attempt, "upstream failed");
        let reason = match wait {
            Some(_) => format!("{what}: {error}; next attempt at {next_attempt}"),
            None => format!("{what}: {error}; it is not asked again"),
        };
        if failures <= HICCUPS && wait.is_some_and(|wait| wait < HICCUP_WAIT) {
            self.health.yellow(upstream::PART, reason);
        } else {
            self.health.red(upstream::PART, reason);
        }
    }

    /// Returns how a refusal reads: what was refused, where to mend it, when it is tried again.
    pub(crate) fn refusal(&self, what: &str, error: &FetchError) -> String {
        let section = self.dataset.section();
        let next = clock_in(self.settings.refused_wait);
        format!(
            "{what}: {error}; check [{section}] (TRIBUTARY__{}__...); next attempt at {next}",
            section.to_uppercase()
        )
    }

    /// Notes that the upstream has just answered by its contract.
    pub(crate) fn succeeded(&self) {
        self.counts.succeeded(SystemTime::now());
    }
}

/// Drops what joins a thread or talks to a broker as it goes, where that may block; returns whether it ended in time.
async fn close_within(limit: Duration, client: impl Send + 'static) -> bool {
    // Not on the runtime's own threads: its end would wait for them.
    let (closed, end) = oneshot::channel();
    std::thread::spawn(move || {
        drop(client);
        let _ = closed.send(());
    });
    tokio::time::timeout(limit, end).await.is_ok()
}

async fn give_up_after(
    limit: Duration,
    stop: CancellationToken,
    given_up: CancellationToken,
    done: CancellationToken,
) {
    let waited = async {
        stop.cancelled().await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        () = waited => given_up.cancel(),
        () = done.cancelled() => {}
    }
}

/// The wall clock after `wait`, for people.
pub(crate) fn clock_in(wait: Duration) -> String {
    let at = Utc::now() + chrono::Duration::from_std(wait).unwrap_or_default();
    at.format("%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Its drop ends when it is told to.
    struct Stuck(mpsc::Receiver<()>);

    impl Drop for Stuck {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    #[tokio::test]
    async fn client_that_does_not_end_holds_up_nobody() {
        let (tell, told) = mpsc::channel();
        let closing = close_within(Duration::from_millis(50), Stuck(told));
        let ended = tokio::time::timeout(Duration::from_secs(10), closing).await;
        drop(tell);
        assert_eq!(ended, Ok(false));
        let (tell, told) = mpsc::channel();
        drop(tell);
        assert!(close_within(Duration::from_secs(10), Stuck(told)).await);
    }
}
