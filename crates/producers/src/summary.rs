//! The counts -> one INFO line every ten seconds: what a service does, without a line per record.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::counts::Counts;

const EVERY: Duration = Duration::from_secs(10);

/// The counts at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Snapshot {
    fetched: u64,
    sent: u64,
    acknowledged: u64,
    rejected: u64,
    errors: u64,
}

/// What one summary line says.
#[derive(Debug, PartialEq)]
struct Line {
    since: Snapshot,
    rate_per_s: f64,
}

impl Snapshot {
    fn of(counts: &Counts) -> Self {
        Self {
            // Read against the flow, so that no record counts as acknowledged and not yet as sent.
            acknowledged: counts.acknowledged.get(),
            rejected: counts.rejected.get(),
            sent: counts.sent.get(),
            fetched: counts.fetched.get(),
            errors: counts.errors(),
        }
    }
}

fn line(before: Snapshot, now: Snapshot, elapsed: Duration) -> Line {
    let since = Snapshot {
        fetched: now.fetched - before.fetched,
        sent: now.sent - before.sent,
        acknowledged: now.acknowledged - before.acknowledged,
        rejected: now.rejected - before.rejected,
        errors: now.errors - before.errors,
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = since.acknowledged as f64 / elapsed.as_secs_f64().max(0.001);
    Line { since, rate_per_s: (rate * 10.0).round() / 10.0 }
}

/// Logs the line until `stop`, and what is left of the last ten seconds then.
pub(crate) async fn run(
    dataset: &'static str,
    counts: Arc<Counts>,
    unacknowledged: impl Fn() -> u64,
    stop: CancellationToken,
) {
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut since) = (Snapshot::default(), Instant::now());
    loop {
        let ended = tokio::select! {
            _ = ticks.tick() => false,
            () = stop.cancelled() => true,
        };
        let now = Snapshot::of(&counts);
        let Line { since: new, rate_per_s } = line(before, now, since.elapsed());
        info!(
            dataset,
            fetched = new.fetched,
            sent = new.sent,
            acknowledged = new.acknowledged,
            unacknowledged = unacknowledged(),
            rejected = new.rejected,
            rate_per_s,
            errors = new.errors,
            "summary"
        );
        if ended {
            return;
        }
        (before, since) = (now, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_tells_of_its_own_window_only() {
        let before = Snapshot { fetched: 100, sent: 90, acknowledged: 80, rejected: 3, errors: 1 };
        let now = Snapshot { fetched: 150, sent: 140, acknowledged: 135, rejected: 4, errors: 1 };
        let line = line(before, now, Duration::from_secs(10));
        let since = Snapshot { fetched: 50, sent: 50, acknowledged: 55, rejected: 1, errors: 0 };
        assert_eq!(line, Line { since, rate_per_s: 5.5 });
    }

    #[test]
    fn window_without_length_has_a_finite_rate() {
        let now = Snapshot { acknowledged: 5, ..Snapshot::default() };
        assert!(line(Snapshot::default(), now, Duration::ZERO).rate_per_s.is_finite());
    }
}
