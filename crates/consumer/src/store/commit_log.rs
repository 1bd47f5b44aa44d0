//! What the server's commit log means for rows: how long one may be acknowledged and in memory only, and how large it may
//! be.

use std::collections::BTreeMap;
use std::time::Duration;

use humantime::format_duration;

use super::Store;
use super::server::size;
use crate::settings::Consumer;

impl Store {
    /// Where the consumer's settings trust this server's commit log with more than it keeps, in words.
    pub async fn warnings(&self, ours: &Consumer) -> Vec<String> {
        warnings(ours, &self.server_settings().await)
    }
}

/// Where the consumer's settings trust the server's commit log with more than it keeps, in words.
pub fn warnings(ours: &Consumer, settings: &BTreeMap<String, String>) -> Vec<String> {
    let Consumer { durable_after, row_bytes_max, .. } = ours;
    let forgets = forgets(settings).filter(|needed| durable_after < needed).map(|needed| {
        format!(
            "consumer.durable_after is {}, this server's commit log needs {}: rows that it acknowledged and lost in a \
             crash will not be written again; set it to that",
            format_duration(*durable_after),
            format_duration(needed),
        )
    });
    let exceeds = exceeds(*row_bytes_max, settings).map(|largest| {
        format!(
            "consumer.row_bytes_max is {row_bytes_max}, more than half of this server's max_mutation_size of {largest} \
             bytes: a row that is too large for its commit log is tried for ever, and its partition waits; lower it"
        )
    });
    forgets.into_iter().chain(exceeds).collect()
}

// The age at which an acknowledged row is on the disk: at once where the server syncs first. Otherwise writes are
// blocked when the last sync is more than 1.5 periods ago, and a second is for the sync itself.
fn forgets(settings: &BTreeMap<String, String>) -> Option<Duration> {
    match settings.get("commitlog_sync")?.as_str() {
        "batch" | "group" => Some(Duration::ZERO),
        _ => Some(period(settings)?.mul_f64(1.5) + Duration::from_secs(1)),
    }
}

// With a unit since Cassandra 4.1, in milliseconds before.
fn period(settings: &BTreeMap<String, String>) -> Option<Duration> {
    if let Some(period) = settings.get("commitlog_sync_period") {
        return humantime::parse_duration(period).ok();
    }
    settings.get("commitlog_sync_period_in_ms")?.parse().ok().map(Duration::from_millis)
}

// Whether rows of so many bytes may be more than a mutation may have, and that limit, in bytes. The half of it is for what a
// mutation has beside the values. A larger one is answered with a write failure, as by a replica in trouble.
fn exceeds(row_bytes_max: usize, settings: &BTreeMap<String, String>) -> Option<u64> {
    let largest = match (settings.get("max_mutation_size"), settings.get("max_mutation_size_in_kb")) {
        (Some(with_unit), _) => size(with_unit)?,
        (None, Some(kib)) => size(kib)? << 10,
        (None, None) => return None,
    };
    (u64::try_from(row_bytes_max).is_ok_and(|ours| ours > largest / 2)).then_some(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn told(pairs: &[(&str, &str)]) -> Option<Duration> {
        forgets(&settings(pairs))
    }

    #[test]
    fn settings_that_are_just_right_are_not_warned_of() {
        let said = settings(&[
            ("commitlog_sync", "periodic"),
            ("commitlog_sync_period", "10s"),
            ("max_mutation_size", "16384KiB"),
        ]);
        let right = Consumer {
            durable_after: Duration::from_secs(16),
            row_bytes_max: 8 << 20,
            ..Consumer::default()
        };
        assert_eq!(warnings(&right, &said), Vec::<String>::new());
        let wrong = Consumer {
            durable_after: Duration::from_secs(15),
            row_bytes_max: (8 << 20) + 1,
            ..right.clone()
        };
        let found = warnings(&wrong, &said);
        assert!(
            found[0].starts_with("consumer.durable_after is 15s") && found[0].contains("16s"),
            "{found:?}"
        );
        assert!(found[1].starts_with("consumer.row_bytes_max is 8388609"), "{found:?}");
        let none = Consumer { durable_after: Duration::ZERO, ..right };
        assert!(warnings(&none, &said)[0].contains(" is 0s, "));
    }

    #[test]
    fn rows_may_have_half_of_a_mutation() {
        for said in [("max_mutation_size", "16384KiB"), ("max_mutation_size_in_kb", "16384")] {
            assert_eq!(exceeds(8 << 20, &settings(&[said])), None);
            assert_eq!(exceeds((8 << 20) + 1, &settings(&[said])), Some(16 << 20));
        }
        assert_eq!(exceeds(15 << 20, &settings(&[])), None, "a server that does not say");
    }

    #[test]
    fn periods_of_all_versions_are_understood() {
        let periodic = ("commitlog_sync", "periodic");
        let expected = Some(Duration::from_secs(16));
        assert_eq!(told(&[periodic, ("commitlog_sync_period", "10000ms")]), expected);
        assert_eq!(told(&[periodic, ("commitlog_sync_period", "10s")]), expected);
        assert_eq!(told(&[periodic, ("commitlog_sync_period_in_ms", "10000")]), expected);
        for sync in ["batch", "group"] {
            assert_eq!(
                told(&[("commitlog_sync", sync), ("commitlog_sync_period", "10s")]),
                Some(Duration::ZERO)
            );
        }
        assert_eq!(told(&[periodic]), None);
        assert_eq!(told(&[]), None);
    }
}
