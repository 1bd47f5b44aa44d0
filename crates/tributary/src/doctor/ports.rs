//! The ports that the containers take on this machine -> whether somebody else has them.

use super::address::{Address, Reach};
use super::finding::Finding;
use super::wire::{Peer, Question};

/// A port of docker-compose.yml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    number: u16,
    of: &'static str,
    question: Question,
    /// What moves it.
    moved_by: &'static str,
}

const KAFKA_PORT: u16 = 9092;
/// The second one of the container, under the other usual number.
const KAFKA_ALT: Port =
    Port { number: 29092, of: "kafka", question: Question::Kafka, moved_by: "KAFKA_ALT_PORT in .env" };
const DASHBOARD: Port = Port {
    number: 9000,
    of: "the dashboard",
    question: Question::Http,
    moved_by: "DASHBOARD_PORT in .env (on the host TRIBUTARY__DASHBOARD__BIND)",
};
/// What our page has in it, and no other does.
const OUR_PAGE: &str = "tributary";

impl Port {
    pub(super) fn is_of_the_dashboard(&self) -> bool {
        self.of == DASHBOARD.of
    }
}

/// Which ports matter: of those that the settings seek on this machine, the ones that nobody else looks at. Whoever has moved
/// a server has moved its port.
pub(super) fn of(brokers: &str, dashboard: &str) -> Vec<Port> {
    let here = |list: &str| {
        let addresses = Address::all(list, 80).into_iter().flatten().filter(Address::is_here);
        addresses.map(|address| address.port()).collect::<Vec<_>>()
    };
    let mut ports = Vec::new();
    let brokers = here(brokers);
    if brokers.contains(&KAFKA_PORT) && !brokers.contains(&KAFKA_ALT.number) {
        ports.push(KAFKA_ALT);
    }
    // Of a URL.
    let dashboard = dashboard.trim_end_matches('/');
    ports.extend(here(dashboard).into_iter().map(|number| Port { number, ..DASHBOARD }));
    ports
}

/// Knocks at all of them.
pub(super) async fn observe(ports: Vec<Port>) -> Vec<(Port, Reach)> {
    let reach =
        |port: Port| async move { (port, Address::new("localhost", port.number).reach(port.question).await) };
    let tasks: Vec<_> = ports.into_iter().map(|port| tokio::spawn(reach(port))).collect();
    let mut reached = Vec::new();
    for task in tasks {
        // It neither panics nor is aborted.
        reached.extend(task.await);
    }
    reached
}

/// Who has a port.
pub(super) fn judge(port: Port, reach: &Reach) -> Finding {
    let Port { number, of, question, moved_by } = port;
    let what = format!("port {number} for {of}");
    let peer = match reach {
        Reach::NobodyListens => return Finding::ok(what, "free"),
        Reach::Unresolved(why) | Reach::Unreachable(why) => return Finding::not_checked(what, why.as_str()),
        Reach::Answered(peer) => peer,
    };
    let who = match peer {
        Peer::Kafka(_) if question == Question::Kafka => return Finding::ok(what, "kafka has it"),
        Peer::Http(page) if question == Question::Http && page.to_lowercase().contains(OUR_PAGE) => {
            return Finding::ok(what, "the dashboard has it");
        }
        // With TLS the servers themselves answer like this.
        Peer::Tls | Peer::Closed if question != Question::Http => {
            return Finding::not_checked(what, "whoever has it wants TLS, or does not answer strangers");
        }
        Peer::Kafka(_) => "Kafka has it",
        Peer::Cql => "Cassandra has it",
        Peer::Http(_) => "another web server has it",
        Peer::Tls | Peer::Closed | Peer::Silent | Peer::Somebody | Peer::Other(_) => "another program has it",
    };
    Finding::warning(
        what,
        format!("{who}: {of} cannot take it"),
        format!("stop that, or set {moved_by} to another port"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn ports_matter_where_servers_are_sought_on_this_machine() {
        let numbers = |brokers: &str, dashboard: &str| {
            of(brokers, dashboard).iter().map(|port| port.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers("kafka:19092", "http://dashboard:9000"), [0_u16; 0]);
        assert_eq!(numbers("localhost:9092", "http://127.0.0.1:9000"), [29092, 9000]);
        assert_eq!(numbers("localhost:29092,localhost:9092", "http://localhost:9100/"), [9100]);
        assert_eq!(numbers("localhost:9093", ""), [0_u16; 0], "it was moved, and so was its other port");
    }

    #[test]
    fn whoever_else_has_a_port_is_named() {
        let state = |port, peer| judge(port, &Reach::Answered(peer)).state;
        assert_eq!(state(KAFKA_ALT, Peer::Kafka(vec![0])), State::Ok);
        assert_eq!(
            state(DASHBOARD, Peer::Http("HTTP/1.1 200 OK\r\n\r\n<title>Tributary</title>".to_owned())),
            State::Ok
        );
        assert_eq!(
            judge(DASHBOARD, &Reach::NobodyListens),
            Finding::ok("port 9000 for the dashboard", "free")
        );
        assert_eq!(state(KAFKA_ALT, Peer::Closed), State::NotChecked);
        let taken = judge(DASHBOARD, &Reach::Answered(Peer::Http("HTTP/1.1 200 OK\r\n\r\nminio".to_owned())));
        assert_eq!((taken.state, taken.what.as_str()), (State::Warning, "port 9000 for the dashboard"));
        assert!(
            taken.says.contains("another web server") && taken.remedy.contains("DASHBOARD_PORT"),
            "{taken:?}"
        );
        let taken = judge(KAFKA_ALT, &Reach::Answered(Peer::Cql));
        assert!(
            taken.says.contains("Cassandra has it") && taken.remedy.contains("KAFKA_ALT_PORT"),
            "{taken:?}"
        );
    }
}
