//! A server-sent event stream -> its changes, one connection after the other, none missed between them.
//!
//! eventsource-client reads the framing; when to reconnect, and from which event on, is decided here. A change moves
//! the place to resume from only once it has been handed over.

mod events;

use std::sync::Arc;
use std::time::Duration;

use datasets::{Event, Streamed};
use eventsource_client::{Error, SSE};
use futures::StreamExt;
use rand::random;
use reqwest::Url;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::counts::Kind;
use crate::fetch::FetchError;
use crate::framing::TOO_LONG;
use crate::http;
use crate::monitor;
use crate::publish::{Record, Stopped};
use crate::resume::{Cursor, Gap};
use crate::runtime::Runtime;
use crate::scan::scan;
use crate::transport::Transport;
use crate::upstream::{self, Upstream};
use events::{failure, open};

/// How long `once` waits for a first change, and how long it goes on from there.
const ONCE_PATIENCE: Duration = Duration::from_secs(30);
const ONCE: Duration = Duration::from_secs(1);
/// So many refusals of the place in a row mean it: one alone may come from a proxy, or from a bad deployment.
const PLACE_REFUSALS_MAX: u32 = 3;
/// Malformed changes are counted each, and logged at most so often.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Why a connection is over.
#[derive(Debug)]
enum Ended {
    /// An operator has paused the producer.
    Paused,
    /// The real upstream answers: the simulated one has done its duty.
    WentLive,
    /// `once` has had its second.
    Enough,
    /// It broke, or was never made.
    Failed(FetchError),
}

struct Streamer<'a> {
    runtime: &'a mut Runtime,
    dataset: &'a dyn Streamed,
    path: &'static str,
    transport: Transport,
    upstream: Upstream,
    backoff: Backoff,
    failures: u32,
    place_refusals: u32,
    warned_at: Option<Instant>,
}

/// Streams until the end.
pub(crate) async fn run(
    runtime: &mut Runtime,
    dataset: &dyn Streamed,
    live: Url,
    path: &'static str,
) -> anyhow::Result<()> {
    let settings = runtime.settings.clone();
    let client = http::streaming_client(&settings)?;
    let transport = Transport::new(client, settings.request_timeout, settings.event_bytes_max);
    let asked = probe(&transport, dataset, live.clone(), path);
    let upstream = Upstream::choose(&settings, runtime.dataset.name, live, None, asked).await?;
    let backoff = Backoff::new(settings.backoff_min, settings.backoff_max);
    let mut streamer = Streamer {
        runtime,
        dataset,
        path,
        transport,
        upstream,
        backoff,
        failures: 0,
        place_refusals: 0,
        warned_at: None,
    };
    let (Ok(()) | Err(Stopped)) = streamer.run().await;
    Ok(())
}

/// Opens the stream and waits for one change that the dataset understands.
async fn probe(transport: &Transport, dataset: &dyn Streamed, base: Url, path: &str) -> Result<(), String> {
    let mut events = open(transport, &base, path, None)?;
    while let Some(event) = events.next().await {
        match event {
            Ok(SSE::Event(event)) if event.event_type != TOO_LONG => {
                return dataset.parse(&event.data).map(drop).map_err(|error| error.to_string());
            }
            Ok(_) => {}
            Err(error) => return Err(failure(error).to_string()),
        }
    }
    Err("the stream ended at once".to_owned())
}

