//! Decoded rows -> batches: full ones when there is much to do, part-filled ones as soon as nothing waits.
//!
//! State machine without a clock: a batch is never held back to fill up, since at low rates latency wins; it is
//! taken part-filled when the input has run dry, and fills meanwhile where all writers are busy.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ledger::{Ledger, SpanId};
use crate::message::{Chunk, Partition};
use crate::plan::Plan;
use crate::rows::Rows;
use crate::server_size::overhead_max;

/// The largest batch.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows; a row that exceeds the bytes by itself goes alone.
    pub rows: usize,
    /// Bytes as the server counts them, at most: of the values, and of what it adds to each row.
    pub bytes: usize,
}

/// What the rows of a plan are like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Cells of a row.
    pub width: usize,
    /// Bytes that the server adds to those of a row's values.
    pub overhead: usize,
    /// How many groups of replicas the rows go to.
    pub groups: usize,
}

impl Shape {
    /// Of this plan, whose rows go to so many groups.
    pub fn of(plan: &Plan, groups: usize) -> Self {
        Self { width: plan.width(), overhead: overhead_max(plan), groups }
    }
}

/// Rows of one table, and where each came from.
#[derive(Debug)]
pub struct Batch {
    /// Which plan made the rows.
    pub plan: usize,
    /// The rows.
    pub rows: Rows,
    /// The rows' messages.
    pub origins: Vec<Origin>,
}

/// The message behind a row.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Where its bytes are.
    pub chunk: Arc<Chunk>,
    /// Its place in the chunk.
    pub place: usize,
    /// Its partition.
    pub partition: Partition,
    /// The ledger's span that waits for it.
    pub span: SpanId,
}

impl Origin {
    /// Of a row that no ledger waits for.
    pub fn alone(chunk: &Arc<Chunk>, place: usize, partition: Partition) -> Self {
        Self { chunk: Arc::clone(chunk), place, partition, span: SpanId::NONE }
    }
}

impl Batch {
    /// Whether the ledger still waits for one of the messages: those of one partition may be void, and the rest not.
    pub fn is_current(&self, ledger: &Ledger) -> bool {
        self.origins.iter().any(|origin| ledger.knows(origin.partition, origin.span))
    }

    /// Two halves, to find the one row that is refused; `None` for a single row.
    pub fn split(self) -> Result<(Self, Self), Self> {
        let middle = self.rows.len() / 2;
        if middle == 0 {
            return Err(self);
        }
        let part = |range: std::ops::Range<usize>| Self {
            plan: self.plan,
            rows: self.rows.slice(range.clone()),
            origins: self.origins[range].to_vec(),
        };
        Ok((part(0..middle), part(middle..self.rows.len())))
    }
}

/// A batch that has not filled while that many batches' rows were pushed leaves as it is: a row of a rare group or topic
/// must not hold back the commits while the input never runs dry.
const OPEN_BATCHES: usize = 64;

/// Collects rows into batches, one open batch a group of replicas and plan.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    /// Each plan's bytes a row beside the values.
    overheads: Vec<usize>,
    /// Each plan's batches, one a group; a row is decoded into the first of them.
    open: Vec<Vec<Open>>,
    pushed: u64,
    full: VecDeque<Batch>,
    spare: Vec<(Rows, Vec<Origin>)>,
}

#[derive(Debug)]
struct Open {
    batch: Batch,
    /// Which push its first row was.
    since: u64,
}

impl Batcher {
    /// A batcher for plans whose rows are like this.
    pub fn new(limits: Limits, plans: impl IntoIterator<Item = Shape>) -> Self {
        let empty = |plan, width| Open {
            batch: Batch { plan, rows: Rows::new(width), origins: Vec::new() },
            since: 0,
        };
        let (mut overheads, mut open) = (Vec::new(), Vec::new());
        for (plan, shape) in plans.into_iter().enumerate() {
            overheads.push(shape.overhead);
            open.push((0..shape.groups.max(1)).map(|_| empty(plan, shape.width)).collect());
        }
        Self { limits, overheads, open, pushed: 0, full: VecDeque::new(), spare: Vec::new() }
    }

