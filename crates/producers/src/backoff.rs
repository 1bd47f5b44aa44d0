//! Failures in a row -> how long to wait before the next attempt: exponential, with full jitter and a cap.
//!
//! Full jitter spreads the attempts of many clients over the whole window:
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>. Reads no clock and makes no randomness.

use std::time::Duration;

/// The longest `Retry-After` that is honoured; beyond it the upstream is asked again, at most once an hour.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Counts the failures in a row.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `min`, each further one twice the last, none above `max`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0 }
    }

    /// Something worked: the next failure is a first one again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the wait after one more failure. `chance` is uniform in 0..1; `retry_after` is what the upstream asked for,
    /// by `Retry-After` or by the `retry:` of its stream.
    pub(crate) fn next(&mut self, chance: f64, retry_after: Option<Duration>) -> Duration {
        let ceiling =
            self.min.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.max);
        self.failures = self.failures.saturating_add(1).min(31);
        let wait = ceiling.mul_f64(chance.clamp(0.0, 1.0));
        // An upstream that says when to come back may ask for more, never for less: some say 0 for ever. The jitter
        // on top keeps clients apart that were all told the same.
        match retry_after {
            Some(after) => after.min(RETRY_AFTER_MAX).max(wait) + wait.min(Duration::from_secs(1)),
            None => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIN: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(300);

    #[test]
    fn ceiling_doubles_up_to_the_cap_and_starts_over_after_success() {
        let mut backoff = Backoff::new(MIN, MAX);
        let ceilings: Vec<u64> = (0..11).map(|_| backoff.next(1.0, None).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        backoff.reset();
        assert_eq!(backoff.next(1.0, None), MIN);
    }

    #[test]
    fn jitter_is_full() {
        let mut backoff = Backoff::new(MIN, MAX);
        assert_eq!(backoff.next(0.0, None), Duration::ZERO);
        assert_eq!(backoff.next(0.5, None), Duration::from_secs(1));
    }

    #[test]
    fn absurd_retry_after_is_capped() {
        let mut backoff = Backoff::new(MIN, MAX);
        assert_eq!(backoff.next(0.0, Some(Duration::MAX)), RETRY_AFTER_MAX);
    }

    #[test]
    fn retry_after_of_nothing_does_not_switch_the_backoff_off() {
        let mut backoff = Backoff::new(MIN, MAX);
        let waits: Vec<u64> = (0..11).map(|_| backoff.next(1.0, Some(Duration::ZERO)).as_secs()).collect();
        assert_eq!(waits, [2, 3, 5, 9, 17, 33, 65, 129, 257, 301, 301]);
    }

    proptest! {
        #[test]
        fn no_wait_is_above_the_cap(chances in prop::collection::vec(0.0..1.0_f64, 1..200)) {
            let mut backoff = Backoff::new(MIN, MAX);
            for chance in chances {
                prop_assert!(backoff.next(chance, None) <= MAX);
            }
        }

        #[test]
        fn retry_after_is_never_undercut(
            chance in 0.0..1.0_f64, after_s in 0..3600_u64, failures in 0..50_usize,
        ) {
            let mut backoff = Backoff::new(MIN, MAX);
            for _ in 0..failures {
                backoff.next(chance, None);
            }
            let after = Duration::from_secs(after_s);
            let exponential = backoff.clone().next(chance, None);
            let wait = backoff.next(chance, Some(after));
            prop_assert!(wait >= after && wait <= after.max(exponential) + Duration::from_secs(1));
        }
    }
}