impl Streamer<'_> {
    async fn run(&mut self) -> Result<(), Stopped> {
        loop {
            self.runtime.counts.origin(self.upstream.origin());
            let mut cursor = self.find_place().await?;
            while self.connections(&mut cursor).await? {}
            if self.runtime.once {
                return Ok(());
            }
        }
    }

    /// Serves one connection and the wait after it; returns whether the next one continues where it ended.
    async fn connections(&mut self, cursor: &mut Cursor) -> Result<bool, Stopped> {
        self.runtime.gate().await?;
        self.runtime.kafka_takes().await?;
        let ended = self.connection(cursor).await?;
        let error = match ended {
            Ended::Paused => return Ok(true),
            Ended::WentLive | Ended::Enough => return Ok(false),
            Ended::Failed(error) => error,
        };
        let after = match &error {
            FetchError::Retry { after, .. } => *after,
            FetchError::Malformed(_) | FetchError::PlaceRefused(_) => None,
            // It has served before: more likely its trouble than ours.
            FetchError::RequestRefused { .. } if cursor.last_event_id().is_some() => None,
            FetchError::RequestRefused { .. } | FetchError::Refused(_) => {
                Some(self.runtime.settings.refused_wait)
            }
        };
        self.place_refused(matches!(error, FetchError::PlaceRefused(_)), cursor);
        self.failures += 1;
        // Both are the upstream's own wish.
        let wait = self.backoff.next(random(), after.max(self.transport.retry()));
        let next = (!self.runtime.once).then_some(wait);
        self.runtime.failed(self.upstream.base().as_str(), &error, self.failures, next);
        if next.is_none() {
            return Ok(false);
        }
        self.went_live_within(wait).await.map(|live| !live)
    }

    /// Waits, unless the real upstream answers before that; returns whether it does.
    async fn went_live_within(&mut self, wait: Duration) -> Result<bool, Stopped> {
        let end = Instant::now() + wait;
        loop {
            let next = self.upstream.probe_at().map_or(end, |at| at.min(end));
            self.runtime.sleep(next.saturating_duration_since(Instant::now())).await?;
            if self.went_live().await {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
        }
    }

    /// Notes whether the place was refused, and forgets it when that has happened often enough in a row.
    fn place_refused(&mut self, refused: bool, cursor: &mut Cursor) {
        self.place_refusals = if refused { self.place_refusals + 1 } else { 0 };
        if self.place_refusals < PLACE_REFUSALS_MAX {
            return;
        }
        self.place_refusals = 0;
        if let Some(place) = cursor.forget_place() {
            warn!(
                dataset = self.runtime.dataset.name, last = %place.at, refusals = PLACE_REFUSALS_MAX,
                "upstream does not accept the place to resume from, it is forgotten; stream begins at the present"
            );
        }
    }

    async fn connection(&mut self, cursor: &mut Cursor) -> Result<Ended, Stopped> {
        let mut events = match open(&self.transport, self.upstream.base(), self.path, cursor.last_event_id())
        {
            Ok(events) => events,
            Err(what) => {
                return Ok(Ended::Failed(FetchError::RequestRefused { what, by_contract: false }));
            }
        };
        cursor.connected();
        let idle = self.runtime.settings.idle_timeout;
        let mut idle_at = Instant::now() + idle;
        let mut enough_at = self.runtime.once.then(|| Instant::now() + ONCE_PATIENCE);
        let mut any = false;
        let mut paused = self.runtime.paused.clone();
        loop {
            let event = tokio::select! {
                event = events.next() => Some(event),
                () = self.runtime.stop.cancelled() => return Err(Stopped),
                () = until_paused(&mut paused) => return Ok(Ended::Paused),
                () = until(self.upstream.probe_at()) => None,
                () = until(enough_at) => return Ok(Ended::Enough),
                // Counted by whole events and comments, so that single bytes do not pass for life.
                () = until(Some(idle_at)) => {
                    let what = format!("the stream was silent for {:.1} s", idle.as_secs_f64());
                    return Ok(Ended::Failed(FetchError::Retry { kind: Kind::Timeout, what, after: None }));
                }
            };
            let Some(event) = event else {
                if self.went_live().await {
                    return Ok(Ended::WentLive);
                }
                continue;
            };
            match event {
                Some(Ok(SSE::Event(event))) if event.event_type == TOO_LONG => {
                    let bytes_max = self.runtime.settings.event_bytes_max;
                    self.reject(Kind::TooLarge, &format!("an event of more than {bytes_max} bytes"));
                }
                Some(Ok(SSE::Event(event))) => {
                    if event.event_type == "error" {
                        let data: String = event.data.chars().take(200).collect();
                        return Ok(Ended::Failed(FetchError::Malformed(format!(
                            "the stream says error: {data}"
                        ))));
                    }
                    self.publish(&event, cursor).await?;
                    if !any {
                        any = true;
                        enough_at = enough_at.map(|_| Instant::now() + ONCE);
                        self.works();
                    }
                }
                Some(Ok(SSE::Connected(_))) => {
                    self.place_refusals = 0;
                    debug!(dataset = self.runtime.dataset.name, "stream open");
                }
                Some(Ok(SSE::Comment(_))) => {}
                Some(Err(error)) => return Ok(Ended::Failed(failure(error))),
                None => return Ok(Ended::Failed(failure(Error::Eof))),
            }
            idle_at = Instant::now() + idle;
        }
    }

    async fn publish(
        &mut self,
        event: &eventsource_client::Event,
        cursor: &mut Cursor,
    ) -> Result<(), Stopped> {
        let (message, at) = match self.dataset.parse(&event.data) {
            Ok(Event::Change { message, at }) => (message, at),
            // A sign of life and nothing else: the place to resume from stays at a change.
            Ok(Event::Canary) => return Ok(()),
            Err(error) => {
                self.reject(Kind::Malformed, &error.to_string());
                return Ok(());
            }
        };
        // An empty id is none, by the format.
        let id = event.id.as_deref().filter(|id| !id.is_empty());
        let counts = Arc::clone(&self.runtime.counts);
        counts.fetched.add(1);
        self.runtime.succeeded();
        let verdict = cursor.judge(&message.key, at);
        if let Some(gap) = verdict.gap {
            counts.gaps.add(1);
            self.say(gap);
        }
        if verdict.duplicate {
            counts.duplicates.add(1);
        } else {
            let (key, value) = (message.key.as_str(), message.value.as_slice());
            let origin = self.upstream.origin();
            let record = Record { key, value, origin, sse_id: id };
            self.runtime.publisher.send(record).await?;
        }
        cursor.advance(&message.key, id, at);
        Ok(())
    }

    fn say(&self, gap: Gap) {
        let dataset = self.runtime.dataset.name;
        match gap {
            // Told in full where the place was sought.
            Gap::NoPlace => {}
            Gap::Late(late) => {
                let missing_s = late.as_secs();
                warn!(dataset, missing_s, "stream resumed later than it was left; changes may be missing");
            }
            Gap::Forgotten(missing) => {
                let missing_s = missing.as_secs();
                warn!(
                    dataset,
                    missing_s, "stream began at the present, its place was refused; changes are missing"
                );
            }
        }
    }

    fn reject(&mut self, kind: Kind, error: &str) {
        self.runtime.counts.fetched.add(1);
        self.runtime.counts.rejected.add(1);
        self.runtime.counts.error(kind);
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned_at = Some(Instant::now());
            warn!(dataset = self.runtime.dataset.name, error, "event rejected");
        }
    }

    fn works(&mut self) {
        self.failures = 0;
        self.backoff.reset();
        self.upstream.report(&self.runtime.health);
    }

    async fn went_live(&mut self) -> bool {
        let probe = probe(&self.transport, self.dataset, self.upstream.live().clone(), self.path);
        let limit = self.runtime.settings.probe_timeout;
        self.upstream.recheck(self.runtime.dataset.name, limit, probe).await
    }

    /// Seeks in the topic where the stream was left; Kafka's trouble is waited out.
    async fn find_place(&mut self) -> Result<Cursor, Stopped> {
        let mut backoff = Backoff::new(self.runtime.settings.backoff_min, Duration::from_secs(10));
        let origin = self.upstream.origin();
        let (dataset, topic) = (self.runtime.dataset.name, self.runtime.dataset.topic);
        let searches = format!("waits for the place to resume from, which is sought in topic {topic}");
        self.runtime.health.yellow(upstream::PART, searches);
        loop {
            let (kafka, stop) = (self.runtime.kafka.clone(), self.runtime.stop.clone());
            let searched = tokio::task::spawn_blocking(move || scan(&kafka, topic, origin, &stop));
            let reason = tokio::select! {
                found = searched => match found {
                    Ok(Ok(found)) => {
                        match &found.place {
                            Some(place) => info!(dataset, last = %place.at, "stream continues where it was left"),
                            None if found.empty => info!(dataset, "topic is empty, stream begins at the present"),
                            None => warn!(
                                dataset, origin = origin.as_str(), searched = found.searched,
                                "no change of this origin among the newest of the topic, stream begins at the present"
                            ),
                        }
                        return Ok(Cursor::from(found.place, found.keys));
                    }
                    Ok(Err(error)) => format!("{error:#}"),
                    Err(error) => error.to_string(),
                },
                () = self.runtime.stop.cancelled() => return Err(Stopped),
            };
            let wait = backoff.next(random(), None);
            self.runtime.counts.error(Kind::Kafka);
            let text = format!("{reason}; next attempt in {:.1} s", wait.as_secs_f64());
            warn!(dataset, reason = text, "place to resume from not found yet");
            self.runtime.health.red(upstream::PART, format!("waits for {}: {text}", monitor::PART));
            self.runtime.sleep(wait).await?;
        }
    }
}

async fn until_paused(paused: &mut watch::Receiver<bool>) {
    if paused.wait_for(|paused| *paused).await.is_err() {
        // Nobody is left who could pause.
        std::future::pending::<()>().await;
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
