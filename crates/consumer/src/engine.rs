//! The Cassandra sink: chunks -> rows -> batches -> acknowledged -> durable -> committed.
//!
//! One task owns every state machine (ledger, horizon, batcher) and wires them to the polling thread (`receive`),
//! to the writes (`write`), to the dead letters and to the probes. It never waits for one of them alone.
//!
//! An epoch ends with a revocation, a restarted node or a table that no longer fits: what was in flight is void, and
//! what is not durable is read again. Rows are idempotent and carry their message's WRITETIME, so that is harmless.

mod epochs;
mod events;
mod intake;
mod outcomes;
mod refused;
#[cfg(test)]
mod simulation;
mod start;

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use metrics::counter;
use service::Service;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::batch::{Batcher, Limits, Shape};
use crate::dead_letter::DeadLetters;
use crate::decode::{DataError, Decoder};
use crate::horizon::{Answer, Horizon};
use crate::hosts::Hosts;
use crate::ledger::{Ledger, SpanId};
use crate::message::Partition;
use crate::progress::Progress;
use crate::receive::{Assignment, Receiver};
use crate::replicas::Replicas;
use crate::route::Route;
use crate::routes::{Misfit, Target};
use crate::settings::Settings;
use crate::store::{Store, WriteError};
use crate::suspects::Suspects;
use crate::window::Window;
use crate::write::Written;
use epochs::{Epochs, Phase};

const PROBE_EVERY: Duration = Duration::from_secs(1);
/// What a revocation or the shutdown gives to writes in flight.
const DRAIN_PATIENCE: Duration = Duration::from_secs(3);
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// With so many dead letters on their way and rows under suspicion, nothing more is taken in.
const DEAD_LETTERS_MAX: usize = 1_000;
const POLLING_ENDED: &str =
    "the thread that polls kafka has ended; a restart goes on from the committed offsets";

/// Consumes until the service is told to stop.
///
/// # Errors
/// Something that only an operator can mend, in words.
pub async fn run(settings: Settings, routes: Vec<Route>, service: Service) -> anyhow::Result<()> {
    let Some((store, targets)) = start::ready(&settings, &routes, &service).await? else { return Ok(()) };
    let mut topics: Vec<String> = routes.iter().flat_map(|route| route.topics.clone()).collect();
    topics.sort();
    topics.dedup();
    let group = settings.consumer.group.clone();
    let receiver = Receiver::start(&settings, topics, &Assignment::Group(group.clone()))?;
    let dead_letters = DeadLetters::new(&settings.kafka, &group, service.health.clone())?;
    info!(
        group,
        routes = routes.len(),
        durable_after_s = settings.consumer.durable_after.as_secs_f64(),
        "consuming"
    );
    let engine = Engine::new(settings, routes, store, targets, receiver, dead_letters, service);
    engine.run().await
}

struct Engine {
    settings: Settings,
    routes: Arc<[Route]>,
    store: Arc<Store>,
    /// One a route, then those of the routes' deletes.
    targets: Vec<Target>,
    /// Per target: how its rows are grouped.
    replicas: Vec<Replicas>,
    /// Per topic: the plans of its routes.
    plans_of: Vec<Vec<usize>>,
    receiver: Receiver,
    dead_letters: DeadLetters,
    service: Service,

    ledger: Ledger,
    horizon: Horizon,
    batcher: Batcher,
    decoder: Decoder,
    progress: Progress,

    /// Nodes of the database that the group has written to, as far as its commits tell.
    written_to: Hosts,
    denied: bool,
    epochs: Epochs,
    void: CancellationToken,
    leaving: Option<Leaving>,

    writes: JoinSet<Written>,
    /// How many of them may be in flight.
    window: Arc<Mutex<Window>>,
    letters: JoinSet<Settled>,
    probe: JoinSet<Result<Answer, WriteError>>,
    suspects: Suspects,
    schema: JoinSet<Result<Vec<Target>, Misfit>>,
    probe_failures: u32,
    write_trouble: Arc<Mutex<Option<String>>>,
}

/// Partitions are on their way to another member.
struct Leaving {
    epoch: u64,
    partitions: Vec<Partition>,
    done: Sender<Vec<(Partition, i64)>>,
    until: Instant,
}

/// A dead letter that was acknowledged, or given up.
struct Settled {
    partition: Partition,
    span: SpanId,
    offset: i64,
    error: DataError,
    acknowledged_at: Option<Instant>,
}

