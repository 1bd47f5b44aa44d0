//! Looking into topics: what was published, what is dead, what is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use testbed::wait_for;

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
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()
}

/// Whether the broker knows a topic.
pub fn exists(brokers: &str, topic: &str) -> bool {
    let metadata = consumer(brokers, "end-to-end").fetch_metadata(Some(topic), PATIENCE).unwrap();
    metadata.topics().iter().any(|known| known.name() == topic && known.error().is_none())
}

/// End offsets by partition.
pub fn ends(brokers: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer = consumer(brokers, "end-to-end");
    let end = |partition| (partition, consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap().1);
    partitions(&consumer, topic).into_iter().map(end).collect()
}

/// Committed offsets of a group by partition; 0 where nothing is committed.
pub fn committed(brokers: &str, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let consumer = consumer(brokers, group);
    let mut list = TopicPartitionList::new();
    for partition in partitions(&consumer, topic) {
        list.add_partition(topic, partition);
    }
    // A group's coordinator is found, or moves, when the group is first asked for.
    let committed = wait_for("the group's coordinator", PATIENCE, || {
        match consumer.committed_offsets(list.clone(), PATIENCE) {
            Err(error) if error.rdkafka_error_code().is_some_and(is_about_the_coordinator) => None,
            answer => Some(answer.unwrap()),
        }
    });
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset()
    {
        Offset::Offset(offset) => (element.partition(), offset),
        _ => (element.partition(), 0),
    };
    committed.elements().iter().map(offset).collect()
}

fn is_about_the_coordinator(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(code, CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator)
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
        let message = consumer.poll(PATIENCE).expect("a message before the end of the topic").unwrap();
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
