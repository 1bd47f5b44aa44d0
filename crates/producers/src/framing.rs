//! Bytes of an event stream -> the same as valid UTF-8 with its lines and events within bounds, and which `retry:` it
//! asked for.
//!
//! The client that parses the stream has no limit of its own: a line without an end would fill the memory. An event
//! that is too long is cut off and marked, and its rest swallowed: a connection that failed instead would resume before
//! that event and meet it again, for ever.
//! The format: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::utf8::Utf8;

/// What a server may ask for as the least wait before a reconnect: `retry: 0` is no leave to hammer it.
const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
const FIELD_BYTES_MAX: usize = 32;
/// So many times the limit are swallowed before the connection is given up.
const SWALLOWED_FACTOR: usize = 64;
/// The bytes of a character of UTF-8 after its first.
const CHARACTER_REST_MAX: usize = 3;

/// The type of an event that was too long; its data are nothing.
pub const TOO_LONG: &str = "tributary-too-long";
/// Ends a cut event where it is cut. The NUL makes the client ignore the line if it is an `id`: half an id is no place
/// to resume from.
const CUT: &[u8] = b"\0\nevent: tributary-too-long\ndata\n\n";
/// Comes before the stream: the last event id is empty at the beginning. The format says so; the client believes that
/// there is none yet, and as long as it does, it fails at a block that has no field it knows.
pub const START: &[u8] = b"id\n\n";

/// A line or an event has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of more than {bytes_max} bytes")]
pub struct Endless {
    bytes_max: usize,
}

/// Some bytes of the stream, fit for the client.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What to pass on; the very bytes that came, unless an event had to be cut or a byte to be replaced.
    pub bytes: Bytes,
    /// The wait that the server last asked for in them, brought within its bounds.
    pub retry: Option<Duration>,
    /// After these bytes the line or the event has grown beyond all bounds: nothing more is accepted.
    pub endless: Option<Endless>,
}

/// Watches one stream from its first byte.
#[derive(Debug)]
pub struct Framing {
    utf8: Utf8,
    bytes_max: usize,
    event_bytes: usize,
    line_bytes: usize,
    /// The start of the current line, enough for a `retry:` field.
    line_start: Vec<u8>,
    after_return: bool,
    /// The event has been cut: nothing is passed on until it ends.
    swallowing: bool,
}

