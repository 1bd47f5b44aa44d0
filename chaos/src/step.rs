//! One step of a scenario, as its file has it.

use std::time::Duration;

use rand::RngExt;
use serde::Deserialize;
use toml::Table;

/// What is done, or waited for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The stream flows for a random time between the two.
    Flow(Between),
    /// SIGKILL.
    Kill(Part),
    /// SIGTERM; the exit code must be 0, within ten seconds.
    Stop(Part),
    /// SIGTERM, without waiting.
    Term(Part),
    /// It ends by then: a service with 0, whatever a server says.
    EndedWithin(Part, Time),
    /// What the producers said they had sent when they were told to end is on their topics.
    SentIsPublished,
    /// SIGSTOP; of a container `docker pause`.
    Freeze(Part),
    /// SIGCONT, or `docker unpause`.
    Thaw(Part),
    /// Starts it again, and waits until a server answers.
    Start(Part),
    /// So many consumers: new ones are started, surplus ones end by SIGTERM and SIGKILL in turn.
    Scale(usize),
    /// Packets from and to it are dropped: nobody is told.
    Cut(Part),
    /// Packets to it are answered with a reset.
    Reset(Part),
    /// Of a hundred packets to it, so many are answered with a reset.
    ResetSome(Part, u8),
    /// Of a hundred packets from and to it, so many are dropped: TCP sends them again, late.
    Lose(Part, u8),
    /// Packets have so many bytes at most.
    Slice(u16),
    /// Packets flow again, once each fault has struck some.
    Mend,
    /// The server is at another address, which its name has now; nobody answers at the old one.
    Move(Part),
    /// Its disk has no byte left.
    Fill(Part),
    /// Its disk has room again.
    Free(Part),
    /// The load goes on until the topic holds so many more messages than are committed.
    Backlog(i64),
    /// From here on so many messages a second are published, of users.
    Rate(u32),
    /// From here on so many hostile messages come beside a hundred others.
    Hostile(u8),
    /// Waits until the consumer that was just started has an outcome for all of the topic, and notes the good rows a second
    /// under that name.
    Drained(String),
    /// The second of two noted rates is at least that much of the first.
    Ratio(String, String, f64),
    /// The load pauses, with everything acknowledged.
    Hold,
    /// The load goes on.
    Go,
    /// What is on the topics is committed by then.
    CommittedWithin(Time),
    /// The table is remembered, with all WRITETIMEs.
    Snapshot,
    /// The table is as it was.
    SameSnapshot,
    /// The group's offsets go back to the beginning. Nobody may be in the group.
    RewindGroup,
    /// The topic is deleted and created again, empty.
    RecreateTopic,
    /// A statement of the superuser, with `{ks}` for the keyspace.
    Cql(String),
    /// A CQL file of the repository.
    Script(String),
    /// From here on whoever publishes users has a clock that is ahead of the consumer's by so much.
    ClockAhead(Time),
    /// As `ClockAhead`, behind it.
    ClockBehind(Time),
    /// No metric of a consumer is negative.
    MetricsMakeSense,
    /// A fault of the simulated upstreams, as their `POST /faults` takes it.
    Fault(Table),
    /// Every one of them has struck.
    Calm,
    /// The consumer's health is red by then. It comes right after the fault, so that the time is that since the fault.
    RedWithin(Time),
    /// The consumer's health is red by then, or its metric of offset resets is above what it was before the topic was made anew.
    NoticedWithin(Time),
    /// What Kafka acknowledges from now on is stored by then, and the consumer's health is green.
    HealsWithin(Time),
    /// The youngest rows that can be read are remembered.
    NoteStored,
    /// Counts which of them Cassandra has forgotten.
    CountForgotten,
    /// Each message below the committed offset is in the table, or a newer one of its user.
    CommittedIsStored,
    /// One of these lists, by chance.
    OneOf(Vec<Vec<Step>>),
}

impl Step {
    /// Whether it changes a network, names or a disk, which nobody else may have then.
    pub(crate) fn needs_namespaces(&self) -> bool {
        match self {
            Self::Cut(_) | Self::Reset(_) | Self::ResetSome(..) | Self::Lose(..) | Self::Slice(_) => true,
            Self::Mend | Self::Move(_) | Self::Fill(_) | Self::Free(_) => true,
            Self::OneOf(choices) => choices.iter().flatten().any(Self::needs_namespaces),
            Self::Flow(_) | Self::Kill(_) | Self::Stop(_) | Self::Term(_) | Self::EndedWithin(..) => false,
            Self::SentIsPublished | Self::Freeze(_) | Self::Thaw(_) | Self::Start(_) | Self::Scale(_) => {
                false
            }
            Self::Backlog(_) | Self::Rate(_) | Self::Hostile(_) | Self::Drained(_) | Self::Ratio(..) => false,
            Self::Hold | Self::Go | Self::CommittedWithin(_) | Self::Snapshot | Self::SameSnapshot => false,
            Self::RewindGroup | Self::RecreateTopic | Self::Cql(_) | Self::Script(_) => false,
            Self::ClockAhead(_) | Self::ClockBehind(_) | Self::MetricsMakeSense => false,
            Self::Fault(_) | Self::Calm | Self::RedWithin(_) | Self::NoticedWithin(_) => false,
            Self::HealsWithin(_) | Self::NoteStored | Self::CountForgotten | Self::CommittedIsStored => false,
        }
    }
}

/// What a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Consumer,
    Producer,
    Kafka,
    Cassandra,
}

/// A duration, such as `20s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Time(pub(crate) Duration);

/// Two durations, the shorter first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "(Time, Time)")]
pub(crate) struct Between(Duration, Duration);

impl TryFrom<String> for Time {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&text).map(Self)
    }
}

impl TryFrom<(Time, Time)> for Between {
    type Error = &'static str;

    fn try_from((Time(least), Time(most)): (Time, Time)) -> Result<Self, Self::Error> {
        if least <= most { Ok(Self(least, most)) } else { Err("the shorter time comes first") }
    }
}

impl Between {
    pub(crate) fn choose(self, random: &mut impl RngExt) -> Duration {
        random.random_range(self.0..=self.1)
    }
}
