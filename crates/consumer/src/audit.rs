//! Topics and tables -> every message that should be seen in its table and is not.
//!
//! Each message is decoded as the consumer would decode it now, and its row is read by its key: twice over the topic at
//! most, whatever the table holds besides. The first pass settles most messages at a glance ([`glance`]); what it leaves
//! open is read once more and judged by all messages of the row ([`trial`]). Nothing is written, no group is joined.

pub(crate) mod effect;
mod first;
mod glance;
pub(crate) mod letters;
mod report;
mod second;
pub(crate) mod sources;
mod trial;
mod walk;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

pub use report::{Counts, Fault, Kind, Report, RouteReport, TopicReport};
pub use sources::Unready;

use crate::settings::Settings;
use crate::topic::{Ranges, Topics, Unread};
use glance::Glance;
use letters::Letters;
use sources::Sources;

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
    /// Faults that are named at most; the others are counted.
    pub faults_max: usize,
}

/// Where an audit begins in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// At the first message that is there.
    Beginning,
    /// At the first message of this time or later, in milliseconds since 1970.
    Time(i64),
    /// At this offset.
    Offset(i64),
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
    let is_known = |topic: &AuditedTopic| topic.is_committed || topic.is_bare();
    if !audit.topics.iter().filter(|topic| topic.is_judged()).any(is_known) {
        audit.tell(report);
        return Err(Unready::Away(format!(
            "group {} has committed nothing of these topics, so there is nothing to judge: is it the consumer's group \
             (consumer.group)? --until end judges what is not committed, too",
            settings.consumer.group
        )));
    }
    let judged = audit.judge().await;
    audit.tell(report);
    judged.map_err(Unready::Away)
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

// A topic that is judged; or one that fills the same tables, whose messages are heard.
struct AuditedTopic {
    name: String,
    routes: Vec<usize>,
    /// What each partition held at the beginning.
    whole: Ranges,
    /// What is judged of it.
    judged: Ranges,
    /// What the first pass has looked at since the last trial.
    segment: Ranges,
    letters: Letters,
    /// Whether its end is known: the group has committed something of it, or that is not asked for.
    is_committed: bool,
    messages: u64,
    tallies: BTreeMap<usize, Tally>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    counts: Counts,
    /// Messages of open rows, until the trial.
    open: u64,
    /// Messages that the trial found missing, stale or different.
    faulty: u64,
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
        }
        self.faults.sort_by(|left, right| {
            let place = |fault: &Fault| (fault.partition, fault.offset);
            left.topic.cmp(&right.topic).then_with(|| place(left).cmp(&place(right)))
        });
        report.faults = std::mem::take(&mut self.faults);
        report.faults_not_named = self.faults_not_named;
    }
}

