//! Batching alone: `cargo bench -p consumer --bench batch`.

use std::collections::VecDeque;
use std::sync::Arc;

use consumer::batch::{Batch, Batcher, Limits, Origin, Shape};
use consumer::ledger::{Ledger, SpanId};
use consumer::message::{Chunk, Partition};
use consumer::rows::Cell;
use divan::Bencher;
use divan::counter::ItemsCount;

const ROWS: usize = 4_096;
const COLUMNS: usize = 12;
const CELL: [u8; 25] = [b'x'; 25];
const PARTITION: Partition = Partition { topic: 0, number: 0 };
const SHAPE: Shape = Shape { width: COLUMNS, overhead: 290, groups: 1 };

fn main() {
    divan::main();
}

fn span() -> SpanId {
    Ledger::default().begin(PARTITION, 0, 1, 1).0
}

fn push(batcher: &mut Batcher, plan: usize, origin: Origin) {
    let rows = batcher.rows(plan);
    let bytes = rows.bytes.len();
    rows.push(Cell::UNSET);
    for column in 0..COLUMNS {
        let start = rows.bytes.len();
        rows.bytes.extend_from_slice(&CELL);
        rows.set(column, start).expect("far below 4 GiB");
    }
    batcher.pushed(plan, 0, bytes, origin);
}

/// Rows into batches of that many rows, of which eight are being written; one plan and five.
#[divan::bench(args = [8, 32, 64], consts = [1, 5])]
fn fill_and_recycle<const PLANS: usize>(bencher: Bencher, rows: usize) {
    let limits = Limits { rows, bytes: 48 * 1024 };
    let mut batcher = Batcher::new(limits, [SHAPE; PLANS]);
    let (chunk, span) = (Arc::new(Chunk::default()), span());
    let mut writing: VecDeque<Batch> = VecDeque::new();
    bencher.counter(ItemsCount::new(ROWS)).bench_local(move || {
        for place in 0..ROWS {
            let origin = Origin { chunk: Arc::clone(&chunk), place, partition: PARTITION, span };
            push(&mut batcher, place % PLANS, origin);
            while let Some(batch) = batcher.next(false) {
                writing.push_back(batch);
            }
            while writing.len() > 8
                && let Some(written) = writing.pop_front()
            {
                batcher.recycle(written);
            }
        }
    });
}

/// A refused batch of that many rows, split down to its single rows.
#[divan::bench(args = [32, 64])]
fn split_to_single_rows(bencher: Bencher, rows: usize) {
    let (chunk, span) = (Arc::new(Chunk::default()), span());
    bencher
        .with_inputs(|| {
            let mut batcher = Batcher::new(Limits { rows, bytes: 1 << 20 }, [SHAPE]);
            for place in 0..rows {
                let origin = Origin { chunk: Arc::clone(&chunk), place, partition: PARTITION, span };
                push(&mut batcher, 0, origin);
            }
            batcher.next(true).expect("a batch")
        })
        .input_counter(move |_| ItemsCount::new(rows))
        .bench_local_values(|batch| {
            let mut open = vec![batch];
            let mut single = 0;
            while let Some(batch) = open.pop() {
                match batch.split() {
                    Ok((left, right)) => open.extend([left, right]),
                    Err(_) => single += 1,
                }
            }
            single
        });
}
