//! What cannot be stored: rows that the table refuses, and messages that never become a row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::debug;

use super::{Engine, Settled, Verdict};
use crate::backoff::Backoff;
use crate::batch::{Batch, Origin};
use crate::decode::{Class, DataError};
use crate::locked;
use crate::plan::Plan;
use crate::route::{Consistency, Route};
use crate::routes::{Misfit, Target, targets};
use crate::rows::CellValue;
use crate::store::{Insert, Store};

impl Engine {
    // A data error: the message becomes a dead letter, and has its outcome when Kafka has that.
    pub(super) fn bury(&mut self, plan: usize, origin: Origin, error: DataError) {
        let Origin { chunk, place, partition, span } = origin;
        let topic = &self.receiver.shared.topics[partition.topic];
        let message = chunk.message(topic, partition.number, place);
        let offset = message.offset;
        debug!(topic, partition = partition.number, offset, %error, "record dead-lettered");
        let letter = self.dead_letters.letter(&self.targets[plan].plan, &message, &error);
        let letters = self.dead_letters.clone();
        let void = self.void.clone();
        self.letters.spawn(async move {
            let acknowledged = letters.send(letter, void).await;
            // Held so long, so that letters on their way count against the memory budget.
            drop(chunk);
            Settled { partition, span, offset, error, acknowledged_at: acknowledged.then(Instant::now) }
        });
    }

    pub(super) fn settled(&mut self, settled: &Settled) {
        let Settled { partition, span, offset, error, acknowledged_at } = settled;
        let Some(at) = acknowledged_at else { return };
        // One dead letter of a message that is read again counts when it is settled for good.
        if self.ledger.knows(*partition, *span) {
            self.progress.dead(*partition, error.class, *offset, &error.reason);
            self.ledger.settle(*partition, *span, 1, self.horizon.now(*at));
            self.commit_if_immediate();
        }
    }

    // A row that is refused alone: is it the row, or has its table changed?
    pub(super) fn suspect(&mut self, batch: Batch, reason: String) {
        let store = Arc::clone(&self.store);
        let routes = Arc::clone(&self.routes);
        let target = self.targets[batch.plan].clone();
        let writer = self.settings.consumer.group.clone();
        let void = self.void.clone();
        let stale_after = self.stale_after();
        let judges = Arc::clone(&self.judges);
        self.suspects.spawn(async move {
            let judged = async {
                // The semaphore is never closed.
                let _turn = judges.acquire().await;
                judge(&store, &routes, &target, &batch, &writer, stale_after).await
            };
            let verdict = tokio::select! {
                verdict = judged => verdict,
                // The batch is no longer current, which is what counts then.
                () = void.cancelled() => Verdict::Row,
            };
            (batch, reason, verdict)
        });
    }

    pub(super) fn judged(&mut self, (batch, reason, verdict): (Batch, String, Verdict)) {
        let Some(origin) = batch.origins.first().cloned() else { return };
        match verdict {
            // Judged in an epoch that has ended: it is read again.
            _ if !batch.is_current(&self.ledger) => {}
            Verdict::Taken(at) => self.acknowledged(batch, at),
            Verdict::Row => {
                // The cluster has just taken another row.
                *locked(&self.write_trouble) = None;
                let plan = &self.targets[batch.plan].plan;
                let largest = largest_cell(&batch, plan);
                let reason = format!("{} refused the row: {reason}{largest}", plan.table);
                self.bury(batch.plan, origin, DataError { class: Class::Refused, reason });
            }
            Verdict::Table(misfit) => self.misfit(&misfit),
            Verdict::Stale => self.rewind(),
        }
    }
}

// The row is at fault only if the cluster refuses it, takes another, and the route fits its table before and after.
async fn judge(
    store: &Store,
    routes: &[Route],
    target: &Target,
    batch: &Batch,
    writer: &str,
    stale_after: Option<Duration>,
) -> Verdict {
    let began = Instant::now();
    let mut backoff = Backoff::default();
    let mut refused = false;
    loop {
        match still_fits(store, routes, target, batch.plan).await {
            Err(misfit) => return Verdict::Table(misfit),
            Ok(Some(_)) if refused => return Verdict::Row,
            // A column may have been away for a moment: it is tried again.
            Ok(Some(insert)) if takes_rows(store, target, writer).await => {
                match store.write(&insert, &batch.rows).await {
                    Ok(()) => return Verdict::Taken(Instant::now()),
                    Err(error) => refused = !error.may_pass(),
                }
                if refused {
                    continue;
                }
            }
            Ok(_) => refused = false,
        }
        // The cluster does not answer, or takes nothing, or does not agree: no verdict yet.
        if stale_after.is_some_and(|limit| began.elapsed() >= limit) {
            return Verdict::Stale;
        }
        tokio::time::sleep(backoff.next(rand::random())).await;
    }
}

// The statement, if the route still fits its table; `None` while that is not known, or not on all nodes.
async fn still_fits(
    store: &Store,
    routes: &[Route],
    target: &Target,
    plan: usize,
) -> Result<Option<Arc<Insert>>, Misfit> {
    if !store.is_schema_agreed().await {
        return Ok(None);
    }
    match targets(store, routes).await {
        Err(Misfit::Store(error)) if error.may_pass() => Ok(None),
        Err(misfit) => Err(misfit),
        // It fits, but differently: rows that were decoded by the old plan are void.
        Ok(targets) if *targets[plan].plan != *target.plan => Err(Misfit::Changed),
        Ok(targets) => Ok(Some(Arc::clone(&targets[plan].insert))),
    }
}

// A full disk, or a consistency that is not allowed, refuses every row with the code of a bad one.
async fn takes_rows(store: &Store, target: &Target, writer: &str) -> bool {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let as_the_route = store.write_probe(writer, now_ms, target.plan.consistency).await;
    // The probes' keyspace may have fewer replicas than the route's consistency asks for: that is no refusal.
    if as_the_route.is_err_and(|error| !error.may_pass()) {
        return false;
    }
    store.write_probe(writer, now_ms, Consistency::LocalQuorum).await.is_ok()
}

// Oversized keys are what servers refuse most; their message does not name the column.
fn largest_cell(batch: &Batch, plan: &Plan) -> String {
    let size = |cell: CellValue<'_>| if let CellValue::Bytes(bytes) = cell { bytes.len() } else { 0 };
    let sizes = batch.rows.row(0).map(size).zip(&plan.columns);
    sizes
        .max_by_key(|(size, _)| *size)
        .map(|(size, column)| format!(" (largest cell: {}, {size} bytes)", column.name))
        .unwrap_or_default()
}
