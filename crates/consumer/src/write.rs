//! One batch -> its fate: written, refused, or given up because a new epoch has begun.
//!
//! The retry is here and endless: an outage is waited out with full-jitter back-off, and nothing is skipped.

use std::time::{Duration, Instant};

use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::routes::Target;
use crate::store::{Store, WriteError};
use std::sync::Arc;

/// A server that fails this often on the same rows, while it answers probes, does so because of them.
const FAILURES_MAX: u32 = 5;

/// How long rows may be tried at least that bind what was left of their time to live when they were decoded.
pub const STALE_AFTER: Duration = Duration::from_secs(30);

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
    /// Tried for so long that its rows would live longer than they should: they have to be decoded again.
    Stale,
    /// Cancelled: a new epoch has begun.
    Void,
}

/// Writes until it is settled, or for `stale_after` if that is given. `trouble` hears of every failed attempt that is
/// followed by another.
pub async fn write(
    store: Arc<Store>,
    target: Target,
    batch: Batch,
    cancelled: CancellationToken,
    stale_after: Option<Duration>,
    trouble: impl Fn(&WriteError),
) -> Written {
    let mut backoff = Backoff::default();
    let mut attempts = Attempts { failures: 0, stale_after };
    let began = Instant::now();
    loop {
        let sent_at = Instant::now();
        let attempt = tokio::select! {
            biased;
            () = cancelled.cancelled() => return Written { batch, fate: Fate::Void },
            attempt = store.write(&target.insert, &batch.rows) => attempt,
        };
        let Err(error) = attempt else {
            let now = Instant::now();
            histogram!("tributary_write_seconds").record(now - sent_at);
            return Written { batch, fate: Fate::Acknowledged(now) };
        };
        if let Some(fate) = attempts.failed(&error, began.elapsed()) {
            return Written { batch, fate };
        }
        counter!("tributary_write_retries_total").increment(1);
        trouble(&error);
        tokio::select! {
            () = tokio::time::sleep(backoff.next(rand::random())) => {}
            () = cancelled.cancelled() => return Written { batch, fate: Fate::Void },
        }
    }
}

struct Attempts {
    failures: u32,
    stale_after: Option<Duration>,
}

impl Attempts {
    // The batch's fate after an attempt that failed; `None`: try again. `tried_for` counts from the first attempt on.
    fn failed(&mut self, error: &WriteError, tried_for: Duration) -> Option<Fate> {
        match error {
            WriteError::Refused(reason) => return Some(Fate::Refused(reason.clone())),
            WriteError::Failed(reason) => {
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    return Some(Fate::Refused(reason.clone()));
                }
            }
            WriteError::Unavailable(_) | WriteError::Overloaded(_) | WriteError::Unauthorized(_) => {}
        }
        self.stale_after.is_some_and(|limit| tried_for >= limit).then_some(Fate::Stale)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn away() -> WriteError {
        WriteError::Unavailable("nobody answers".to_owned())
    }

    #[test]
    fn rows_that_do_not_expire_are_tried_for_ever() {
        let mut attempts = Attempts { failures: 0, stale_after: None };
        assert_eq!(attempts.failed(&away(), 1_000 * HOUR), None);
    }

    #[test]
    fn rows_with_a_time_to_live_are_given_back_after_half_a_minute() {
        let mut attempts = Attempts { failures: 0, stale_after: Some(STALE_AFTER) };
        assert_eq!(attempts.failed(&away(), STALE_AFTER - Duration::from_millis(1)), None);
        assert_eq!(attempts.failed(&away(), STALE_AFTER), Some(Fate::Stale));
    }

    #[test]
    fn a_server_that_fails_five_times_refuses() {
        let mut attempts = Attempts { failures: 0, stale_after: Some(STALE_AFTER) };
        let error = WriteError::Failed("null pointer".to_owned());
        for _ in 1..FAILURES_MAX {
            assert_eq!(attempts.failed(&error, Duration::ZERO), None);
            assert_eq!(attempts.failed(&away(), Duration::ZERO), None, "an absent node counts for nothing");
        }
        assert_eq!(attempts.failed(&error, HOUR), Some(Fate::Refused("null pointer".to_owned())));
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Attempt {
        Away,
        Overloaded,
        Failed,
        Refused,
    }

    proptest! {
        // Whatever is to blame but the rows is waited out.
        #[test]
        fn only_refusals_and_failures_that_repeat_refuse_and_only_time_makes_stale(
            attempts in prop::collection::vec(
                prop_oneof![
                    6 => Just(Attempt::Away),
                    3 => Just(Attempt::Overloaded),
                    2 => Just(Attempt::Failed),
                    1 => Just(Attempt::Refused),
                ],
                1..40,
            ),
            seconds in 0..4_u64,
            expires in any::<bool>(),
        ) {
            let mut policy = Attempts { failures: 0, stale_after: expires.then_some(STALE_AFTER) };
            for (number, attempt) in attempts.iter().enumerate() {
                let why = "why".to_owned();
                let error = match attempt {
                    Attempt::Away => WriteError::Unavailable(why),
                    Attempt::Overloaded => WriteError::Overloaded(why),
                    Attempt::Failed => WriteError::Failed(why),
                    Attempt::Refused => WriteError::Refused(why),
                };
                let so_far = &attempts[..=number];
                let tried_for = Duration::from_secs(seconds * number as u64);
                let failures = so_far.iter().filter(|attempt| **attempt == Attempt::Failed).count();
                let refused = *attempt == Attempt::Refused || *attempt == Attempt::Failed && failures == 5;
                let stale = expires && tried_for >= Duration::from_secs(30);
                let expected = match (refused, stale) {
                    (true, _) => Some(Fate::Refused("why".to_owned())),
                    (false, true) => Some(Fate::Stale),
                    (false, false) => None,
                };
                let fate = policy.failed(&error, tried_for);
                prop_assert_eq!(&fate, &expected, "{:?}", so_far);
                if fate.is_some() {
                    break;
                }
            }
        }
    }
}
