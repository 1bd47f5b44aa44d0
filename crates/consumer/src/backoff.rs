//! Waits between attempts: exponential, with full jitter, capped. The randomness is passed in.
//!
//! Full jitter: <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>

use std::time::Duration;

const FIRST_MAX: Duration = Duration::from_millis(50);
const MAX: Duration = Duration::from_secs(2);

/// The attempts at one thing.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after another failure; `random` is in `0.0..1.0`.
    pub fn next(&mut self, random: f64) -> Duration {
        let ceiling = FIRST_MAX.saturating_mul(1 << self.failures.min(10)).min(MAX);
        self.failures += 1;
        ceiling.mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_never_pass_it() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..2_000).map(|_| backoff.next(1.0)).collect();
        assert_eq!(waits[..3], [50, 100, 200].map(Duration::from_millis));
        assert!(waits.iter().all(|wait| *wait <= MAX) && waits[1_999] == MAX);
        assert_eq!(backoff.next(0.0), Duration::ZERO);
    }
}
