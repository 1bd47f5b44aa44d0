//! Sampled messages -> what the consumer would make of them: rows, batches, tombstones, dead letters.
//!
//! The decoder and the batcher are the consumer's own, with its settings. Takes values and returns values.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::report::{Reason, Sample, Spread};
use crate::batch::{Batch, Batcher, Limits, Origin, Shape};
use crate::decode::{DataError, Decoded, Decoder};
use crate::message::{Chunk, Message};
use crate::plan::Plan;
use crate::rows::{CellValue, Rows};
use crate::schema::Role;
use crate::server_size::{CELL_BYTES, PARTITION_BYTES, ROW_BYTES, TTL_BYTES};
use crate::settings::Consumer;

/// Kinds of reasons that are told apart; the rest is counted as one.
const REASONS_MAX: usize = 50;

/// What becomes of a topic's messages by this plan.
pub(super) fn sample(
    plan: &Plan,
    topic: &str,
    chunk: &Arc<Chunk>,
    settings: &Consumer,
    now_ms: i64,
) -> Sample {
    let limits = Limits { rows: settings.batch_rows, bytes: settings.batch_bytes };
    let mut batcher = Batcher::new(limits, [Shape::of(plan, 1)]);
    let mut decoder = Decoder::default();
    let mut count = Count::default();
    for run in chunk.spans() {
        for place in run.messages.clone() {
            let message = chunk.message(topic, run.partition.number, place);
            count.messages += 1;
            let plan = plan.of(&message);
            if plan.deletes {
                let mut rows = Rows::new(plan.width());
                match decoder.decode_within(settings.row_bytes_max, plan, &message, now_ms, &mut rows) {
                    Ok(_) => count.deletes += 1,
                    Err(error) => count.dead(&message, &error),
                }
                continue;
            }
            let rows = batcher.rows(0);
            let before = rows.bytes.len();
            match decoder.decode_within(settings.row_bytes_max, plan, &message, now_ms, rows) {
                Ok(Decoded::Row) => batcher.pushed(0, 0, before, Origin::alone(chunk, place, run.partition)),
                Ok(Decoded::Expired) => count.expired += 1,
                Err(error) => count.dead(&message, &error),
            }
            while let Some(batch) = batcher.next(false) {
                count.batch(plan, &batch, true);
                batcher.recycle(batch);
            }
        }
    }
    while let Some(batch) = batcher.next(true) {
        // What is left over says nothing of full batches, unless there is no other.
        let only = count.batch_rows.is_empty();
        count.batch(plan, &batch, only);
    }
    count.sample(plan)
}

#[derive(Default)]
struct Count {
    messages: usize,
    rows: usize,
    deletes: usize,
    expired: usize,
    dead_letters: usize,
    reasons: Vec<(String, Reason)>,
    row_bytes: Vec<u64>,
    null_cells: Vec<u64>,
    unset_cells: Vec<u64>,
    null_columns: BTreeMap<usize, usize>,
    batch_rows: Vec<u64>,
    batch_bytes: Vec<u64>,
    batch_server_bytes: Vec<u64>,
    batch_partitions: Vec<u64>,
}

impl Count {
    fn dead(&mut self, message: &Message<'_>, error: &DataError) {
        self.dead_letters += 1;
        let kind = error.kind();
        let known = self.reasons.iter().position(|(known, _)| *known == kind);
        match known.or_else(|| (self.reasons.len() > REASONS_MAX).then_some(REASONS_MAX)) {
            Some(place) => self.reasons[place].1.count += 1,
            None => {
                let more = if self.reasons.len() == REASONS_MAX { "other reasons, such as: " } else { "" };
                let reason = Reason {
                    class: error.class.name().to_owned(),
                    reason: format!("{more}{}", error.reason),
                    count: 1,
                    partition: message.partition,
                    offset: message.offset,
                };
                self.reasons.push((kind, reason));
            }
        }
    }

    fn batch(&mut self, plan: &Plan, batch: &Batch, full: bool) {
        let mut partitions = HashSet::new();
        let mut server_bytes = 0;
        for row in 0..batch.rows.len() {
            let cells: Vec<CellValue<'_>> = batch.rows.row(row).take(plan.columns.len()).collect();
            self.row(&cells);
            server_bytes += server_row_bytes(plan, &cells);
            partitions
                .insert(plan.partition_key.iter().map(|place| bytes(cells[*place])).collect::<Vec<_>>());
        }
        if full {
            self.batch_rows.push(as_u64(batch.rows.len()));
            self.batch_bytes.push(as_u64(batch.rows.bytes.len()));
            self.batch_partitions.push(as_u64(partitions.len()));
            // One of a single partition is not measured: `BatchStatement.verifyBatchSize`.
            if partitions.len() > 1 {
                self.batch_server_bytes.push(as_u64(server_bytes + partitions.len() * PARTITION_BYTES));
            }
        }
    }

    fn row(&mut self, cells: &[CellValue<'_>]) {
        self.rows += 1;
        self.row_bytes.push(cells.iter().map(|cell| as_u64(bytes(*cell).len())).sum());
        let alike = |wanted: CellValue<'_>| as_u64(cells.iter().filter(|cell| **cell == wanted).count());
        self.null_cells.push(alike(CellValue::Null));
        self.unset_cells.push(alike(CellValue::Unset));
        for (place, _) in cells.iter().enumerate().filter(|(_, cell)| **cell == CellValue::Null) {
            *self.null_columns.entry(place).or_default() += 1;
        }
    }

    fn sample(self, plan: &Plan) -> Sample {
        let mut reasons: Vec<Reason> = self.reasons.into_iter().map(|(_, reason)| reason).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        let name = |(place, rows): (usize, usize)| (plan.columns[place].name.clone(), rows);
        Sample {
            messages: self.messages,
            rows: self.rows,
            deletes: self.deletes,
            expired: self.expired,
            dead_letters: self.dead_letters,
            reasons,
            row_bytes: Spread::of(self.row_bytes),
            batch_rows: Spread::of(self.batch_rows),
            batch_bytes: Spread::of(self.batch_bytes),
            batch_server_bytes: Spread::of(self.batch_server_bytes),
            batch_partitions: Spread::of(self.batch_partitions),
            null_cells: Spread::of(self.null_cells),
            unset_cells: Spread::of(self.unset_cells),
            null_columns: self.null_columns.into_iter().map(name).collect(),
        }
    }
}

// A collection that is not frozen is several cells to the server; here it is one.
fn server_row_bytes(plan: &Plan, cells: &[CellValue<'_>]) -> usize {
    let mut size = ROW_BYTES + if plan.expires() { TTL_BYTES } else { 0 };
    for (column, cell) in plan.columns.iter().zip(cells) {
        size += match (column.role, cell) {
            (Role::PartitionKey, _) | (_, CellValue::Unset) => 0,
            (Role::Clustering, cell) => bytes(*cell).len(),
            (Role::Regular, cell) => CELL_BYTES + bytes(*cell).len(),
        };
    }
    size
}

fn bytes(cell: CellValue<'_>) -> &[u8] {
    if let CellValue::Bytes(bytes) = cell { bytes } else { &[] }
}

fn as_u64(number: usize) -> u64 {
    // No target has wider pointers.
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
