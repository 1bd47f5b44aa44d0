//! A user's rights on a topic, a group or the cluster: given and taken away.
//!
//! The codes of operations and resources are those of Kafka's `AclOperation` and `ResourceType`.

use std::io;

use super::{Reader, Writer, request};

const CREATE_ACLS: (i16, i16) = (30, 1);
const DELETE_ACLS: (i16, i16) = (31, 1);
const LITERAL: u8 = 3;
const ALLOW: u8 = 3;
const ANY_HOST: &str = "*";

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Fetch from a topic; join a group and commit its offsets.
    Read,
    /// Produce into a topic.
    Write,
    /// See that it is there.
    Describe,
    /// Read its settings.
    DescribeConfigs,
    /// Be numbered by the cluster, so that a message that is sent twice is stored once.
    IdempotentWrite,
}

/// On what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The topic of that name.
    Topic(&'a str),
    /// The consumer group of that name.
    Group(&'a str),
    /// All of it.
    Cluster,
}

impl Operation {
    fn code(self) -> u8 {
        match self {
            Self::Read => 3,
            Self::Write => 4,
            Self::Describe => 8,
            Self::DescribeConfigs => 10,
            Self::IdempotentWrite => 12,
        }
    }
}

impl Resource<'_> {
    fn code(self) -> u8 {
        match self {
            Self::Topic(_) => 2,
            Self::Group(_) => 3,
            Self::Cluster => 4,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) => name.to_owned(),
            Self::Cluster => "kafka-cluster".to_owned(),
        }
    }
}

/// Lets a user do that on every host.
pub(crate) fn allow(brokers: &str, user: &str, operation: Operation, on: Resource<'_>) -> io::Result<()> {
    let mut answer = request(brokers, CREATE_ACLS, &entry(user, operation, on))?;
    done(&mut answer)
}

/// The reverse of [`allow`].
pub(crate) fn disallow(brokers: &str, user: &str, operation: Operation, on: Resource<'_>) -> io::Result<()> {
    // The filter has the form of the entry.
    let mut answer = request(brokers, DELETE_ACLS, &entry(user, operation, on))?;
    done(&mut answer)?;
    match answer.i32()? {
        1 => Ok(()),
        taken => Err(io::Error::other(format!("{taken} rights of {user} were taken away"))),
    }
}

fn entry(user: &str, operation: Operation, on: Resource<'_>) -> Vec<u8> {
    let mut body = Writer::default();
    body.i32(1);
    body.0.push(on.code());
    body.string(&on.name());
    body.0.push(LITERAL);
    body.string(&format!("User:{user}"));
    body.string(ANY_HOST);
    body.0.extend([operation.code(), ALLOW]);
    body.0
}

fn done(answer: &mut Reader) -> io::Result<()> {
    answer.i32()?;
    answer.i32()?;
    let (code, message) = (answer.i16()?, answer.string()?);
    if code == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("refused with code {code}: {}", message.unwrap_or_default())))
}
