//! A rate and the time that has passed -> how many messages are due now. Reads no clock.

use std::time::Duration;

/// After a pause or an outage at most this much is made up for: no storm of what was missed.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// Keeps a steady rate in small batches.
#[derive(Debug)]
pub(crate) struct Pacer {
    per_second: u32,
    made: u64,
    since: Duration,
}

impl Pacer {
    /// Starts at time zero.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, made: 0, since: Duration::ZERO }
    }

    /// Returns how often to look: at 10 a second each message by itself, at higher rates 50 batches a second.
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_secs(1) / self.per_second.clamp(1, 50)
    }

    /// Returns how many messages are due at `now`, the time since the start; they count as made.
    pub(crate) fn due(&mut self, now: Duration) -> u64 {
        let due = self.owed(now).saturating_sub(self.made);
        let most = u64::from(self.per_second.max(1)) * CATCH_UP_MAX.as_secs();
        if due > most {
            (self.since, self.made) = (now, 0);
            return most;
        }
        self.made += due;
        due
    }

    fn owed(&self, now: Duration) -> u64 {
        let passed_us = now.saturating_sub(self.since).as_micros();
        u64::try_from(passed_us * u128::from(self.per_second) / 1_000_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_is_kept_over_a_minute_of_uneven_ticks() {
        for rate in [1, 7, 10, 333, 50_000] {
            let mut pacer = Pacer::new(rate);
            let made: u64 =
                (1..=600).map(|tick| pacer.due(Duration::from_millis(tick * 100 - tick % 3 * 17))).sum();
            assert_eq!(made, u64::from(rate) * 60, "rate {rate}");
        }
    }

    #[test]
    fn an_hour_of_pause_is_not_made_up_for() {
        let mut pacer = Pacer::new(100);
        assert_eq!(pacer.due(Duration::from_secs(1)), 100);
        assert_eq!(pacer.due(Duration::from_secs(3600)), 100);
        assert_eq!(pacer.due(Duration::from_secs(3601)), 100);
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_twice_the_rate(
            rate in 1..100_000_u32, steps_ms in prop::collection::vec(0..5_000_u64, 1..100),
        ) {
            let mut pacer = Pacer::new(rate);
            let mut now = Duration::ZERO;
            for step in steps_ms {
                now += Duration::from_millis(step);
                prop_assert!(pacer.due(now) <= u64::from(rate));
            }
        }
    }
}
