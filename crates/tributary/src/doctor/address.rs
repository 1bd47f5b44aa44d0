//! `host:port` -> whether the name resolves, somebody listens, and who it is.

use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::wire::{ANSWER_MAX, Peer, Question, who};

/// How long a name, a connection and an answer may take together.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    port: u16,
}

/// How far a connection came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// The name is known to nobody here; the resolver's words.
    Unresolved(String),
    /// The machine is there and refuses.
    NobodyListens,
    /// The machine is not there, or something is in between.
    Unreachable(String),
    /// Somebody is there.
    Answered(Peer),
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// Those of a list with commas. What is no address is an error, in words.
    pub(super) fn all(list: &str, default_port: u16) -> Vec<Result<Self, String>> {
        list.split(',').map(|text| Self::parse(text.trim(), default_port)).collect()
    }

    fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        // librdkafka lets a protocol stand in front.
        let rest = text.rsplit_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(default_port), str::parse);
        match port {
            Ok(port) if !host.is_empty() => Ok(Self::new(host, port)),
            _ => Err(format!("{text:?} is no host:port")),
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is this machine by its name alone.
    pub(super) fn is_here(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }

    /// Goes there and asks.
    pub(super) async fn reach(&self, question: Question) -> Reach {
        let deadline = Instant::now() + LIMIT;
        let addresses = match timeout_at(deadline, lookup_host((self.host.as_str(), self.port))).await {
            Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
            Ok(Err(error)) => return Reach::Unresolved(error.to_string()),
            Err(_) => return Reach::Unresolved(format!("no name server has answered within {LIMIT:?}")),
        };
        match timeout_at(deadline, TcpStream::connect(&addresses[..])).await {
            Ok(Ok(connection)) => Reach::Answered(ask(connection, question, deadline).await),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Reach::NobodyListens,
            Ok(Err(error)) => Reach::Unreachable(error.to_string()),
            Err(_) => Reach::Unreachable(format!("no connection within {LIMIT:?}")),
        }
    }

    /// Goes to all of them at once.
    pub(super) async fn reach_all(addresses: Vec<Self>, question: Question) -> Vec<(Self, Reach)> {
        let tasks: Vec<_> = addresses
            .into_iter()
            .map(|address| tokio::spawn(async move { (address.clone(), address.reach(question).await) }))
            .collect();
        let mut reached = Vec::new();
        for task in tasks {
            // It neither panics nor is aborted.
            reached.extend(task.await);
        }
        reached
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

async fn ask(mut connection: TcpStream, question: Question, deadline: Instant) -> Peer {
    if question == Question::Connect {
        return Peer::Somebody;
    }
    let mut answer = Vec::new();
    let mut open = connection.write_all(&question.bytes()).await.is_ok();
    let mut buffer = [0; ANSWER_MAX];
    while open && !question.is_answered(&answer) {
        match timeout_at(deadline, connection.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => answer.extend_from_slice(&buffer[..count]),
            Ok(_) => open = false,
            Err(_) => break,
        }
    }
    who(&answer, open)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read_as_the_clients_read_them() {
        let read = |text: &str| Address::all(text, 9092).into_iter().collect::<Result<Vec<_>, _>>();
        assert_eq!(
            read("kafka:19092, localhost,PLAINTEXT://b:1,[::1]:2").unwrap(),
            [
                Address::new("kafka", 19092),
                Address::new("localhost", 9092),
                Address::new("b", 1),
                Address::new("::1", 2)
            ]
        );
        for wrong in ["", "a:b", ":9092", "a:1,,b:2", "a:70000"] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Address::new("::1", 2).to_string(), "[::1]:2");
        let here = ["localhost", "LocalHost", "127.0.0.1", "::1", "kafka", "10.0.0.1"];
        assert_eq!(here.map(|host| Address::new(host, 1).is_here()), [true, true, true, true, false, false]);
    }

    #[tokio::test]
    async fn a_name_a_port_and_a_server_are_told_apart() {
        let unresolved = Address::new("broker.invalid", 9092).reach(Question::Kafka).await;
        assert!(matches!(unresolved, Reach::Unresolved(_)), "{unresolved:?}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::new("127.0.0.1", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                // Whoever only connects has gone by then.
                let _ = connection.read(&mut [0; 64]).await;
                let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let answered = address.reach(Question::Kafka).await;
        assert!(
            matches!(&answered, Reach::Answered(Peer::Http(said)) if said.contains("400")),
            "{answered:?}"
        );
        assert_eq!(address.reach(Question::Connect).await, Reach::Answered(Peer::Somebody));
        // Bound and given back: nobody listens there for now.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        assert_eq!(Address::new("127.0.0.1", free).reach(Question::Cql).await, Reach::NobodyListens);
    }
}
