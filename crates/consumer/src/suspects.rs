//! Rows that were refused alone -> a verdict on each, in rounds: is it the row, or has its table changed?
//!
//! A row is at fault only if the cluster refuses it again, takes another, and all routes fit their tables before and
//! after. A round asks that once for all rows that wait, so that many bad rows cost little more than one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::task::{JoinError, JoinSet};

use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::plan::Plan;
use crate::route::{Consistency, Route};
use crate::routes::{Misfit, Target, targets};
use crate::store::{Insert, Store};

/// Suspects that are tried at once.
const TRIED_AT_ONCE: usize = 8;

/// A row that was refused alone.
#[derive(Debug)]
pub struct Suspect {
    /// The row.
    pub batch: Batch,
    /// What it was refused with.
    pub reason: String,
    since: Instant,
}

impl Suspect {
    /// A row that has just been refused.
    pub fn new(batch: Batch, reason: String) -> Self {
        Self { batch, reason, since: Instant::now() }
    }

    /// How long it has been waiting for a verdict.
    pub fn waits_for(&self) -> Duration {
        self.since.elapsed()
    }
}

/// What a refused row is refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing any more: the table took it at that time.
    Taken(Instant),
    /// The row itself.
    Row,
    /// Not known: the cluster does not answer, takes nothing, or does not agree on its schema.
    Open,
}

/// The verdicts of a round, or what is wrong with a table.
pub type Round = Result<Vec<(Suspect, Verdict)>, Misfit>;

/// Those that wait, and the round under way. Dropped, it gives them up: what they were of is read again.
#[derive(Debug, Default)]
pub struct Suspects {
    waiting: Vec<Suspect>,
    round: JoinSet<Round>,
    in_round: usize,
    backoff: Backoff,
    /// Before the next round.
    pause: Duration,
}

impl Suspects {
    /// How many have no verdict yet.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.in_round
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another one, or one again whose verdict is open.
    pub fn push(&mut self, suspect: Suspect) {
        self.waiting.push(suspect);
    }

    /// Starts a round with all that wait, if none is under way.
    pub fn judge(&mut self, judge: impl FnOnce() -> Judge) {
        if self.waiting.is_empty() || !self.round.is_empty() {
            return;
        }
        let suspects = std::mem::take(&mut self.waiting);
        self.in_round = suspects.len();
        let (judge, pause) = (judge(), self.pause);
        self.round.spawn(async move {
            tokio::time::sleep(pause).await;
            judge.round(suspects).await
        });
    }

    /// The end of the round; `None` if none is under way. Where verdicts are open, the next round waits a little.
    pub async fn judged(&mut self) -> Option<Result<Round, JoinError>> {
        let round = self.round.join_next().await?;
        self.in_round = 0;
        if matches!(&round, Ok(Ok(verdicts)) if verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Open))
        {
            self.pause = self.backoff.next(rand::random());
        } else {
            (self.backoff, self.pause) = (Backoff::default(), Duration::ZERO);
        }
        Some(round)
    }
}

/// What a round is held with.
pub struct Judge {
    /// Where the rows were refused.
    pub store: Arc<Store>,
    /// The routes.
    pub routes: Arc<[Route]>,
    /// What the rows were decoded for.
    pub targets: Vec<Target>,
    /// In whose name the probe row is written.
    pub writer: String,
}

impl Judge {
    async fn round(&self, suspects: Vec<Suspect>) -> Round {
        let Some(inserts) = self.still_fit().await? else { return Ok(all(suspects, Verdict::Open)) };
        let willing = self.willing(&suspects).await;
        // A column may have been away for a moment: each is tried again.
        let tried = stream::iter(suspects).map(|suspect| async {
            let plan = suspect.batch.plan;
            if !willing.contains(&self.targets[plan].plan.consistency) {
                return (suspect, Verdict::Open);
            }
            let verdict = match self.store.write(&inserts[plan], &suspect.batch.rows).await {
                Ok(()) => Verdict::Taken(Instant::now()),
                Err(error) if error.may_pass() => Verdict::Open,
                Err(_) => Verdict::Row,
            };
            (suspect, verdict)
        });
        let mut verdicts: Vec<_> = tried.buffer_unordered(TRIED_AT_ONCE).collect().await;
        if verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Row) && self.still_fit().await?.is_none() {
            for (_, verdict) in verdicts.iter_mut().filter(|(_, verdict)| *verdict == Verdict::Row) {
                *verdict = Verdict::Open;
            }
        }
        Ok(verdicts)
    }

    // The statements, if the routes still fit their tables; `None` while that is not known, or not on all nodes.
    async fn still_fit(&self) -> Result<Option<Vec<Arc<Insert>>>, Misfit> {
        if !self.store.is_schema_agreed().await {
            return Ok(None);
        }
        match targets(&self.store, &self.routes).await {
            Err(Misfit::Store(error)) if error.may_pass() => Ok(None),
            Err(misfit) => Err(misfit),
            // They fit, but differently: rows that were decoded by the old plans are void.
            Ok(found) if !plans(&found).eq(plans(&self.targets)) => Err(Misfit::Changed),
            Ok(found) => Ok(Some(found.into_iter().map(|target| target.insert).collect())),
        }
    }

    // The consistencies with which the cluster takes another row. A full disk, or a consistency that is not allowed,
    // refuses every row with the code of a bad one.
    async fn willing(&self, suspects: &[Suspect]) -> Vec<Consistency> {
        let mut asked = Vec::new();
        for suspect in suspects {
            let consistency = self.targets[suspect.batch.plan].plan.consistency;
            if !asked.contains(&consistency) {
                asked.push(consistency);
            }
        }
        let now_ms = chrono::Utc::now().timestamp_millis();
        let mut willing = Vec::new();
        for consistency in asked {
            // The probes' keyspace may have fewer replicas than the route's consistency asks for: that is no refusal.
            let as_the_route = self.store.write_probe(&self.writer, now_ms, consistency).await;
            if as_the_route.is_ok() || as_the_route.is_err_and(|error| error.may_pass()) {
                willing.push(consistency);
            }
        }
        if self.store.write_probe(&self.writer, now_ms, Consistency::LocalQuorum).await.is_err() {
            willing.clear();
        }
        willing
    }
}

fn plans(targets: &[Target]) -> impl Iterator<Item = &Plan> {
    targets.iter().map(|target| target.plan.as_ref())
}

fn all(suspects: Vec<Suspect>, verdict: Verdict) -> Vec<(Suspect, Verdict)> {
    suspects.into_iter().map(|suspect| (suspect, verdict)).collect()
}
