//! One message -> a line for a person, or an object for a script.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use rdkafka::message::{BorrowedMessage, Message};
use serde::Serialize;
use service::kafka;

use crate::print::safe;
use crate::terminal::fit;

/// Columns of a key where lines are cut: the value is what they are for.
const KEY_COLUMNS: usize = 40;

/// A message, copied.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<String>)>,
}

/// What `--json` prints. Bytes that are no text are in base64 under the other name.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<String>,
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    headers: &'a [(String, Option<String>)],
}

impl Record {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: kafka::headers(message).map(|(name, value)| (text(name), value.map(text))).collect(),
        }
    }

    /// Bytes of key, value and headers, and the place itself.
    pub(super) fn size(&self) -> usize {
        let long = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let header =
            |(name, value): &(String, Option<String>)| name.len() + value.as_ref().map_or(0, String::len);
        let headers: usize = self.headers.iter().map(header).sum();
        size_of::<Self>() + self.topic.len() + long(&self.key) + long(&self.value) + headers
    }

    /// Whether the key or the value has this text.
    pub(super) fn has(&self, text: &str) -> bool {
        let bytes = [&self.key, &self.value];
        bytes.into_iter().flatten().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
    }

    /// Time, place, key and value, within so many columns.
    pub(super) fn line(&self, columns: Option<usize>) -> String {
        let time = self.time().unwrap_or_else(|| "(no time)".to_owned());
        let place = format!("{}:{}", self.partition, self.offset);
        let key = shown(self.key.as_deref(), "(no key)", columns.map(|_| KEY_COLUMNS));
        let value = shown(self.value.as_deref(), "(no value)", columns);
        let line = format!("{time}  {place}  {key}  {value}");
        match columns {
            Some(columns) => fit(&line, columns),
            None => line,
        }
    }

    pub(super) fn json(&self) -> Json<'_> {
        let (key, key_base64) = text_or_base64(self.key.as_deref());
        let (value, value_base64) = text_or_base64(self.value.as_deref());
        Json {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.time(),
            key,
            key_base64,
            value,
            value_base64,
            headers: &self.headers,
        }
    }

    fn time(&self) -> Option<String> {
        let at = DateTime::from_timestamp_millis(self.timestamp_ms?)?;
        Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

// Safe to print, and not much more of it than fits.
fn shown(bytes: Option<&[u8]>, none: &str, columns: Option<usize>) -> String {
    let Some(bytes) = bytes else { return none.to_owned() };
    let text = String::from_utf8_lossy(bytes);
    match columns {
        // A character has four bytes at most.
        Some(columns) => fit(&safe(&text, 4 * columns), columns),
        None => safe(&text, usize::MAX),
    }
}

fn text_or_base64(bytes: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    let Some(bytes) = bytes else { return (None, None) };
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> Record {
        Record {
            topic: "orders".to_owned(),
            partition: 1,
            offset: 7,
            timestamp_ms: Some(1_795_333_327_417),
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: vec![("origin".to_owned(), Some("live".to_owned())), ("none".to_owned(), None)],
        }
    }

    #[test]
    fn a_line_has_time_place_key_and_value() {
        let line = record(Some(b"k"), Some(b"{\"a\":1}")).line(None);
        assert_eq!(line, "2026-11-22T07:42:07.417Z  1:7  k  {\"a\":1}");
        let nothing = Record { timestamp_ms: None, ..record(None, None) };
        assert_eq!(nothing.line(None), "(no time)  1:7  (no key)  (no value)");
    }

    #[test]
    fn a_line_is_cut_to_the_terminal_and_never_wider() {
        let long = record(Some(b"k"), Some("x".repeat(500).as_bytes())).line(Some(60));
        assert_eq!(long.chars().count(), 60, "{long}");
        assert!(long.ends_with("x…"), "{long}");
        let wide = record(Some(b"k"), Some("日".repeat(500).as_bytes())).line(Some(60));
        let columns: usize = wide.chars().map(|c| if c == '日' { 2 } else { 1 }).sum();
        assert!((59..=60).contains(&columns), "{columns}: {wide}");
        let long_key = record(Some("k".repeat(500).as_bytes()), Some(b"value")).line(Some(100));
        assert!(long_key.ends_with("k…  value"), "{long_key}");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!([fit("abcd", 3), fit("ab", 0)], ["ab…", "…"]);
    }

    #[test]
    fn upstream_text_steers_no_terminal() {
        let line = record(Some(b"\x1b[2J"), Some("a\nb\u{202e}".as_bytes())).line(Some(200));
        assert!(line.ends_with("\\u{1b}[2J  a\\nb\\u{202e}"), "{line}");
    }

    #[test]
    fn text_is_sought_in_key_and_value() {
        let record = record(Some("Zürich".as_bytes()), Some(b"\xff rain"));
        assert!(record.has("Zür") && record.has("rain") && !record.has("snow"));
        assert!(!Record::default().has("a"));
    }

    #[test]
    fn an_object_has_the_value_whole_and_bytes_that_are_no_text_in_base64() {
        let object = serde_json::to_value(record(Some(b"k"), Some(b"\xff")).json()).unwrap();
        let expected = json!({
            "topic": "orders", "partition": 1, "offset": 7, "timestamp": "2026-11-22T07:42:07.417Z",
            "key": "k", "value": null, "value_base64": "/w==",
            "headers": [["origin", "live"], ["none", null]],
        });
        assert_eq!(object, expected);
        let long = "x".repeat(100_000);
        let object = serde_json::to_value(record(None, Some(long.as_bytes())).json()).unwrap();
        assert_eq!((&object["key"], &object["value"]), (&json!(null), &json!(long)));
    }
}
