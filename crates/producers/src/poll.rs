//! A polled upstream -> its records, in rounds: every request of the dataset once, one after the other.
//!
//! One request at a time, so that rounds never overlap and an upstream that asks to be left alone is asked by nobody.
//! A request that failed is tried again at the end of its round; a refused one rests. `once` has somebody who waits for its
//! end: it waits shortly, and gives up where nobody answers.

use std::collections::VecDeque;
use std::time::Duration;

use datasets::{Polled, Request};
use rand::random;
use reqwest::Url;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

use crate::backoff::Backoff;
use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::counts::Kind;
use crate::fetch::{FetchError, Fetcher, without_secret};
use crate::http;
use crate::publish::Stopped;
use crate::runtime::Runtime;
use crate::upstream::{self, Origin, Upstream};

/// A failed request is asked so often in a round before the next round has its turn.
const ATTEMPTS: u32 = 3;
/// A live upstream is first asked within this time, so that many producers do not start as one.
const START_JITTER: Duration = Duration::from_secs(5);
/// How long `once` waits at most before it asks again.
const ONCE_WAIT_MAX: Duration = Duration::from_secs(3);
/// After so many requests in a row that reached nobody, `once` asks no more.
const ONCE_UNREACHED_MAX: u32 = 3;

struct Poller<'a> {
    runtime: &'a mut Runtime,
    dataset: &'a dyn Polled,
    fetcher: Fetcher,
    upstream: Upstream,
    budget: Budget,
    breaker: Breaker,
    backoff: Backoff,
    failures: u32,
    /// Requests in a row that reached nobody.
    unreached: u32,
}

/// What came of a request.
enum Asked {
    Answered,
    Refused,
    Failed(FetchError),
}

/// Polls until the end.
pub(crate) async fn run(runtime: &mut Runtime, dataset: &dyn Polled, live: Url) -> anyhow::Result<()> {
    let settings = runtime.settings.clone();
    let fetcher = Fetcher { client: http::client(&settings)?, body_bytes_max: settings.body_bytes_max };
    let budget = Budget::new(dataset.requests_per_minute());
    let missing = dataset.missing_credential();
    let asked = probe(&fetcher, dataset, &budget, live.clone());
    let upstream = Upstream::choose(&settings, runtime.dataset.name, live, missing, asked).await?;
    runtime.counts.origin(upstream.origin());
    let breaker = Breaker::new(settings.refused_wait);
    let backoff = Backoff::new(settings.backoff_min, settings.backoff_max);
    let mut poller =
        Poller { runtime, dataset, fetcher, upstream, budget, breaker, backoff, failures: 0, unreached: 0 };
    // The end of the process is no failure of the loop.
    let (Ok(()) | Err(Stopped)) = poller.run().await;
    Ok(())
}

