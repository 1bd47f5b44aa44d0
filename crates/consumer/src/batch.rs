//! Decoded rows -> batches: full ones when there is much to do, part-filled ones as soon as nothing waits.
//!
//! State machine without a clock: a batch is never held back to fill up, since at low rates latency wins; it is
//! taken part-filled when the input has run dry, and fills meanwhile where all writers are busy.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ledger::SpanId;
use crate::message::{Chunk, Partition};
use crate::rows::Rows;

/// The largest batch.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows; a row that exceeds the bytes by itself goes alone.
    pub rows: usize,
    /// Bytes of cells.
    pub bytes: usize,
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

impl Batch {
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

/// Collects rows into batches, one open batch a plan.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    open: Vec<Batch>,
    full: VecDeque<Batch>,
    spare: Vec<(Rows, Vec<Origin>)>,
}

impl Batcher {
    /// A batcher for plans whose rows have these widths.
    pub fn new(limits: Limits, widths: impl IntoIterator<Item = usize>) -> Self {
        let empty = |(plan, width)| Batch { plan, rows: Rows::new(width), origins: Vec::new() };
        let open = widths.into_iter().enumerate().map(empty).collect();
        Self { limits, open, full: VecDeque::new(), spare: Vec::new() }
    }

    /// The rows that the next row of that plan is decoded into; call [`Batcher::pushed`] when one was.
    pub fn rows(&mut self, plan: usize) -> &mut Rows {
        &mut self.open[plan].rows
    }

    /// A row of that origin was appended.
    pub fn pushed(&mut self, plan: usize, origin: Origin) {
        let limits = self.limits;
        let batch = &mut self.open[plan];
        batch.origins.push(origin);
        let rows = batch.rows.len();
        if batch.rows.bytes.len() > limits.bytes && rows > 1 {
            // The last row is one too many: it opens the next batch.
            let last = batch.rows.slice(rows - 1..rows);
            let before = batch.rows.bytes.len() - last.bytes.len();
            batch.rows.pop(before);
            let origin = batch.origins.pop();
            self.close(plan);
            let next = &mut self.open[plan];
            next.rows = last;
            next.origins.extend(origin);
        }
        let batch = &self.open[plan];
        if batch.rows.len() >= limits.rows || batch.rows.bytes.len() >= limits.bytes {
            self.close(plan);
        }
    }

    /// The next batch to write: a full one, or where the input has run dry, any that has rows.
    pub fn next(&mut self, input_dry: bool) -> Option<Batch> {
        if self.full.is_empty() && input_dry {
            let ready = self.open.iter().position(|batch| !batch.origins.is_empty())?;
            self.close(ready);
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
        self.full.is_empty() && self.open.iter().all(|batch| batch.origins.is_empty())
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

    fn close(&mut self, plan: usize) {
        let open = &mut self.open[plan];
        let width = open.rows.width();
        let (mut rows, origins) = self.spare.pop().unwrap_or_default();
        rows.widen(width);
        let next = Batch { plan, rows, origins };
        self.full.push_back(std::mem::replace(open, next));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::Ledger;
    use crate::rows::{Cell, CellValue};

    const P: Partition = Partition { topic: 0, number: 0 };

    fn origin(place: usize) -> Origin {
        let (span, _) = Ledger::default().begin(P, 0, 1, 1);
        Origin { chunk: Arc::new(Chunk::default()), place, partition: P, span }
    }

    fn push(batcher: &mut Batcher, plan: usize, place: usize, size: usize) {
        let rows = batcher.rows(plan);
        rows.push(Cell::UNSET);
        let start = rows.bytes.len();
        rows.bytes.resize(start + size, u8::try_from(place % 251).unwrap());
        rows.set(0, start).unwrap();
        batcher.pushed(plan, origin(place));
    }

    fn places(batch: &Batch) -> Vec<usize> {
        batch.origins.iter().map(|origin| origin.place).collect()
    }

    #[test]
    fn part_filled_batches_leave_only_when_the_input_is_dry() {
        let mut batcher = Batcher::new(Limits { rows: 3, bytes: 1_000 }, [1]);
        push(&mut batcher, 0, 0, 10);
        assert!(batcher.next(false).is_none());
        assert_eq!(places(&batcher.next(true).unwrap()), [0]);
        assert!(batcher.next(true).is_none() && batcher.is_empty());
    }

    #[test]
    fn a_refused_batch_splits_down_to_the_single_row() {
        let mut batcher = Batcher::new(Limits { rows: 8, bytes: 1_000 }, [1]);
        (0..5).for_each(|place| push(&mut batcher, 0, place, 10));
        let (left, right) = batcher.next(true).unwrap().split().unwrap();
        assert_eq!((places(&left), places(&right)), (vec![0, 1], vec![2, 3, 4]));
        assert_eq!(right.rows.cell(2, 0), CellValue::Bytes(&[4; 10]));
        let (one, _) = left.split().unwrap();
        assert_eq!(places(&one.split().unwrap_err()), [0]);
    }

    proptest! {
        #[test]
        fn every_row_leaves_once_in_order_within_the_limits(
            sizes in prop::collection::vec((0..2_usize, 0..400_usize, any::<bool>()), 0..200)
        ) {
            let limits = Limits { rows: 7, bytes: 500 };
            let mut batcher = Batcher::new(limits, [1, 1]);
            let mut left: [Vec<usize>; 2] = Default::default();
            let mut take = |batch: Batch, batcher: &mut Batcher| {
                let rows = batch.rows.len();
                assert!(rows <= limits.rows && (rows == 1 || batch.rows.bytes.len() <= limits.bytes));
                for (row, origin) in batch.origins.iter().enumerate() {
                    let CellValue::Bytes(bytes) = batch.rows.cell(row, 0) else { panic!("no cell") };
                    assert!(bytes.iter().all(|byte| usize::from(*byte) == origin.place % 251));
                }
                left[batch.plan].extend(places(&batch));
                batcher.recycle(batch);
            };
            for (place, (plan, size, dry)) in sizes.iter().enumerate() {
                push(&mut batcher, *plan, place, *size);
                if *dry && let Some(batch) = batcher.next(true) {
                    take(batch, &mut batcher);
                }
            }
            while let Some(batch) = batcher.next(true) {
                take(batch, &mut batcher);
            }
            for plan in 0..2 {
                let expected: Vec<_> =
                    (0..sizes.len()).filter(|place| sizes[*place].0 == plan).collect();
                prop_assert_eq!(&left[plan], &expected);
            }
        }
    }
}
