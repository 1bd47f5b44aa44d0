//! Kafka -> all topics with their partitions, and how far the consumer's group is in each.

use std::collections::BTreeMap;

use consumer::topic::{Member, Topics};
use datasets::REGISTRY;
use serde::Serialize;
use service::kafka;

use super::records::{connect, unavailable};
use super::{BrowseError, blocking};

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
pub(crate) async fn overview(settings: kafka::Settings, group: String) -> Result<Overview, BrowseError> {
    blocking(move || {
        let topics = connect(&settings, CLIENT)?;
        // A broker that knows no such question has a group all the same.
        let described = topics.group(&group).ok().flatten();
        let mut owners: BTreeMap<(&str, i32), &Member> = BTreeMap::new();
        for member in described.iter().flat_map(|group| &group.members) {
            for (topic, partition) in &member.partitions {
                owners.insert((topic, *partition), member);
            }
        }
        let mut all = Vec::new();
        for name in topics.names() {
            all.push(self::topic(&topics, &settings, &group, name, &owners)?);
        }
        let group = described.as_ref().map(|described| Group {
            name: group.clone(),
            state: described.state.clone(),
            members: described.members.iter().map(GroupMember::of).collect(),
        });
        Ok(Overview { group, topics: all })
    })
    .await
}

fn topic(
    topics: &Topics,
    settings: &kafka::Settings,
    group: &str,
    name: &str,
    owners: &BTreeMap<(&str, i32), &Member>,
) -> Result<Topic, BrowseError> {
    let dead_letters = name.ends_with(consumer::dead_letter::SUFFIX);
    // Nobody reads the dead letters by a group.
    let committed = if dead_letters {
        BTreeMap::new()
    } else {
        topics.committed(settings, group, name).unwrap_or_default()
    };
    let partitions =
        topics.ranges(name).map_err(|error| unavailable(&error))?.into_iter().map(|(id, range)| {
            let committed = committed.get(&id).map(|commit| commit.offset);
            Partition {
                id,
                low: range.start,
                end: range.end,
                committed,
                lag: committed.map(|committed| (range.end - committed).max(0)),
                member: owners.get(&(name, id)).map(|member| member.client.clone()),
            }
        });
    let dataset = REGISTRY.iter().find(|dataset| dataset.topic == name);
    Ok(Topic {
        name: name.to_owned(),
        stream: dataset.map(|dataset| dataset.name.to_owned()),
        dead_letters,
        partitions: partitions.collect(),
    })
}

impl GroupMember {
    fn of(member: &Member) -> Self {
        Self { client: member.client.clone(), host: member.host.clone(), partitions: member.partitions.len() }
    }
}