    /// The rows that the next row of that plan is decoded into; call [`Batcher::pushed`] when one was.
    pub fn rows(&mut self, plan: usize) -> &mut Rows {
        &mut self.open[plan][0].batch.rows
    }

    /// A row of that origin was appended, whose bytes began at `bytes` and whose replicas are that group.
    pub fn pushed(&mut self, plan: usize, group: usize, bytes: usize, origin: Origin) {
        if let Some((first, others)) = self.open[plan].split_first_mut()
            && let Some(other) = group.checked_sub(1).and_then(|group| others.get_mut(group))
        {
            let start = other.batch.rows.bytes.len();
            first.batch.rows.move_last(bytes, &mut other.batch.rows);
            self.arrived(plan, group, start, origin);
        } else {
            self.arrived(plan, 0, bytes, origin);
        }
        if self.pushed.is_multiple_of(self.limits.rows as u64) {
            let window = (OPEN_BATCHES * self.limits.rows) as u64;
            while let Some((_, plan, group)) =
                self.oldest().filter(|(since, ..)| since + window < self.pushed)
            {
                self.close(plan, group);
            }
        }
    }

    fn arrived(&mut self, plan: usize, group: usize, start: usize, origin: Origin) {
        let limits = self.limits;
        let overhead = self.overheads[plan];
        let size = |rows: &Rows| rows.bytes.len() + rows.len() * overhead;
        let batch = &mut self.open[plan][group].batch;
        if size(&batch.rows) > limits.bytes && batch.rows.len() > 1 {
            // The row is one too many: it opens the next batch.
            let mut last = Rows::new(batch.rows.width());
            batch.rows.move_last(start, &mut last);
            self.close(plan, group);
            self.open[plan][group].batch.rows = last;
        }
        self.pushed += 1;
        let Open { batch, since } = &mut self.open[plan][group];
        if batch.origins.is_empty() {
            *since = self.pushed;
        }
        batch.origins.push(origin);
        if batch.rows.len() >= limits.rows || size(&batch.rows) >= limits.bytes {
            self.close(plan, group);
        }
    }

    /// The next batch to write: a full one, or where the input has run dry, the one with the oldest row.
    pub fn next(&mut self, input_dry: bool) -> Option<Batch> {
        if self.full.is_empty() && input_dry {
            let (_, plan, group) = self.oldest()?;
            self.close(plan, group);
        }
        self.full.pop_front()
    }

    /// Puts parts of a refused batch before everything else.
    pub fn again(&mut self, batch: Batch) {
        self.full.push_front(batch);
    }

    /// Full batches that wait for a writer.
    pub fn waiting(&self) -> usize {
        self.full.len()
    }

    /// Whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.oldest().is_none()
    }

    /// Gives a written batch's memory back.
    pub fn recycle(&mut self, batch: Batch) {
        const SPARE_MAX: usize = 32;
        // What one huge row has grown is not worth keeping.
        if self.spare.len() < SPARE_MAX && batch.rows.bytes.capacity() <= 4 * self.limits.bytes {
            let Batch { mut rows, mut origins, .. } = batch;
            rows.clear();
            origins.clear();
            self.spare.push((rows, origins));
        }
    }

    // Of the batches that have rows; with the push of its first row.
    fn oldest(&self) -> Option<(u64, usize, usize)> {
        let groups = |(plan, groups): (usize, &'_ Vec<Open>)| {
            let open = groups.iter().enumerate().filter(|(_, open)| !open.batch.origins.is_empty());
            open.map(|(group, open)| (open.since, plan, group)).min()
        };
        self.open.iter().enumerate().filter_map(groups).min()
    }

    fn close(&mut self, plan: usize, group: usize) {
        let open = &mut self.open[plan][group].batch;
        let width = open.rows.width();
        let (mut rows, origins) = self.spare.pop().unwrap_or_default();
        rows.widen(width);
        let next = Batch { plan, rows, origins };
        self.full.push_back(std::mem::replace(open, next));
    }
}

#[cfg(test)]
mod tests;
