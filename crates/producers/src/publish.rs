//! Records of a dataset -> its Kafka topic, with back-pressure: while the queue is full, the sender waits.
//!
//! Idempotent and acknowledged by all replicas (`service::kafka`). Nothing is dropped: a record is acknowledged, or
//! too large and counted, or still here when the process ends, and then the process says so and fails.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use datasets::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use tokio_util::sync::CancellationToken;

use crate::counts::Counts;
use crate::deliveries::{ALONE, Deliveries, IN_COMPANY, Verdict, judge};
use crate::upstream::Origin;

const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// What was sent again and has no answer for so long is left to librdkafka, which goes on trying.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// The header that says where a record comes from.
pub(crate) const ORIGIN: &str = "origin";
/// The header that carries the id of a stream's event.
pub(crate) const SSE_ID: &str = "sse-id";

/// The end came before Kafka took the record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before kafka took the record")]
pub(crate) struct Stopped;

/// What became of an attempt to hand over a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// librdkafka has it.
    Taken,
    /// Not now: the queue is full, or Kafka refuses.
    Wait,
}

/// One record on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a [u8],
    pub(crate) origin: Origin,
    pub(crate) sse_id: Option<&'a str>,
}

/// Sends a dataset's records; cheap to clone.
#[derive(Clone)]
pub(crate) struct Publisher {
    inner: Arc<Inner>,
}

struct Inner {
    producer: ThreadedProducer<Deliveries>,
    topic: &'static str,
    /// A stream keeps its order, and its end can be found, in one partition.
    partition: Option<i32>,
    brokers: String,
    counts: Arc<Counts>,
    /// Shared by whoever hands over a new record; while it is held alone, none is.
    gate: RwLock<()>,
    stalled: AtomicBool,
    unsent: AtomicU64,
    given_up: CancellationToken,
}

