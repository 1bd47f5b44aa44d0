//! A topic as somebody looks on: from known offsets on, without an end.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::{Topics, Unread};

impl Topics {
    /// Hands the messages from these offsets on to `take`, as they come, until it breaks. While the brokers are away it waits;
    /// `trouble` is told of that once. Partitions that the topic is given meanwhile are not read.
    ///
    /// # Errors
    /// The topic was deleted, or this user may not read it.
    pub fn follow(
        &self,
        topic: &str,
        from: &BTreeMap<i32, i64>,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
        mut trouble: impl FnMut(&str),
    ) -> Result<(), Unread> {
        let mut list = TopicPartitionList::new();
        for (number, offset) in from {
            let added = list.add_partition_offset(topic, *number, Offset::Offset(*offset));
            added.map_err(|error| self.unread(topic, &error))?;
        }
        self.consumer.assign(&list).map_err(|error| self.unread(topic, &error))?;
        let mut told = false;
        loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    self.consumer.context().works();
                    told = false;
                    if take(&message).is_break() {
                        return self.consumer.unassign().map_err(|error| self.unread(topic, &error));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.consumer.context().works();
                    told = false;
                }
                Some(Err(error)) if is_final(&error) => return Err(self.unread(topic, &error)),
                Some(Err(_)) => {
                    // What is no matter of the topic, such as the right to a group that is not used, is not told here either.
                    if let Some(why) = self.consumer.context().error().filter(|_| !told) {
                        trouble(&format!("kafka at {}: {why}", self.brokers));
                        told = true;
                    }
                }
                None => {}
            }
        }
    }
}

// Whether to wait helps nobody.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        TopicAuthorizationFailed, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    let code = error.rdkafka_error_code();
    matches!(code, Some(TopicAuthorizationFailed | UnknownPartition | UnknownTopic | UnknownTopicOrPartition))
}
