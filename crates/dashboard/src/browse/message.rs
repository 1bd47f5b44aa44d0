//! A message -> what is shown of it: bounded, and as text.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{TEXT_BYTES_MAX, Text, contains};

/// Headers that are shown.
const HEADERS_MAX: usize = 50;
/// Bytes of a header that are shown.
const HEADER_BYTES_MAX: usize = 1 << 10;
/// Bytes of shown messages that one answer holds: the texts of some hundred could else be more than the process may have.
pub(super) const ANSWER_BYTES_MAX: usize = 4 << 20;

/// One message, as it was received.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    pub(super) at: Option<DateTime<Utc>>,
    key: Option<String>,
    value: Option<String>,
    /// Of the value.
    hex: bool,
    cut: bool,
    /// Names and values; one that is cut ends with an ellipsis.
    headers: Vec<(String, String)>,
}

impl Shown {
    pub(super) fn of<'a>(
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Self {
        let value = value.map(|value| Text::of(value, TEXT_BYTES_MAX));
        let header = |bytes: &[u8]| {
            let Text { mut text, cut, .. } = Text::of(bytes, HEADER_BYTES_MAX);
            if cut {
                text.push('…');
            }
            text
        };
        Self {
            at: timestamp_ms.and_then(DateTime::from_timestamp_millis),
            key: key.map(|key| Text::of(key, TEXT_BYTES_MAX).text),
            hex: value.as_ref().is_some_and(|value| value.hex),
            cut: value.as_ref().is_some_and(|value| value.cut),
            value: value.map(|value| value.text),
            headers: headers
                .take(HEADERS_MAX)
                .map(|(name, value)| (header(name), value.map_or_else(String::new, header)))
                .collect(),
        }
    }

    /// About as many as it takes.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.key.iter().chain(&self.value).map(String::len).sum::<usize>();
        let header =
            |(name, value): &(String, String)| size_of::<(String, String)>() + name.len() + value.len();
        size_of::<Self>() + texts + self.headers.iter().map(header).sum::<usize>()
    }

    /// Whether what a person searches for is in it.
    pub(super) fn contains(&self, search: &str) -> bool {
        let texts = self.key.iter().chain(&self.value).chain(self.headers.iter().map(|(_, value)| value));
        search.is_empty() || texts.into_iter().any(|text| contains(text, search))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_large_headers_are_cut_to_a_few_kilobytes() {
        let large = vec![b'x'; 16 << 10];
        let headers = std::iter::repeat_n((&large[..], Some(&large[..])), 1_000);
        let shown = Shown::of(None, None, Some(b"{}"), headers);
        assert_eq!((shown.headers.len(), shown.cut), (HEADERS_MAX, false));
        assert!(shown.headers.iter().all(|(_, value)| value.ends_with("x…")));
        assert!(shown.bytes() < 2 * HEADERS_MAX * (HEADER_BYTES_MAX + 100), "{}", shown.bytes());
        let short = Shown::of(Some(0), Some(b"k"), None, [(&b"origin"[..], Some(&b"live"[..]))].into_iter());
        assert_eq!(short.headers, [("origin".to_owned(), "live".to_owned())]);
        assert!(short.contains("live") && !short.contains("origin"));
    }
}
