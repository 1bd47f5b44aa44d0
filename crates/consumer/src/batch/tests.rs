//! Batches by hand; any sequence of rows is in `model`.

mod model;

use super::*;
use crate::ledger::Ledger;
use crate::rows::{Cell, CellValue};
use crate::server_size::{CELL_BYTES, PARTITION_BYTES, ROW_BYTES};
use crate::settings::Consumer;

const P: Partition = Partition { topic: 0, number: 0 };
/// One cell, nothing added, one group.
const ONE: Shape = Shape { width: 1, overhead: 0, groups: 1 };

fn origin(place: usize) -> Origin {
    let (span, _) = Ledger::default().begin(P, 0, 1, 1);
    Origin { chunk: Arc::new(Chunk::default()), place, partition: P, span }
}

fn push(batcher: &mut Batcher, plan: usize, place: usize, size: usize) {
    push_into(batcher, plan, 0, place, size);
}

fn push_into(batcher: &mut Batcher, plan: usize, group: usize, place: usize, size: usize) {
    let rows = batcher.rows(plan);
    let start = rows.bytes.len();
    rows.push(Cell::UNSET);
    rows.bytes.resize(start + size, u8::try_from(place % 251).unwrap());
    rows.set(0, start).unwrap();
    batcher.pushed(plan, group, start, origin(place));
}

fn places(batch: &Batch) -> Vec<usize> {
    batch.origins.iter().map(|origin| origin.place).collect()
}

#[test]
fn part_filled_batches_leave_only_when_the_input_is_dry() {
    let mut batcher = Batcher::new(Limits { rows: 3, bytes: 1_000 }, [ONE]);
    push(&mut batcher, 0, 0, 10);
    assert!(batcher.next(false).is_none());
    assert_eq!(places(&batcher.next(true).unwrap()), [0]);
    assert!(batcher.next(true).is_none() && batcher.is_empty());
}

#[test]
fn a_refused_batch_splits_down_to_the_single_row() {
    let mut batcher = Batcher::new(Limits { rows: 8, bytes: 1_000 }, [ONE]);
    (0..5).for_each(|place| push(&mut batcher, 0, place, 10));
    let (left, right) = batcher.next(true).unwrap().split().unwrap();
    assert_eq!((places(&left), places(&right)), (vec![0, 1], vec![2, 3, 4]));
    assert_eq!(right.rows.cell(2, 0), CellValue::Bytes(&[4; 10]));
    let (one, _) = left.split().unwrap();
    assert_eq!(places(&one.split().unwrap_err()), [0]);
}

// How many rows a full batch of the shipped limits has, whose cells have values of that size.
fn rows_of_a_batch(cells: usize, value: usize) -> usize {
    let Consumer { batch_rows, batch_bytes, .. } = Consumer::default();
    let overhead = PARTITION_BYTES + ROW_BYTES + cells * CELL_BYTES;
    let shape = Shape { overhead, ..ONE };
    let mut batcher = Batcher::new(Limits { rows: batch_rows, bytes: batch_bytes }, [shape]);
    for place in 0.. {
        push(&mut batcher, 0, place, cells * value);
        if let Some(batch) = batcher.next(false) {
            let by_the_server = batch.rows.bytes.len() + batch.rows.len() * overhead;
            assert!(by_the_server <= 50 << 10, "batch_size_fail_threshold: {by_the_server}");
            return batch.rows.len();
        }
    }
    0
}

#[test]
fn batches_stay_below_what_the_server_refuses_also_where_cells_are_many_and_small() {
    assert_eq!(rows_of_a_batch(12, 28), 64, "as the route of users has them");
    assert!((16..64).contains(&rows_of_a_batch(60, 10)));
}

#[test]
fn a_batch_counts_while_one_of_its_messages_is_waited_for() {
    const RECREATED: Partition = Partition { topic: 0, number: 1 };
    let mut ledger = Ledger::default();
    let mut batcher = Batcher::new(Limits { rows: 8, bytes: 1_000 }, [ONE]);
    for partition in [RECREATED, P] {
        let (span, _) = ledger.begin(partition, 50, 51, 1);
        let start = batcher.rows(0).bytes.len();
        batcher.rows(0).push(Cell::UNSET);
        let chunk = Arc::new(Chunk::default());
        batcher.pushed(0, 0, start, Origin { chunk, place: 0, partition, span });
    }
    let batch = batcher.next(true).unwrap();
    // Its topic was recreated: what was read of it is void.
    ledger.begin(RECREATED, 0, 1, 1);
    assert!(!ledger.knows(RECREATED, batch.origins[0].span));
    assert!(batch.is_current(&ledger));
    ledger.rewind();
    assert!(!batch.is_current(&ledger));
}

#[test]
fn a_row_of_a_rare_group_does_not_wait_for_ever() {
    let mut batcher = Batcher::new(Limits { rows: 2, bytes: 1_000 }, [Shape { groups: 3, ..ONE }]);
    push_into(&mut batcher, 0, 1, 0, 10);
    push_into(&mut batcher, 0, 2, 1, 10);
    let mut pushed = 2;
    let rare = loop {
        push(&mut batcher, 0, pushed, 10);
        pushed += 1;
        let batches: Vec<Vec<usize>> =
            std::iter::from_fn(|| batcher.next(false)).map(|batch| places(&batch)).collect();
        if batches.iter().any(|places| places[0] == 0) {
            break batches;
        }
        assert!(pushed < 1_000, "the rare row waits for ever");
    };
    assert!(pushed > OPEN_BATCHES * 2, "it had its time: {pushed}");
    assert!(rare.contains(&vec![0]), "{rare:?}");
}