async fn probe(fetcher: &Fetcher, dataset: &dyn Polled, budget: &Budget, base: Url) -> Result<(), String> {
    // A probe is rare and counts against the budget, but does not wait for it.
    let _ = budget.take();
    match fetcher.fetch(&base, &dataset.probe(), dataset).await {
        // A misspelt city, say: the upstream serves, and the others may be well spelt.
        Ok(_) | Err(FetchError::RequestRefused { by_contract: true, .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

impl Poller<'_> {
    async fn run(&mut self) -> Result<(), Stopped> {
        if self.runtime.once {
            return self.round().await;
        }
        let every = self.dataset.poll_every();
        if self.upstream.origin() == Origin::Live {
            self.runtime.sleep(every.min(START_JITTER).mul_f64(random())).await?;
        }
        let mut ticks = interval(every);
        // After a long round the next one starts a full interval later: nothing is caught up.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.runtime.stop.cancelled() => return Err(Stopped),
            }
            self.recheck().await;
            if let Some(left) = self.breaker.rests(Instant::now()) {
                self.runtime.sleep(left).await?;
            }
            self.round().await?;
        }
    }

    async fn recheck(&mut self) {
        let probe = probe(&self.fetcher, self.dataset, &self.budget, self.upstream.live().clone());
        let limit = self.runtime.settings.probe_timeout;
        if self.upstream.recheck(self.runtime.dataset.name, limit, probe).await {
            // What the simulator refused says nothing about the real one.
            self.breaker = Breaker::new(self.runtime.settings.refused_wait);
            self.backoff.reset();
            self.runtime.counts.origin(self.upstream.origin());
        }
    }

    async fn round(&mut self) -> Result<(), Stopped> {
        let requests = self.dataset.requests();
        let labels: Vec<String> = requests.iter().map(|request| request.label.clone()).collect();
        let now = Instant::now();
        let mut queue: VecDeque<(Request, u32)> = requests
            .into_iter()
            .filter(|request| !self.breaker.request_rests(&request.label, now))
            .map(|request| (request, 1))
            .collect();
        // Until they are.
        self.runtime.unanswered = labels.len();
        while let Some((request, attempt)) = queue.pop_front() {
            match self.ask(&request).await? {
                Asked::Answered => self.runtime.unanswered -= 1,
                Asked::Refused if self.breaker.rests(Instant::now()).is_some() => break,
                Asked::Refused => {}
                Asked::Failed(error) => {
                    let label = request.label.clone();
                    if attempt < ATTEMPTS {
                        queue.push_back((request, attempt + 1));
                    }
                    let Some(wait) = self.failed(&label, &error, queue.is_empty()) else { break };
                    self.runtime.sleep(wait).await?;
                }
            }
        }
        self.report(&labels);
        Ok(())
    }

    /// Asks once and publishes what comes.
    async fn ask(&mut self, request: &Request) -> Result<Asked, Stopped> {
        while let Err(wait) = self.budget.take() {
            self.runtime.sleep(wait).await?;
        }
        self.runtime.gate().await?;
        self.runtime.kafka_takes().await?;
        let asked_at = Instant::now();
        let origin = self.upstream.origin();
        let sent =
            if origin == Origin::Simulated { without_secret(request.clone()) } else { request.clone() };
        let answer = tokio::select! {
            answer = self.fetcher.fetch(self.upstream.base(), &sent, self.dataset) => answer,
            () = self.runtime.stop.cancelled() => return Err(Stopped),
        };
        self.runtime.counts.request_took(asked_at.elapsed());
        let parsed = match answer {
            Ok(parsed) => parsed,
            Err(error @ (FetchError::Retry { .. } | FetchError::Malformed(_))) => {
                return Ok(Asked::Failed(error));
            }
            Err(error) => {
                self.refused(&request.label, &error);
                return Ok(Asked::Refused);
            }
        };
        self.breaker.close(&request.label);
        self.backoff.reset();
        (self.failures, self.unreached) = (0, 0);
        self.runtime.succeeded();
        let (messages, rejected) = (parsed.messages.len(), parsed.rejected.len());
        self.runtime.counts.fetched.add((messages + rejected) as u64);
        self.runtime.counts.rejected.add(rejected as u64);
        if let Some(first) = parsed.rejected.first() {
            let (dataset, label) = (self.runtime.dataset.name, &request.label);
            warn!(
                dataset,
                request = label,
                rejected,
                reason = first.reason,
                "items rejected; the first reason"
            );
        }
        self.runtime.publisher.send_all(&parsed.messages, origin).await?;
        Ok(Asked::Answered)
    }

    fn refused(&mut self, label: &str, error: &FetchError) {
        self.runtime.counts.error(error.kind());
        let reason = self.runtime.refusal(label, error);
        warn!(dataset = self.runtime.dataset.name, request = label, reason, "upstream refuses");
        if matches!(error, FetchError::Refused(_)) {
            self.breaker.open(reason, Instant::now());
        } else {
            self.breaker.open_request(label, reason, Instant::now());
        }
    }

    /// Tells of a failure, and returns how long to wait before the next request; `None` ends the round.
    fn failed(&mut self, label: &str, error: &FetchError, is_last: bool) -> Option<Duration> {
        let (kind, after) = match error {
            FetchError::Retry { kind, after, .. } => (*kind, *after),
            other => (other.kind(), None),
        };
        self.failures += 1;
        self.unreached = if matches!(kind, Kind::Timeout | Kind::Transport) { self.unreached + 1 } else { 0 };
        let mut wait = Some(self.backoff.next(random(), after));
        if self.runtime.once {
            wait = wait.filter(|_| !is_last && !self.gives_up(after)).map(|wait| wait.min(ONCE_WAIT_MAX));
        }
        self.runtime.failed(label, error, self.failures, wait);
        wait
    }

    /// Whether `once` asks no more, whatever is still to be asked; says why.
    fn gives_up(&self, after: Option<Duration>) -> bool {
        let dataset = self.runtime.dataset.name;
        if let Some(after) = after.filter(|after| *after > ONCE_WAIT_MAX) {
            warn!(dataset, after_s = after.as_secs(), "upstream asks to be left alone, it is asked no more");
            return true;
        }
        if self.unreached >= ONCE_UNREACHED_MAX {
            warn!(dataset, failures = self.unreached, "nobody answers, upstream is asked no more");
            return true;
        }
        false
    }

    fn report(&self, labels: &[String]) {
        match self.breaker.verdict(labels.iter().map(String::as_str)) {
            Some((true, reason)) => self.runtime.health.red(upstream::PART, reason),
            Some((false, reason)) => self.runtime.health.yellow(upstream::PART, reason),
            None if self.failures == 0 => self.upstream.report(&self.runtime.health),
            None => {}
        }
    }
}
