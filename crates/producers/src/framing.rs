//! Bytes of an event stream -> are its lines and events within bounds, and which `retry:` did it ask for.
//!
//! The client that parses the stream has no limit of its own: a line without an end would fill the memory.
//! The format: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What a server may ask for as the wait before a reconnect.
const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
const FIELD_BYTES_MAX: usize = 32;

/// A line or an event is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {bytes_max} bytes")]
pub(crate) struct TooLong {
    bytes_max: usize,
}

/// Watches one stream from its first byte.
#[derive(Debug)]
pub(crate) struct Framing {
    bytes_max: usize,
    event_bytes: usize,
    line_bytes: usize,
    /// The start of the current line, enough for a `retry:` field.
    line_start: Vec<u8>,
    after_return: bool,
}

impl Framing {
    /// An event, comments and field names included, may have `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, event_bytes: 0, line_bytes: 0, line_start: Vec::new(), after_return: false }
    }

    /// Takes the next bytes; returns the wait that the server last asked for in them, brought within its bounds.
    ///
    /// # Errors
    /// The current line or event has grown too long: nothing after it can be trusted.
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> Result<Option<Duration>, TooLong> {
        let mut retry = None;
        for &byte in bytes {
            let second_of_pair = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            if second_of_pair {
                continue;
            }
            if matches!(byte, b'\n' | b'\r') {
                retry = self.end_line().or(retry);
                continue;
            }
            self.line_bytes += 1;
            self.event_bytes += 1;
            if self.event_bytes > self.bytes_max {
                return Err(TooLong { bytes_max: self.bytes_max });
            }
            if self.line_start.len() < FIELD_BYTES_MAX {
                self.line_start.push(byte);
            }
        }
        Ok(retry)
    }

    fn end_line(&mut self) -> Option<Duration> {
        let retry = if self.line_bytes == self.line_start.len() { retry(&self.line_start) } else { None };
        // A comment stands for itself; an empty line ends the event.
        if self.line_bytes == 0
            || self.event_bytes == self.line_bytes && self.line_start.first() == Some(&b':')
        {
            self.event_bytes = 0;
        }
        self.line_bytes = 0;
        self.line_start.clear();
        retry
    }
}

fn retry(line: &[u8]) -> Option<Duration> {
    let value = line.strip_prefix(b"retry:")?;
    let digits = str::from_utf8(value.strip_prefix(b" ").unwrap_or(value)).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let wait = Duration::from_millis(digits.parse().unwrap_or(u64::MAX));
    Some(wait.clamp(*RETRY.start(), *RETRY.end()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endless_line_is_stopped_at_the_limit() {
        let mut framing = Framing::new(100);
        assert!(framing.accept(b"data: ").is_ok());
        assert!(framing.accept(&[b'x'; 94]).is_ok());
        assert_eq!(framing.accept(b"x"), Err(TooLong { bytes_max: 100 }));
    }

    #[test]
    fn endless_event_of_short_lines_is_stopped_at_the_limit() {
        let mut framing = Framing::new(100);
        let refused_at = (0..100).find(|_| framing.accept(b"data: 1234\n").is_err());
        assert_eq!(refused_at, Some(10));
    }

    #[test]
    fn limit_counts_anew_for_each_event_and_comment() {
        for end in ["\n", "\r", "\r\n"] {
            let mut framing = Framing::new(40);
            for _ in 0..1000 {
                let text = format!(":ok{end}event: message{end}data: 0123456789{end}{end}");
                assert_eq!(framing.accept(text.as_bytes()), Ok(None));
            }
        }
    }

    #[test]
    fn retry_is_honoured_only_within_bounds() {
        let ask = |text: &str| Framing::new(1000).accept(text.as_bytes()).unwrap();
        assert_eq!(ask("retry: 0\n"), Some(Duration::from_secs(1)));
        assert_eq!(ask("retry:5000\r\n"), Some(Duration::from_secs(5)));
        assert_eq!(ask("retry: 999999999999999999999999\n"), Some(Duration::from_secs(60)));
        assert_eq!(ask("data: retry: 5000\n"), None);
        assert_eq!(ask("retry: soon\nretry: -1\nretry:\n"), None);
    }

    proptest! {
        #[test]
        fn chunks_do_not_change_the_verdict(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'x')], 0..300),
            cut in 1..20_usize,
        ) {
            let whole = Framing::new(50).accept(&bytes);
            let mut framing = Framing::new(50);
            let parts: Result<Vec<_>, _> = bytes.chunks(cut).map(|part| framing.accept(part)).collect();
            prop_assert_eq!(whole.is_err(), parts.is_err());
        }
    }
}
