//! A row's partition key -> which rows it may share a batch with: those that the same nodes hold.
//!
//! The coordinator of a batch forwards the rows that it does not hold itself. Rows of one set of replicas have no
//! such costs, whichever of the replicas coordinates; `store` sends a batch to one that holds its first row. Where every
//! node holds everything, on one node for instance, there is one group and nothing to compute.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use scylla::cluster::ClusterState;
use scylla::routing::Token;
use scylla::routing::partitioner::{Murmur3Partitioner, Partitioner, PartitionerHasher};
use uuid::Uuid;

use crate::rows::{CellValue, Rows};

/// The ring of one keyspace, as groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// The end of each range, ascending, with the group of its replicas.
    ranges: Vec<(i64, usize)>,
    groups: usize,
}

impl Default for Replicas {
    /// One group.
    fn default() -> Self {
        Self { ranges: Vec::new(), groups: 1 }
    }
}

impl Replicas {
    /// The groups of a table, `keyspace.table`.
    pub fn of(state: &ClusterState, table: &str) -> Self {
        let Some((keyspace, table)) = table.split_once('.') else { return Self::default() };
        let ends = state.replica_locator().ring().iter().map(|(token, _)| token.value());
        Self::from_ranges(ends.map(|end| {
            let nodes = state.get_token_endpoints(keyspace, table, Token::new(end));
            (end, nodes.iter().map(|(node, _)| node.host_id).collect())
        }))
    }

    /// As [`Replicas::of`], from the ring's ascending tokens and the nodes that hold what ends there.
    pub fn from_ranges(ranges: impl Iterator<Item = (i64, Vec<Uuid>)>) -> Self {
        let mut known: BTreeMap<Vec<Uuid>, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for (end, mut nodes) in ranges {
            nodes.sort_unstable();
            let next = known.len();
            let group = match known.entry(nodes) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(next),
            };
            found.push((end, group));
        }
        if known.len() <= 1 { Self::default() } else { Self { ranges: found, groups: known.len() } }
    }

    /// How many groups.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The group of the last row; `partition_key` are the places of its columns.
    pub fn group(&self, rows: &Rows, partition_key: &[usize]) -> usize {
        if self.groups == 1 || rows.is_empty() { 0 } else { self.at(token(rows, partition_key)) }
    }

    // A range goes from behind the token before it up to its own; the first begins behind the last.
    fn at(&self, token: i64) -> usize {
        let place = self.ranges.partition_point(|(end, _)| *end < token);
        self.ranges.get(place).or(self.ranges.first()).map_or(0, |(_, group)| *group)
    }
}

// Several columns are hashed as a composite: the length in two bytes, the value, a zero.
fn token(rows: &Rows, partition_key: &[usize]) -> i64 {
    let mut hasher = Murmur3Partitioner.build_hasher();
    let value = |place: usize| match rows.cell(rows.len() - 1, place) {
        CellValue::Bytes(bytes) => bytes,
        // A row without its key never comes here.
        CellValue::Null | CellValue::Unset => &[],
    };
    if let [only] = partition_key {
        hasher.write(value(*only));
    } else {
        for place in partition_key {
            let bytes = value(*place);
            // A longer key is refused by the server, wherever it goes.
            hasher.write(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
            hasher.write(bytes);
            hasher.write(&[0]);
        }
    }
    hasher.finish().value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Cell;

    fn node(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn rows(cells: &[&[u8]]) -> Rows {
        let mut rows = Rows::new(cells.len());
        rows.push(Cell::UNSET);
        for (place, bytes) in cells.iter().enumerate() {
            let start = rows.bytes.len();
            rows.bytes.extend_from_slice(bytes);
            rows.set(place, start).unwrap();
        }
        rows
    }

    #[test]
    fn nodes_that_hold_everything_are_one_group() {
        let everywhere = |end| (end, vec![node(1), node(2)]);
        assert_eq!(Replicas::from_ranges([-5, 0, 5].into_iter().map(everywhere)), Replicas::default());
        assert_eq!(Replicas::default().groups(), 1);
    }

    #[test]
    fn ranges_of_the_same_nodes_are_one_group_in_whatever_order_they_are_told() {
        let ranges = [
            (-100, vec![node(1), node(2)]),
            (0, vec![node(2), node(3)]),
            (50, vec![node(2), node(1)]),
            (100, vec![node(3), node(1)]),
        ];
        let replicas = Replicas::from_ranges(ranges.into_iter());
        assert_eq!(replicas.groups(), 3);
        let groups: Vec<usize> =
            [-101, -100, -99, 0, 1, 50, 51, 100, 101, i64::MAX].map(|token| replicas.at(token)).into();
        assert_eq!(groups, [0, 0, 1, 1, 0, 0, 2, 2, 0, 0]);
    }

    // The first as `select token(..)` of Cassandra 5.0.9 tells it; all as its Python driver's `Murmur3Token` has them.
    #[test]
    fn tokens_are_the_servers() {
        assert_eq!(token(&rows(&[&1_i32.to_be_bytes()]), &[0]), -4_069_959_284_402_364_209);
        let at = 1_767_225_600_000_i64.to_be_bytes();
        // In the order of the key, which need not be that of the statement.
        assert_eq!(token(&rows(&[&at, b"total", b"Ines"]), &[2, 0]), -3_638_581_789_458_871_121);
        let long = "ü".repeat(100);
        let key: [&[u8]; 3] = [b"", &(-1_i32).to_be_bytes(), long.as_bytes()];
        assert_eq!(token(&rows(&key), &[0, 1, 2]), -4_350_015_757_283_492_121);
    }
}
