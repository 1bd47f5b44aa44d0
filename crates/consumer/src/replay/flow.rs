//! The topics, one after the other: chunks -> rows -> batches -> acknowledged.
//!
//! The loop of the engine, where nothing is committed and nothing is read twice: no ledger, no epochs. What the engine waits
//! out for ever ends a command after a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::reach::Reach;
use super::{Progress, Replay, Report, Topic, TopicReport};
use crate::batch::{Batch, Batcher, Origin};
use crate::command::{Ended, PATIENCE, Proof};
use crate::dead_letter::INTERRUPTED;
use crate::decode::{DataError, Decoder};
use crate::replicas::Replicas;
use crate::routes::changed;
use crate::store::WriteError;
use crate::suspects::{Judge, Round, Suspect, Suspects, Verdict};
use crate::topic::Walk;
use crate::window::Window;
use crate::write::{Fate, STALE_AFTER, Written, write};
use crate::{engine, locked};

const TELL_EVERY: Duration = Duration::from_secs(1);
/// With so many rows under suspicion nothing more is taken in.
const SUSPECTS_MAX: usize = 1_000;

/// See the module.
pub(super) struct Flow<'a> {
    pub(super) replay: &'a Replay,
    /// `None`: nothing is written.
    pub(super) proof: Option<&'a Proof>,
    over: CancellationToken,
    pub(super) report: Report,
    /// When the last row was acknowledged, on the horizon's clock.
    pub(super) last_written: Duration,

    pub(super) decoder: Decoder,
    pub(super) batcher: Batcher,
    pub(super) replicas: Vec<Replicas>,
    pub(super) pace: Pace,
    /// Bytes of messages that may wait for their outcome.
    pub(super) budget: Arc<Semaphore>,
    /// How far each topic's rows are durable.
    pub(super) reaches: Vec<Reach>,
    /// Where each partition of the topic is.
    pub(super) positions: BTreeMap<i32, i64>,

    writes: JoinSet<Written>,
    window: Arc<Mutex<Window>>,
    /// What the last attempt that failed failed with.
    trouble: Arc<Mutex<Option<WriteError>>>,
    suspects: Suspects,
}

impl<'a> Flow<'a> {
    pub(super) fn new(replay: &'a Replay, proof: Option<&'a Proof>, over: CancellationToken) -> Self {
        let Replay { settings, store, targets, .. } = replay;
        let replicas = engine::replicas(store, targets);
        Self {
            replay,
            proof,
            over,
            report: Report::of(&replay.topics),
            last_written: Duration::ZERO,
            decoder: Decoder::default(),
            batcher: engine::batcher(settings, targets, &replicas),
            replicas,
            pace: Pace::new(replay.rate, Instant::now()),
            budget: Arc::new(Semaphore::new(settings.consumer.buffer_bytes)),
            reaches: replay.topics.iter().map(|_| Reach::default()).collect(),
            positions: BTreeMap::new(),
            writes: JoinSet::new(),
            window: Arc::new(Mutex::new(Window::new(settings.consumer.in_flight))),
            trouble: Arc::default(),
            suspects: Suspects::default(),
        }
    }

    /// Takes all topics in, and returns when each message has its outcome.
    ///
    /// # Errors
    /// Why not all messages have their outcome.
    pub(super) async fn run(&mut self, mut tell: impl FnMut(Progress)) -> Result<(), Ended> {
        let topics = &self.replay.topics;
        for (place, topic) in topics.iter().enumerate() {
            self.positions = topic.ranges.iter().map(|(number, range)| (*number, range.start)).collect();
            self.topic(place, topic, &mut tell).await?;
            let TopicReport { offsets, passed, .. } = &mut self.report.topics[place];
            *passed = *offsets;
        }
        Ok(())
    }

    async fn topic(
        &mut self,
        place: usize,
        topic: &Topic,
        tell: &mut impl FnMut(Progress),
    ) -> Result<(), Ended> {
        let messages_max = self.pace.chunk_messages();
        let mut walk =
            Walk::in_chunks_of(messages_max, &self.replay.kafka, &topic.name, topic.ranges.clone());
        let mut ticks = tokio::time::interval(TELL_EVERY);
        let over = self.over.clone();
        // The next chunk, until it is due: where there is none, nothing is waited for.
        let mut next = None;
        let mut is_read = false;
        loop {
            if self.is_hungry()
                && self.pace.due() <= Instant::now()
                && let Some(chunk) = next.take()
            {
                self.take_in(place, topic, chunk);
            }
            self.dispatch(next.is_some() || walk.is_empty());
            if is_read
                && next.is_none()
                && self.batcher.is_empty()
                && self.writes.is_empty()
                && self.suspects.is_empty()
            {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = over.cancelled() => return Err(self.why()),
                _ = ticks.tick() => {
                    tell(self.progress());
                    self.tick()?;
                }
                Some(written) = self.writes.join_next() => {
                    self.written(place, written.map_err(|error| Ended::Early(error.to_string()))?)?;
                }
                Some(round) = self.suspects.judged() => {
                    self.judged(place, round.map_err(|error| Ended::Early(error.to_string()))?)?;
                }
                () = tokio::time::sleep_until(self.pace.due().into()), if next.is_some() && self.is_hungry() => {}
                chunk = walk.next(), if next.is_none() && !is_read => {
                    next = chunk.map_err(Ended::Early)?;
                    is_read = next.is_none();
                }
            }
        }
    }

