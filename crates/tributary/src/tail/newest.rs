//! The end of a topic -> its newest messages, oldest first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use consumer::topic::{Ranges, Topics, Unread};

use super::record::Record;

/// How much further back the next look goes.
const FURTHER: i64 = 8;
/// Bytes of messages that are kept, as for a sample of `check`.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// Where a message is among all: time, partition, offset.
type Place = (Option<i64>, i32, i64);

/// So many of the newest messages by their timestamps, of which those that are not wanted are only counted.
struct Newest {
    count: usize,
    bytes_max: usize,
    bytes: usize,
    by_place: BTreeMap<Place, Option<Record>>,
    /// The newest that was given up to keep within the bytes.
    cut: Option<Place>,
}

/// So many of the newest messages by their timestamps, or all that there are: those of them that are `wanted`. The flag tells
/// whether they are fewer because all together would have been too large.
pub(super) fn of(
    topics: &Topics,
    topic: &str,
    held: &Ranges,
    count: u32,
    wanted: impl Fn(&Record) -> bool,
) -> Result<(Vec<Record>, bool), Unread> {
    // Offsets may be without a message, by compaction for instance: then more of them are looked at.
    let mut reach = i64::from(count);
    loop {
        let looked_at = ends(held, reach);
        let mut newest = Newest::of(count, BYTES_MAX);
        topics.read(topic, &looked_at, |message| {
            let record = Record::of(message);
            let is_wanted = wanted(&record);
            newest.push(record, is_wanted);
            ControlFlow::Continue(())
        })?;
        if newest.is_full() || looked_at == *held {
            let is_cut = newest.is_cut();
            return Ok((newest.by_place.into_values().flatten().collect(), is_cut));
        }
        reach = reach.saturating_mul(FURTHER);
    }
}

impl Newest {
    fn of(count: u32, bytes_max: usize) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self { count, bytes_max, bytes: 0, by_place: BTreeMap::new(), cut: None }
    }

    fn push(&mut self, record: Record, is_wanted: bool) {
        let place = (record.timestamp_ms, record.partition, record.offset);
        if self.cut.is_some_and(|cut| place < cut) {
            return;
        }
        self.bytes += if is_wanted { record.size() } else { 0 };
        self.by_place.insert(place, is_wanted.then_some(record));
        while self.by_place.len() > self.count {
            self.drop_oldest();
        }
        // The newest itself may be larger than all that is allowed.
        while self.bytes > self.bytes_max && self.by_place.len() > 1 {
            self.cut = self.drop_oldest().max(self.cut);
        }
    }

    fn drop_oldest(&mut self) -> Option<Place> {
        let (place, record) = self.by_place.pop_first()?;
        self.bytes -= record.map_or(0, |record| record.size());
        Some(place)
    }

    // Whether there are fewer because of the bytes: newer ones may have come, behind what was given up.
    fn is_cut(&self) -> bool {
        self.cut.is_some() && self.by_place.len() < self.count
    }

    // Whether a look further back changes nothing.
    fn is_full(&self) -> bool {
        self.by_place.len() >= self.count || self.cut.is_some()
    }
}

// The last offsets of each partition: all of the newest messages may be in one.
fn ends(held: &Ranges, reach: i64) -> Ranges {
    let end = |range: &std::ops::Range<i64>| range.end.saturating_sub(reach).max(range.start)..range.end;
    held.iter().map(|(number, range)| (*number, end(range))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(newest: &Newest) -> Vec<i64> {
        newest.by_place.values().flatten().map(|record| record.offset).collect()
    }

    // Its time is its offset.
    fn record(offset: i64, bytes: usize) -> Record {
        Record { offset, timestamp_ms: Some(offset), value: Some(vec![b'x'; bytes]), ..Record::default() }
    }

    #[test]
    fn only_what_is_wanted_is_kept_and_all_are_counted() {
        let mut newest = Newest::of(4, 2_000);
        for offset in [3, 0, 1, 2, 9, 4] {
            newest.push(record(offset, 400), offset % 2 == 1);
        }
        assert_eq!((offsets(&newest), newest.cut), (vec![3, 9], None));
        assert!(newest.is_full() && newest.bytes < 1_500);
    }

    #[test]
    fn what_was_given_up_is_not_missed_where_newer_ones_are_enough() {
        let mut newest = Newest::of(2, 1_500);
        newest.push(record(1, 1_000), true);
        newest.push(record(2, 1_000), true);
        assert!(newest.is_cut());
        newest.push(record(8, 10), true);
        newest.push(record(9, 10), true);
        assert_eq!((offsets(&newest), newest.is_cut()), (vec![8, 9], false));
    }

    #[test]
    fn what_is_kept_is_bounded_and_is_the_newest() {
        let mut newest = Newest::of(100, 1_500);
        for offset in [5, 1, 8, 9, 2] {
            newest.push(record(offset, 300), true);
        }
        assert_eq!(offsets(&newest), [5, 8, 9]);
        assert!(newest.is_full() && newest.cut == Some((Some(2), 0, 2)));
        newest.push(record(10, 5_000), true);
        assert_eq!(offsets(&newest), [10], "one is always shown");
        newest.push(record(9, 1), true);
        assert_eq!(offsets(&newest), [10], "none is left out between two that are shown");
    }

    #[test]
    fn a_look_back_ends_at_the_beginning_of_a_partition() {
        let held = Ranges::from([(0, 90..100), (1, 0..0), (2, 0..1_000)]);
        assert_eq!(ends(&held, 20), Ranges::from([(0, 90..100), (1, 0..0), (2, 980..1_000)]));
        assert_eq!(ends(&held, i64::MAX), held);
    }
}
