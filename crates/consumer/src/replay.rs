//! Messages of topics, as Kafka has them -> their rows once more: for a table that was dropped, emptied or restored, or a
//! route that has a column more.
//!
//! The engine's own parts in its order, without its group: offsets are read by explicit assignment and none is committed. Rows
//! have the WRITETIME that they had at first, so that nothing newer changes, and writing them twice is harmless; nor does it
//! change what is wrong: of two cells of one WRITETIME Cassandra keeps a null, else the greater one. What can never be a row is
//! counted and named, and makes no dead letter: the consumer has made those of its routes of then.

mod flow;
mod intake;
mod pace;
mod reach;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use report::{Refusal, Report, TopicReport};

use crate::command::{self, Ended, Failed, Proof};
use crate::plan::nearest_of;
use crate::route::{self, Missing, Route, Ttl};
use crate::routes::{Misfit, Target, changed};
use crate::settings::Settings;
use crate::store::{Store, WriteError};
use crate::topic::{Ranges, Since, Topics};
use flow::Flow;

/// Its name in the broker's log.
const CLIENT: &str = "tributary-replay";
/// How long a replay that has ended may ask for the tables.
const ASK_FOR: Duration = Duration::from_secs(5);

/// Which messages.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of these topics.
    pub topics: Vec<String>,
    /// From here on.
    pub since: Since,
    /// Up to here, but not messages of this time or later; `None`: to the ends as they are at the start.
    pub until: Option<Since>,
    /// So many a second at most.
    pub rate: Option<NonZeroU32>,
}

