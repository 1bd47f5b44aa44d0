//! One batch -> its fate: written, refused, or given up because a new epoch has begun.
//!
//! The retry is here and endless: an outage is waited out with full-jitter back-off, and nothing is skipped.

use std::time::Instant;

use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::routes::Target;
use crate::store::{Store, WriteError};
use std::sync::Arc;

/// A server that fails this often on the same rows, while it answers probes, does so because of them.
const FAILURES_MAX: u32 = 5;

/// What became of a batch.
#[derive(Debug)]
pub struct Written {
    /// The batch.
    pub batch: Batch,
    /// Its fate.
    pub fate: Fate,
}

/// See [`Written`].
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged at that time.
    Acknowledged(Instant),
    /// The table does not take it: one of its rows is at fault, or the schema.
    Refused(String),
    /// Cancelled: a new epoch has begun.
    Void,
}

/// Writes until it is settled. `trouble` hears of every failed attempt.
pub async fn write(
    store: Arc<Store>,
    target: Target,
    batch: Batch,
    cancelled: CancellationToken,
    trouble: impl Fn(String),
) -> Written {
    let mut backoff = Backoff::default();
    let mut failures = 0;
    loop {
        let sent_at = Instant::now();
        let attempt = tokio::select! {
            biased;
            () = cancelled.cancelled() => return Written { batch, fate: Fate::Void },
            attempt = store.write(&target.insert, &batch.rows) => attempt,
        };
        let reason = match attempt {
            Ok(()) => {
                let now = Instant::now();
                histogram!("tributary_write_seconds").record(now - sent_at);
                return Written { batch, fate: Fate::Acknowledged(now) };
            }
            Err(WriteError::Refused(reason)) => return Written { batch, fate: Fate::Refused(reason) },
            Err(WriteError::Failed(reason)) => {
                failures += 1;
                if failures >= FAILURES_MAX {
                    return Written { batch, fate: Fate::Refused(reason) };
                }
                reason
            }
            Err(WriteError::Unavailable(reason)) => reason,
        };
        counter!("tributary_write_retries_total").increment(1);
        trouble(reason);
        tokio::select! {
            () = tokio::time::sleep(backoff.next(rand::random())) => {}
            () = cancelled.cancelled() => return Written { batch, fate: Fate::Void },
        }
    }
}
