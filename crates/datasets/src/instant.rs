//! Points in time as they are published: RFC 3339 in UTC, with the precision that the upstream has.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// The first second of the year 10000, which RFC 3339 cannot write.
const EPOCH_S_END: i64 = 253_402_300_800;

/// A point in time, published in whole seconds: `2026-01-02T12:00:00Z`.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(DateTime<Utc>);

impl Seconds {
    /// Returns `None` before 1970 and after 9999: no upstream of ours means such a time.
    pub(crate) fn from_epoch_s(epoch_s: i64) -> Option<Self> {
        if !(0..EPOCH_S_END).contains(&epoch_s) {
            return None;
        }
        DateTime::from_timestamp(epoch_s, 0).map(Self)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// A point in time, published in milliseconds: `2026-01-02T12:00:00.122Z`.
#[derive(Clone, Copy)]
pub(crate) struct Millis(DateTime<Utc>);

impl Millis {
    /// Reads RFC 3339 of any precision; returns `None` outside the years 1970 to 9999.
    pub(crate) fn from_rfc3339(text: &str) -> Option<Self> {
        let at = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
        (0..EPOCH_S_END).contains(&at.timestamp()).then_some(Self(at))
    }

    pub(crate) fn time(self) -> DateTime<Utc> {
        self.0
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}