    fn tick(&mut self) -> Result<(), Ended> {
        let Replay { store, routes, targets, .. } = self.replay;
        if let Some(WriteError::Unauthorized(why)) = &*locked(&self.trouble) {
            return Err(Ended::Refused(why.clone()));
        }
        if let Some(proof) = self.proof {
            let (now, limit) = (proof.now(Instant::now()), proof.durable()?);
            self.reaches.iter_mut().for_each(|reach| reach.advance(now, limit));
        }
        changed(store, routes, targets).map_or(Ok(()), |misfit| Err(misfit.into()))
    }

    // Whether another chunk is wanted now.
    fn is_hungry(&self) -> bool {
        self.batcher.waiting() < self.replay.settings.consumer.in_flight
            && self.suspects.len() < SUSPECTS_MAX
            && self.budget.available_permits() > 0
    }

    // Starts as many writes as may be in flight; part-filled batches only where nothing more comes now.
    fn dispatch(&mut self, dry: bool) {
        while self.writes.len() < locked(&self.window).allowed() {
            let Some(batch) = self.batcher.next(dry) else { break };
            let (trouble, window) = (Arc::clone(&self.trouble), Arc::clone(&self.window));
            let note = move |error: &WriteError| {
                if matches!(error, WriteError::Overloaded(_)) {
                    locked(&window).overloaded();
                }
                *locked(&trouble) = Some(error.clone());
            };
            let store = Arc::clone(&self.replay.store);
            let target = self.replay.targets[batch.plan].clone();
            self.writes.spawn(write(store, target, batch, self.over.clone(), Some(STALE_AFTER), note));
        }
    }

    fn written(&mut self, topic: usize, Written { batch, fate }: Written) -> Result<(), Ended> {
        match fate {
            Fate::Acknowledged(at) => {
                locked(&self.window).succeeded();
                self.acknowledged(topic, batch, at);
            }
            Fate::Refused(reason) => match batch.split() {
                Ok((left, right)) => {
                    self.batcher.again(right);
                    self.batcher.again(left);
                }
                Err(single) => {
                    self.suspects.push(Suspect::new(single, reason));
                    self.judge();
                }
            },
            Fate::Stale => {
                let why = locked(&self.trouble).as_ref().map(ToString::to_string).unwrap_or_default();
                let limit = STALE_AFTER.as_secs();
                return Err(Ended::Early(format!(
                    "cassandra has not taken a batch that was tried for {limit} s: {why}"
                )));
            }
            Fate::Void => return Err(self.why()),
        }
        Ok(())
    }

    fn acknowledged(&mut self, topic: usize, batch: Batch, at: Instant) {
        if let Some(proof) = self.proof {
            self.last_written = self.last_written.max(proof.now(at));
        }
        self.count(topic, batch.plan, batch.rows.len() as u64);
        self.batcher.recycle(batch);
    }

    fn judge(&mut self) {
        let Replay { settings, routes, store, targets, .. } = self.replay;
        self.suspects.judge(|suspects| {
            let judge = Judge {
                store: Arc::clone(store),
                routes: Arc::clone(routes),
                targets: targets.clone(),
                writer: settings.consumer.group.clone(),
            };
            judge.round(suspects)
        });
    }

    fn judged(&mut self, topic: usize, round: Round) -> Result<(), Ended> {
        for (suspect, verdict) in round? {
            match verdict {
                Verdict::Taken(at) => self.acknowledged(topic, suspect.batch, at),
                Verdict::Row => {
                    let plan = &self.replay.targets[suspect.batch.plan].plan;
                    self.refused(topic, &suspect.batch, &suspect.error(plan));
                }
                Verdict::Open if suspect.waits_for() > PATIENCE => {
                    let (limit, why) = (PATIENCE.as_secs(), &suspect.reason);
                    return Err(Ended::Early(format!(
                        "it is not known after {limit} s whether a row is at fault or the cluster: {why}"
                    )));
                }
                Verdict::Open => self.suspects.push(suspect),
            }
        }
        self.judge();
        Ok(())
    }

    fn refused(&mut self, topic: usize, row: &Batch, error: &DataError) {
        let Replay { targets, topics, .. } = self.replay;
        for Origin { chunk, place, partition, .. } in &row.origins {
            let message = chunk.message(&topics[topic].name, partition.number, *place);
            self.report.refuse(topic, &targets[row.plan].plan.table, &message, error);
        }
    }

    pub(super) fn count(&mut self, topic: usize, target: usize, rows: u64) {
        let of_topic = &mut self.report.topics[topic];
        let deletes = self.replay.targets[target].plan.deletes;
        *(if deletes { &mut of_topic.deleted } else { &mut of_topic.written }) += rows;
    }

    pub(super) fn progress(&self) -> Progress {
        let topics = &self.report.topics;
        Progress {
            passed: topics.iter().map(|topic| topic.passed).sum(),
            of: topics.iter().map(|topic| topic.offsets).sum(),
            is_written: false,
        }
    }

    fn why(&self) -> Ended {
        self.proof.map_or_else(|| Ended::Early(INTERRUPTED.to_owned()), Proof::why)
    }
}
