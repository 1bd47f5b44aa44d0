//! Looking into topics: what was published, what is dead, what is committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use testbed::{Kafka, wait_for};

const PATIENCE: Duration = Duration::from_secs(10);

/// A message as it is on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The key as text.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The headers as text.
    pub headers: BTreeMap<String, String>,
}

/// A message of a topic of dead letters.
pub type DeadLetter = Message;

fn consumer(brokers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .unwrap()
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = patiently(|| {
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
        match metadata.topics()[0].error().map(RDKafkaErrorCode::from) {
            None | Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(metadata),
            Some(code) => Err(KafkaError::MetadataFetch(code)),
        }
    });
    metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()
}

// Asks again while a broker that has just come back does not answer, or sends to another.
fn patiently<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> T {
    let mut last = None;
    let deadline = Instant::now() + PATIENCE * 6;
    wait_for("the broker's answer", PATIENCE * 8, || match ask() {
        Err(error) if Instant::now() < deadline => {
            last = Some(error);
            None
        }
        answer => Some(answer.unwrap_or_else(|error| panic!("{error}, after {last:?}"))),
    })
}

/// Whether the broker knows a topic.
pub fn exists(brokers: &str, topic: &str) -> bool {
    let consumer = consumer(brokers, "end-to-end");
    let metadata = patiently(|| consumer.fetch_metadata(Some(topic), PATIENCE));
    metadata.topics().iter().any(|known| known.name() == topic && known.error().is_none())
}

/// End offsets by partition.
pub fn ends(brokers: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer = consumer(brokers, "end-to-end");
    let end = |partition| {
        let (_, end) = patiently(|| consumer.fetch_watermarks(topic, partition, PATIENCE));
        (partition, end)
    };
    partitions(&consumer, topic).into_iter().map(end).collect()
}

/// Committed offsets of a group by partition; 0 where nothing is committed.
pub fn committed(brokers: &str, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer = consumer(brokers, group);
    let mut list = TopicPartitionList::new();
    for partition in partitions(&consumer, topic) {
        list.add_partition(topic, partition);
    }
    let committed = patiently(|| consumer.committed_offsets(list.clone(), PATIENCE));
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset()
    {
        Offset::Offset(offset) => (element.partition(), offset),
        _ => (element.partition(), 0),
    };
    committed.elements().iter().map(offset).collect()
}

/// All messages of a topic, by partition and offset.
pub fn messages(brokers: &str, topic: &str) -> Vec<Message> {
    let mut found = Vec::new();
    each_message(brokers, topic, |message| {
        let headers = message.headers();
        let headers = headers.iter().flat_map(|headers| headers.iter()).map(|header| {
            (header.key.to_owned(), String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned())
        });
        found.push(Message {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: headers.collect(),
        });
    });
    found.sort_by_key(|message| (message.partition, message.offset));
    found
}

/// Commits these offsets for a group that nobody is in.
pub fn commit(brokers: &str, group: &str, topic: &str, offsets: &BTreeMap<i32, i64>) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).unwrap();
    }
    consumer(brokers, group).commit(&list, CommitMode::Sync).unwrap();
}

/// Commits what the group has committed once more, with another note beside it.
pub fn note(brokers: &str, group: &str, topic: &str, note: &str) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in committed(brokers, group, topic) {
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        list.find_partition(topic, partition).unwrap().set_metadata(note);
    }
    consumer(brokers, group).commit(&list, CommitMode::Sync).unwrap();
}

/// Deletes a topic and creates it again, empty.
pub async fn recreate(brokers: &str, topic: &str, partitions: i32) {
    let deleted = admin(brokers).delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
    deleted[0].as_ref().unwrap();
    // The name is free a moment later.
    wait_for("a new topic of that name", Duration::from_secs(60), || {
        Kafka::elsewhere(brokers).create_topic(topic, partitions, &[]).ok()
    });
}

/// Shows each message of a topic, in its partition's order, up to the end as it is now.
pub fn each_message(brokers: &str, topic: &str, see: impl FnMut(&BorrowedMessage<'_>)) {
    messages_between(brokers, topic, &BTreeMap::new(), &ends(brokers, topic), see);
}

/// Shows each message of a topic from one offset a partition (or its first) to before another.
pub fn messages_between(
    brokers: &str,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    to: &BTreeMap<i32, i64>,
    mut see: impl FnMut(&BorrowedMessage<'_>),
) {
    let consumer = consumer(brokers, "end-to-end");
    let mut list = TopicPartitionList::new();
    for (partition, end) in to {
        let first = from.get(partition).copied().unwrap_or(0);
        if first < *end {
            let offset = if first == 0 { Offset::Beginning } else { Offset::Offset(first) };
            list.add_partition_offset(topic, *partition, offset).unwrap();
        }
    }
    consumer.assign(&list).unwrap();
    let mut open: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
    while !open.is_empty() {
        // An error is news of a connection, which the client opens again by itself.
        let silence = || Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
        let message = patiently(|| consumer.poll(PATIENCE).unwrap_or_else(silence));
        let (partition, offset) = (message.partition(), message.offset());
        if offset < to[&partition] {
            see(&message);
        }
        if offset + 1 >= to[&partition] {
            open.retain(|open| *open != partition);
        }
    }
}

/// The dead letters of a topic, folded by key.
pub fn dead_letters(brokers: &str, topic: &str) -> BTreeMap<String, DeadLetter> {
    let letters = messages(brokers, &format!("{topic}.dlq"));
    letters.into_iter().map(|letter| (letter.key.clone(), letter)).collect()
}

/// A client that changes topics.
pub fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap()
}

/// Deletes what each of the partitions has before an offset, as retention does.
pub async fn delete_before(brokers: &str, topic: &str, offsets: &[(i32, i64)]) {
    let mut deleted = TopicPartitionList::new();
    for (partition, before) in offsets {
        deleted.add_partition_offset(topic, *partition, Offset::Offset(*before)).unwrap();
    }
    admin(brokers).delete_records(&deleted, &AdminOptions::new()).await.unwrap();
}
