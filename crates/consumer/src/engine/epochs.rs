//! Which deliveries count, and whether rows may be written: probes, seeks, rebalances and the schema decide.
//!
//! State machine without a clock or I/O. The polling thread counts the epochs (`receive`); here they are followed.

/// Whether rows may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first probe has not been answered yet.
    Unproved,
    /// A seek is under way: what still arrives is void.
    Seeking,
    /// Yes.
    Writing,
    /// The tables do not fit the routes; the schema is read again until they do.
    Misfit,
}

/// The epoch and the phase of one consumer.
#[derive(Debug)]
pub(super) struct Epochs {
    current: u64,
    phase: Phase,
    /// Asked for and not done.
    seeks_left: u32,
}

impl Epochs {
    pub(super) fn new() -> Self {
        Self { current: 0, phase: Phase::Unproved, seeks_left: 0 }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether rows may be written.
    pub(super) fn writes(&self) -> bool {
        self.phase == Phase::Writing
    }

    /// Whether deliveries are to be fetched; those that are void make room.
    pub(super) fn reads(&self) -> bool {
        matches!(self.phase, Phase::Writing | Phase::Seeking)
    }

    /// Whether a delivery of that epoch becomes rows; if not, it is void.
    pub(super) fn takes(&self, epoch: u64) -> bool {
        epoch == self.current && self.writes()
    }

    /// The first probe is answered.
    pub(super) fn proved(&mut self) {
        self.phase = Phase::Writing;
    }

    /// A seek has been asked for.
    pub(super) fn seeking(&mut self) {
        self.phase = Phase::Seeking;
        self.seeks_left += 1;
    }

    /// A seek is done: what is read from here on is of that epoch.
    pub(super) fn sought(&mut self, epoch: u64) {
        self.current = epoch;
        self.seeks_left = self.seeks_left.saturating_sub(1);
        if self.phase == Phase::Seeking && self.seeks_left == 0 {
            self.phase = Phase::Writing;
        }
    }

    /// Partitions are given up: what was read before that epoch is void.
    pub(super) fn left(&mut self, epoch: u64) {
        self.current = epoch;
    }

    /// The tables do not fit. Whether that is new.
    pub(super) fn misfit(&mut self) -> bool {
        std::mem::replace(&mut self.phase, Phase::Misfit) != Phase::Misfit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Seek,
        Sought,
        Leave,
        Misfit,
    }

    proptest! {
        #[test]
        fn only_the_newest_epoch_is_taken_and_only_when_every_seek_is_done(
            steps in prop::collection::vec(
                prop_oneof![Just(Step::Seek), Just(Step::Sought), Just(Step::Leave), Just(Step::Misfit)],
                1..60,
            ),
        ) {
            let mut epochs = Epochs::new();
            prop_assert!(!epochs.reads() && !epochs.takes(0), "nothing before the first probe");
            epochs.proved();
            let (mut newest, mut asked, mut done, mut misfit) = (0, 0, 0, false);
            for step in steps {
                match step {
                    // Also when the tables fit again.
                    Step::Seek => {
                        epochs.seeking();
                        (asked, misfit) = (asked + 1, false);
                    }
                    Step::Sought if done < asked => {
                        (newest, done) = (newest + 1, done + 1);
                        epochs.sought(newest);
                    }
                    Step::Leave => {
                        newest += 1;
                        epochs.left(newest);
                    }
                    Step::Misfit => {
                        prop_assert_eq!(epochs.misfit(), !misfit);
                        misfit = true;
                    }
                    Step::Sought => {}
                }
                prop_assert_eq!(epochs.reads(), !misfit);
                prop_assert_eq!(epochs.writes(), !misfit && asked == done);
                for epoch in 0..newest + 2 {
                    prop_assert_eq!(epochs.takes(epoch), epochs.writes() && epoch == newest);
                }
            }
        }
    }
}
