//! What cannot be stored: rows that the table refuses, and messages that never become a row.

use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use super::{Engine, Settled};
use crate::batch::{Batch, Origin};
use crate::decode::DataError;
use crate::locked;
use crate::suspects::{Judge, Round, Suspect, Verdict};

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
        self.suspects.push(Suspect::new(batch, reason));
        self.judge();
    }

    fn judge(&mut self) {
        self.suspects.judge(|suspects| {
            let judge = Judge {
                store: Arc::clone(&self.store),
                routes: Arc::clone(&self.routes),
                targets: self.targets.clone(),
                writer: self.settings.consumer.group.clone(),
            };
            judge.round(suspects)
        });
    }

    pub(super) fn judged(&mut self, round: Round) {
        let verdicts = match round {
            Ok(verdicts) => verdicts,
            Err(misfit) => return self.misfit(&misfit),
        };
        let limit = self.stale_after();
        let mut stale = false;
        for (suspect, verdict) in verdicts {
            // Its partition began anew meanwhile.
            if !suspect.batch.is_current(&self.ledger) {
                continue;
            }
            match verdict {
                Verdict::Taken(at) => self.acknowledged(suspect.batch, at),
                Verdict::Row => self.convict(&suspect),
                Verdict::Open => {
                    stale |= limit.is_some_and(|limit| suspect.waits_for() >= limit);
                    self.suspects.push(suspect);
                }
            }
        }
        if stale {
            self.rewind();
        }
        self.judge();
    }

    fn convict(&mut self, suspect: &Suspect) {
        let batch = &suspect.batch;
        let Some(origin) = batch.origins.first().cloned() else { return };
        // The cluster has taken another row since.
        *locked(&self.write_trouble) = None;
        self.bury(batch.plan, origin, suspect.error(&self.targets[batch.plan].plan));
    }
}
