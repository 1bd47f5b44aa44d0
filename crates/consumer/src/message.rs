//! Messages as Kafka delivered them, packed: one buffer for the bytes of a whole chunk.
//!
//! A chunk is copied out of librdkafka once and lives until its last row is settled: a row that the table
//! refuses much later still has its raw bytes for the dead letter.

use std::ops::Range;

use tokio::sync::OwnedSemaphorePermit;

/// One message, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The message's timestamp in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

impl Message<'_> {
    /// Bytes of its key, its value and its headers.
    pub fn size(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + length(value));
        length(self.key) + length(self.value) + headers.sum::<usize>()
    }
}

/// The headers of a message, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    entries: &'a [Header],
}

#[derive(Debug, Clone)]
struct Header {
    name: Range<usize>,
    value: Option<Range<usize>>,
}

impl<'a> Headers<'a> {
    /// No headers.
    pub const NONE: Headers<'static> = Headers { bytes: &[], entries: &[] };

    /// The last value of that name, as Kafka's clients read repeated headers.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(known, _)| *known == name.as_bytes()).last().and_then(|(_, value)| value)
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let bytes = self.bytes;
        self.entries
            .iter()
            .map(move |header| (&bytes[header.name.clone()], header.value.clone().map(|value| &bytes[value])))
    }
}

/// Which partition of which topic, as an index into the list of subscribed topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// Index into the list of topics.
    pub topic: usize,
    /// The partition's number.
    pub number: i32,
}

/// A run of messages of one partition within a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub partition: Partition,
    /// The first message's offset.
    pub first: i64,
    /// One past the last message's offset.
    pub end: i64,
    /// The widest run of offsets in between that have no message here; mostly empty.
    pub jump: Range<i64>,
    /// The messages' places in the chunk.
    pub messages: Range<usize>,
}

/// Messages of some partitions, in the order in which they were received.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    records: Vec<Record>,
    headers: Vec<Header>,
    spans: Vec<Span>,
    // Held until the chunk is dropped: what bounds the memory.
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Record {
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

impl Chunk {
    /// An empty chunk with room for as much: the next one will be much like this one.
    pub fn same_capacity(&self) -> Self {
        Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            records: Vec::with_capacity(self.records.len()),
            headers: Vec::with_capacity(self.headers.len()),
            ..Self::default()
        }
    }

    /// Copies one message in. `headers` yields names and values.
    pub fn push<'h>(
        &mut self,
        partition: Partition,
        offset: i64,
        timestamp_ms: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) {
        let first_header = self.headers.len();
        for (name, value) in headers {
            let header = Header { name: self.copy(name), value: value.map(|value| self.copy(value)) };
            self.headers.push(header);
        }
        let record = Record {
            offset,
            timestamp_ms,
            key: key.map(|key| self.copy(key)),
            value: value.map(|value| self.copy(value)),
            headers: first_header..self.headers.len(),
        };
        let place = self.records.len();
        self.records.push(record);
        match self.spans.last_mut() {
            Some(span) if span.partition == partition && span.end <= offset => {
                if offset - span.end > span.jump.end - span.jump.start {
                    span.jump = span.end..offset;
                }
                span.end = offset + 1;
                span.messages.end = place + 1;
            }
            _ => self.spans.push(Span {
                partition,
                first: offset,
                end: offset + 1,
                jump: offset..offset,
                messages: place..place + 1,
            }),
        }
    }

    /// The message at that place; `topic` is the name of the span it is in.
    pub fn message<'a>(&'a self, topic: &'a str, partition: i32, place: usize) -> Message<'a> {
        let record = &self.records[place];
        let slice = |range: &Option<Range<usize>>| range.clone().map(|range| &self.bytes[range]);
        Message {
            topic,
            partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: slice(&record.key),
            value: slice(&record.value),
            headers: Headers { bytes: &self.bytes, entries: &self.headers[record.headers.clone()] },
        }
    }

    /// The timestamp of the message at that place.
    pub fn timestamp_ms(&self, place: usize) -> Option<i64> {
        self.records[place].timestamp_ms
    }

    /// The runs of messages.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of memory that the messages take.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Record>() + self.headers.len() * size_of::<Header>()
    }

    /// Ties the chunk to the memory budget.
    pub fn hold(&mut self, permit: OwnedSemaphorePermit) {
        self.permit = Some(permit);
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_returns_what_was_pushed_and_groups_runs_by_partition() {
        let mut chunk = Chunk::default();
        let a = Partition { topic: 0, number: 0 };
        let b = Partition { topic: 0, number: 1 };
        let header: [(&[u8], _); 3] =
            [(b"origin", Some(&b"live"[..])), (b"empty", None), (b"origin", Some(&b"simulated"[..]))];
        chunk.push(a, 5, Some(7), Some(b"k"), Some(b"v"), header.into_iter());
        chunk.push(a, 9, None, None, None, std::iter::empty());
        chunk.push(b, 1, None, None, Some(b""), std::iter::empty());
        assert_eq!(
            chunk.spans(),
            [
                Span { partition: a, first: 5, end: 10, jump: 6..9, messages: 0..2 },
                Span { partition: b, first: 1, end: 2, jump: 1..1, messages: 2..3 },
            ]
        );
        let message = chunk.message("t", 0, 0);
        assert_eq!((message.offset, message.timestamp_ms), (5, Some(7)));
        assert_eq!((message.key, message.value), (Some(&b"k"[..]), Some(&b"v"[..])));
        assert_eq!(message.headers.get("origin"), Some(&b"simulated"[..]));
        assert_eq!(message.headers.get("empty"), None);
        assert_eq!(chunk.message("t", 0, 1).value, None);
        assert_eq!(chunk.message("t", 1, 2).value, Some(&b""[..]));
    }
}
