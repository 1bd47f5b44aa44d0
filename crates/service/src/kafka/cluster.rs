//! What librdkafka reports of the cluster -> the last error, for a health's words, and whether it is a refusal.
//!
//! librdkafka's own log lines go to DEBUG: what an operator needs of them reaches the health instead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::debug;

/// librdkafka's view of the cluster: the last error it reported, until something works again.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    error: Option<String>,
    refused: Option<String>,
    has_worked: bool,
}

impl Cluster {
    /// The last reported error, such as `all brokers down`.
    pub fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    /// Why no attempt will succeed: the broker does not accept this user, or this client not the broker's certificate,
    /// and neither ever did. What has worked once is tried on for ever: it may be a change that is under way.
    pub fn refused(&self) -> Option<String> {
        let state = self.lock();
        if state.has_worked { None } else { state.refused.clone() }
    }

    /// Forgets the error: a message or an acknowledgement has arrived.
    pub fn works(&self) {
        *self.lock() = State { has_worked: true, ..State::default() };
    }

    /// Keeps what the statistics tell: a broker that is connected and does not answer.
    pub fn is_silent(&self, reason: String) {
        self.lock().error = Some(reason);
    }

    /// Keeps an error that librdkafka reported.
    pub fn error_reported(&self, error: &KafkaError, reason: &str) {
        debug!(%error, reason, "librdkafka error");
        // librdkafka asks for the coordinator of every group that it is told of, also where partitions are assigned and no
        // group is used. Where one is, the consumer gets this error too, and tells it.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            return;
        }
        let text = if reason.is_empty() { error.to_string() } else { reason.to_owned() };
        let remedy = Remedy::of(error.rdkafka_error_code(), &text);
        let mut state = self.lock();
        // Behind that it tells its own state, and how often it has tried.
        let text = text.split_once(" (after ").map_or(text.as_str(), |(words, _)| words);
        let text = match &remedy {
            Some(remedy) => format!("{text}; {}", remedy.words()),
            None => text.to_owned(),
        };
        if remedy.is_some_and(|remedy| remedy != Remedy::Protocol) {
            state.refused = Some(text.clone());
        }
        // That all are down only follows from what was said before.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) || state.error.is_none() {
            state.error = Some(text);
        }
    }

    /// Why this consumer's question was not answered. librdkafka's reason is in an event that waits to be polled,
    /// behind others.
    pub fn reason(consumer: &BaseConsumer<Cluster>) -> Option<String> {
        use rdkafka::consumer::Consumer;
        (0..20).find_map(|_| {
            drop(consumer.poll(Duration::from_millis(5)));
            consumer.context().error()
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a person can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Password,
    Certificate,
    Protocol,
}

impl Remedy {
    fn of(code: Option<RDKafkaErrorCode>, text: &str) -> Option<Self> {
        match code {
            // A broker that goes away amid the handshake is reported with the same code.
            Some(RDKafkaErrorCode::Authentication)
                if !text.contains("transport failure") && !text.contains("Disconnected") =>
            {
                Some(Self::Password)
            }
            Some(RDKafkaErrorCode::SSL) if text.contains("certificate") => Some(Self::Certificate),
            // A broker that awaits TLS closes the connection on the first plain request.
            _ if text.contains("Disconnected") && text.contains("in state APIVERSION_QUERY") => {
                Some(Self::Protocol)
            }
            _ if text.contains("PLAINTEXT broker listener") || text.contains("wrong version number") => {
                Some(Self::Protocol)
            }
            _ => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Password => {
                "look at kafka.username, kafka.password (or password_file) and kafka.sasl_mechanism"
            }
            Self::Certificate => {
                "look at kafka.ca, and whether the broker's certificate names the host in kafka.brokers"
            }
            Self::Protocol => "look at kafka.security_protocol",
        }
    }
}

impl ClientContext for Cluster {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(?level, facility, message, "librdkafka");
        // A wrong protocol is told here alone; as an error there is only that all brokers are down. A broker that is being
        // stopped or started looks the same: one that has spoken once is not suspected.
        let mut state = self.lock();
        if !state.has_worked && Remedy::of(None, message) == Some(Remedy::Protocol) {
            state.error = Some(format!("{message}; {}", Remedy::Protocol.words()));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.error_reported(&error, reason);
    }
}

impl ConsumerContext for Cluster {}

#[cfg(test)]
mod tests {
    use super::*;

    // As librdkafka 2.12 words them.
    const WRONG_PASSWORD: &str = "sasl_ssl://kafka:19092/bootstrap: SASL authentication error: Authentication failed \
        during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512";
    const WRONG_CERTIFICATE: &str = "ssl://kafka:19092/bootstrap: SSL handshake failed: error:0A000086:SSL routines::\
        certificate verify failed: broker certificate could not be verified";
    const CLOSED_AT_ONCE: &str = "[thrd:kafka:19092/bootstrap]: kafka:19092/bootstrap: Disconnected: connection closed by \
        peer: receive 0 after POLLIN (after 109ms in state APIVERSION_QUERY)";
    const PLAIN_PORT: &str = "ssl://kafka:19092/bootstrap: SSL handshake failed: Disconnected: connecting to a PLAINTEXT \
        broker listener?";
    const LOST: &str = "sasl_ssl://kafka:19092/1: SASL SCRAM-SHA-512 mechanism handshake failed: Local: Broker \
        transport failure: broker's supported mechanisms: ";

    fn after(reports: &[(RDKafkaErrorCode, &str)]) -> Cluster {
        let cluster = Cluster::default();
        for (code, reason) in reports {
            cluster.error_reported(&KafkaError::Global(*code), reason);
        }
        cluster
    }

    #[test]
    fn refusals_name_what_to_mend() {
        let password = after(&[(RDKafkaErrorCode::Authentication, WRONG_PASSWORD)]).refused().unwrap();
        assert!(
            password.contains("invalid credentials") && password.contains("kafka.password"),
            "{password}"
        );
        let certificate = after(&[(RDKafkaErrorCode::SSL, WRONG_CERTIFICATE)]).refused().unwrap();
        assert!(
            certificate.contains("could not be verified") && certificate.contains("kafka.ca"),
            "{certificate}"
        );
    }

    #[test]
    fn a_refusal_outlives_what_follows_from_it() {
        let cluster = after(&[
            (RDKafkaErrorCode::Authentication, WRONG_PASSWORD),
            (RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down"),
        ]);
        assert!(cluster.refused().is_some());
        assert_eq!(cluster.error(), cluster.refused());
    }

    #[test]
    fn a_broker_that_goes_away_amid_the_handshake_refuses_nobody() {
        let cluster = after(&[(RDKafkaErrorCode::Authentication, LOST)]);
        assert_eq!(cluster.refused(), None);
        assert!(cluster.error().is_some());
    }

    #[test]
    fn what_has_worked_is_tried_on() {
        let cluster = Cluster::default();
        cluster.works();
        cluster.error_reported(&KafkaError::Global(RDKafkaErrorCode::Authentication), WRONG_PASSWORD);
        assert_eq!(cluster.refused(), None);
        assert!(cluster.error().is_some_and(|error| error.contains("kafka.password")));
    }

    #[test]
    fn a_group_that_is_only_named_needs_no_right() {
        let cluster =
            after(&[(RDKafkaErrorCode::GroupAuthorizationFailed, "FindCoordinator response error")]);
        assert_eq!(cluster.error(), None);
    }

    #[test]
    fn a_wrong_protocol_is_named_and_tried_on() {
        let cluster = Cluster::default();
        let said = || cluster.log(RDKafkaLogLevel::Info, "FAIL", CLOSED_AT_ONCE);
        said();
        cluster.error_reported(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(cluster.refused(), None);
        assert!(cluster.error().is_some_and(|error| error.contains("kafka.security_protocol")));
        cluster.works();
        said();
        assert_eq!(cluster.error(), None);
    }

    #[test]
    fn tls_on_a_plain_port_is_named_and_tried_on() {
        let cluster = after(&[(RDKafkaErrorCode::BrokerTransportFailure, PLAIN_PORT)]);
        assert_eq!(cluster.refused(), None);
        assert!(cluster.error().is_some_and(|error| error.contains("kafka.security_protocol")));
    }
}
