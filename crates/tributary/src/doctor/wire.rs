//! A question that only one kind of server answers -> who it was that answered.
//!
//! Each question is the first that a client of that kind asks, needs no user, and changes nothing.

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Nothing: a connection will do.
    Connect,
    /// Kafka: which requests it knows (`ApiVersions`, version 0).
    Kafka,
    /// Cassandra: which options it has (`OPTIONS`, protocol 4).
    Cql,
    /// A web server: its first page.
    Http,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    /// Somebody who was not asked.
    Somebody,
    /// A broker that knows these requests, by their numbers.
    Kafka(Vec<i16>),
    /// A node of Cassandra's kind.
    Cql,
    /// A web server; the beginning of what it said.
    Http(String),
    /// A server that wants TLS.
    Tls,
    /// Somebody who ends the connection without a word.
    Closed,
    /// Somebody who says nothing.
    Silent,
    /// Somebody else; the beginning of what it said.
    Other(String),
}

/// By which Kafka's answer is known: `trib`.
const CORRELATION: [u8; 4] = *b"trib";
const API_VERSIONS: [u8; 4] = [0, 18, 0, 0];
const CLIENT_ID: &[u8; 16] = b"tributary-doctor";
const CQL_OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
/// The bit in the first byte that makes a frame of CQL a response.
const CQL_RESPONSE: u8 = 0x80;
/// The highest number of a CQL message.
const CQL_OPCODE_MAX: u8 = 0x10;
const TLS_ALERT: [u8; 2] = [21, 3];
/// Bytes of an answer that are looked at.
pub(super) const ANSWER_MAX: usize = 8 * 1024;
const SHOWN_MAX: usize = 60;

impl Question {
    /// The bytes to send.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Connect => Vec::new(),
            Self::Kafka => {
                let request = [&API_VERSIONS[..], &CORRELATION, &[0, 16], CLIENT_ID].concat();
                let length = [0, 0, 0, 4 + 4 + 2 + 16];
                [&length[..], &request].concat()
            }
            Self::Cql => CQL_OPTIONS.to_vec(),
            Self::Http => b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n".to_vec(),
        }
    }

    /// Whether an answer that begins like this has come to its end. A web server's ends with the connection.
    pub(super) fn is_answered(self, answer: &[u8]) -> bool {
        let length = |at: usize| {
            let bytes = answer.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        let whole = match who(answer, true) {
            _ if answer.len() >= ANSWER_MAX => return true,
            _ if answer.get(4..8) == Some(&CORRELATION[..]) => length(0).map(|length| 4 + length),
            Peer::Cql => length(5).map(|length| 9 + length),
            Peer::Tls => return true,
            _ => None,
        };
        whole.is_some_and(|whole| answer.len() >= whole)
    }
}

/// Who says this; `open` tells that it has not ended the connection.
pub(super) fn who(answer: &[u8], open: bool) -> Peer {
    match answer {
        [] if open => Peer::Silent,
        [] => Peer::Closed,
        [_, _, _, _, rest @ ..] if rest.starts_with(&CORRELATION) => Peer::Kafka(apis(&rest[4..])),
        [first, _, _, _, opcode, ..]
            if first & CQL_RESPONSE != 0
                && (3..=6).contains(&(first & !CQL_RESPONSE))
                && *opcode <= CQL_OPCODE_MAX =>
        {
            Peer::Cql
        }
        _ if answer.starts_with(&TLS_ALERT) => Peer::Tls,
        _ if answer.starts_with(b"HTTP/") => Peer::Http(String::from_utf8_lossy(answer).into_owned()),
        _ => Peer::Other(String::from_utf8_lossy(answer).chars().take(SHOWN_MAX).collect()),
    }
}

// The numbers of the requests in the body of an answer: an error, how many, and of each its number and two versions.
fn apis(body: &[u8]) -> Vec<i16> {
    let entries = body.get(6..).unwrap_or_default().chunks_exact(6);
    entries.map(|entry| i16::from_be_bytes([entry[0], entry[1]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(apis: &[i16]) -> Vec<u8> {
        let entries = apis.iter().flat_map(|api| [api.to_be_bytes(), [0, 0], [0, 4]].concat());
        let count = i32::try_from(apis.len()).unwrap().to_be_bytes();
        let body: Vec<u8> = [&CORRELATION[..], &[0, 0], &count].concat().into_iter().chain(entries).collect();
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn each_kind_of_server_is_known_by_its_answer() {
        assert_eq!(who(&kafka(&[0, 1, 60]), true), Peer::Kafka(vec![0, 1, 60]));
        assert_eq!(who(&[0x84, 0, 0, 0, 6, 0, 0, 0, 0], true), Peer::Cql);
        // Its answer to bytes of another protocol is an error in its own newest version.
        assert_eq!(who(&[0x85, 0, 0, 0, 0, 0, 0, 0, 4], true), Peer::Cql);
        assert!(matches!(who(b"HTTP/1.1 400 Bad Request\r\n", false), Peer::Http(_)));
        assert_eq!(who(&[21, 3, 3, 0, 2, 2, 80], false), Peer::Tls);
        assert_eq!(who(b"SSH-2.0-OpenSSH_9.2\r\n", true), Peer::Other("SSH-2.0-OpenSSH_9.2\r\n".to_owned()));
        assert_eq!([who(b"", false), who(b"", true)], [Peer::Closed, Peer::Silent]);
    }

    #[test]
    fn an_answer_is_read_to_its_end_and_not_beyond() {
        let answer = kafka(&[0, 1, 2]);
        assert!(Question::Kafka.is_answered(&answer));
        assert!((0..answer.len()).all(|length| !Question::Kafka.is_answered(&answer[..length])));
        let supported = [0x84, 0, 0, 0, 6, 0, 0, 0, 2, 0, 0];
        assert!(Question::Cql.is_answered(&supported) && !Question::Cql.is_answered(&supported[..10]));
        assert!(!Question::Http.is_answered(b"HTTP/1.0 200 OK\r\n\r\n"));
    }

    #[test]
    fn kafkas_question_has_the_length_that_it_says() {
        let question = Question::Kafka.bytes();
        assert_eq!(question.len(), 4 + usize::from(question[3]));
    }
}
