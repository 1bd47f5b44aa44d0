//! Topics and tables -> every message that should be seen in its table and is not.
//!
//! Each message is decoded as the consumer would decode it now, and its row is read by its key: twice over the topic at
//! most, whatever the table holds besides. The first pass settles most messages at a glance ([`glance`]); what it leaves
//! open is read once more and judged by all messages of the row ([`trial`]). Nothing is written, no group is joined.

pub(crate) mod effect;
mod first;
mod glance;
mod heard;
pub(crate) mod letters;
mod report;
mod second;
pub(crate) mod sources;
mod topic;
mod trial;

use std::sync::Arc;
use std::time::Instant;

pub use report::{Counts, Fault, Kind, Lost, Report, RouteReport, TopicReport};
pub use sources::Unready;

use crate::settings::Settings;
use crate::topic::{Since, Topics, Unread};
use glance::Glance;
use sources::Sources;
use topic::{AuditedTopic, Tally};

/// Its name in the broker's log.
const CLIENT: &str = "tributary-audit";

/// What to audit.
#[derive(Debug, Clone)]
pub struct Options {
    /// Topics; none are all that a route names.
    pub topics: Vec<String>,
    /// From where on.
    pub since: Since,
    /// Judge to the end of the topics instead of the committed offsets: for when the consumer has nothing to do.
    pub to_end: bool,
    /// Faults that are named at most; the others are counted. With ten times as many the audit ends.
    pub faults_max: usize,
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Messages that were looked at.
    pub looked_at: u64,
    /// Of so many offsets.
    pub of: u64,
    /// Rows that are judged by all of their messages now; 0 in the first pass.
    pub on_trial: usize,
}

/// Audits, and tells the progress now and then.
///
/// # Errors
/// [`Unready::Refused`]: wrong settings, routes or topics. A server that is away is part of the report.
pub async fn audit(
    settings: &Settings,
    options: &Options,
    progress: impl Fn(Progress),
) -> Result<Report, Unready> {
    let began = Instant::now();
    let mut report = Report { group: settings.consumer.group.clone(), ..Report::default() };
    match run(settings, options, &progress, &mut report).await {
        Ok(()) => {}
        Err(Unready::Away(reason)) => report.incomplete = Some(reason),
        Err(refused) => return Err(refused),
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

async fn run(
    settings: &Settings,
    options: &Options,
    progress: &impl Fn(Progress),
    report: &mut Report,
) -> Result<(), Unready> {
    let sources = Sources::open(settings).await?;
    let topics = AuditedTopic::open(settings, options, &sources).await?;
    let mut audit = Audit {
        settings,
        sources: &sources,
        glance: Glance::default(),
        looked_at: 0,
        of: topics.iter().map(AuditedTopic::offsets).sum(),
        topics,
        faults: Vec::new(),
        faults_max: options.faults_max,
        faults_not_named: 0,
        progress,
    };
    let judged = audit.judge().await;
    audit.tell(report);
    judged.map_err(Unready::Away)?;
    all_committed(report)
}

// A topic with messages of which nothing is committed is not judged, so that nobody may take the report for a clean one: the
// consumer may never have run with its route. It may just have begun, too, so this is no fault.
fn all_committed(report: &Report) -> Result<(), Unready> {
    let Report { group, without_commits, .. } = report;
    if without_commits.is_empty() {
        return Ok(());
    }
    Err(Unready::Away(format!(
        "group {group} has committed nothing of {}, so nothing of that is judged: is it the consumer's group (consumer.group), \
         and does the consumer run with the routes of these topics? --until end judges what is not committed, too",
        without_commits.join(", ")
    )))
}

struct Audit<'a, F> {
    settings: &'a Settings,
    sources: &'a Sources,
    topics: Vec<AuditedTopic>,
    glance: Glance,
    looked_at: u64,
    of: u64,
    faults: Vec<Fault>,
    faults_max: usize,
    faults_not_named: u64,
    progress: &'a F,
}

impl<F: Fn(Progress)> Audit<'_, F> {
    async fn judge(&mut self) -> Result<(), String> {
        let topics = connect(self.settings).await.map_err(|error| error.to_string())?;
        for topic in 0..self.topics.len() {
            self.first(&topics, topic).await?;
        }
        self.second().await
    }

    fn progress(&self, on_trial: usize) {
        (self.progress)(Progress { looked_at: self.looked_at, of: self.of, on_trial });
    }

    fn tell(&mut self, report: &mut Report) {
        for (place, source) in self.sources.routes.iter().enumerate() {
            let of_route =
                self.topics.iter().filter(|topic| topic.is_judged() && topic.routes.contains(&place));
            let topics: Vec<TopicReport> = of_route.map(|topic| topic.report(place)).collect();
            let table = self.sources.tables[source.table].name.clone();
            if !topics.is_empty() {
                report.routes.push(RouteReport { file: source.file.clone(), table, topics });
            }
        }
        for topic in self.topics.iter().filter(|topic| topic.is_judged()) {
            report.notes.extend(topic.notes(&self.settings.consumer.group));
            if topic.is_uncommitted() {
                report.without_commits.push(topic.name.clone());
            }
            report.lost.extend(topic.lost());
        }
        self.faults.sort_by(|left, right| {
            let place = |fault: &Fault| (fault.partition, fault.offset);
            left.topic.cmp(&right.topic).then_with(|| place(left).cmp(&place(right)))
        });
        report.faults = std::mem::take(&mut self.faults);
        report.faults_not_named = self.faults_not_named;
    }
}

async fn connect(settings: &Settings) -> Result<Arc<Topics>, Unread> {
    let kafka = settings.kafka.clone();
    let connected = tokio::task::spawn_blocking(move || Topics::connect(&kafka, CLIENT)).await;
    connected.map_err(|error| Unread::because(&error))?.map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_without_commits_leaves_an_audit_incomplete() {
        let mut report = Report { group: "g".to_owned(), ..Report::default() };
        assert!(all_committed(&report).is_ok());
        report.without_commits = vec!["orders".to_owned(), "users".to_owned()];
        let why = all_committed(&report).unwrap_err();
        assert!(matches!(&why, Unready::Away(_)), "it may pass by itself: {why}");
        assert!(why.to_string().contains("group g has committed nothing of orders, users,"), "{why}");
    }
}