impl Engine {
    fn new(
        settings: Settings,
        routes: Vec<Route>,
        store: Arc<Store>,
        targets: Vec<Target>,
        receiver: Receiver,
        dead_letters: DeadLetters,
        service: Service,
    ) -> Self {
        let topics = &receiver.shared.topics;
        let of_topic = |topic: &String| {
            let ours = routes.iter().enumerate().filter(|(_, route)| route.topics.contains(topic));
            ours.map(|(plan, _)| plan).collect()
        };
        let replicas = replicas(&store, &targets);
        Self {
            plans_of: topics.iter().map(of_topic).collect(),
            progress: Progress::new(topics.clone(), targets.iter().map(|target| &*target.plan)),
            batcher: batcher(&settings, &targets, &replicas),
            replicas,
            horizon: Horizon::new(settings.consumer.durable_after),
            window: Arc::new(Mutex::new(Window::new(settings.consumer.in_flight))),
            settings,
            routes: routes.into(),
            store,
            targets,
            receiver,
            dead_letters,
            service,
            ledger: Ledger::default(),
            decoder: Decoder::default(),
            written_to: Hosts::default(),
            denied: false,
            epochs: Epochs::new(),
            void: CancellationToken::new(),
            leaving: None,
            writes: JoinSet::new(),
            letters: JoinSet::new(),
            probe: JoinSet::new(),
            suspects: Suspects::default(),
            schema: JoinSet::new(),
            probe_failures: 0,
            write_trouble: Arc::default(),
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(PROBE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shutdown = self.service.shutdown.clone();
        while !shutdown.is_cancelled() {
            self.dispatch(self.receiver.chunks.is_empty());
            let hungry = self.hungry();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                control = self.receiver.control.recv() => self.control(control.context(POLLING_ENDED)?)?,
                Some(written) = self.writes.join_next() => self.written(written?),
                Some(settled) = self.letters.join_next() => self.settled(&settled?),
                Some(answer) = self.probe.join_next() => self.probed(answer?)?,
                Some(round) = self.suspects.judged() => self.judged(round?),
                Some(found) = self.schema.join_next() => self.schema_read(found?),
                _ = ticks.tick() => self.tick()?,
                delivery = self.receiver.chunks.recv(), if hungry => {
                    self.deliver(delivery.context(POLLING_ENDED)?)?;
                }
            }
            self.leave();
        }
        self.drain().await;
        Ok(())
    }

    // Whether another chunk is wanted now.
    fn hungry(&self) -> bool {
        self.epochs.reads()
            && self.leaving.is_none()
            && self.batcher.waiting() < self.settings.consumer.in_flight
            && self.letters.len() + self.suspects.len() < DEAD_LETTERS_MAX
    }

    // Everything in flight is void from here on. Returns where reading has to go on.
    fn new_epoch(&mut self) -> Vec<(Partition, i64)> {
        self.void.cancel();
        self.void = CancellationToken::new();
        self.suspects = Suspects::default();
        // A new one: what is still heard of the void writes goes nowhere.
        self.write_trouble = Arc::default();
        // A node that joined is what began this epoch, maybe.
        self.replicas = replicas(&self.store, &self.targets);
        self.batcher = batcher(&self.settings, &self.targets, &self.replicas);
        self.progress.void(self.ledger.outcomes_left());
        self.ledger.rewind()
    }

    // Reads again what is not durable.
    fn rewind(&mut self) {
        let targets = self.new_epoch();
        self.epochs.seeking();
        counter!("tributary_rewinds_total").increment(1);
        debug!(?targets, "seeking");
        self.receiver.seek(targets);
    }

    async fn drain(mut self) {
        let until = tokio::time::Instant::now() + DRAIN_PATIENCE;
        while self.epochs.writes() && !(self.batcher.is_empty() && self.ledger.all_written()) {
            // Nothing is received any more: what is there is all there is.
            self.dispatch(true);
            tokio::select! {
                Some(Ok(written)) = self.writes.join_next() => self.written(written),
                Some(Ok(settled)) = self.letters.join_next() => self.settled(&settled),
                Some(Ok(round)) = self.suspects.judged() => self.judged(round),
                () = tokio::time::sleep_until(until) => break,
            }
        }
        self.commit_if_immediate();
        let left: i64 = self.ledger.watermarks().map(|(_, written, durable)| written - durable).sum();
        info!(
            stored = self.progress.totals().stored,
            not_yet_durable = left,
            "drained; what is not durable is read again"
        );
        self.receiver.stop(CLOSE_PATIENCE).await;
    }
}

/// A batcher for the rows of these targets.
pub(crate) fn batcher(settings: &Settings, targets: &[Target], replicas: &[Replicas]) -> Batcher {
    let limits = Limits { rows: settings.consumer.batch_rows, bytes: settings.consumer.batch_bytes };
    let plans = targets.iter().zip(replicas);
    Batcher::new(limits, plans.map(|(target, replicas)| Shape::of(&target.plan, replicas.groups())))
}

/// The groups of each target's rows.
pub(crate) fn replicas(store: &Store, targets: &[Target]) -> Vec<Replicas> {
    targets.iter().map(|target| store.replicas(&target.plan.table)).collect()
}
