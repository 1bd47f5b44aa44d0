//! Bytes as an event stream, cut into chunks at any place.

use bytes::Bytes;
use eventsource_client::{Client, ClientBuilder, ReconnectOptions, SSE};
use futures::{FutureExt, StreamExt};
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, Request, Response, ResponseFuture};
use producers::framing::{Framing, START, TOO_LONG};

/// Small, so that few bytes are too many.
const EVENT_BYTES_MAX: usize = 64;
/// What a cut event gets as its end, and the replacement characters of half a character.
const MARK_BYTES_MAX: usize = 64;

/// The first bytes say how long the chunks are; the rest is the stream. Its events do not depend on the chunks, and none
/// is longer than its bound. Where none has to be cut, they are those of the standard.
///
/// # Panics
/// It does not hold.
pub fn check(bytes: &[u8]) {
    let (sizes, stream) = bytes.split_at(bytes.len().min(4));
    let sizes: Vec<usize> = sizes.iter().map(|size| usize::from(*size % 40) + 1).collect();
    let sizes = if sizes.is_empty() { vec![1] } else { sizes };
    let whole = framed(EVENT_BYTES_MAX, stream, &[usize::MAX]);
    let cut = framed(EVENT_BYTES_MAX, stream, &sizes);
    assert_eq!(whole.concat(), cut.concat(), "the chunks change what comes out");
    let events = events(&cut);
    assert_eq!(self::events(&whole), events, "the chunks change the events");
    for Event { kind, data, .. } in &events {
        assert!(
            kind.len() + data.len() <= EVENT_BYTES_MAX + MARK_BYTES_MAX,
            "an event of {} bytes",
            data.len()
        );
    }
    bounded(&cut.concat());
    let roomy = framed(usize::MAX / 128, stream, &sizes);
    assert!(!roomy.concat().windows(TOO_LONG.len()).any(|part| part == TOO_LONG.as_bytes() && !has(stream)));
    assert_eq!(self::events(&roomy), by_the_standard(&String::from_utf8_lossy(stream)));
}

fn has(stream: &[u8]) -> bool {
    stream.windows(TOO_LONG.len()).any(|part| part == TOO_LONG.as_bytes())
}

// What the framing lets through, chunk by chunk, until it gives the stream up.
fn framed(bytes_max: usize, stream: &[u8], sizes: &[usize]) -> Vec<Bytes> {
    let mut framing = Framing::new(bytes_max);
    let (mut rest, mut sizes) = (Bytes::copy_from_slice(stream), sizes.iter().cycle());
    let mut passed = Vec::new();
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |size| (*size).min(rest.len()));
        let accepted = framing.accept(&rest.split_to(size));
        passed.push(accepted.bytes);
        if accepted.endless.is_some() {
            break;
        }
    }
    passed
}

// The client keeps a line, and the fields of an event, until they end.
fn bounded(passed: &[u8]) {
    let text = String::from_utf8_lossy(passed).replace("\r\n", "\n");
    let mut event = 0;
    for line in text.as_bytes().split(|byte| matches!(byte, b'\n' | b'\r')) {
        event = if line.is_empty() || line[0] == b':' { 0 } else { event + line.len() };
        assert!(line.len().max(event) <= EVENT_BYTES_MAX + MARK_BYTES_MAX, "{event} bytes without an end");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Event {
    kind: String,
    id: String,
    data: String,
}

/// Answers with these bytes.
#[derive(Clone)]
struct Chunks(Vec<Bytes>);

impl HttpTransport for Chunks {
    fn request(&self, _: Request<Option<Bytes>>) -> ResponseFuture {
        let chunks = std::iter::once(Bytes::from_static(START)).chain(self.0.clone());
        let body: ByteStream = Box::pin(futures::stream::iter(chunks.collect::<Vec<_>>()).map(Ok));
        Box::pin(std::future::ready(Ok(Response::new(body))))
    }
}

// As the client makes them of the chunks.
fn events(chunks: &[Bytes]) -> Vec<Event> {
    let once = ReconnectOptions::reconnect(false).retry_initial(false).build();
    let client = ClientBuilder::for_url("http://localhost").expect("a URL").reconnect(once);
    let mut stream = client.build_with_transport(Chunks(chunks.to_vec())).stream();
    let mut events = Vec::new();
    while let Some(Some(Ok(item))) = stream.next().now_or_never() {
        if let SSE::Event(event) = item {
            let id = event.id.unwrap_or_default();
            events.push(Event { kind: event.event_type, id, data: event.data });
        }
    }
    events
}

// <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>, line by line.
fn by_the_standard(text: &str) -> Vec<Event> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let Some((lines, _unterminated)) = text.rsplit_once('\n') else { return Vec::new() };
    let mut events = Vec::new();
    let (mut kind, mut id, mut data) = ("", "", String::new());
    for line in lines.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                let kind = if kind.is_empty() { "message" } else { kind }.to_owned();
                events.push(Event { kind, id: id.to_owned(), data: std::mem::take(&mut data) });
            }
            kind = "";
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value,
            "data" => data = data + value + "\n",
            "id" if !value.contains('\0') => id = value,
            // A comment, `retry`, or nothing that is known.
            _ => {}
        }
    }
    events
}
