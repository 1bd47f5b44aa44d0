//! What an audit has found: counts of outcomes, and the messages that are not in their table. Serialises to its JSON form.

use std::path::PathBuf;

use serde::Serialize;
use service::UNAVAILABLE;

pub use super::trial::Kind;

/// Everything that an audit has found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Why not everything was judged; `None`: all of it was.
    pub incomplete: Option<String>,
    /// The consumer group whose committed offsets were judged.
    pub group: String,
    /// Topics with messages of which the group has committed nothing, so that nothing of them was judged.
    pub without_commits: Vec<String>,
    /// The routes, each with its topics.
    pub routes: Vec<RouteReport>,
    /// What retention deleted before the group had read it: no audit can say what became of it.
    #[serde(rename = "lost_before_read")]
    pub lost: Vec<Lost>,
    /// Faults, at most as many as were asked for.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub faults_not_named: u64,
    /// What the audit could not look at, in words.
    pub notes: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// 0: no fault. 1: faults, or lost offsets. 69: none so far, but not everything was judged.
    pub fn exit_code(&self) -> i32 {
        match (self.faults.is_empty() && self.lost.is_empty(), &self.incomplete) {
            (false, _) => 1,
            (true, Some(_)) => UNAVAILABLE,
            (true, None) => 0,
        }
    }

    /// The counts of all routes.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.routes.iter().flat_map(|route| &route.topics).map(|topic| &topic.counts) {
            total.add(counts);
        }
        total
    }
}

/// One route.
#[derive(Debug, Clone, Serialize)]
pub struct RouteReport {
    /// Its file.
    pub file: PathBuf,
    /// `keyspace.table`
    pub table: String,
    /// Its topics, those that were audited.
    pub topics: Vec<TopicReport>,
}

/// One topic of a route.
#[derive(Debug, Clone, Serialize)]
pub struct TopicReport {
    /// Its name.
    pub topic: String,
    /// How many partitions.
    pub partitions: usize,
    /// Offsets that were to be judged.
    pub offsets: u64,
    /// Offsets from the committed ones to the end of the topic, which were not.
    pub not_committed: u64,
    /// Of the offsets that were read, those that the topic no longer has (or never had, as markers of transactions).
    pub gone: u64,
    /// Of the offsets to be judged, those that were not read, where the audit is incomplete.
    pub not_read: u64,
    /// What became of the messages, by this route.
    pub counts: Counts,
}

/// Messages by their outcome; together they are all that were judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The table has what they wrote.
    pub stored: u64,
    /// Other messages have written or deleted it since.
    pub superseded: u64,
    /// Their time to live is over, or may be, and what they wrote is not there.
    pub expired: u64,
    /// Dead letters.
    pub dead_lettered: u64,
    /// Dead letters that were purged.
    pub purged: u64,
    /// Nothing of them is there.
    pub missing: u64,
    /// Something older is there.
    pub stale: u64,
    /// Something else is there.
    pub different: u64,
}

impl Counts {
    /// All of them.
    pub fn messages(&self) -> u64 {
        let Self { stored, superseded, expired, dead_lettered, purged, missing, stale, different } = self;
        stored + superseded + expired + dead_lettered + purged + missing + stale + different
    }

    fn add(&mut self, other: &Self) {
        self.stored += other.stored;
        self.superseded += other.superseded;
        self.expired += other.expired;
        self.dead_lettered += other.dead_lettered;
        self.purged += other.purged;
        self.missing += other.missing;
        self.stale += other.stale;
        self.different += other.different;
    }

    /// Counts a fault.
    pub(super) fn fault(&mut self, kind: Kind) {
        match kind {
            Kind::Missing => self.missing += 1,
            Kind::Stale => self.stale += 1,
            Kind::Different => self.different += 1,
        }
    }
}

/// Offsets of a partition that were deleted before the group had read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What the group has committed, or where the audit begins.
    pub from: i64,
    /// The first offset that is still there.
    pub to: i64,
    /// How many offsets.
    pub offsets: u64,
}

/// A message that should be seen in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How it is not.
    pub kind: Kind,
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// `keyspace.table`
    pub table: String,
    /// The row's primary key, as text; empty where the message has none.
    pub key: String,
    /// The column; `None` where it is the whole row.
    pub column: Option<String>,
    /// What is wrong, in words.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_code_tells_faults_before_what_is_missing_for_a_judgement() {
        let fault = Fault {
            kind: Kind::Stale,
            topic: "t".to_owned(),
            partition: 0,
            offset: 7,
            table: "k.t".to_owned(),
            key: "1".to_owned(),
            column: None,
            detail: "older".to_owned(),
        };
        let report = |faults: usize, incomplete: bool| Report {
            faults: vec![fault.clone(); faults],
            incomplete: incomplete.then(|| "cassandra is away".to_owned()),
            ..Report::default()
        };
        let codes = [(0, false), (1, false), (0, true), (1, true)].map(|(n, cut)| report(n, cut).exit_code());
        assert_eq!(codes, [0, 1, 69, 1]);
        let lost = Lost { topic: "t".to_owned(), partition: 0, from: 5, to: 20, offsets: 15 };
        assert_eq!(Report { lost: vec![lost], ..report(0, false) }.exit_code(), 1);
    }
}