impl Publisher {
    /// Sets up the client; it connects by itself. `given_up` ends all waiting.
    pub(crate) fn new(
        kafka: &service::kafka::Settings,
        dataset: &'static datasets::Dataset,
        counts: Arc<Counts>,
        given_up: CancellationToken,
    ) -> anyhow::Result<Self> {
        let client_id = format!("tributary-{}", dataset.name);
        let producer = kafka
            .producer(&client_id)
            .create_with_context(Deliveries::new(Arc::clone(&counts)))
            .with_context(|| format!("set up the kafka client for {}", kafka.brokers))?;
        let partition = matches!(dataset.upstream, datasets::Upstream::Streamed { .. }).then_some(0);
        let inner = Inner {
            producer,
            topic: dataset.topic,
            partition,
            brokers: kafka.brokers.clone(),
            counts,
            gate: RwLock::new(()),
            stalled: AtomicBool::new(false),
            unsent: AtomicU64::new(0),
            given_up,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Hands over one record, waiting as long as it takes.
    ///
    /// # Errors
    /// The process has given up waiting; the record counts as unsent.
    pub(crate) async fn send(&self, record: Record<'_>) -> Result<(), Stopped> {
        let mut pause = PAUSE_MIN;
        while self.offer(record) == Offer::Wait {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.inner.given_up.cancelled() => {
                    self.inner.unsent.fetch_add(1, Ordering::Relaxed);
                    return Err(Stopped);
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Hands over all messages of one answer.
    ///
    /// # Errors
    /// As [`Publisher::send`]; what is left of the messages counts as unsent.
    pub(crate) async fn send_all(&self, messages: &[Message], origin: Origin) -> Result<(), Stopped> {
        for (sent, Message { key, value }) in messages.iter().enumerate() {
            if self.send(Record { key, value, origin, sse_id: None }).await.is_err() {
                let left = messages.len() - sent - 1;
                self.inner.unsent.fetch_add(left as u64, Ordering::Relaxed);
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// Hands over one record from a thread that may block.
    ///
    /// # Errors
    /// As [`Publisher::send`].
    pub(crate) fn send_blocking(&self, record: Record<'_>) -> Result<(), Stopped> {
        let mut pause = PAUSE_MIN;
        while self.offer(record) == Offer::Wait {
            if self.inner.given_up.is_cancelled() {
                self.inner.unsent.fetch_add(1, Ordering::Relaxed);
                return Err(Stopped);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Hands over one record if there is room for it now.
    pub(crate) fn offer(&self, record: Record<'_>) -> Offer {
        let _gate = self.inner.gate.read().unwrap_or_else(PoisonError::into_inner);
        if self.deliveries().is_refusing() {
            return Offer::Wait;
        }
        let Record { key, value, origin, sse_id } = record;
        let mut headers = OwnedHeaders::new_with_capacity(1 + usize::from(sse_id.is_some()))
            .insert(Header { key: ORIGIN, value: Some(origin.as_str()) });
        if let Some(id) = sse_id {
            headers = headers.insert(Header { key: SSE_ID, value: Some(id) });
        }
        // Counted before it is gone: its acknowledgement may be faster than this thread.
        self.deliveries().begin();
        let offer = self.produce(key.as_bytes(), value, Some(headers), None, IN_COMPANY);
        match offer {
            Offer::Taken => self.inner.counts.sent.add(1),
            Offer::Wait => self.deliveries().end(),
        }
        offer
    }

    /// Sends the records again that Kafka refused before, as far as it takes them.
    ///
    /// The broker measures batches, so a record can come back for the size of its company. What came back as too large
    /// is sent in half the number, down to one record that has its batch to itself; what was taken, in twice the number.
    pub(crate) async fn resend(&self) {
        let mut most = usize::MAX;
        while self.settled().await {
            let Some(sent) = self.resend_at_most(most) else { return };
            if !self.settled().await {
                return;
            }
            let back = self.deliveries().back();
            if back.refused > 0 {
                return;
            }
            most = if back.too_large > 0 { (sent / 2).max(1) } else { sent.saturating_mul(2) };
        }
    }

    /// Waits until no record is on its way; returns whether that came.
    async fn settled(&self) -> bool {
        let settled = async {
            while !self.deliveries().is_settled() {
                if self.inner.given_up.is_cancelled() || self.deliveries().fatal().is_some() {
                    return false;
                }
                tokio::time::sleep(PAUSE_MIN).await;
            }
            true
        };
        tokio::time::timeout(ANSWER_WAIT, settled).await.unwrap_or(false)
    }

    /// Returns how many were sent; none when not all of them could be, or there was none.
    fn resend_at_most(&self, most: usize) -> Option<usize> {
        let _gate = self.inner.gate.write().unwrap_or_else(PoisonError::into_inner);
        // A record that slipped in would share a batch with one that is taken to be alone.
        if !self.deliveries().is_settled() {
            return None;
        }
        let mut records = self.deliveries().take(most);
        let sent = records.len();
        let company = if sent == 1 { ALONE } else { IN_COMPANY };
        while let Some(record) = records.pop_front() {
            if self.offer_again(&record, company) == Offer::Wait {
                records.push_front(record);
                self.deliveries().put_back(records);
                return None;
            }
        }
        (sent > 0).then_some(sent)
    }

    fn offer_again(&self, record: &OwnedMessage, company: usize) -> Offer {
        let headers = record.headers().cloned();
        let (key, value) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
        // Refused, it may be, for a clock that was ahead and has been mended since.
        let at = record.timestamp().to_millis().map(|at| at.min(Utc::now().timestamp_millis()));
        self.produce(key, value, headers, at, company)
    }

    fn produce(
        &self,
        key: &[u8],
        value: &[u8],
        headers: Option<OwnedHeaders>,
        timestamp: Option<i64>,
        company: usize,
    ) -> Offer {
        let Inner { producer, topic, partition, .. } = &*self.inner;
        let record = BaseRecord {
            topic,
            partition: *partition,
            payload: Some(value),
            key: Some(key),
            timestamp,
            headers,
            delivery_opaque: company,
        };
        let Err((error, _)) = producer.send(record) else { return Offer::Taken };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        if code == RDKafkaErrorCode::QueueFull {
            return Offer::Wait;
        }
        match judge(code) {
            Verdict::TooLarge => {
                self.deliveries().reject(topic, key, value.len());
                // Done with, though it will never be acknowledged.
                return Offer::Taken;
            }
            Verdict::Fatal => self.deliveries().fail(code.to_string()),
            Verdict::Refused => self.deliveries().refuse(code.to_string()),
        }
        Offer::Wait
    }

    /// Asks the brokers for the topic; returns how many partitions it has.
    ///
    /// # Errors
    /// In words: nobody answers, or the topic does not exist or may not be seen.
    pub(crate) async fn check_topic(&self) -> Result<usize, String> {
        let publisher = self.clone();
        let asked = tokio::task::spawn_blocking(move || publisher.check_topic_blocking());
        asked.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn check_topic_blocking(&self) -> Result<usize, String> {
        let Inner { producer, topic, brokers, .. } = &*self.inner;
        let metadata = producer.client().fetch_metadata(Some(topic), METADATA_TIMEOUT).map_err(|error| {
            let reason = self.deliveries().cluster.error().unwrap_or_else(|| code_text(&error));
            format!("no answer from {brokers}: {reason}")
        })?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == *topic) else {
            return Err(format!("{brokers} does not tell of topic {topic}"));
        };
        match found.error() {
            Some(error) => {
                let code = RDKafkaErrorCode::from(error);
                Err(format!("topic {topic} on {brokers}: {code}"))
            }
            None if found.partitions().is_empty() => {
                Err(format!("topic {topic} on {brokers} has no partition"))
            }
            None => Ok(found.partitions().len()),
        }
    }

    /// Waits while Kafka refuses or is out of reach.
    pub(crate) async fn ready(&self) {
        while self.deliveries().is_refusing() || self.inner.stalled.load(Ordering::Relaxed) {
            tokio::time::sleep(PAUSE_MAX).await;
        }
    }

    /// Notes whether Kafka is out of reach, as the monitor sees it.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.inner.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Waits for every acknowledgement; returns how many records are left without one when the process gives up.
    pub(crate) async fn drain(&self) -> u64 {
        loop {
            let left = self.unacknowledged();
            if left == 0 || self.inner.given_up.is_cancelled() || self.deliveries().fatal().is_some() {
                return left + self.inner.unsent.load(Ordering::Relaxed);
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
                () = self.inner.given_up.cancelled() => {}
            }
        }
    }

    /// Returns how many records wait for their acknowledgement.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.deliveries().waiting()
    }

    /// Returns what became of the records.
    pub(crate) fn deliveries(&self) -> &Deliveries {
        self.inner.producer.context()
    }

    /// Returns the brokers' addresses as configured.
    pub(crate) fn brokers(&self) -> &str {
        &self.inner.brokers
    }

    /// Returns the topic's name.
    pub(crate) fn topic(&self) -> &'static str {
        self.inner.topic
    }
}

fn code_text(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

#[cfg(test)]
mod tests;
