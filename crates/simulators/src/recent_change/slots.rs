//! Event numbers and their times: number n's slot is the millisecond at which n events have passed since 1970.
//! `Last-Event-ID` or `since` -> the first event of a connection.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::datacentres::Assignment;

/// The time slots of one rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    /// 0: there are no events.
    pub(super) per_s: u32,
}

impl Slots {
    /// When event `n` happens, in ms since 1970; never at rate 0.
    pub(super) fn time_ms(self, n: u64) -> i64 {
        let ms = (u128::from(n) * 1000).div_ceil(u128::from(self.per_s.max(1)));
        i64::try_from(ms).unwrap_or(i64::MAX)
    }

    /// The first event at or after a time.
    pub(super) fn first_at(self, ms: i64) -> u64 {
        let Ok(before) = u128::try_from(ms.saturating_sub(1)) else { return 0 };
        u64::try_from(before * u128::from(self.per_s) / 1000 + 1).unwrap_or(u64::MAX)
    }

    /// The first event after a time: all before it are due by then.
    pub(super) fn first_after(self, ms: i64) -> u64 {
        self.first_at(ms + 1)
    }

    /// Where a connection begins. A position older than the retention, or in the future, is the end.
    pub(super) fn start(self, resume: Resume, now_ms: i64, retention: Duration) -> u64 {
        let end = self.first_after(now_ms);
        let oldest_ms = now_ms - i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let first = match resume {
            Resume::End => end,
            Resume::Time(ms) => self.first_at(ms),
            Resume::Offset(n) => n,
        };
        if first >= end || self.time_ms(first) < oldest_ms { end } else { first }
    }
}

/// What a client asks to resume from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Resume {
    End,
    Time(i64),
    Offset(u64),
}

impl Resume {
    /// `since` is ignored when the id carries a position.
    ///
    /// # Errors
    /// In words: `since` is not of its form.
    pub(super) fn from(last_event_id: &[Assignment], since: Option<&str>) -> Result<Self, String> {
        // The idle datacentre has the offset -1, or since a switch the time of its last event: the later one counts.
        if let Some(ms) = last_event_id.iter().filter_map(|one| one.timestamp).max() {
            return Ok(Self::Time(ms));
        }
        if let Some(n) = last_event_id.iter().find_map(|one| u64::try_from(one.offset?).ok()) {
            return Ok(Self::Offset(n));
        }
        let Some(since) = since else { return Ok(Self::End) };
        let ms = time(since).ok_or_else(|| format!("since is not a time: {since:?}"))?;
        Ok(Self::Time(ms))
    }
}

/// Milliseconds since 1970, or ISO 8601 with or without zone (then UTC) and time.
fn time(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let midnight = || text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    let time = text.parse::<NaiveDateTime>().ok().or_else(midnight)?;
    Some(time.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::super::datacentres::assignments;
    use super::*;

    const NOW: i64 = 1_767_355_200_123;
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn slots_and_numbers_invert_each_other_at_every_rate() {
        for per_s in [1, 3, 7, 25, 999, 1000, 5000, 100_000] {
            let slots = Slots { per_s };
            let around = slots.first_at(NOW);
            for n in around..around + 1000 {
                let ms = slots.time_ms(n);
                let (first, after) = (slots.first_at(ms), slots.first_after(ms));
                assert!(first <= n && n < after, "{per_s}/s: {n} at {ms} is not in {first}..{after}");
                assert!(
                    first == 0 || slots.time_ms(first - 1) < ms,
                    "{per_s}/s: {first} is not the first at {ms}"
                );
            }
        }
    }

    #[test]
    fn resume_is_inclusive_within_the_retention_and_the_end_beyond() {
        let slots = Slots { per_s: 25 };
        let end = slots.first_after(NOW);
        let minute_ago = slots.time_ms(end - 1500);
        assert_eq!(slots.start(Resume::Time(minute_ago), NOW, HOUR), end - 1500);
        assert_eq!(slots.start(Resume::Offset(end - 1500), NOW, HOUR), end - 1500);
        assert_eq!(slots.start(Resume::Time(NOW - 3_600_100), NOW, HOUR), end);
        assert_eq!(slots.start(Resume::Time(NOW + 60_000), NOW, HOUR), end);
        assert_eq!(slots.start(Resume::End, NOW, HOUR), end);
    }

    #[test]
    fn latest_position_of_an_id_wins_over_since() {
        let resume = |id: &str| Resume::from(&assignments(id).unwrap(), Some("9"));
        let id = r#"[{"topic":"a","partition":0,"offset":-1},{"topic":"b","partition":0,"timestamp":5}]"#;
        assert_eq!(resume(id), Ok(Resume::Time(5)));
        let switched =
            r#"[{"topic":"a","partition":0,"timestamp":5},{"topic":"b","partition":0,"timestamp":7}]"#;
        assert_eq!(resume(switched), Ok(Resume::Time(7)));
        assert_eq!(resume(r#"[{"topic":"a","partition":0,"offset":-1}]"#), Ok(Resume::Time(9)));
        assert_eq!(resume(r#"[{"topic":"b","partition":0,"offset":7}]"#), Ok(Resume::Offset(7)));
        assert_eq!(resume(""), Ok(Resume::Time(9)));
    }

    #[test]
    fn since_is_milliseconds_or_iso() {
        let expected = Ok(Resume::Time(1_767_355_200_000));
        for since in
            ["1767355200000", "2026-01-02T12:00:00Z", "2026-01-02T12:00:00", "2026-01-02T13:00:00+01:00"]
        {
            assert_eq!(Resume::from(&[], Some(since)), expected, "{since}");
        }
        assert_eq!(Resume::from(&[], Some("2026-01-02")), Ok(Resume::Time(1_767_312_000_000)));
        assert!(Resume::from(&[], Some("yesterday")).is_err());
    }
}
