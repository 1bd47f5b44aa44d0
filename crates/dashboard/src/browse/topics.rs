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
    member: Option<String>,
}

/// Reads them.
///
/// # Errors
/// Kafka does not answer.
pub(crate) async fn overview(settings: &kafka::Settings, group: String) -> Result<Overview, BrowseError> {
    let of_group = settings.clone();
    ask_kafka(settings, CLIENT, move |topics, _| {
        let ranges = topics.all_ranges().map_err(|error| unavailable(&error))?;
        // Nobody reads the dead letters by a group.
        let read = ranges.keys().copied().filter(|name| !is_of_letters(name));
        let committed = topics.all_committed(&of_group, &group, read);
        let described = topics.group(&group);
        // A user may read topics and not see groups; an embedded broker knows no such question.
        let trouble = [committed.as_ref().err(), described.as_ref().err()].into_iter().flatten().next();
        let state = trouble.map(|trouble| format!("not known: {trouble}"));
        let (committed, described) = (committed.unwrap_or_default(), described.ok().flatten());
        let mut owners: BTreeMap<(&str, i32), &Member> = BTreeMap::new();
        for member in described.iter().flat_map(|group| &group.members) {
            for (topic, partition) in &member.partitions {
                owners.insert((topic, *partition), member);
            }
        }
        let topic = |(name, ranges): (&&str, &Ranges)| {
            let of_topic = committed.get(*name);
            let partition = |(id, range): (&i32, &Range<i64>)| {
                let committed = of_topic.and_then(|commits| commits.get(id)).map(|commit| commit.offset);
                Partition {
                    id: *id,
                    low: range.start,
                    end: range.end,
                    committed,
                    lag: committed.map(|committed| (range.end - committed).max(0)),
                    member: owners.get(&(*name, *id)).map(|member| member.client.clone()),
                }
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

impl GroupMember {
    fn of(member: &Member) -> Self {
        Self { client: member.client.clone(), host: member.host.clone(), partitions: member.partitions.len() }
    }
}
