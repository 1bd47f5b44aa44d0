//! The end of a topic -> its newest messages, oldest first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use consumer::topic::{Ranges, Topics, Unread};

use super::record::Record;

/// How much further back the next look goes.
const FURTHER: i64 = 8;

/// So many of the newest messages by their timestamps, or all that there are.
pub(super) fn of(topics: &Topics, topic: &str, held: &Ranges, count: u32) -> Result<Vec<Record>, Unread> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    // Offsets may be without a message, by compaction for instance: then more of them are looked at.
    let mut reach = i64::from(count);
    loop {
        let looked_at = ends(held, reach);
        let mut newest = BTreeMap::new();
        topics.read(topic, &looked_at, |message| {
            let record = Record::of(message);
            newest.insert((record.timestamp_ms, record.partition, record.offset), record);
            if newest.len() > wanted {
                newest.pop_first();
            }
            ControlFlow::Continue(())
        })?;
        if newest.len() >= wanted || looked_at == *held {
            return Ok(newest.into_values().collect());
        }
        reach = reach.saturating_mul(FURTHER);
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

    #[test]
    fn a_look_back_ends_at_the_beginning_of_a_partition() {
        let held = Ranges::from([(0, 90..100), (1, 0..0), (2, 0..1_000)]);
        assert_eq!(ends(&held, 20), Ranges::from([(0, 90..100), (1, 0..0), (2, 980..1_000)]));
        assert_eq!(ends(&held, i64::MAX), held);
    }
}
