//! A count that is looked at about once a second -> how fast it grows.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Long enough to be calm, short enough to follow.
const OVER: Duration = Duration::from_secs(5);

/// The last looks at one count. Reads no clock.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    looks: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Takes in one look. A count that went back belongs to a service that was started anew, and what grew while nobody could
    /// look grew at a rate that nobody knows: both begin again.
    pub(crate) fn look(&mut self, at: Instant, count: u64) {
        let goes_on = |(last_at, last): &(Instant, u64)| {
            count >= *last && at.saturating_duration_since(*last_at) < OVER
        };
        if !self.looks.back().is_some_and(goes_on) {
            self.looks.clear();
        }
        self.looks.push_back((at, count));
        while self.looks.len() > 2 && at.saturating_duration_since(self.looks[1].0) >= OVER {
            self.looks.pop_front();
        }
    }

    /// Per second; `None` before the second look, and when the last is long ago.
    pub(crate) fn per_s(&self, now: Instant) -> Option<f64> {
        let ((first_at, first), (last_at, last)) = (self.looks.front()?, self.looks.back()?);
        let seconds = last_at.saturating_duration_since(*first_at).as_secs_f64();
        let is_recent = now.saturating_duration_since(*last_at) < OVER;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        (seconds > 0.0 && is_recent).then(|| (last - first) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_at(now: u64, looks: &[(u64, u64)]) -> Option<f64> {
        let start = Instant::now();
        let mut rate = Rate::default();
        for (second, count) in looks {
            rate.look(start + Duration::from_secs(*second), *count);
        }
        rate.per_s(start + Duration::from_secs(now))
    }

    fn rate(looks: &[(u64, u64)]) -> Option<f64> {
        rate_at(looks.last().map_or(0, |(second, _)| *second), looks)
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        assert_eq!(rate(&[(0, 100)]), None);
        assert_eq!(rate(&[(0, 100), (1, 110)]), Some(10.0));
        let burst_long_ago: Vec<_> = (0..20).map(|second| (second, 1_000 + 2 * second)).collect();
        assert_eq!(rate(&[&[(0, 0)], &burst_long_ago[1..]].concat()), Some(2.0));
    }

    #[test]
    fn a_look_that_came_late_is_no_burst_and_one_that_was_missed_for_long_tells_nothing() {
        assert_eq!(rate(&[(0, 0), (1, 10), (4, 40)]), Some(10.0));
        assert_eq!(rate(&[(0, 0), (1, 10), (31, 150_000)]), None);
        assert_eq!(rate(&[(0, 0), (1, 10), (31, 150_000), (32, 150_010)]), Some(10.0));
        assert_eq!(rate_at(30, &[(0, 0), (1, 10)]), None);
    }

    #[test]
    fn a_count_that_begins_again_has_no_negative_rate() {
        assert_eq!(rate(&[(0, 100), (1, 110), (2, 3)]), None);
        assert_eq!(rate(&[(0, 100), (1, 110), (2, 3), (3, 7)]), Some(4.0));
    }
}
