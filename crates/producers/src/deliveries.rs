//! librdkafka's delivery reports -> counts, and the records that Kafka refused, kept to be sent again.
//!
//! Runs on the client's own thread for every record, so the common case is a few additions and no lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, OwnedMessage};
use rdkafka::producer::ProducerContext;
use service::kafka::Cluster;
use tracing::warn;

use crate::counts::{Counts, Kind};

/// Goes with a record that may share its batch with others.
pub(crate) const IN_COMPANY: usize = 0;
/// Goes with a record that is sent while no other is on its way.
pub(crate) const ALONE: usize = 1;

/// What to do about a record that Kafka did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its batch does not fit. A record that was alone in it never will: count it and go on.
    TooLarge,
    /// Kafka refuses for now, until a person mends a permission, a topic or a clock: keep it.
    Refused,
    /// The client is beyond repair: end the process, another one starts clean.
    Fatal,
}

/// Sorts a delivery error. All that is not known to be hopeless is kept: a record too many beats one too few.
pub(crate) fn judge(code: RDKafkaErrorCode) -> Verdict {
    match code {
        RDKafkaErrorCode::MessageSizeTooLarge
        | RDKafkaErrorCode::MessageBatchTooLarge
        | RDKafkaErrorCode::InvalidMessageSize => Verdict::TooLarge,
        RDKafkaErrorCode::Fatal => Verdict::Fatal,
        _ => Verdict::Refused,
    }
}

/// The client's context: what became of the records.
pub(crate) struct Deliveries {
    pub(crate) cluster: Cluster,
    counts: Arc<Counts>,
    /// Records handed over that are neither acknowledged nor rejected, wherever they are.
    waiting: AtomicU64,
    refusing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    refusal: Option<String>,
    fatal: Option<String>,
    /// Bounded by the client's queue: while anything is here, nothing new is sent.
    returned: VecDeque<OwnedMessage>,
    /// How many of those have come since the last were taken.
    back: Back,
}

/// How many records came back, by what that means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Back {
    pub(crate) too_large: usize,
    pub(crate) refused: usize,
}

impl Deliveries {
    pub(crate) fn new(counts: Arc<Counts>) -> Self {
        Self {
            cluster: Cluster::default(),
            counts,
            waiting: AtomicU64::new(0),
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

    /// Counts a record that is about to be handed over.
    pub(crate) fn begin(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes a record out of the count: it was not handed over, or it is done with.
    pub(crate) fn end(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Returns how many records wait for their acknowledgement, those between two attempts among them.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Returns whether no record is on its way: all that wait are here.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.lock();
        self.waiting() == state.returned.len() as u64
    }

    /// Takes the refused records that have waited longest; they stay counted.
    pub(crate) fn take(&self, most: usize) -> VecDeque<OwnedMessage> {
        let mut state = self.lock();
        state.back = Back::default();
        let most = most.min(state.returned.len());
        let rest = state.returned.split_off(most);
        std::mem::replace(&mut state.returned, rest)
    }

    /// Puts back what was taken and could not be sent again yet.
    pub(crate) fn put_back(&self, mut records: VecDeque<OwnedMessage>) {
        let mut state = self.lock();
        records.append(&mut state.returned);
        state.returned = records;
    }

    /// Returns what came back of the records taken last, which are again the first to be taken.
    pub(crate) fn back(&self) -> Back {
        let mut state = self.lock();
        let back = std::mem::take(&mut state.back);
        state.returned.rotate_right(back.too_large + back.refused);
        back
    }

    /// Counts and logs a record that Kafka can never hold.
    pub(crate) fn reject(&self, topic: &str, key: &[u8], bytes: usize) {
        self.counts.rejected.add(1);
        let key: String = String::from_utf8_lossy(key).chars().take(80).collect();
        warn!(topic, key, bytes, "record too large for kafka, rejected");
        self.end();
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
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, company: usize) {
        let (error, record) = match result {
            Ok(_) => {
                self.counts.acknowledged.add(1);
                return self.end();
            }
            Err((error, record)) => (error, record),
        };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        match judge(code) {
            Verdict::TooLarge if company == ALONE => {
                let key = record.key().unwrap_or_default();
                self.reject(record.topic(), key, record.payload().map_or(0, <[u8]>::len));
            }
            Verdict::Fatal => {
                self.fail(code.to_string());
                self.lock().returned.push_back(record.detach());
            }
            verdict => {
                self.refuse(code.to_string());
                let mut state = self.lock();
                state.returned.push_back(record.detach());
                match verdict {
                    Verdict::TooLarge => state.back.too_large += 1,
                    _ => state.back.refused += 1,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_oversized_records_are_given_up() {
        for code in [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::MessageBatchTooLarge] {
            assert_eq!(judge(code), Verdict::TooLarge, "{code}");
        }
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
        let at = rdkafka::Timestamp::NotAvailable;
        let record = OwnedMessage::new(None, None, "t".to_owned(), at, 0, 0, None);
        deliveries.begin();
        deliveries.put_back([record].into());
        assert!(deliveries.is_settled());
        deliveries.accept();
        assert!(deliveries.is_refusing());
        assert_eq!(deliveries.take(usize::MAX).len(), 1);
        assert!(!deliveries.is_settled());
        assert_eq!(deliveries.waiting(), 1, "between two attempts it still waits");
        deliveries.accept();
        assert!(!deliveries.is_refusing());
        assert_eq!(deliveries.refusal(), None);
    }
}
