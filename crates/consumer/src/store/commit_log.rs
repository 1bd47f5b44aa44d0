//! How long a row may be acknowledged and in memory only, by the server's settings.

use std::collections::BTreeMap;
use std::time::Duration;

/// The age at which an acknowledged row is on the disk: at once where the server syncs first. Otherwise writes are
/// blocked when the last sync is more than 1.5 periods ago, and a second is for the sync itself.
pub(crate) fn forgets(settings: &BTreeMap<String, String>) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(settings: &[(&str, &str)]) -> Option<Duration> {
        forgets(&settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
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