impl Options {
    /// Whether it ends before it begins, whatever the topics have.
    pub fn is_empty(&self) -> bool {
        match (self.since, self.until) {
            (Since::Time(since), Some(Since::Time(until)))
            | (Since::Offset(since), Some(Since::Offset(until))) => until <= since,
            (_, until) => until == Some(Since::Beginning),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Offsets that are behind it.
    pub passed: u64,
    /// Of so many.
    pub of: u64,
    /// Whether all rows are written, and only have to become durable.
    pub is_written: bool,
}

/// Everything that is needed of the servers.
pub struct Replay {
    settings: Settings,
    routes: Arc<[Route]>,
    store: Arc<Store>,
    targets: Vec<Target>,
    /// Of the routes' tables.
    ids: Vec<Option<Uuid>>,
    kafka: Arc<Topics>,
    topics: Vec<Topic>,
    /// Messages of this time or later are left out, in milliseconds since 1970.
    until_ms: Option<i64>,
    rate: Option<NonZeroU32>,
}

/// A topic, what is read of it, and the routes that take it.
struct Topic {
    name: String,
    ranges: Ranges,
    routes: Vec<usize>,
}

impl Replay {
    /// Finds the messages, connects, and fits the topics' routes to their tables; those of other topics may be as they are.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn open(settings: &Settings, options: &Options) -> Result<Self, Failed> {
        let mut routes = route::load(&settings.consumer.routes)
            .map_err(|problems| Failed::Misfit(route::listed(&problems)))?;
        known(&options.topics, &routes)?;
        routes.retain(|route| route.topics.iter().any(|topic| options.topics.contains(topic)));
        let (asked, kafka) = (options.clone(), settings.kafka.clone());
        let found = tokio::task::spawn_blocking(move || {
            let topics = Topics::connect(&kafka, CLIENT)?;
            let ranges = ranges(&topics, &kafka.brokers, &asked)?;
            Ok((topics, ranges))
        });
        let found: Result<_, Failed> =
            found.await.unwrap_or_else(|error| Err(Failed::Unavailable(error.to_string())));
        let (kafka, ranges) = found?;
        let (store, targets) = command::connect(settings, &routes).await?;
        let ids = ids(&store, &routes).await.map_err(|error| Failed::Unavailable(error.to_string()))?;
        let topic = |(name, ranges): (String, Ranges)| {
            let ours = routes.iter().enumerate().filter(|(_, route)| route.topics.contains(&name));
            Topic { routes: ours.map(|(place, _)| place).collect(), name, ranges }
        };
        Ok(Self {
            topics: ranges.into_iter().map(topic).collect(),
            settings: settings.clone(),
            routes: routes.into(),
            store,
            targets,
            ids,
            kafka: Arc::new(kafka),
            until_ms: match options.until {
                Some(Since::Time(until_ms)) => Some(until_ms),
                _ => None,
            },
            rate: options.rate,
        })
    }

    /// Where the settings trust the server's commit log with more than it keeps, in words.
    pub async fn warnings(&self) -> Vec<String> {
        self.store.warnings(&self.settings.consumer).await
    }

    /// Tables whose rows may come back if newer messages are left out: what deleted them, or ended their time to live, may
    /// be gone from the table.
    pub fn reviving(&self) -> BTreeSet<&str> {
        let deletes = |route: &&Route| {
            let of_field = matches!(route.ttl, Some(Ttl::Field { .. }));
            route.deletes.row || route.deletes.cells || route.missing == Missing::Null || of_field
        };
        self.routes.iter().filter(deletes).map(|route| route.table.get_ref().as_str()).collect()
    }

    /// Decodes the messages and writes nothing.
    pub async fn dry_run(&self, stop: &CancellationToken, tell: impl FnMut(Progress)) -> Report {
        let began = Instant::now();
        let mut flow = Flow::new(self, None, stop.clone());
        let ended = flow.run(tell).await;
        flow.report.end(ended.err(), began)
    }

    /// Writes the rows of the messages, and waits until they are durable. `tell` hears how far it is once a second. What ends
    /// it early is in [`Report::ended`].
    pub async fn run(&self, stop: &CancellationToken, mut tell: impl FnMut(Progress)) -> Report {
        let began = Instant::now();
        let mut proof = Proof::start(Arc::clone(&self.store), &self.settings, stop);
        // The first probe precedes the first write: a restart after it is seen.
        if let Err(ended) = proof.begin().await {
            return Report::of(&self.topics).end(Some(ended), began);
        }
        let mut flow = Flow::new(self, Some(&proof), proof.over.clone());
        let mut ended = flow.run(&mut tell).await;
        let progress = flow.progress();
        let Flow { mut report, last_written, reaches, .. } = flow;
        if ended.is_ok() && report.writes() {
            tell(Progress { is_written: true, ..progress });
            ended = proof.wait_for(last_written).await;
            if ended.is_ok() {
                ended = self.same_tables().await;
            }
        }
        // What was durable in another table is no place to go on from.
        if ended.is_err() && matches!(timeout(ASK_FOR, self.same_tables()).await, Ok(Ok(()))) {
            report.reached(&self.topics, &reaches);
        }
        // What has deleted a row may not have been read, and be gone from a table that was emptied.
        if ended.is_err() && report.writes() {
            report.reviving = self.reviving().into_iter().map(str::to_owned).collect();
        }
        report.end(ended.err(), began)
    }

    // Rows that were written before a table was dropped are gone, whatever has been created since.
    async fn same_tables(&self) -> Result<(), Ended> {
        let Self { store, routes, targets, .. } = self;
        store.refresh().await.map_err(Misfit::Store)?;
        let is_other = ids(store, routes).await.map_err(Misfit::Store)? != self.ids;
        let misfit = changed(store, routes, targets).or(is_other.then_some(Misfit::Changed));
        misfit.map_or(Ok(()), |misfit| Err(misfit.into()))
    }
}

async fn ids(store: &Store, routes: &[Route]) -> Result<Vec<Option<Uuid>>, WriteError> {
    let mut ids = Vec::new();
    for route in routes {
        ids.push(store.table_id(route.table.get_ref()).await?);
    }
    Ok(ids)
}

// A topic that no route takes has no rows.
fn known(asked: &[String], routes: &[Route]) -> Result<(), Failed> {
    let known: BTreeSet<&str> = routes.iter().flat_map(|route| &route.topics).map(String::as_str).collect();
    match asked.iter().find(|topic| !known.contains(topic.as_str())) {
        None => Ok(()),
        Some(topic) => {
            let near = nearest_of("there are routes of", topic, known.into_iter());
            Err(Failed::Refused(format!("no route takes topic {topic}{near}")))
        }
    }
}

fn ranges(topics: &Topics, brokers: &str, options: &Options) -> Result<Vec<(String, Ranges)>, Failed> {
    let asked: BTreeSet<&String> = options.topics.iter().collect();
    let mut all = Vec::new();
    for topic in asked {
        if topics.partitions(topic).is_none() {
            let near = nearest_of("there are", topic, topics.names());
            return Err(Failed::Refused(format!("topic {topic} does not exist on {brokers}{near}")));
        }
        let whole = topics.ranges(topic)?;
        let begins = topics.offsets_of(topic, options.since, &whole)?;
        let ends = match options.until {
            Some(until @ Since::Offset(_)) => topics.offsets_of(topic, until, &whole)?,
            // Times need not rise with the offsets: each message's own tells whether it is meant.
            _ => whole.iter().map(|(number, range)| (*number, range.end)).collect(),
        };
        let range = |(number, whole): (&i32, &Range<i64>)| {
            let at = |places: &BTreeMap<i32, i64>, otherwise| {
                places.get(number).copied().unwrap_or(otherwise).clamp(whole.start, whole.end)
            };
            let begin = at(&begins, whole.start);
            (*number, begin..at(&ends, whole.end).max(begin))
        };
        all.push((topic.clone(), whole.iter().map(range).collect()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_before_it_begins_is_empty() {
        let is_empty = |since, until| Options { topics: Vec::new(), since, until, rate: None }.is_empty();
        for kind in [Since::Time, Since::Offset] {
            assert!(is_empty(kind(5), Some(kind(4))) && is_empty(kind(5), Some(kind(5))));
            assert!(!is_empty(kind(5), Some(kind(6))) && !is_empty(kind(5), None));
            assert!(is_empty(kind(5), Some(Since::Beginning)));
        }
        assert!(!is_empty(Since::Time(5), Some(Since::Offset(5))));
    }
}