impl Framing {
    /// An event, comments and field names included, may have `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            utf8: Utf8::default(),
            bytes_max,
            event_bytes: 0,
            line_bytes: 0,
            line_start: Vec::new(),
            after_return: false,
            swallowing: false,
        }
    }

    /// Takes the next bytes.
    pub fn accept(&mut self, chunk: &Bytes) -> Accepted {
        let chunk = self.utf8.decode(chunk);
        let (mut retry, mut endless) = (None, None);
        let mut cut: Option<BytesMut> = self.swallowing.then(BytesMut::new);
        // Up to here the chunk is in `cut`, or swallowed.
        let mut done = 0;
        for (at, &byte) in chunk.iter().enumerate() {
            let second_of_pair = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            if second_of_pair {
                continue;
            }
            if matches!(byte, b'\n' | b'\r') {
                retry = self.end_line().or(retry);
                if self.swallowing && self.event_bytes == 0 {
                    self.swallowing = false;
                    done = at + 1;
                }
                continue;
            }
            self.line_bytes += 1;
            self.event_bytes += 1;
            if self.line_start.len() < FIELD_BYTES_MAX {
                self.line_start.push(byte);
            }
            if self.event_bytes <= self.bytes_max {
                continue;
            }
            let bytes_max = self.bytes_max.saturating_mul(SWALLOWED_FACTOR);
            if self.event_bytes > bytes_max {
                endless = Some(Endless { bytes_max });
                break;
            }
            // The client gives up on half a character: the last one may go on beyond the limit.
            let goes_on =
                is_rest_of_character(byte) && self.event_bytes - self.bytes_max <= CHARACTER_REST_MAX;
            if !self.swallowing && !goes_on {
                self.swallowing = true;
                let cut = cut.get_or_insert_default();
                cut.extend_from_slice(&chunk[done..at]);
                cut.extend_from_slice(CUT);
            }
        }
        let bytes = match cut {
            None => chunk,
            Some(mut cut) => {
                if !self.swallowing {
                    cut.extend_from_slice(&chunk[done..]);
                }
                cut.freeze()
            }
        };
        Accepted { bytes, retry, endless }
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

fn is_rest_of_character(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
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
    use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
    use futures::{FutureExt, StreamExt};
    use launchdarkly_sdk_transport::{ByteStream, HttpTransport, Request, Response, ResponseFuture};
    use proptest::prelude::*;

    use super::*;

    fn accept(framing: &mut Framing, bytes: &[u8]) -> Accepted {
        framing.accept(&Bytes::copy_from_slice(bytes))
    }

    /// Answers with the bytes that the framing lets through.
    #[derive(Clone)]
    struct Chunks(Vec<Bytes>);

    impl HttpTransport for Chunks {
        fn request(&self, _: Request<Option<Bytes>>) -> ResponseFuture {
            let chunks = std::iter::once(Bytes::from_static(START)).chain(self.0.clone());
            let body: ByteStream = Box::pin(futures::stream::iter(chunks.collect::<Vec<_>>()).map(Ok));
            Box::pin(std::future::ready(Ok(Response::new(body))))
        }
    }

    /// The type, id and data of each event that the client makes of the stream, come in pieces of these sizes.
    fn events(
        bytes_max: usize,
        text: impl AsRef<[u8]>,
        sizes: &[usize],
    ) -> Vec<(String, Option<String>, String)> {
        let mut framing = Framing::new(bytes_max);
        let (mut rest, mut sizes) = (Bytes::copy_from_slice(text.as_ref()), sizes.iter().cycle());
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let chunk = rest.split_to((*sizes.next().unwrap()).min(rest.len()));
            chunks.push(framing.accept(&chunk).bytes);
        }
        let once = ReconnectOptions::reconnect(false).retry_initial(false).build();
        let client = ClientBuilder::for_url("http://localhost").unwrap().reconnect(once);
        let mut stream = client.build_with_transport(Chunks(chunks)).stream();
        let mut events = Vec::new();
        while let Some(Some(Ok(item))) = stream.next().now_or_never() {
            if let SSE::Event(event) = item {
                events.push((event.event_type, event.id, event.data));
            }
        }
        events
    }

    #[test]
    fn what_needs_no_cutting_is_passed_on_without_a_copy() {
        let mut framing = Framing::new(20);
        for text in ["data: 1\n\n", ":ok\n\ndata", ": 2\n", "\n"] {
            let chunk = Bytes::copy_from_slice(text.as_bytes());
            let passed = framing.accept(&chunk).bytes;
            assert_eq!((passed.as_ptr(), passed.len()), (chunk.as_ptr(), chunk.len()));
        }
    }

    #[test]
    fn endless_line_is_swallowed_and_given_up_in_the_end() {
        let mut framing = Framing::new(100);
        let before: usize = (0..64).map(|_| accept(&mut framing, &[b'x'; 100]).bytes.len()).sum();
        assert_eq!(before, 100 + CUT.len());
        assert_eq!(accept(&mut framing, b"x").endless, Some(Endless { bytes_max: 6400 }));
    }

    #[test]
    fn endless_event_of_short_lines_is_given_up_in_the_end() {
        let mut framing = Framing::new(100);
        let refused_at = (0..1000).find(|_| accept(&mut framing, b"data: 1234\n").endless.is_some());
        assert_eq!(refused_at, Some(640));
    }

    #[test]
    fn events_before_an_endless_line_in_the_same_chunk_arrive() {
        let text = format!("data: before\n\n:{}", "x".repeat(6500));
        let accepted = accept(&mut Framing::new(100), text.as_bytes());
        assert_eq!(accepted.endless, Some(Endless { bytes_max: 6400 }));
        assert!(accepted.bytes.starts_with(b"data: before\n\n") && accepted.bytes.ends_with(CUT));
    }

    #[test]
    fn invalid_bytes_anywhere_end_no_stream() {
        for odd in ["data: a\u{ff}b", "data: 1\n\u{ff}: x", ":\u{ff}", "id: \u{ff}\0\ndata: a"] {
            // As a byte of its own 255 is no UTF-8.
            let text = format!("id: a\ndata: before\n\n{odd}\n\ndata: after\n\n");
            let bytes: Vec<u8> = text.chars().map(|char| u8::try_from(char).unwrap()).collect();
            let data: Vec<String> = events(50, bytes, &[7]).into_iter().map(|(.., data)| data).collect();
            assert_eq!(data.last().unwrap(), "after", "{odd:?}");
            assert!(odd != "data: a\u{ff}b" || data[1] == "a\u{fffd}b", "{data:?}");
        }
    }

    #[test]
    fn block_that_says_nothing_known_before_the_first_id_ends_no_stream() {
        for odd in ["foo: 1", "event", "event:", "id: 1\0", "retry: soon", "foo\nbar"] {
            for (mark, sizes) in [("", 5), ("\u{feff}", 1), ("\u{feff}", 100)] {
                let text = format!("{mark}{odd}\n\n{odd}\n\ndata: after\n\nid: 1\ndata: next\n\n");
                let seen = events(100, &text, &[sizes]);
                let seen: Vec<_> = seen.iter().map(|(_, id, data)| (id.as_deref(), data.as_str())).collect();
                assert_eq!(seen, [(Some(""), "after"), (Some("1"), "next")], "{odd:?}");
            }
        }
    }

    #[test]
    fn limit_counts_anew_for_each_event_and_comment() {
        for end in ["\n", "\r", "\r\n"] {
            let mut framing = Framing::new(40);
            for _ in 0..1000 {
                let text = format!(":ok{end}event: message{end}data: 0123456789{end}{end}");
                let accepted = accept(&mut framing, text.as_bytes());
                assert_eq!(accepted, Accepted { bytes: Bytes::from(text), retry: None, endless: None });
            }
        }
    }

    #[test]
    fn event_that_is_too_long_is_marked_as_such_wherever_it_is_cut() {
        let filler = "x".repeat(100);
        for long in [
            format!("data: {filler}"),
            format!("data: 1\nid: {filler}"),
            format!("id: {filler}\ndata: 1"),
            format!("event: {filler}\ndata: 1"),
            format!("data: 1\n:{filler}"),
            format!(":{filler}"),
            format!("{filler}: 1"),
            "data: 1\n".repeat(20),
        ] {
            let end = if long.starts_with(':') { "\n" } else { "\n\n" };
            let text = format!("id: a\ndata: before\n\n{long}{end}data: after\n\n");
            let seen = events(50, &text, &[7]);
            let types: Vec<&str> = seen.iter().map(|(kind, ..)| kind.as_str()).collect();
            assert_eq!(types, ["message", TOO_LONG, "message"], "{long}");
            assert_eq!(seen[2], ("message".to_owned(), Some("a".to_owned()), "after".to_owned()), "{long}");
        }
    }

    #[test]
    fn retry_is_honoured_only_within_bounds() {
        let ask = |text: &str| accept(&mut Framing::new(1000), text.as_bytes()).retry;
        assert_eq!(ask("retry: 0\n"), Some(Duration::from_secs(1)));
        assert_eq!(ask("retry:5000\r\n"), Some(Duration::from_secs(5)));
        assert_eq!(ask("retry: 999999999999999999999999\n"), Some(Duration::from_secs(60)));
        assert_eq!(ask("data: retry: 5000\n"), None);
        assert_eq!(ask("retry: soon\nretry: -1\nretry:\n"), None);
    }

    proptest! {
        #[test]
        fn neighbours_of_an_event_that_is_too_long_arrive_intact_whatever_the_chunking(
            sizes in prop::collection::vec(1..60_usize, 1..20),
            end in prop_oneof![Just("\n"), Just("\r"), Just("\r\n")],
            lengths in prop::collection::vec(0..400_usize, 1..8),
            character in prop_oneof![Just("x"), Just("é"), Just("€"), Just("👩")],
        ) {
            const MAX: usize = 200;
            let (mut text, mut expected) = (format!(":ok{end}{end}"), Vec::new());
            for (number, length) in lengths.iter().enumerate() {
                let data = character.repeat(length / character.len());
                let event = ["event: message".to_owned(), format!("id: {number}"), format!("data: {data}")];
                let bytes: usize = event.iter().map(String::len).sum();
                text += &format!("{}{end}{end}", event.join(end));
                // The character that crosses the limit is passed on whole; one that ends the event is no reason to cut it.
                let last = if data.is_empty() { 1 } else { character.len() };
                if bytes < MAX + last {
                    expected.push(("message".to_owned(), Some(number.to_string()), data));
                } else {
                    expected.push((TOO_LONG.to_owned(), Some(number.to_string()), String::new()));
                }
            }
            let mut seen = events(MAX, &text, &sizes);
            for (kind, _, data) in &mut seen {
                if kind == TOO_LONG {
                    data.clear();
                }
            }
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn chunks_do_not_change_what_comes_out(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b'x')], 0..3000),
            cut in 1..20_usize,
        ) {
            let whole = accept(&mut Framing::new(10), &bytes);
            let mut framing = Framing::new(10);
            let (mut parts, mut endless) = (Vec::new(), None);
            for part in bytes.chunks(cut) {
                let accepted = accept(&mut framing, part);
                parts.extend_from_slice(&accepted.bytes);
                endless = accepted.endless;
                if endless.is_some() {
                    break;
                }
            }
            prop_assert_eq!((whole.bytes, whole.endless), (Bytes::from(parts), endless));
        }
    }
}
