//! Times in messages -> milliseconds since 1970, by the route's rule.

use chrono::format::{Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, Timelike, Utc};

use super::{Scalar, number};
use crate::route::Bucket;

/// How a column's times are written, and how coarse they become.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeRule {
    /// The form in the message.
    pub form: TimeForm,
    /// Cut down to the start of this span.
    pub bucket: Option<Bucket>,
    /// Whether what is finer than a millisecond is cut; else it is an error.
    pub truncate: bool,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeForm {
    /// `2026-01-02T12:00:00.122Z`
    Rfc3339,
    /// A number since 1970.
    Epoch(Epoch),
    /// chrono's strftime pattern; times without an offset of their own are in `zone`.
    Pattern {
        /// The pattern.
        pattern: String,
        /// The zone of times that carry none.
        zone: Option<FixedOffset>,
        /// Whether it has no time of day, and means midnight.
        days: bool,
    },
}

/// The unit of a number since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Epoch {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl TimeRule {
    /// What the rule accepts, as error messages name it.
    pub(super) fn expected(&self) -> String {
        match &self.form {
            TimeForm::Rfc3339 => "a time as 2026-01-02T12:00:00.122Z".to_owned(),
            TimeForm::Epoch(unit) => {
                format!("an integer of {} since 1970", format!("{unit:?}").to_lowercase())
            }
            TimeForm::Pattern { pattern, .. } => format!("a time as {pattern}"),
        }
    }

    /// Milliseconds since 1970, cut to the bucket; `None` where the value is no such time, too fine or too far off.
    pub(super) fn millis(&self, scalar: Scalar<'_>) -> Option<i64> {
        let (millis, finer) = match (&self.form, scalar) {
            (TimeForm::Rfc3339, Scalar::String(text) | Scalar::Word(text)) => {
                exact(text, DateTime::parse_from_rfc3339(text).ok()?.to_utc())?
            }
            (TimeForm::Pattern { pattern, zone, days }, Scalar::String(text) | Scalar::Word(text)) => {
                let mut parsed = Parsed::new();
                parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
                exact(text, of_pattern(parsed, *zone, *days)?)?
            }
            (TimeForm::Epoch(unit), Scalar::Number(literal) | Scalar::Word(literal)) => {
                let value = number::integer(literal)?;
                let per_milli = match unit {
                    Epoch::Seconds => return self.cut(value.checked_mul(1000)?),
                    Epoch::Millis => 1,
                    Epoch::Micros => 1_000,
                    Epoch::Nanos => 1_000_000,
                };
                (value.div_euclid(per_milli), value.rem_euclid(per_milli) != 0)
            }
            _ => return None,
        };
        if finer && !self.truncate && self.bucket.is_none() {
            return None;
        }
        self.cut(millis)
    }

    /// The text of a time that was cut by this rule: `2026-11`, `2026-11-21`, `2026-11-21T06`, or RFC 3339.
    pub(super) fn format(&self, millis: i64) -> Option<String> {
        let time = DateTime::from_timestamp_millis(millis)?;
        Some(match self.bucket {
            Some(Bucket::Hour) => time.format("%Y-%m-%dT%H").to_string(),
            Some(Bucket::Day) => time.format("%Y-%m-%d").to_string(),
            Some(Bucket::Month) => time.format("%Y-%m").to_string(),
            None => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        })
    }

    // `None` where the bucket begins before 64 bits do, or in a year that chrono does not have (262,000 and more).
    fn cut(&self, millis: i64) -> Option<i64> {
        const HOUR: i64 = 3_600_000;
        let floor = |unit: i64| millis.div_euclid(unit).checked_mul(unit);
        match self.bucket {
            None => Some(millis),
            Some(Bucket::Hour) => floor(HOUR),
            Some(Bucket::Day) => floor(24 * HOUR),
            Some(Bucket::Month) => {
                let time = DateTime::from_timestamp_millis(millis)?;
                let start = NaiveDate::from_ymd_opt(time.year(), time.month(), 1)?.and_hms_opt(0, 0, 0)?;
                Some(start.and_utc().timestamp_millis())
            }
        }
    }
}

/// Whether a time has more decimals than chrono keeps: it drops those after the ninth without a word.
pub(super) fn finer_than_nanos(text: &str) -> bool {
    text.split('.').skip(1).any(|after| {
        let decimals = after.bytes().take_while(u8::is_ascii_digit);
        decimals.skip(9).any(|digit| digit != b'0')
    })
}

// Milliseconds, and whether there was something finer. A leap second has no place of its own among them.
fn exact(text: &str, time: DateTime<Utc>) -> Option<(i64, bool)> {
    let nanos = Some(time.nanosecond()).filter(|nanos| *nanos < 1_000_000_000)?;
    Some((time.timestamp_millis(), !nanos.is_multiple_of(1_000_000) || finer_than_nanos(text)))
}

/// The time that a pattern has read: in `zone` where it has none of its own, midnight where it reads `days`.
pub(super) fn of_pattern(mut parsed: Parsed, zone: Option<FixedOffset>, days: bool) -> Option<DateTime<Utc>> {
    if days {
        parsed.set_hour(0).ok()?;
        parsed.set_minute(0).ok()?;
    }
    if let Some(zone) = zone {
        parsed.set_offset(zone.local_minus_utc().into()).ok()?;
    }
    Some(parsed.to_datetime().ok()?.to_utc())
}
