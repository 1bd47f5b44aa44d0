//! Single messages: a test's bytes -> a topic, and where Kafka put each.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

/// A message to publish. Without a timestamp it has the time of its publication, without a partition Kafka's choice.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The partition.
    pub partition: Option<i32>,
    /// The name of a header with the value `x`.
    pub header: Option<&'static [u8]>,
}

impl Record {
    /// A message of this value.
    pub fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// The same with a header of this name, which Kafka takes as any bytes without NUL.
    pub fn header(self, name: &'static [u8]) -> Self {
        Self { header: Some(name), ..self }
    }

    /// The same on this partition.
    pub fn on(self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self }
    }

    /// The same with this timestamp.
    pub fn at(self, timestamp_ms: i64) -> Self {
        Self { timestamp_ms: Some(timestamp_ms), ..self }
    }
}

/// Publishes the records in their order; returns partition and offset of each, in the same order.
pub async fn publish(brokers: &str, topic: &str, records: &[Record]) -> Vec<(i32, i64)> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("message.max.bytes", "4194304")
        .set("message.timeout.ms", "30000")
        .create()
        .unwrap();
    let mut deliveries = Vec::new();
    for Record { key, value, timestamp_ms, partition, header } in records {
        let mut record = FutureRecord::<Vec<u8>, Vec<u8>>::to(topic);
        record.headers = header.map(headers);
        (record.key, record.payload) = (key.as_ref(), value.as_ref());
        (record.timestamp, record.partition) = (*timestamp_ms, *partition);
        deliveries.push(producer.send_result(record).map_err(|(error, _)| error).unwrap());
    }
    let mut places = Vec::new();
    for delivery in deliveries {
        let delivered = delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
        places.push((delivered.partition, delivered.offset));
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    places
}

#[expect(unsafe_code, reason = "other clients send names that are not UTF-8; this one has no way to")]
fn headers(name: &[u8]) -> OwnedHeaders {
    // SAFETY: rdkafka copies the bytes into a C string and looks at nothing else.
    let key = unsafe { std::str::from_utf8_unchecked(name) };
    OwnedHeaders::new().insert(Header { key, value: Some("x") })
}
