//! Which offsets are written and which are durable: a contiguous watermark per partition.
//!
//! A span of messages is written when each of them has its outcome; the written watermark passes it when all before
//! it are written too. From then on it ages towards durability on the horizon's clock (`horizon`). The ledger keeps
//! marks, not offsets: a horizon of 16 s at 46,000 rows/s is 740,000 rows, and some hundred marks.
//!
//! No clock and no I/O here: time comes in as the horizon's clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::message::Partition;

/// Written spans within this time share one mark, which ages with the youngest of them.
const MARK_SPREAD: Duration = Duration::from_millis(100);

/// Names a span for [`Ledger::settle`]; never reused within a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanId(u64);

impl SpanId {
    /// No ledger's: theirs begin with 1.
    pub const NONE: Self = Self(0);
}

/// How a new span joins what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// The next offset, or the first that this ledger sees of the partition.
    Next,
    /// Offsets are missing in between: compaction, transaction markers, or deleted by retention.
    Gap {
        /// The offset that was expected.
        expected: i64,
    },
    /// The partition began again at a lower offset: it was recreated, or its offsets were reset.
    Back {
        /// The offset that was expected.
        expected: i64,
    },
}

/// The offsets of all assigned partitions.
#[derive(Debug, Default)]
pub struct Ledger {
    logs: BTreeMap<Partition, Log>,
    // Across forgotten partitions too: a late outcome must never meet a new span of the same name.
    next_id: u64,
}

#[derive(Debug)]
struct Log {
    durable: i64,
    written: i64,
    expected: i64,
    /// Of all outcomes: they are not told in the order in which they were answered.
    youngest: Duration,
    spans: VecDeque<Open>,
    marks: VecDeque<Mark>,
}

#[derive(Debug)]
struct Open {
    id: SpanId,
    end: i64,
    outcomes_left: u32,
}

#[derive(Debug)]
struct Mark {
    end: i64,
    first_written_at: Duration,
    last_written_at: Duration,
}

impl Ledger {
    /// Opens a partition at its committed offset: the next one that is expected.
    pub fn open(&mut self, partition: Partition, committed: i64) {
        self.logs.insert(partition, Log::at(committed));
    }

    /// Takes in a span that waits for that many outcomes.
    pub fn begin(&mut self, partition: Partition, first: i64, end: i64, outcomes: u32) -> (SpanId, Joint) {
        self.next_id += 1;
        let id = SpanId(self.next_id);
        let log = self.logs.entry(partition).or_insert_with(|| Log::at(first));
        let expected = log.expected;
        let joint = match first.cmp(&expected) {
            std::cmp::Ordering::Equal => Joint::Next,
            std::cmp::Ordering::Greater => Joint::Gap { expected },
            std::cmp::Ordering::Less => {
                *log = Log::at(first);
                Joint::Back { expected }
            }
        };
        log.expected = end;
        log.spans.push_back(Open { id, end, outcomes_left: outcomes });
        (id, joint)
    }

    /// Counts outcomes of a span, answered at `now` on the horizon's clock. Spans of before a rewind or of a
    /// partition that was given up are passed over.
    pub fn settle(&mut self, partition: Partition, id: SpanId, outcomes: u32, now: Duration) {
        let Some(log) = self.logs.get_mut(&partition) else { return };
        let Ok(place) = log.spans.binary_search_by(|open| open.id.cmp(&id)) else { return };
        let open = &mut log.spans[place];
        open.outcomes_left = open.outcomes_left.saturating_sub(outcomes);
        if open.outcomes_left == 0 {
            log.merge(place);
        }
        log.youngest = log.youngest.max(now);
        while log.spans.front().is_some_and(|open| open.outcomes_left == 0) {
            if let Some(done) = log.spans.pop_front() {
                log.written = done.end;
                log.mark();
            }
        }
    }

    /// Everything written at or before `limit` on the horizon's clock is durable. Returns the watermarks that
    /// moved: the offsets to commit.
    pub fn advance(&mut self, limit: Duration) -> Vec<(Partition, i64)> {
        let mut moved = Vec::new();
        for (partition, log) in &mut self.logs {
            let before = log.durable;
            while log.marks.front().is_some_and(|mark| mark.last_written_at <= limit) {
                if let Some(mark) = log.marks.pop_front() {
                    log.durable = mark.end;
                }
            }
            if log.durable != before {
                moved.push((*partition, log.durable));
            }
        }
        moved
    }

    /// Forgets all that is not durable and returns where each partition has to be read again.
    pub fn rewind(&mut self) -> Vec<(Partition, i64)> {
        self.logs
            .iter_mut()
            .map(|(partition, log)| {
                *log = Log::at(log.durable);
                (*partition, log.durable)
            })
            .collect()
    }

    /// Forgets partitions that now belong to another member of the group.
    pub fn forget(&mut self, partitions: &[Partition]) {
        self.logs.retain(|partition, _| !partitions.contains(partition));
    }

    /// Whether the span is still waited for.
    pub fn knows(&self, partition: Partition, id: SpanId) -> bool {
        self.logs
            .get(&partition)
            .is_some_and(|log| log.spans.binary_search_by(|open| open.id.cmp(&id)).is_ok())
    }

    /// Outcomes that are waited for, over all partitions.
    pub fn outcomes_left(&self) -> u64 {
        self.logs.values().flat_map(|log| &log.spans).map(|open| u64::from(open.outcomes_left)).sum()
    }

    /// Whether every message that was taken in has its outcome.
    pub fn all_written(&self) -> bool {
        self.logs.values().all(|log| log.spans.is_empty())
    }

    /// Per partition: the written and the durable watermark.
    pub fn watermarks(&self) -> impl Iterator<Item = (Partition, i64, i64)> + '_ {
        self.logs.iter().map(|(partition, log)| (*partition, log.written, log.durable))
    }
}

impl Log {
    fn at(offset: i64) -> Self {
        Self {
            durable: offset,
            written: offset,
            expected: offset,
            youngest: Duration::ZERO,
            spans: VecDeque::new(),
            marks: VecDeque::new(),
        }
    }

    // A span that is done becomes one with its neighbours that are: behind one that is stuck there is no end of them.
    fn merge(&mut self, place: usize) {
        let done = |open: Option<&Open>| open.is_some_and(|open| open.outcomes_left == 0);
        // Of two, the later one stays: it ends where both end.
        if done(self.spans.get(place + 1)) {
            self.spans.remove(place);
        }
        if place > 0 && done(self.spans.get(place - 1)) {
            self.spans.remove(place - 1);
        }
    }

    // What was held up until now may be younger than the outcome that held it up.
    fn mark(&mut self) {
        let (end, youngest) = (self.written, self.youngest);
        match self.marks.back_mut() {
            Some(mark) if youngest.saturating_sub(mark.first_written_at) < MARK_SPREAD => {
                mark.end = end;
                mark.last_written_at = youngest;
            }
            _ => self.marks.push_back(Mark { end, first_written_at: youngest, last_written_at: youngest }),
        }
    }
}

#[cfg(test)]
mod tests;
