//! `system_views.settings` -> the limits that batches and tombstones are measured against.

use std::collections::BTreeMap;

use super::report::Thresholds;
use crate::store::server::size;

impl Thresholds {
    /// As Cassandra 5.0 ships them.
    pub fn shipped() -> Self {
        Self {
            assumed: true,
            batch_size_warn: 5 * 1024,
            batch_size_fail: 50 * 1024,
            batch_partitions_warn: 10,
            tombstone_warn: 1_000,
            tombstone_fail: 100_000,
        }
    }

    /// As the server says; what it does not say, or says in an unknown form, is as shipped.
    pub fn of(settings: &BTreeMap<String, String>) -> Self {
        let shipped = Self::shipped();
        let mut assumed = false;
        let mut read = |name: &str, shipped: u64| {
            let said = settings.get(name).and_then(|text| size(text));
            assumed |= said.is_none();
            said.unwrap_or(shipped)
        };
        let batch_size_warn = read("batch_size_warn_threshold", shipped.batch_size_warn);
        let batch_size_fail = read("batch_size_fail_threshold", shipped.batch_size_fail);
        let partitions = "unlogged_batch_across_partitions_warn_threshold";
        let batch_partitions_warn = read(partitions, shipped.batch_partitions_warn);
        let tombstone_warn = read("tombstone_warn_threshold", shipped.tombstone_warn);
        let tombstone_fail = read("tombstone_failure_threshold", shipped.tombstone_fail);
        Self {
            assumed,
            batch_size_warn,
            batch_size_fail,
            batch_partitions_warn,
            tombstone_warn,
            tombstone_fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn thresholds_are_the_servers_and_the_rest_is_as_shipped() {
        let said = settings(&[
            ("batch_size_warn_threshold", "49KiB"),
            ("batch_size_fail_threshold", "1MiB"),
            ("unlogged_batch_across_partitions_warn_threshold", "1000"),
            ("tombstone_warn_threshold", "7"),
            ("tombstone_failure_threshold", "8"),
        ]);
        let known = Thresholds::of(&said);
        assert_eq!((known.batch_size_warn, known.batch_size_fail), (49 * 1024, 1 << 20));
        assert_eq!((known.batch_partitions_warn, known.tombstone_warn, known.tombstone_fail), (1000, 7, 8));
        assert!(!known.assumed);
        let odd = Thresholds::of(&settings(&[("batch_size_warn_threshold", "many")]));
        assert_eq!(odd, Thresholds::shipped());
    }
}
