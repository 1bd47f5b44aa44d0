//! librdkafka's delivery reports -> counts, and the records that Kafka refused, kept to be sent again.
//!
//! Runs on the client's own thread for every record, so the common case is two additions and no lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedMessage};
use rdkafka::producer::ProducerContext;
use service::kafka::Cluster;
use tracing::warn;

use crate::counts::{Counts, Kind};

/// What to do about a record that Kafka did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It will never fit: count it and go on.
    TooLarge,
    /// Kafka refuses for now, until a person mends a permission, a topic or a clock: keep it.
    Refused,
    /// The client is beyond repair: end the process, another one starts clean.
    Fatal,
}

/// Sorts a delivery error. All that is not known to be hopeless is kept: a record too many beats one too few.
pub(crate) fn judge(code: RDKafkaErrorCode) -> Verdict {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => Verdict::TooLarge,
        RDKafkaErrorCode::Fatal => Verdict::Fatal,
        _ => Verdict::Refused,
    }
}

/// The client's context: what became of the records.
pub(crate) struct Deliveries {
    pub(crate) cluster: Cluster,
    counts: Arc<Counts>,
    refusing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    refusal: Option<String>,
    fatal: Option<String>,
    /// Bounded by the client's queue: while anything is here, nothing new is sent.
    returned: VecDeque<OwnedMessage>,
}

impl Deliveries {
    pub(crate) fn new(counts: Arc<Counts>) -> Self {
        Self {
            cluster: Cluster::default(),
            counts,
            refusing: AtomicBool::new(false),
            state: Mutex::new(State::default()),
        }
    }

    /// Returns whether Kafka refuses records: nothing new is sent then.
    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Acquire)
    }

    /// Returns why Kafka refuses, in words.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.lock().refusal.clone()
    }

    /// Notes that Kafka refuses.
    pub(crate) fn refuse(&self, reason: String) {
        let mut state = self.lock();
        if state.refusal.is_none() {
            self.counts.error(Kind::Kafka);
        }
        state.refusal = Some(reason);
        self.refusing.store(true, Ordering::Release);
    }

    /// Everything that was refused has been taken: new records may flow.
    pub(crate) fn accept(&self) {
        let mut state = self.lock();
        if state.returned.is_empty() {
            state.refusal = None;
            self.refusing.store(false, Ordering::Release);
        }
    }

    /// Returns why the client is beyond repair, if it is.
    pub(crate) fn fatal(&self) -> Option<String> {
        self.lock().fatal.clone()
    }

    /// Notes that the client is beyond repair.
    pub(crate) fn fail(&self, reason: String) {
        self.lock().fatal.get_or_insert(reason);
    }

    /// Returns how many refused records wait to be sent again.
    pub(crate) fn returned(&self) -> usize {
        self.lock().returned.len()
    }

    /// Takes the refused record that has waited longest.
    pub(crate) fn take_returned(&self) -> Option<OwnedMessage> {
        self.lock().returned.pop_front()
    }

    /// Puts a refused record back: it could not be sent again yet.
    pub(crate) fn put_back(&self, record: OwnedMessage) {
        self.lock().returned.push_front(record);
    }

    /// Counts and logs a record that Kafka can never hold.
    pub(crate) fn reject(&self, topic: &str, key: &[u8], bytes: usize) {
        self.counts.rejected.add(1);
        let key: String = String::from_utf8_lossy(key).chars().take(80).collect();
        warn!(topic, key, bytes, "record too large for kafka, rejected");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.cluster.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.fail(reason.to_owned());
        }
        ClientContext::error(&self.cluster, error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (error, record) = match result {
            Ok(_) => return self.counts.acknowledged.add(1),
            Err((error, record)) => (error, record),
        };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        match judge(code) {
            Verdict::TooLarge => {
                let key = record.key().unwrap_or_default();
                self.reject(record.topic(), key, record.payload().map_or(0, <[u8]>::len));
            }
            Verdict::Fatal => {
                self.fail(code.to_string());
                self.lock().returned.push_back(record.detach());
            }
            Verdict::Refused => {
                self.refuse(code.to_string());
                self.lock().returned.push_back(record.detach());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_oversized_records_are_given_up() {
        assert_eq!(judge(RDKafkaErrorCode::MessageSizeTooLarge), Verdict::TooLarge);
        for code in [
            RDKafkaErrorCode::TopicAuthorizationFailed,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::InvalidTimestamp,
            RDKafkaErrorCode::PolicyViolation,
            RDKafkaErrorCode::MessageTimedOut,
            RDKafkaErrorCode::InvalidRecord,
        ] {
            assert_eq!(judge(code), Verdict::Refused, "{code}");
        }
        assert_eq!(judge(RDKafkaErrorCode::Fatal), Verdict::Fatal);
    }

    #[test]
    fn refusal_lasts_until_the_returned_records_are_gone() {
        let deliveries = Deliveries::new(Arc::new(Counts::new("test")));
        deliveries.refuse("no permission".to_owned());
        let record =
            OwnedMessage::new(None, None, "t".to_owned(), rdkafka::Timestamp::NotAvailable, 0, 0, None);
        deliveries.put_back(record);
        deliveries.accept();
        assert!(deliveries.is_refusing());
        assert!(deliveries.take_returned().is_some());
        deliveries.accept();
        assert!(!deliveries.is_refusing());
        assert_eq!(deliveries.refusal(), None);
    }
}
