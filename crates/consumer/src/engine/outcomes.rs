//! Batches -> writes in flight, and what becomes of them: acknowledged, split, judged, void.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use crate::batch::{Batch, Origin};
use crate::locked;
use crate::store::WriteError;
use crate::write::{Fate, STALE_AFTER, Written, write};

impl Engine {
    // Starts as many writes as may be in flight; part-filled batches only where the input is dry.
    pub(super) fn dispatch(&mut self, dry: bool) {
        if !self.epochs.writes() {
            return;
        }
        while self.writes.len() < locked(&self.window).allowed() {
            let Some(batch) = self.batcher.next(dry) else { break };
            let (trouble, window) = (Arc::clone(&self.write_trouble), Arc::clone(&self.window));
            let note = move |error: &WriteError| {
                if matches!(error, WriteError::Overloaded(_)) {
                    locked(&window).overloaded();
                }
                *locked(&trouble) = Some(error.to_string());
            };
            let (store, target) = (Arc::clone(&self.store), self.targets[batch.plan].clone());
            self.writes.spawn(write(store, target, batch, self.void.clone(), self.stale_after(), note));
        }
    }

    // Of all rows, where those of any route expire: they wait behind the others. Between two rewinds there is time for what
    // is written to become durable, so that one stuck write does not keep the others from their commits.
    pub(super) fn stale_after(&self) -> Option<Duration> {
        let expires = self.targets.iter().any(|target| target.plan.expires());
        expires.then(|| STALE_AFTER.max(2 * self.settings.consumer.durable_after))
    }

    pub(super) fn written(&mut self, Written { batch, fate }: Written) {
        match fate {
            // An outcome of before a rewind: the messages are read again, and count then.
            Fate::Acknowledged(_) | Fate::Refused(_) if !batch.is_current(&self.ledger) => {
                self.batcher.recycle(batch);
            }
            Fate::Acknowledged(at) => {
                locked(&self.window).succeeded();
                self.acknowledged(batch, at);
            }
            // What is left of their time to live is less by now. The rewind voids all that is in flight, and what is
            // read again has as much time of its own: there is no second rewind before that.
            Fate::Stale if batch.is_current(&self.ledger) => self.rewind(),
            // Every write of a void epoch ends here; the ledger has forgotten its spans.
            Fate::Stale | Fate::Void => self.batcher.recycle(batch),
            Fate::Refused(reason) => match batch.split() {
                Ok((left, right)) => {
                    self.batcher.again(right);
                    self.batcher.again(left);
                }
                Err(single) => self.suspect(single, reason),
            },
        }
    }

    pub(super) fn acknowledged(&mut self, batch: Batch, at: Instant) {
        let now = self.horizon.now(at);
        let now_ms = chrono::Utc::now().timestamp_millis();
        for run in
            batch.origins.chunk_by(|one, next| (one.partition, one.span) == (next.partition, next.span))
        {
            let Origin { partition, span, .. } = run[0];
            self.ledger.settle(partition, span, u32::try_from(run.len()).unwrap_or(u32::MAX), now);
            for origin in run {
                self.progress.stored(partition, origin.chunk.timestamp_ms(origin.place), now_ms);
            }
        }
        self.batcher.recycle(batch);
        *locked(&self.write_trouble) = None;
        self.commit_if_immediate();
    }

    pub(super) fn commit_if_immediate(&mut self) {
        if self.horizon.is_immediate() {
            self.commit(Duration::MAX);
        }
    }

    pub(super) fn commit(&mut self, limit: Duration) {
        let moved = self.ledger.advance(limit);
        if !moved.is_empty() {
            self.receiver.store(moved);
        }
    }
}
