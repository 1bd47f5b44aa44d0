//! Kafka -> whether it is there, lets this user in, and sends clients on to where they can go.

use std::sync::Arc;
use std::time::Duration;

use consumer::topic::{self, Topics, Unread};
use service::kafka::Settings;
use tokio::time::timeout;

use super::address::{Address, LIMIT, Reach};
use super::finding::{Finding, parted};
use super::server::KAFKA;
use super::wire::{Peer, Question};
use crate::print::counted;

const CLIENT_ID: &str = "tributary-doctor";
const PORT: u16 = 9092;
/// How long the client may take in all, its own end included.
const CLIENT_LIMIT: Duration = Duration::from_secs(5);
/// `DescribeCluster` of KIP-700, which brokers know since 2.8.
const KNOWN_SINCE_2_8: i16 = 60;
const NOT_REACHED: &str = "not all of kafka's advertised addresses can be reached";

/// What was seen of it.
#[derive(Default)]
pub(super) struct Seen {
    /// Addresses that are none, and why.
    unreadable: Vec<String>,
    bootstrap: Vec<(Address, Reach)>,
    client: Option<Result<Arc<Topics>, Unanswered>>,
    /// The brokers' own addresses, and how far they can be reached.
    advertised: Vec<(Address, Reach)>,
}

/// Why the client has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unanswered {
    /// Of the user, or the certificate.
    Refused(String),
    Away(String),
}

impl From<Unread> for Unanswered {
    fn from(error: Unread) -> Self {
        if error.is_refusal() { Self::Refused(error.to_string()) } else { Self::Away(error.to_string()) }
    }
}

/// Looks: at the addresses, then by a client, then at the addresses that this is told of. Without settings there is nothing
/// to look at.
pub(super) async fn observe(settings: Option<&Settings>) -> Option<Seen> {
    let settings = settings?;
    let mut seen = Seen::default();
    let mut addresses = Vec::new();
    for address in Address::all(&settings.brokers, PORT) {
        match address {
            Ok(address) => addresses.push(address),
            Err(why) => seen.unreadable.push(why),
        }
    }
    let question = if settings.security_protocol.encrypts() { Question::Connect } else { Question::Kafka };
    seen.bootstrap = Address::reach_all(addresses, question).await;
    if !KAFKA.answers(&seen.bootstrap) {
        return Some(seen);
    }
    let (client, advertised) = tokio::join!(client(settings.clone()), advertised(settings.clone()));
    seen.client = Some(client);
    seen.advertised = Address::reach_all(advertised, Question::Connect).await;
    Some(seen)
}

// Nothing where no broker tells in time.
async fn advertised(settings: Settings) -> Vec<Address> {
    let asked = tokio::task::spawn_blocking(move || topic::advertised(LIMIT, &settings, CLIENT_ID));
    let Ok(Ok(Ok(told))) = timeout(CLIENT_LIMIT, asked).await else { return Vec::new() };
    told.iter().flat_map(|text| Address::all(text, PORT)).flatten().collect()
}

async fn client(settings: Settings) -> Result<Arc<Topics>, Unanswered> {
    let asked = tokio::task::spawn_blocking(move || Topics::connect_within(LIMIT, &settings, CLIENT_ID));
    match timeout(CLIENT_LIMIT, asked).await {
        Ok(Ok(topics)) => Ok(Arc::new(topics?)),
        Ok(Err(error)) => Err(Unanswered::Away(error.to_string())),
        Err(_) => Err(Unanswered::Away(format!("the client has not ended within {CLIENT_LIMIT:?}"))),
    }
}

impl Seen {
    /// What is wrong.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.unreadable.iter().map(|why| KAFKA.unreadable(why)).collect();
        findings.extend(KAFKA.judge(&self.bootstrap));
        match &self.client {
            None => findings.push(Finding::not_checked("kafka client", "no broker can be reached")),
            // It may have been sent on to where nothing answers, or not: what that address lacks is told below.
            Some(_) if !self.is_all_reached() => {
                findings.push(Finding::not_checked("kafka client", NOT_REACHED));
            }
            Some(Ok(topics)) => findings.push(Finding::ok("kafka client", let_in(topics.names().count()))),
            Some(Err(why)) => findings.push(shut_out(why)),
        }
        if self.advertised.is_empty() && matches!(self.client, Some(Ok(_))) {
            findings.push(Finding::not_checked(
                "kafka's advertised address",
                format!("no broker has told it within {LIMIT:?}"),
            ));
        }
        let asked = addresses(&self.bootstrap);
        findings
            .extend(self.advertised.iter().map(|(address, reach)| judge_advertised(address, reach, &asked)));
        findings.extend(self.bootstrap.iter().filter_map(|(address, reach)| match reach {
            Reach::Answered(Peer::Kafka(known)) => Some(judge_version(address, known)),
            Reach::Answered(Peer::Somebody) => Some(Finding::not_checked(
                version(address),
                "over TLS a broker tells it to its clients alone",
            )),
            _ => None,
        }));
        findings
    }

    /// The client that can ask for more; or why there is none.
    pub(super) fn topics(&self) -> Result<&Arc<Topics>, String> {
        match &self.client {
            Some(_) if !self.is_all_reached() => Err(NOT_REACHED.to_owned()),
            Some(Ok(topics)) => Ok(topics),
            Some(Err(_)) => Err("kafka does not answer the client".to_owned()),
            None => Err("kafka cannot be reached".to_owned()),
        }
    }

    fn is_all_reached(&self) -> bool {
        self.advertised.iter().all(|(_, reach)| is_there(reach))
    }
}

