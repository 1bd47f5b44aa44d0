//! A place in a topic, as an operator writes it.

use chrono::{DateTime, Utc};
use consumer::topic::Since;

/// Reads a place to begin at, as an operator writes it.
///
/// # Errors
/// In words: what may stand there.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    if text == "beginning" {
        return Ok(Since::Beginning);
    }
    if let Some(offset) = text.parse().ok().filter(|offset: &i64| *offset >= 0) {
        return Ok(Since::Offset(offset));
    }
    // No message is of before 1970, and Kafka is not asked for such a time.
    let at = |ms: i64| Since::Time(ms.max(0));
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(at(time.timestamp_millis()));
    }
    let span = humantime::parse_duration(text).ok().and_then(|span| i64::try_from(span.as_millis()).ok());
    match span {
        Some(span) => Ok(at(Utc::now().timestamp_millis().saturating_sub(span))),
        None => {
            Err("expected a span such as 90m or 3days, a time such as 2026-11-22T00:00:00Z, an offset, or beginning"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written_and_none_is_before_1970() {
        assert_eq!(since("beginning"), Ok(Since::Beginning));
        assert_eq!(since("17"), Ok(Since::Offset(17)));
        assert!(since("yesterday").unwrap_err().ends_with("or beginning"));
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Since::Time(1_000)));
        for early in ["1960-01-01T00:00:00Z", "100years"] {
            assert_eq!(since(early), Ok(Since::Time(0)), "{early}");
        }
    }
}
