//! Rows that were refused alone -> a verdict on each, in rounds: is it the row, or has its table changed?
//!
//! A row is at fault only if the cluster refuses it again, while the schema stays as it is, all routes fit it, and the
//! cluster takes another row before and after. A round asks that once for all rows that wait, so that many bad rows cost
//! little more than one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::task::{JoinError, JoinSet};
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::decode::{Class, DataError};
use crate::plan::Plan;
use crate::route::{Consistency, Route};
use crate::routes::{Misfit, Target, targets};
use crate::rows::CellValue;
use crate::store::{Insert, Store};

/// Suspects that are tried at once.
const TRIED_AT_ONCE: usize = 8;
/// Those that a slow cluster has not been asked for by then wait for the next round.
const ROUND_MAX: Duration = Duration::from_secs(5);

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

    /// What is wrong with it, once that is known: its table refuses it.
    pub fn error(&self, plan: &Plan) -> DataError {
        let (reason, largest) = (&self.reason, self.largest_cell(plan));
        DataError {
            class: Class::Refused,
            reason: format!("{} refused the row: {reason}{largest}", plan.table),
        }
    }

    // Oversized keys are what servers refuse most; their message does not name the column.
    fn largest_cell(&self, plan: &Plan) -> String {
        let size = |cell: CellValue<'_>| if let CellValue::Bytes(bytes) = cell { bytes.len() } else { 0 };
        let sizes = self.batch.rows.row(0).map(size).zip(&plan.columns);
        sizes
            .max_by_key(|(size, _)| *size)
            .map(|(size, column)| format!(" (largest cell: {}, {size} bytes)", column.name))
            .unwrap_or_default()
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

/// Those that wait, and the round under way. Dropped, it gives them up: for the end of an epoch only.
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
    pub fn judge<F>(&mut self, round: impl FnOnce(Vec<Suspect>) -> F)
    where
        F: Future<Output = Round> + Send + 'static,
    {
        if self.waiting.is_empty() || !self.round.is_empty() {
            return;
        }
        let suspects = std::mem::take(&mut self.waiting);
        self.in_round = suspects.len();
        let (round, pause) = (round(suspects), self.pause);
        self.round.spawn(async move {
            tokio::time::sleep(pause).await;
            round.await
        });
    }

    /// The end of the round; `None` if none is under way. Where a verdict is open, all wait a little for the next round.
    pub async fn judged(&mut self) -> Option<Result<Round, JoinError>> {
        let round = self.round.join_next().await?;
        self.in_round = 0;
        let is_open = |(_, verdict): &(Suspect, Verdict)| *verdict == Verdict::Open;
        if matches!(&round, Ok(Ok(verdicts)) if verdicts.iter().any(is_open)) {
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

// The schema's version, and the statements of the routes that fit it.
struct Fit {
    schema: Uuid,
    inserts: Vec<Arc<Insert>>,
}

impl Judge {
    /// Holds a round on these.
    pub async fn round(self, suspects: Vec<Suspect>) -> Round {
        let open = |suspect| (suspect, Verdict::Open);
        let Some(fit) = self.fit().await? else { return Ok(suspects.into_iter().map(open).collect()) };
        let asked = self.consistencies(&suspects);
        let willing = self.willing(&asked).await;
        let until = Instant::now() + ROUND_MAX;
        // A column may have been away for a moment: each is tried again.
        let tried = stream::iter(suspects).map(|suspect| async {
            let plan = suspect.batch.plan;
            if Instant::now() >= until || !willing.contains(&self.targets[plan].plan.consistency) {
                return open(suspect);
            }
            let verdict = match self.store.write(&fit.inserts[plan], &suspect.batch.rows).await {
                Ok(()) => Verdict::Taken(Instant::now()),
                Err(error) if error.may_pass() => Verdict::Open,
                Err(_) => Verdict::Row,
            };
            (suspect, verdict)
        });
        let mut verdicts: Vec<_> = tried.buffer_unordered(TRIED_AT_ONCE).collect().await;
        let mut refused: Vec<_> =
            verdicts.iter_mut().filter(|(_, verdict)| *verdict == Verdict::Row).collect();
        if !refused.is_empty() {
            // A column that went and came back has left another version.
            let same = self.fit().await?.is_some_and(|now| now.schema == fit.schema);
            let willing = if same { self.willing(&asked).await } else { Vec::new() };
            for (suspect, verdict) in &mut refused {
                if !willing.contains(&self.targets[suspect.batch.plan].plan.consistency) {
                    *verdict = Verdict::Open;
                }
            }
        }
        Ok(verdicts)
    }

    // `None` while it is not known whether the routes fit, or not on all nodes.
    async fn fit(&self) -> Result<Option<Fit>, Misfit> {
        let Some(schema) = self.store.schema_version().await else { return Ok(None) };
        match targets(&self.store, &self.routes).await {
            Err(Misfit::Store(error)) if error.may_pass() => Ok(None),
            Err(misfit) => Err(misfit),
            // They fit, but differently: rows that were decoded by the old plans are void.
            Ok(found) if !plans(&found).eq(plans(&self.targets)) => Err(Misfit::Changed),
            Ok(found) => {
                let inserts = found.into_iter().map(|target| target.insert).collect();
                Ok(Some(Fit { schema, inserts }))
            }
        }
    }

    fn consistencies(&self, suspects: &[Suspect]) -> Vec<Consistency> {
        let mut asked = Vec::new();
        for suspect in suspects {
            let consistency = self.targets[suspect.batch.plan].plan.consistency;
            if !asked.contains(&consistency) {
                asked.push(consistency);
            }
        }
        asked
    }

    // Those with which the cluster takes another row. A full disk, or a consistency that is not allowed, refuses every row
    // with the code of a bad one.
    async fn willing(&self, asked: &[Consistency]) -> Vec<Consistency> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        if self.store.write_probe(&self.writer, now_ms, Consistency::LocalQuorum).await.is_err() {
            return Vec::new();
        }
        let mut willing = Vec::new();
        for consistency in asked {
            // The probes' keyspace may have fewer replicas than the route's consistency asks for: that is no refusal.
            let as_the_route = self.store.write_probe(&self.writer, now_ms, *consistency).await;
            if as_the_route.is_ok() || as_the_route.is_err_and(|error| error.may_pass()) {
                willing.push(*consistency);
            }
        }
        willing
    }
}

fn plans(targets: &[Target]) -> impl Iterator<Item = &Plan> {
    targets.iter().map(|target| target.plan.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Rows;

    fn suspect() -> Suspect {
        let batch = Batch { plan: 0, rows: Rows::new(1), origins: Vec::new() };
        Suspect::new(batch, "no".to_owned())
    }

    async fn all_are(suspects: Vec<Suspect>, verdict: Verdict) -> Round {
        Ok(suspects.into_iter().map(|suspect| (suspect, verdict)).collect())
    }

    async fn verdicts(suspects: &mut Suspects) -> usize {
        suspects.judged().await.unwrap().unwrap().unwrap().len()
    }

    #[tokio::test]
    async fn one_round_at_a_time_takes_all_that_wait() {
        let mut suspects = Suspects::default();
        suspects.judge(|_| -> std::future::Ready<Round> { unreachable!("nobody waits") });
        assert!(suspects.judged().await.is_none());
        suspects.push(suspect());
        suspects.judge(|all| all_are(all, Verdict::Row));
        suspects.push(suspect());
        suspects.push(suspect());
        suspects.judge(|_| -> std::future::Ready<Round> { unreachable!("a round is under way") });
        assert_eq!(suspects.len(), 3);
        assert_eq!(verdicts(&mut suspects).await, 1);
        assert_eq!(suspects.len(), 2);
        suspects.judge(|all| all_are(all, Verdict::Row));
        assert_eq!(verdicts(&mut suspects).await, 2);
        assert!(suspects.is_empty());
    }

    #[tokio::test]
    async fn rounds_wait_longer_while_verdicts_are_open_and_not_after_one_without() {
        let mut suspects = Suspects::default();
        for failures in 1..4 {
            suspects.push(suspect());
            suspects.judge(|all| all_are(all, Verdict::Open));
            verdicts(&mut suspects).await;
            assert!(suspects.pause <= Duration::from_millis(50 << (failures - 1)));
        }
        suspects.pause = Duration::from_millis(1);
        suspects.push(suspect());
        suspects.judge(|all| all_are(all, Verdict::Row));
        verdicts(&mut suspects).await;
        assert_eq!(suspects.pause, Duration::ZERO);
        assert_eq!(suspects.backoff.next(1.0), Duration::from_millis(50));
    }
}