impl AuditedTopic {
    // The topics that were asked for, and those that fill the same tables.
    async fn open(settings: &Settings, options: &Options, sources: &Sources) -> Result<Vec<Self>, Unready> {
        let by_topic = sources::by_topic(&sources.routes);
        for asked in &options.topics {
            if !by_topic.contains_key(asked) {
                let near = crate::plan::nearest(asked, by_topic.keys().map(String::as_str));
                return Err(Unready::Refused(format!("no route has the topic {asked}{near}")));
            }
        }
        let asked =
            |topic: &str| options.topics.is_empty() || options.topics.iter().any(|asked| asked == topic);
        let asked_tables: Vec<usize> = by_topic
            .iter()
            .filter(|(topic, _)| asked(topic))
            .flat_map(|(_, routes)| routes.iter().map(|route| sources.routes[*route].table))
            .collect();
        let fills = |routes: &[usize]| {
            routes.iter().any(|route| asked_tables.contains(&sources.routes[*route].table))
        };
        let wanted: Vec<(String, Vec<usize>, bool)> = by_topic
            .into_iter()
            .filter(|(_, routes)| fills(routes))
            .map(|(topic, routes)| (topic.clone(), routes, asked(&topic)))
            .collect();
        let tables: Vec<String> = sources.tables.iter().map(|table| table.name.clone()).collect();
        let (settings, options) = (settings.clone(), options.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let topics = Topics::connect(&settings.kafka, CLIENT)?;
            let open = |(name, routes, judged)| {
                Self::ask(&settings, &options, &topics, &tables, name, routes, judged)
            };
            wanted.into_iter().map(open).collect()
        });
        opened.await.map_err(|error| Unready::Away(error.to_string()))?
    }

    fn ask(
        settings: &Settings,
        options: &Options,
        topics: &Topics,
        tables: &[String],
        name: String,
        routes: Vec<usize>,
        is_judged: bool,
    ) -> Result<Self, Unready> {
        if topics.partitions(&name).is_none() {
            return Err(Unready::Refused(format!(
                "topic {name} does not exist on {}",
                settings.kafka.brokers
            )));
        }
        let whole = topics.ranges(&name)?;
        let mut judged = Ranges::new();
        let mut is_committed = options.to_end;
        if is_judged {
            let begins = match options.since {
                Since::Beginning => BTreeMap::new(),
                Since::Offset(offset) => whole.keys().map(|number| (*number, offset)).collect(),
                Since::Time(time_ms) => topics.offsets_at(&name, time_ms)?,
            };
            let ends: BTreeMap<i32, i64> = if options.to_end {
                whole.iter().map(|(number, range)| (*number, range.end)).collect()
            } else {
                let commits = topics.committed(&settings.kafka, &settings.consumer.group, &name)?;
                commits.into_iter().map(|(number, commit)| (number, commit.offset)).collect()
            };
            is_committed |= !ends.is_empty();
            for (number, range) in &whole {
                // What is not committed may be on its way: nothing is judged of a partition without a commit.
                let end = ends.get(number).copied().unwrap_or(range.start).clamp(range.start, range.end);
                let begin = begins.get(number).copied().unwrap_or(range.start).clamp(range.start, end);
                judged.insert(*number, begin..end);
            }
        }
        // After the offsets: the letters of what is committed are there by now.
        let letters = Letters::read(topics, &settings.consumer.group, &name, tables)?;
        let tallies = routes.iter().map(|route| (*route, Tally::default())).collect();
        let segment = judged.iter().map(|(number, range)| (*number, range.start..range.start)).collect();
        Ok(Self { name, routes, whole, judged, segment, letters, is_committed, messages: 0, tallies })
    }

    fn is_judged(&self) -> bool {
        !self.judged.is_empty()
    }

    fn is_bare(&self) -> bool {
        self.whole.values().all(Range::is_empty)
    }

    // Offsets to be judged.
    fn offsets(&self) -> u64 {
        self.judged.values().map(length).sum()
    }

    fn tally(&mut self, route: usize) -> &mut Tally {
        self.tallies.entry(route).or_default()
    }

    fn report(&self, route: usize) -> TopicReport {
        let offsets = self.offsets();
        let left = |(number, judged): (&i32, &Range<i64>)| {
            self.whole.get(number).map_or(0, |whole| length(&(judged.end..whole.end)))
        };
        TopicReport {
            topic: self.name.clone(),
            partitions: self.whole.len(),
            offsets,
            not_committed: self.judged.iter().map(left).sum(),
            gone: offsets.saturating_sub(self.messages),
            counts: self.tallies.get(&route).map(|tally| tally.counts).unwrap_or_default(),
        }
    }

    fn notes(&self, group: &str) -> Vec<String> {
        let without: Vec<String> = self
            .judged
            .iter()
            .filter(|(number, judged)| {
                judged.is_empty() && self.whole.get(number).is_some_and(|whole| !whole.is_empty())
            })
            .map(|(number, _)| number.to_string())
            .collect();
        match without.len() {
            0 => Vec::new(),
            _ => vec![format!(
                "topic {}: nothing to judge in partition {}: group {group} has not committed there, or nothing since then",
                self.name,
                without.join(", ")
            )],
        }
    }
}

async fn connect(settings: &Settings) -> Result<Arc<Topics>, Unread> {
    let kafka = settings.kafka.clone();
    let connected = tokio::task::spawn_blocking(move || Topics::connect(&kafka, CLIENT)).await;
    connected.map_err(|error| Unread::because(&error))?.map(Arc::new)
}

fn length(range: &Range<i64>) -> u64 {
    u64::try_from(range.end - range.start).unwrap_or(0)
}
