//! Outcomes of writes -> how many writes may be in flight.
//!
//! Additive increase, multiplicative decrease, as TCP has it (<https://www.rfc-editor.org/rfc/rfc5681>): a server that
//! says it has too much to do gets half, and one more for each window of successes. State machine without a clock.

/// The number of writes in flight that are allowed.
#[derive(Debug)]
pub struct Window {
    allowed: usize,
    max: usize,
    /// Successes since it last changed.
    successes: usize,
    /// Outcomes of writes that were in flight when it was halved: they tell nothing of the new number.
    old: usize,
}

impl Window {
    /// All of `max`, which is at least 1.
    pub fn new(max: usize) -> Self {
        Self { allowed: max, max, successes: 0, old: 0 }
    }

    /// How many writes may be in flight; at least 1.
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// A write was acknowledged.
    pub fn succeeded(&mut self) {
        self.old = self.old.saturating_sub(1);
        self.successes += 1;
        if self.successes >= self.allowed {
            self.successes = 0;
            self.allowed = (self.allowed + 1).min(self.max);
        }
    }

    /// A write failed since the server has too much to do, or did not answer in time.
    pub fn overloaded(&mut self) {
        self.successes = 0;
        if self.old > 0 {
            self.old -= 1;
            return;
        }
        // This outcome is one of them.
        self.old = self.allowed - 1;
        self.allowed = (self.allowed / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_that_fail_together_halve_the_window_once() {
        let mut window = Window::new(8);
        (0..8).for_each(|_| window.overloaded());
        assert_eq!(window.allowed(), 4);
        (0..4).for_each(|_| window.overloaded());
        assert_eq!(window.allowed(), 2);
        (0..10).for_each(|_| window.overloaded());
        assert_eq!(window.allowed(), 1, "one is always allowed");
    }

    #[test]
    fn each_window_of_successes_allows_one_more_up_to_the_setting() {
        let mut window = Window::new(4);
        (0..4).for_each(|_| window.overloaded());
        let grown: Vec<usize> = (0..12)
            .map(|_| {
                window.succeeded();
                window.allowed()
            })
            .collect();
        assert_eq!(grown, [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn an_overload_among_successes_begins_their_count_anew() {
        let mut window = Window::new(4);
        window.overloaded();
        window.succeeded();
        window.overloaded();
        window.succeeded();
        assert_eq!(window.allowed(), 2);
        window.succeeded();
        assert_eq!(window.allowed(), 3);
    }

    proptest! {
        #[test]
        fn any_outcomes_keep_the_window_within_its_bounds_and_successes_open_it_again(
            max in 1..40_usize,
            outcomes in prop::collection::vec(prop::bool::weighted(0.7), 0..300),
        ) {
            let mut window = Window::new(max);
            for success in outcomes {
                let before = window.allowed();
                if success { window.succeeded() } else { window.overloaded() }
                let after = window.allowed();
                prop_assert!((1..=max).contains(&after));
                let steps = if success { [before, before + 1] } else { [before, (before / 2).max(1)] };
                prop_assert!(steps.contains(&after), "{before} to {after}");
            }
            // One more for each window of successes, from one up to the setting.
            (0..max * max).for_each(|_| window.succeeded());
            prop_assert_eq!(window.allowed(), max);
            // Those that were in flight together halve it once.
            (0..max).for_each(|_| window.overloaded());
            prop_assert_eq!(window.allowed(), (max / 2).max(1));
        }
    }
}
