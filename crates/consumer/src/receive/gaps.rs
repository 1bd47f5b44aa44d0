//! Offsets that retention deleted while they waited to be read. The broker then sends the next ones, and librdkafka
//! goes on with them without an error; so does a log that was compacted, or that has transactions' markers, where
//! nothing is missing. What tells the two apart is the first offset that the broker still has.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::message::Partition;

/// Watches each partition's reading jump forward.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The offset behind what was read.
    next: BTreeMap<Partition, i64>,
    /// The widest jump since the last look.
    jumps: BTreeMap<Partition, Range<i64>>,
}

impl Gaps {
    /// Reading begins at the committed offset, or again where it was sought: the next message is to be that one.
    pub(super) fn begin(&mut self, partition: Partition, offset: i64) {
        self.next.insert(partition, offset);
    }

    /// Offsets from `first` up to `end` were read, `jump` among them being the widest that was not.
    pub(super) fn read(&mut self, partition: Partition, first: i64, end: i64, jump: Range<i64>) {
        if let Some(expected) = self.next.insert(partition, end) {
            self.jumped(partition, expected..first);
        }
        self.jumped(partition, jump);
    }

    fn jumped(&mut self, partition: Partition, jump: Range<i64>) {
        let width = |jump: &Range<i64>| jump.end - jump.start;
        if width(&jump) > self.jumps.get(&partition).map_or(0, width) {
            self.jumps.insert(partition, jump);
        }
    }

    /// The partition is no longer ours.
    pub(super) fn forget(&mut self, partition: Partition) {
        self.next.remove(&partition);
        self.jumps.remove(&partition);
    }

    /// Which of the jumps went over offsets before `lows`, the first ones that the broker has.
    pub(super) fn deleted(&mut self, lows: &BTreeMap<Partition, i64>) -> Vec<(Partition, Range<i64>)> {
        let deleted = |(partition, jump): (Partition, Range<i64>)| {
            let low = *lows.get(&partition)?;
            (low > jump.start).then(|| (partition, jump.start..low.min(jump.end)))
        };
        std::mem::take(&mut self.jumps).into_iter().filter_map(deleted).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Partition = Partition { topic: 0, number: 0 };
    const B: Partition = Partition { topic: 0, number: 1 };

    fn read(gaps: &mut Gaps, partition: Partition, first: i64, end: i64) {
        gaps.read(partition, first, end, 0..0);
    }

    #[test]
    fn only_jumps_over_what_the_broker_no_longer_has_are_told_and_once() {
        let mut gaps = Gaps::default();
        for partition in [A, B] {
            read(&mut gaps, partition, 5, 10);
            read(&mut gaps, partition, 12, 20);
            read(&mut gaps, partition, 100, 110);
            read(&mut gaps, partition, 111, 120);
        }
        let lows = BTreeMap::from([(A, 90), (B, 20)]);
        assert_eq!(gaps.deleted(&lows), [(A, 20..90)]);
        assert_eq!(gaps.deleted(&lows), []);
    }

    #[test]
    fn no_more_is_told_than_was_jumped_over() {
        let mut gaps = Gaps::default();
        read(&mut gaps, A, 0, 10);
        read(&mut gaps, A, 30, 40);
        assert_eq!(gaps.deleted(&BTreeMap::from([(A, 500)])), [(A, 10..30)]);
    }

    #[test]
    fn a_jump_behind_the_committed_offset_is_told_only_where_offsets_were_deleted() {
        let mut gaps = Gaps::default();
        for partition in [A, B] {
            gaps.begin(partition, 100);
            read(&mut gaps, partition, 120, 130);
        }
        // A: the rest of its log was compacted, or is a transaction's marker.
        let lows = BTreeMap::from([(A, 40), (B, 120)]);
        assert_eq!(gaps.deleted(&lows), [(B, 100..120)]);
        // Assigned again, without a jump.
        gaps.begin(B, 130);
        read(&mut gaps, B, 130, 140);
        assert_eq!(gaps.deleted(&lows), []);
    }

    #[test]
    fn another_owners_offsets_and_a_step_back_are_no_jumps() {
        let mut gaps = Gaps::default();
        read(&mut gaps, A, 0, 10);
        gaps.forget(A);
        read(&mut gaps, A, 50, 60);
        read(&mut gaps, A, 20, 30);
        assert_eq!(gaps.deleted(&BTreeMap::from([(A, 1_000)])), []);
    }

    #[test]
    fn what_was_deleted_before_it_was_read_again_is_told() {
        let mut gaps = Gaps::default();
        read(&mut gaps, A, 0, 200);
        gaps.begin(A, 100);
        read(&mut gaps, A, 5_000, 5_010);
        assert_eq!(gaps.deleted(&BTreeMap::from([(A, 5_000)])), [(A, 100..5_000)]);
    }

    #[test]
    fn a_jump_in_the_middle_of_what_was_read_is_told() {
        let mut gaps = Gaps::default();
        gaps.read(A, 0, 110, 10..100);
        assert_eq!(gaps.deleted(&BTreeMap::from([(A, 100)])), [(A, 10..100)]);
    }

    proptest! {
        #[test]
        fn of_all_jumps_since_the_last_look_the_widest_is_told_as_far_as_it_was_deleted(
            steps in prop::collection::vec((0..5_usize, 0..40_i64, 1..20_i64), 1..60),
        ) {
            let mut gaps = Gaps::default();
            // A model that keeps every jump.
            let (mut next, mut jumps, mut low) = (None, Vec::new(), 0);
            for (step, jump, length) in steps {
                match step {
                    0 | 1 => {
                        let first = next.unwrap_or(100) + jump;
                        jumps.extend(next.map(|next| next..first));
                        read(&mut gaps, A, first, first + length);
                        next = Some(first + length);
                    }
                    // Sought back.
                    2 => {
                        let to = next.unwrap_or(100) - length;
                        gaps.begin(A, to);
                        next = Some(to);
                    }
                    3 => {
                        gaps.forget(A);
                        (next, jumps) = (None, Vec::new());
                    }
                    _ => {
                        low += jump * 4;
                        let width = |jump: &Range<i64>| jump.end - jump.start;
                        // Of several as wide, the first.
                        let widest = jumps.iter().rev().max_by_key(|jump| width(jump)).filter(|jump| !jump.is_empty());
                        let expected = widest.filter(|jump| jump.start < low).map(|jump| (A, jump.start..jump.end.min(low)));
                        let told = gaps.deleted(&BTreeMap::from([(A, low)]));
                        prop_assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
                        jumps.clear();
                    }
                }
            }
        }
    }
}
