//! What Cassandra counts of a batch for its thresholds, beside the bytes of the values.
//!
//! `dataSize()` of `PartitionUpdate`, `MutableDeletionInfo`, `BTreeRow`, `LivenessInfo` and `AbstractCell` in
//! Cassandra 5.0. The values of the partition key are not counted.

use crate::plan::Plan;
use crate::schema::Role;

/// A cell that is written, null or not.
pub const CELL_BYTES: usize = 20;
/// A row.
pub const ROW_BYTES: usize = 21;
/// A row's time to live.
pub const TTL_BYTES: usize = 12;
/// A partition.
pub const PARTITION_BYTES: usize = 29;

/// Beside its values, a row of this plan has at most that many bytes: in a partition of its own, no cell left unset. The
/// limit: a collection that is not frozen is counted as one cell here, and is one an element to the server.
pub fn overhead_max(plan: &Plan) -> usize {
    let cells = plan.columns.iter().filter(|column| column.role == Role::Regular).count();
    let ttl = if plan.expires() { TTL_BYTES } else { 0 };
    PARTITION_BYTES + ROW_BYTES + ttl + cells * CELL_BYTES
}
