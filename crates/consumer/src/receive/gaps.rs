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
    /// Reading begins at the committed offset: nothing was read there yet.
    pub(super) fn begin(&mut self, partition: Partition, committed: i64) {
        self.next.insert(partition, committed);
    }

    /// Offsets from `first` up to `end` were read.
    pub(super) fn read(&mut self, partition: Partition, first: i64, end: i64) {
        let Some(expected) = self.next.insert(partition, end) else { return };
        let width = |jump: &Range<i64>| jump.end - jump.start;
        let jump = expected..first;
        if width(&jump) > self.jumps.get(&partition).map_or(0, width) {
            self.jumps.insert(partition, jump);
        }
    }

    /// Reading goes on elsewhere, or not at all.
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
    use super::*;

    const A: Partition = Partition { topic: 0, number: 0 };
    const B: Partition = Partition { topic: 0, number: 1 };

    #[test]
    fn only_jumps_over_what_the_broker_no_longer_has_are_told_and_once() {
        let mut gaps = Gaps::default();
        for partition in [A, B] {
            gaps.read(partition, 5, 10);
            gaps.read(partition, 12, 20);
            gaps.read(partition, 100, 110);
            gaps.read(partition, 111, 120);
        }
        let lows = BTreeMap::from([(A, 90), (B, 20)]);
        assert_eq!(gaps.deleted(&lows), [(A, 20..90)]);
        assert_eq!(gaps.deleted(&lows), []);
    }

    #[test]
    fn no_more_is_told_than_was_jumped_over() {
        let mut gaps = Gaps::default();
        gaps.read(A, 0, 10);
        gaps.read(A, 30, 40);
        assert_eq!(gaps.deleted(&BTreeMap::from([(A, 500)])), [(A, 10..30)]);
    }

    #[test]
    fn a_jump_behind_the_committed_offset_is_told_only_where_offsets_were_deleted() {
        let mut gaps = Gaps::default();
        for partition in [A, B] {
            gaps.begin(partition, 100);
            gaps.read(partition, 120, 130);
        }
        // A: the rest of its log was compacted, or is a transaction's marker.
        let lows = BTreeMap::from([(A, 40), (B, 120)]);
        assert_eq!(gaps.deleted(&lows), [(B, 100..120)]);
        // Assigned again, without a jump.
        gaps.begin(B, 130);
        gaps.read(B, 130, 140);
        assert_eq!(gaps.deleted(&lows), []);
    }

    #[test]
    fn a_seek_and_a_step_back_are_no_jumps() {
        let mut gaps = Gaps::default();
        gaps.read(A, 0, 10);
        gaps.forget(A);
        gaps.read(A, 50, 60);
        gaps.read(A, 20, 30);
        assert_eq!(gaps.deleted(&BTreeMap::from([(A, 1_000)])), []);
    }
}