fn is_there(reach: &Reach) -> bool {
    matches!(reach, Reach::Answered(_))
}

fn addresses(reached: &[(Address, Reach)]) -> String {
    let there = reached.iter().filter(|(_, reach)| is_there(reach));
    there.map(|(address, _)| address.to_string()).collect::<Vec<_>>().join(", ")
}

fn let_in(topics: usize) -> String {
    format!("is let in, and sees {}", counted(topics, "topic"))
}

fn shut_out(why: &Unanswered) -> Finding {
    match why {
        Unanswered::Refused(why) => {
            let (says, remedy) = parted(why);
            let remedy = remedy.unwrap_or_else(|| "look at section [kafka]".to_owned());
            Finding::wrong("kafka client", format!("the user or the certificate is refused: {says}"), remedy)
        }
        Unanswered::Away(why) => {
            let (says, remedy) = parted(why);
            let remedy =
                remedy.unwrap_or_else(|| "look at the broker's log (docker compose logs kafka)".to_owned());
            Finding::wrong("kafka client", says, remedy)
        }
    }
}

// Clients ask one broker and then go on to where the brokers say that they are.
fn judge_advertised(advertised: &Address, reach: &Reach, asked: &str) -> Finding {
    let what = format!("kafka's advertised address {advertised}");
    let why = match reach {
        Reach::Answered(_) => return Finding::ok(what, "can be reached"),
        Reach::Unresolved(why) => format!("does not resolve here: {why}"),
        Reach::NobodyListens => "is refused from here".to_owned(),
        Reach::Unreachable(why) => format!("cannot be reached from here: {why}"),
    };
    Finding::wrong(
        what,
        format!("{why}, though {asked} answers: the broker there sends every client on to {advertised}"),
        format!(
            "set kafka.brokers to a listener that advertises an address of this side (localhost:9092 on the host), or add one \
             to the broker's advertised.listeners; or run this where {} is known (docker compose run --rm tributary \
             doctor)",
            advertised.host()
        ),
    )
}

fn version(address: &Address) -> String {
    format!("kafka's version at {address}")
}

fn judge_version(address: &Address, known: &[i16]) -> Finding {
    let what = version(address);
    if known.contains(&KNOWN_SINCE_2_8) {
        return Finding::ok(what, "2.8 or newer, by the requests that it knows");
    }
    let says = "older than 2.8, or unknown: it lacks a request that brokers have since then";
    Finding::warning(what, says, "use Kafka 2.8 or newer: older ones are not tested")
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn at(host: &str) -> Address {
        Address::new(host, 19092)
    }

    #[test]
    fn an_advertised_address_that_cannot_be_reached_is_told_with_both_addresses() {
        let unresolved = Reach::Unresolved("Name or service not known".to_owned());
        for reach in
            [unresolved, Reach::NobodyListens, Reach::Unreachable("no connection within 3s".to_owned())]
        {
            let finding = judge_advertised(&at("kafka"), &reach, "localhost:9092");
            assert_eq!(finding.state, State::Wrong);
            assert!(
                finding.says.contains("localhost:9092 answers") && finding.says.contains("on to kafka:19092"),
                "{finding:?}"
            );
            assert!(finding.remedy.contains("advertised.listeners"), "{finding:?}");
        }
        let there = judge_advertised(&at("kafka"), &Reach::Answered(Peer::Somebody), "localhost:9092");
        assert_eq!(there.state, State::Ok);
    }

    #[test]
    fn a_refusal_is_told_from_a_broker_that_is_away() {
        let refused =
            shut_out(&Unanswered::Refused("Authentication failed; look at kafka.username".to_owned()));
        assert!(refused.says.contains("refused: Authentication failed"), "{refused:?}");
        assert_eq!((refused.state, refused.remedy.as_str()), (State::Wrong, "look at kafka.username"));
        let away = shut_out(&Unanswered::Away("kafka at a:1 does not answer: timed out".to_owned()));
        assert!(!away.says.contains("refused") && away.remedy.contains("docker compose logs"), "{away:?}");
    }

    #[test]
    fn a_broker_is_as_old_as_the_requests_that_it_knows() {
        assert_eq!(judge_version(&at("a"), &[0, 1, 59]).state, State::Warning);
        assert_eq!(judge_version(&at("a"), &[0, 1, 59, 60, 61]).state, State::Ok);
    }

    #[test]
    fn topics_are_asked_for_only_where_a_client_is_answered() {
        let nowhere = Seen::default();
        assert_eq!(nowhere.topics().map(drop).unwrap_err(), "kafka cannot be reached");
        let judged = nowhere.judge();
        assert!(judged.iter().all(|finding| finding.state == State::NotChecked), "{judged:?}");
        let shut = Seen { client: Some(Err(Unanswered::Away("away".to_owned()))), ..Seen::default() };
        assert_eq!(shut.topics().map(drop).unwrap_err(), "kafka does not answer the client");
    }
}
