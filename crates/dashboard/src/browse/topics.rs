//! Kafka -> all topics with their partitions, and how far the consumer's group is in each.

use std::collections::BTreeMap;
use std::ops::Range;

use consumer::topic::{Member, Ranges};
use datasets::REGISTRY;
use serde::Serialize;
use service::kafka;

use super::{BrowseError, ask_kafka, unavailable};

const CLIENT: &str = "tributary-dashboard-topics";

/// See the module.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    group: Option<Group>,
    topics: Vec<Topic>,
}

#[derive(Debug, Serialize)]
struct Group {
    name: String,
    state: String,
    members: Vec<GroupMember>,
}

#[derive(Debug, Serialize)]
struct GroupMember {
    client: String,
    host: String,
    partitions: usize,
}

#[derive(Debug, Serialize)]
struct Topic {
    name: String,
    /// The dataset's name, or its own where it is no dataset's.
    stream: Option<String>,
    dead_letters: bool,
    partitions: Vec<Partition>,
}

#[derive(Debug, Serialize)]
struct Partition {
    id: i32,
    low: i64,
    end: i64,
    committed: Option<i64>,
    lag: Option<i64>,
    /// Whether the commit is behind the last message, as in a topic that was created anew: there is no lag to tell.
    beyond_end: bool,
    member: Option<String>,
}

/// Reads them.
///
/// # Errors
/// Kafka does not answer.
pub(crate) async fn overview(settings: &kafka::Settings, group: String) -> Result<Overview, BrowseError> {
    let of_group = settings.clone();
    ask_kafka(settings, CLIENT, move |topics, _| {
        // Nobody reads the dead letters by a group.
        let read = topics.names().filter(|name| !is_of_letters(name));
        // Before the ends: what is committed meanwhile would seem to be beyond them.
        let committed = topics.all_committed(&of_group, &group, read);
        let ranges = topics.all_ranges().map_err(|error| unavailable(&error))?;
        let described = topics.group(&group);
        // A user may read topics and not see groups; an embedded broker knows no such question.
        let trouble = [committed.as_ref().err(), described.as_ref().err()].into_iter().flatten().next();
        let state = trouble.map(|trouble| format!("not known: {trouble}"));
        let described = described.ok().flatten();
        let mut owners: BTreeMap<(&str, i32), &Member> = BTreeMap::new();
        for member in described.iter().flat_map(|group| &group.members) {
            for (topic, partition) in &member.partitions {
                owners.insert((topic, *partition), member);
            }
        }
        let topic = |(name, ranges): (&&str, &Ranges)| {
            let of_topic = committed.as_ref().ok().and_then(|committed| committed.get(*name));
            let is_read =
                of_topic.is_some() || (committed.is_ok() && owners.keys().any(|(topic, _)| topic == name));
            let partition = |(id, range): (&i32, &Range<i64>)| {
                let committed = of_topic.and_then(|commits| commits.get(id)).map(|commit| commit.offset);
                let member = owners.get(&(*name, *id)).map(|member| member.client.clone());
                Partition { member, ..Partition::of(*id, range, committed, is_read) }
            };
            Topic {
                name: (*name).to_owned(),
                stream: REGISTRY
                    .iter()
                    .find(|dataset| dataset.topic == *name)
                    .map(|dataset| dataset.name.to_owned()),
                dead_letters: is_of_letters(name),
                partitions: ranges.iter().map(partition).collect(),
            }
        };
        let topics = ranges.iter().map(topic).collect();
        let members = described.iter().flat_map(|group| &group.members).map(GroupMember::of).collect();
        let state = state.or_else(|| described.as_ref().map(|group| group.state.clone()));
        let group = state.map(|state| Group { name: group.clone(), state, members });
        Ok(Overview { group, topics })
    })
    .await
}

fn is_of_letters(topic: &str) -> bool {
    topic.ends_with(consumer::dead_letter::SUFFIX)
}

impl Partition {
    // One without a commit, of a topic that the group reads, is still to be read from its beginning.
    fn of(id: i32, range: &Range<i64>, committed: Option<i64>, is_read: bool) -> Self {
        let read_to = committed.or(is_read.then_some(range.start));
        let lag = read_to.map(|read_to| range.end - read_to);
        Self {
            id,
            low: range.start,
            end: range.end,
            committed,
            lag: lag.filter(|lag| *lag >= 0),
            beyond_end: lag.is_some_and(|lag| lag < 0),
            member: None,
        }
    }
}

impl GroupMember {
    fn of(member: &Member) -> Self {
        Self { client: member.client.clone(), host: member.host.clone(), partitions: member.partitions.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_that_of_the_commit_or_of_the_whole_partition_and_none_beyond_the_end() {
        let lag = |committed, is_read| {
            let partition = Partition::of(0, &(10..100), committed, is_read);
            (partition.lag, partition.beyond_end)
        };
        assert_eq!(lag(Some(90), true), (Some(10), false));
        assert_eq!(lag(Some(100), true), (Some(0), false));
        assert_eq!(lag(Some(101), true), (None, true));
        assert_eq!(lag(None, true), (Some(90), false));
        assert_eq!(lag(None, false), (None, false));
    }
}
