//! The header `Retry-After` -> how long the upstream wants to be left alone.
//!
//! Seconds or an HTTP date: <https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>.

use std::time::{Duration, SystemTime};

/// Returns the wait that the header's value asks for; `None` when it is neither seconds nor a date.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large for u64 still means: not soon.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that has passed asks for no wait at all.
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(unix_s: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(unix_s)
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(parse("120", at(0)), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 ", at(0)), Some(Duration::ZERO));
    }

    #[test]
    fn every_http_date_form_is_a_wait_from_now() {
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse(date, at(784_111_777 - 90)), Some(Duration::from_secs(90)), "{date}");
        }
    }

    #[test]
    fn date_in_the_past_is_no_wait() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", at(1_800_000_000)), Some(Duration::ZERO));
    }

    #[test]
    fn seconds_beyond_all_numbers_are_the_longest_wait() {
        assert_eq!(parse("99999999999999999999999", at(0)), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn anything_else_is_ignored() {
        for value in ["", "soon", "-5", "1.5", "12s", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(value, at(0)), None, "{value}");
        }
    }
}
