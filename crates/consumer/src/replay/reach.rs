//! Chunks that were taken in -> up to where the rows of each partition are durable: from there another replay may go on.
//!
//! State machine without a clock. A chunk lives until its last row is acknowledged or known to be none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::message::{Chunk, Span};

/// The end of a run of messages.
#[derive(Debug, Clone, Copy)]
struct End {
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
}

/// How far a topic is.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// In the order in which they were taken in.
    open: VecDeque<(Weak<Chunk>, Vec<End>)>,
    /// With when that was seen, on the horizon's clock.
    acknowledged: VecDeque<(Duration, Vec<End>)>,
    durable: BTreeMap<i32, End>,
}

impl Reach {
    /// This one was taken in, and is not held by who calls.
    pub(super) fn took(&mut self, chunk: &Arc<Chunk>) {
        let end = |run: &Span| End {
            partition: run.partition.number,
            offset: run.end,
            timestamp_ms: run.messages.clone().last().and_then(|last| chunk.timestamp_ms(last)),
        };
        self.open.push_back((Arc::downgrade(chunk), chunk.spans().iter().map(end).collect()));
    }

    /// It is `now`, and what was acknowledged up to `limit` is durable.
    pub(super) fn advance(&mut self, now: Duration, limit: Option<Duration>) {
        while let Some((_, ends)) = self.open.pop_front_if(|(chunk, _)| chunk.strong_count() == 0) {
            self.acknowledged.push_back((now, ends));
        }
        while let Some((_, ends)) = self.acknowledged.pop_front_if(|(stamp, _)| Some(*stamp) <= limit) {
            self.durable.extend(ends.into_iter().map(|end| (end.partition, end)));
        }
    }

    /// One past the last offset whose row is durable, where there is one.
    pub(super) fn position(&self, partition: i32) -> Option<i64> {
        self.durable.get(&partition).map(|end| end.offset)
    }

    /// A time from which on a replay reads all that these partitions still lack: each begins at its first message of that time
    /// or later, which is none behind its last durable one.
    pub(super) fn since_ms(&self, partitions: impl Iterator<Item = i32>) -> Option<i64> {
        let times: Option<Vec<i64>> =
            partitions.map(|partition| self.durable.get(&partition)?.timestamp_ms).collect();
        times?.into_iter().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Partition;

    fn chunk(messages: &[(i32, i64, i64)]) -> Arc<Chunk> {
        let mut chunk = Chunk::default();
        for (number, offset, timestamp_ms) in messages {
            let partition = Partition { topic: 0, number: *number };
            chunk.push(partition, *offset, Some(*timestamp_ms), None, None, std::iter::empty());
        }
        Arc::new(chunk)
    }

    #[test]
    fn partitions_are_durable_up_to_the_first_row_that_is_not() {
        let second = Duration::from_secs;
        let chunks =
            [chunk(&[(0, 5, 70), (0, 6, 80), (1, 3, 60)]), chunk(&[(0, 7, 90)]), chunk(&[(1, 4, 95)])];
        let mut reach = Reach::default();
        chunks.iter().for_each(|chunk| reach.took(chunk));
        let [first, slow, last] = chunks;
        drop((first, last));
        reach.advance(second(1), None);
        assert_eq!(reach.position(0), None, "acknowledged is not durable");
        reach.advance(second(2), Some(second(1)));
        assert_eq!([0, 1, 2].map(|partition| reach.position(partition)), [Some(7), Some(4), None]);
        assert_eq!(reach.since_ms(0..2), Some(60));
        assert_eq!(reach.since_ms(0..3), None, "nothing is known of the third");
        drop(slow);
        reach.advance(second(3), Some(second(3)));
        assert_eq!([0, 1].map(|partition| reach.position(partition)), [Some(8), Some(5)]);
        assert_eq!(reach.since_ms(0..2), Some(90));
    }
}
