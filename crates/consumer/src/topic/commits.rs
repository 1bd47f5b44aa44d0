//! A consumer group -> what it has committed of a topic. The group is asked and not joined.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::{self, Cluster};

use super::{Topics, Unread};

/// What a group has committed of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The offset behind what is settled.
    pub offset: i64,
    /// What the group's consumer has noted beside it; see [`crate::hosts`].
    pub note: String,
}

impl Topics {
    /// What a group has committed of a topic, by partition, where it has.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn committed(
        &self,
        settings: &kafka::Settings,
        group: &str,
        topic: &str,
    ) -> Result<BTreeMap<i32, Commit>, Unread> {
        let mut all = self.all_committed(settings, group, [topic])?;
        Ok(all.remove(topic).unwrap_or_default())
    }

    /// The same of several topics, by one question.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn all_committed<'a>(
        &self,
        settings: &kafka::Settings,
        group: &str,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, BTreeMap<i32, Commit>>, Unread> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for number in self.partitions.get(topic).into_iter().flatten() {
                list.add_partition(topic, *number);
            }
        }
        if list.count() == 0 {
            return Ok(BTreeMap::new());
        }
        let named = list.elements().iter().map(|element| element.topic().to_owned()).collect::<BTreeSet<_>>();
        let named = named.into_iter().collect::<Vec<_>>().join(", ");
        let unread = |error: &KafkaError| self.unread(&named, error);
        let mut client = settings.client(group);
        client.set("group.id", group).set("enable.auto.commit", "false");
        let client: BaseConsumer<Cluster> =
            client.create_with_context(Cluster::default()).map_err(|error| unread(&error))?;
        let asked_at = Instant::now();
        let committed = loop {
            match client.committed_offsets(list.clone(), self.patience) {
                // A group's coordinator is found, or moves, when the group is first asked for.
                Err(error) if is_about_the_coordinator(&error) && asked_at.elapsed() < self.patience => {
                    drop(client.poll(Duration::from_millis(100)));
                }
                answer => break answer.map_err(|error| unread(&error))?,
            }
        };
        let mut commits: BTreeMap<String, BTreeMap<i32, Commit>> = BTreeMap::new();
        for element in committed.elements() {
            element.error().map_err(|error| unread(&error))?;
            if let Offset::Offset(offset) = element.offset() {
                let note = element.metadata().to_owned();
                let of_topic = commits.entry(element.topic().to_owned()).or_default();
                of_topic.insert(element.partition(), Commit { offset, note });
            }
        }
        Ok(commits)
    }
}

fn is_about_the_coordinator(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    let code = error.rdkafka_error_code();
    matches!(code, Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator))
}
