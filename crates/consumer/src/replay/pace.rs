//! So many messages a second -> when the next may come. State machine without a clock.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::topic::CHUNK_MESSAGES;

/// Bounds the rate of what comes in chunks.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<NonZeroU32>,
    due: Instant,
}

impl Pace {
    /// So many a second; `None` is as many as come.
    pub(super) fn new(rate: Option<NonZeroU32>, now: Instant) -> Self {
        Self { rate, due: now }
    }

    /// How many messages a chunk may have, so that they come evenly: a tenth of a second's.
    pub(super) fn chunk_messages(&self) -> usize {
        self.rate.map_or(CHUNK_MESSAGES, |rate| (rate.get() as usize / 10).clamp(1, CHUNK_MESSAGES))
    }

    /// When the next chunk may be taken.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// A chunk of so many messages was taken. What was missed while nothing came is not made up for.
    pub(super) fn took(&mut self, messages: usize, now: Instant) {
        if let Some(rate) = self.rate {
            let takes = Duration::from_secs(messages as u64) / rate.get();
            self.due = self.due.max(now) + takes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_at_the_rate_and_not_faster_after_a_pause() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let mut pace = Pace::new(NonZeroU32::new(1_000), began);
        assert_eq!(pace.due(), began);
        pace.took(512, began);
        pace.took(512, after(512));
        assert_eq!(pace.due(), after(1_024));
        pace.took(100, after(60_000));
        assert_eq!(pace.due(), after(60_100));
    }

    #[test]
    fn chunks_are_small_where_the_rate_is() {
        let messages = |rate| Pace::new(NonZeroU32::new(rate), Instant::now()).chunk_messages();
        assert_eq!([0, 1, 10, 100, 1_000_000].map(messages), [CHUNK_MESSAGES, 1, 1, 10, CHUNK_MESSAGES]);
    }

    #[test]
    fn without_a_rate_the_next_is_due_at_once() {
        let began = Instant::now();
        let mut pace = Pace::new(None, began);
        pace.took(512, began);
        assert_eq!(pace.due(), began);
    }
}
