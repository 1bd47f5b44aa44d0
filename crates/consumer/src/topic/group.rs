//! A consumer group -> its state, its members, and which partitions each of them has.

use rdkafka::consumer::Consumer;

use super::{Topics, Unread};

/// A group as its coordinator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Such as `Stable`, `PreparingRebalance`, `Empty`.
    pub state: String,
    /// Who is in it now.
    pub members: Vec<Member>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name that its client gave itself.
    pub client: String,
    /// Where it is, as the broker sees it.
    pub host: String,
    /// Topics and partitions that it was assigned.
    pub partitions: Vec<(String, i32)>,
}

impl Topics {
    /// Describes the group; `None` where there is none of that name.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn group(&self, name: &str) -> Result<Option<Group>, Unread> {
        let list = self.consumer.fetch_group_list(Some(name), self.patience);
        let list = list.map_err(|error| Unread::because(&error))?;
        let found = list.groups().iter().find(|group| group.name() == name && !group.state().is_empty());
        Ok(found.map(|group| Group {
            state: group.state().to_owned(),
            members: group
                .members()
                .iter()
                .map(|member| Member {
                    client: member.client_id().to_owned(),
                    host: member.client_host().to_owned(),
                    partitions: member.assignment().and_then(assignment).unwrap_or_default(),
                })
                .collect(),
        }))
    }
}

// Version (2 bytes), then an array of topics, each a string and an array of partitions; big endian.
// Source: ConsumerProtocolAssignment.json of Apache Kafka.
fn assignment(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    let mut rest = bytes.get(2..)?;
    let mut all = Vec::new();
    for _ in 0..number(&mut rest)? {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (topic, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = behind;
        let topic = str::from_utf8(topic).ok()?;
        for _ in 0..number(&mut rest)? {
            all.push((topic.to_owned(), number(&mut rest)?));
        }
    }
    Some(all)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(i32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_kafka_writes_it_and_a_torn_one_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 7];
        bytes.extend(b"weather");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff]);
        let expected = vec![("weather".to_owned(), 0), ("weather".to_owned(), 5)];
        assert_eq!(assignment(&bytes), Some(expected));
        assert_eq!(assignment(&bytes[..20]), None);
        assert_eq!(assignment(&[]), None);
    }
}
