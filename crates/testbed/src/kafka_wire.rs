//! The few requests to a Kafka broker that need no driver: create a topic, see who leads its partitions, give rights.
//!
//! Frames as in <https://kafka.apache.org/protocol>, in the newest versions without compact fields.

mod rights;

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use thiserror::Error;

pub use rights::{Operation, Resource};
pub(crate) use rights::{allow, disallow};

use crate::wait::poll;

const TIMEOUT: Duration = Duration::from_secs(5);
const LEADERS_WITHIN: Duration = Duration::from_secs(30);
const METADATA: (i16, i16) = (3, 4);
const CREATE_TOPICS: (i16, i16) = (19, 4);
const CREATE_TIMEOUT_MS: i32 = 20_000;
const RESPONSE_BYTES_MAX: usize = 16 << 20;

/// Why a topic was not created.
#[derive(Debug, Error)]
pub enum TopicError {
    /// The broker cannot be reached or does not answer.
    #[error("create topic {topic} at {brokers}: {source}")]
    Unreachable {
        /// The topic.
        topic: String,
        /// Where it was asked for.
        brokers: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The broker said no.
    #[error("create topic {topic}: refused with code {code}: {message}")]
    Refused {
        /// The topic.
        topic: String,
        /// Kafka's error code; 36 means that the topic exists.
        code: i16,
        /// Kafka's words.
        message: String,
    },
    /// The topic exists, and some of its partitions have no leader yet.
    #[error("create topic {topic}: not every partition has a leader after {LEADERS_WITHIN:?}")]
    Leaderless {
        /// The topic.
        topic: String,
    },
}

/// Whether the broker answers and knows itself as part of a cluster.
pub(crate) fn ready(brokers: &str) -> io::Result<()> {
    let mut answer = request(brokers, METADATA, &metadata_of(&[]))?;
    answer.i32()?;
    match answer.i32()? {
        0 => Err(io::Error::other("the cluster has no broker yet")),
        _ => Ok(()),
    }
}

/// Creates the topic and returns when each of its partitions has a leader.
pub(crate) fn create_topic(
    brokers: &str,
    topic: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> Result<(), TopicError> {
    let unreachable =
        |source| TopicError::Unreachable { topic: topic.to_owned(), brokers: brokers.to_owned(), source };
    let mut body = Writer::default();
    body.i32(1);
    body.string(topic);
    body.i32(partitions);
    body.i16(1);
    body.i32(0);
    body.i32(count(configs.len()));
    for (name, value) in configs {
        body.string(name);
        body.string(value);
    }
    body.i32(CREATE_TIMEOUT_MS);
    body.0.push(0);
    let outcome = request(brokers, CREATE_TOPICS, &body.0).and_then(|mut answer| {
        answer.i32()?;
        answer.i32()?;
        answer.string()?;
        Ok((answer.i16()?, answer.string()?))
    });
    let (code, message) = outcome.map_err(unreachable)?;
    if code != 0 {
        let message = message.unwrap_or_else(|| "no reason given".to_owned());
        return Err(TopicError::Refused { topic: topic.to_owned(), code, message });
    }
    poll(LEADERS_WITHIN, || has_leaders(brokers, topic, partitions).ok().filter(|led| *led))
        .map(|_| ())
        .ok_or_else(|| TopicError::Leaderless { topic: topic.to_owned() })
}

fn has_leaders(brokers: &str, topic: &str, partitions: i32) -> io::Result<bool> {
    let mut answer = request(brokers, METADATA, &metadata_of(&[topic]))?;
    answer.i32()?;
    for _ in 0..answer.i32()? {
        answer.i32()?;
        answer.string()?;
        answer.i32()?;
        answer.string()?;
    }
    answer.string()?;
    answer.i32()?;
    answer.i32()?;
    let error = answer.i16()?;
    answer.string()?;
    answer.take(1)?;
    let known = answer.i32()?;
    let mut all_led = error == 0 && known == partitions;
    for _ in 0..known {
        let error = answer.i16()?;
        answer.i32()?;
        all_led &= error == 0 && answer.i32()? >= 0;
        for _ in 0..2 {
            let nodes = answer.i32()?;
            answer.take(4 * usize::try_from(nodes).map_err(io::Error::other)?)?;
        }
    }
    Ok(all_led)
}

fn metadata_of(topics: &[&str]) -> Vec<u8> {
    let mut body = Writer::default();
    body.i32(count(topics.len()));
    for topic in topics {
        body.string(topic);
    }
    // Asking must not create the topic.
    body.0.push(0);
    body.0
}

fn request(brokers: &str, (key, version): (i16, i16), body: &[u8]) -> io::Result<Reader> {
    let address = brokers.split(',').next().unwrap_or(brokers);
    let address = address.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no such host"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    // Creating a topic answers within its own timeout, which is the longer one.
    stream.set_read_timeout(Some(TIMEOUT + Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut frame = Writer::default();
    frame.i16(key);
    frame.i16(version);
    frame.i32(1);
    frame.string("testbed");
    frame.0.extend_from_slice(body);
    stream.write_all(&count(frame.0.len()).to_be_bytes())?;
    stream.write_all(&frame.0)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > RESPONSE_BYTES_MAX {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    let mut answer = Reader { bytes, position: 0 };
    answer.i32()?;
    Ok(answer)
}

fn count(number: usize) -> i32 {
    i32::try_from(number).expect("a request of ours is small")
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn string(&mut self, text: &str) {
        self.i16(i16::try_from(text.len()).expect("a string of ours is short"));
        self.0.extend_from_slice(text.as_bytes());
    }
}

struct Reader {
    bytes: Vec<u8>,
    position: usize,
}

impl Reader {
    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        let from = self.position;
        self.position += length;
        self.bytes.get(from..self.position).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    fn i16(&mut self) -> io::Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into().map_err(io::Error::other)?))
    }

    fn i32(&mut self) -> io::Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into().map_err(io::Error::other)?))
    }

    /// A string, or none for Kafka's null.
    fn string(&mut self) -> io::Result<Option<String>> {
        let Ok(length) = usize::try_from(self.i16()?) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }
}
