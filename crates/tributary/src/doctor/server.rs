//! How far the connections to a server's addresses came -> what is wrong there, in words.

use super::address::{Address, LIMIT, Reach};
use super::finding::{Finding, State};
use super::wire::{Peer, Question};

/// What is sought at some addresses.
pub(super) struct Server {
    /// As people call it.
    pub(super) name: &'static str,
    /// Its container.
    pub(super) container: &'static str,
    /// The setting with its addresses.
    pub(super) setting: &'static str,
    /// The addresses that are right most of the time.
    pub(super) usual: &'static str,
    /// What to set for TLS.
    pub(super) tls: &'static str,
    /// What it answers.
    pub(super) question: Question,
}

pub(super) const KAFKA: Server = Server {
    name: "kafka",
    container: "kafka",
    setting: "kafka.brokers",
    usual: "localhost:9092 on the host, kafka:19092 inside the containers",
    tls: "kafka.security_protocol to ssl or sasl_ssl",
    question: Question::Kafka,
};

pub(super) const CASSANDRA: Server = Server {
    name: "cassandra",
    container: "cassandra",
    setting: "cassandra.contact_points",
    usual: "localhost:9042 on the host, cassandra:9042 inside the containers",
    tls: "cassandra.ca to the file of its authority",
    question: Question::Cql,
};

impl Server {
    /// Whether this is the server that is sought. Over TLS only a client can tell, and nobody was asked.
    pub(super) fn is(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Somebody => true,
            Peer::Kafka(_) => self.question == Question::Kafka,
            Peer::Cql => self.question == Question::Cql,
            _ => false,
        }
    }

    /// Whether it can be reached at one of these.
    pub(super) fn answers(&self, reached: &[(Address, Reach)]) -> bool {
        reached.iter().any(|(_, reach)| matches!(reach, Reach::Answered(peer) if self.is(peer)))
    }

    /// An address that is none.
    pub(super) fn unreadable(&self, why: &str) -> Finding {
        let Self { name, setting, usual, .. } = self;
        Finding::wrong(
            format!("{name} addresses"),
            format!("{setting}: {why}"),
            format!("correct it: {usual}"),
        )
    }

    /// Each address. One that does not serve is a warning where another does: clients try all of them.
    pub(super) fn judge(&self, reached: &[(Address, Reach)]) -> Vec<Finding> {
        let some = self.answers(reached);
        let mut findings = Vec::new();
        for (address, reach) in reached {
            let mut finding = self.judge_one(address, reach);
            if some && finding.state == State::Wrong {
                finding.state = State::Warning;
            }
            findings.push(finding);
        }
        findings
    }

    fn judge_one(&self, address: &Address, reach: &Reach) -> Finding {
        let Self { name, container, setting, usual, tls, .. } = self;
        let what = format!("{name} {address}");
        let correct = format!("correct {setting}: {usual}");
        let start = format!("start it (docker compose up -d {container}), or {correct}");
        let peer = match reach {
            Reach::Unresolved(why) => {
                let host = address.host();
                // Docker forgets the name of a container that is stopped.
                let remedy = format!(
                    "{correct}; if {host} is a container, start it (docker compose up -d {container})"
                );
                return Finding::wrong(what, format!("the name {host} does not resolve: {why}"), remedy);
            }
            Reach::NobodyListens => {
                return Finding::wrong(what, "nobody listens there: the connection is refused", start);
            }
            Reach::Unreachable(why) => {
                let says =
                    format!("it cannot be reached: {why}; the machine is off, or a firewall is in between");
                return Finding::wrong(what, says, start);
            }
            Reach::Answered(peer) if self.is(peer) => return Finding::ok(what, "answers"),
            Reach::Answered(peer) => peer,
        };
        let says = match peer {
            Peer::Tls => return Finding::wrong(what, "it wants TLS", format!("set {tls}")),
            Peer::Closed => {
                let says = "it ends the connection when it is asked: it may want TLS, or be another service";
                return Finding::wrong(what, says, format!("set {tls}, or {correct}"));
            }
            Peer::Silent => {
                let says = format!(
                    "it takes the connection and does not answer within {LIMIT:?}: it is starting, or hangs"
                );
                let look = format!("look at its log (docker compose logs {container}), or {correct}");
                return Finding::wrong(what, says, look);
            }
            Peer::Http(_) => "a web server answers there".to_owned(),
            Peer::Kafka(_) => "Kafka answers there".to_owned(),
            Peer::Cql => "Cassandra answers there".to_owned(),
            Peer::Other(said) => format!("something else answers there: {said:?}"),
            Peer::Somebody => "somebody is there".to_owned(),
        };
        Finding::wrong(
            what,
            format!("{says}, which is not {name}"),
            format!("{correct}; or stop what has that port"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16, reach: Reach) -> (Address, Reach) {
        (Address::new("localhost", port), reach)
    }

    fn one(server: &Server, reach: Reach) -> Finding {
        server.judge(&[at(9, reach)]).remove(0)
    }

    #[test]
    fn each_fault_of_an_address_has_its_own_words() {
        let cases = [
            (
                Reach::Unresolved("no such host".to_owned()),
                "does not resolve: no such host",
                "correct kafka.brokers",
            ),
            (Reach::NobodyListens, "nobody listens", "docker compose up -d kafka"),
            (
                Reach::Unreachable("no connection within 3s".to_owned()),
                "cannot be reached",
                "docker compose up",
            ),
            (
                Reach::Answered(Peer::Http(String::new())),
                "a web server answers there, which is not kafka",
                "kafka.brokers",
            ),
            (Reach::Answered(Peer::Cql), "Cassandra answers there", "kafka.brokers"),
            (Reach::Answered(Peer::Other("SSH-2.0".to_owned())), "\"SSH-2.0\"", "stop what has that port"),
            (Reach::Answered(Peer::Tls), "wants TLS", "kafka.security_protocol"),
            (Reach::Answered(Peer::Closed), "ends the connection", "kafka.security_protocol"),
            (Reach::Answered(Peer::Silent), "does not answer within 3s", "docker compose logs kafka"),
        ];
        for (reach, says, remedy) in cases {
            let finding = one(&KAFKA, reach);
            assert_eq!((finding.what.as_str(), finding.state), ("kafka localhost:9", State::Wrong));
            assert!(finding.says.contains(says) && finding.remedy.contains(remedy), "{finding:?}");
        }
        assert_eq!(one(&KAFKA, Reach::Answered(Peer::Kafka(Vec::new()))).state, State::Ok);
        assert_eq!(one(&CASSANDRA, Reach::Answered(Peer::Cql)).state, State::Ok);
        assert_eq!(
            one(&CASSANDRA, Reach::Answered(Peer::Somebody)).state,
            State::Ok,
            "asked by a client, over TLS"
        );
        assert_eq!(one(&CASSANDRA, Reach::Answered(Peer::Kafka(Vec::new()))).state, State::Wrong);
    }

    #[test]
    fn one_of_several_addresses_that_fails_is_a_warning() {
        let serves = at(1, Reach::Answered(Peer::Cql));
        let states = |reached: &[(Address, Reach)]| {
            CASSANDRA.judge(reached).iter().map(|finding| finding.state).collect::<Vec<_>>()
        };
        assert_eq!(states(&[serves, at(2, Reach::NobodyListens)]), [State::Ok, State::Warning]);
        assert_eq!(states(&[at(1, Reach::NobodyListens), at(2, Reach::NobodyListens)]), [State::Wrong; 2]);
    }
}
