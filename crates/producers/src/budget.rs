//! One budget for all requests of a dataset: a token bucket per credential, whatever the number of cities.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// Says when the next request may go out.
pub(crate) struct Budget<C: Clock + Clone = MonotonicClock> {
    limiter: Option<RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>>,
    clock: C,
}

impl Budget {
    /// A budget of so many requests a minute; `None` is none at all.
    pub(crate) fn new(requests_per_minute: Option<u32>) -> Self {
        Self::with_clock(requests_per_minute, MonotonicClock)
    }
}

impl<C: Clock + Clone> Budget<C> {
    fn with_clock(requests_per_minute: Option<u32>, clock: C) -> Self {
        let limiter = requests_per_minute.and_then(NonZeroU32::new).map(|limit| {
            // A full bucket adds its burst to the first minute, so the burst stays small: 50 a minute never
            // make more than 55 in any minute.
            let burst = NonZeroU32::new(limit.get() / 10).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct_with_clock(Quota::per_minute(limit).allow_burst(burst), clock.clone())
        });
        Self { limiter, clock }
    }

    /// Takes one request out of the budget, or returns how long to wait before asking again.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        match self.limiter.as_ref().map(RateLimiter::check) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(not_until)) => Err(not_until.wait_time_from(self.clock.now())),
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn no_minute_has_more_than_the_budget_and_its_tenth() {
        let clock = FakeRelativeClock::default();
        let budget = Budget::with_clock(Some(50), clock.clone());
        let mut taken_at_ms = Vec::new();
        for now_ms in 0..180_000_u64 {
            while budget.take().is_ok() {
                taken_at_ms.push(now_ms);
            }
            clock.advance(Duration::from_millis(1));
        }
        let in_minute =
            |start: u64| taken_at_ms.iter().filter(|at| (start..start + 60_000).contains(at)).count();
        assert!((0..120_000).step_by(100).all(|start| in_minute(start) <= 55), "{taken_at_ms:?}");
        assert!(taken_at_ms.len() >= 150, "the budget is used: {}", taken_at_ms.len());
    }

    #[test]
    fn said_wait_is_enough_and_not_too_much() {
        let clock = FakeRelativeClock::default();
        let budget = Budget::with_clock(Some(6), clock.clone());
        assert!(budget.take().is_ok());
        let wait = budget.take().unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        clock.advance(wait);
        assert!(budget.take().is_ok());
    }

    #[test]
    fn without_a_budget_nothing_waits() {
        let budget = Budget::new(None);
        assert!((0..10_000).all(|_| budget.take().is_ok()));
    }
}
