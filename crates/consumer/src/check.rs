//! Routes, schema, topics and a sample of their messages -> a [`Report`] of everything that is wrong, without consuming.
//!
//! Nothing is written: no row, no dead letter, no offset. Each step goes on with what the one before it has left:
//! routes that can be read are planned where Cassandra answers, plans are tried on samples where Kafka answers.

mod advice;
mod report;
mod sample;
mod thresholds;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

pub use report::{Finding, Reason, Report, RouteReport, Sample, Server, Spread, Thresholds, TopicReport};

use crate::dead_letter::SUFFIX;
use crate::plan::{Plan, nearest};
use crate::route::{self, Route};
use crate::routes::{Misfit, plans};
use crate::settings::Settings;
use crate::store::{ConnectError, PROBE_TABLE, Store, commit_log};
use crate::topic::Topics;
use topics::{Config, Newest};

const CLIENT_ID: &str = "tributary-check";

/// Settings with which no check is possible.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Checks the routes of `settings.consumer.routes` against the live servers, and decodes up to `sample` of the newest
/// messages of each topic. What the server's commit log asks of the settings is checked with them.
///
/// # Errors
/// [`Refused`]: Cassandra refuses the user, the addresses are none, or settings do not go together.
pub async fn check(settings: &Settings, sample: usize) -> Result<Report, Refused> {
    settings.kafka.check().map_err(|error| Refused(error.to_string()))?;
    let kafka = settings.kafka.clone();
    let asked = tokio::task::spawn_blocking(move || Topics::connect(&kafka, CLIENT_ID));
    let (store, asked) = tokio::join!(Store::connect(&settings.cassandra), asked);
    let store = match store {
        Ok(store) => Ok(store),
        Err(ConnectError::Refused(reason)) => return Err(Refused(reason)),
        Err(ConnectError::Unreachable(reason)) => Err(reason),
    };
    let asked = asked.map_err(|error| error.to_string());
    let topics = asked.and_then(|asked| asked.map_err(|error| error.to_string())).map(Arc::new);
    let said = match &store {
        Ok(store) => store.server_settings().await,
        Err(_) => BTreeMap::new(),
    };
    let mut report = compare(settings, store.as_ref(), &said, topics.as_ref(), sample).await;
    if store.is_ok() {
        let warnings = commit_log::warnings(&settings.consumer, &said);
        report.warnings.extend(warnings.into_iter().map(Finding::general));
        report.warnings.sort();
    }
    Ok(report)
}

/// As [`check`], on servers that were asked already, or why they do not answer; `said` is what Cassandra says of its settings.
pub async fn compare(
    settings: &Settings,
    store: Result<&Store, &String>,
    said: &BTreeMap<String, String>,
    topics: Result<&Arc<Topics>, &String>,
    sample: usize,
) -> Report {
    let (routes, problems) = route::load_all(&settings.consumer.routes);
    let mut checking = Checking {
        settings,
        routes: &routes,
        report: Report {
            errors: problems.into_iter().map(Finding::from).collect(),
            warnings: Vec::new(),
            cassandra: server(&settings.cassandra.contact_points, store.err()),
            thresholds: Thresholds::shipped(),
            kafka: server(&settings.kafka.brokers, topics.err()),
            not_sampled: Vec::new(),
            routes: Vec::new(),
        },
    };
    let mut planned = Vec::new();
    if let Ok(store) = store {
        checking.report.thresholds = Thresholds::of(said);
        planned = checking.schema(store).await;
    }
    match topics {
        Ok(topics) => checking.topics(topics, &planned, sample).await,
        Err(_) => checking.report.routes = routes.iter().map(|route| report_of(route, Vec::new())).collect(),
    }
    checking.done()
}

fn server(address: &str, error: Option<&String>) -> Server {
    Server { address: address.to_owned(), error: error.cloned() }
}

fn report_of(route: &Route, topics: Vec<TopicReport>) -> RouteReport {
    RouteReport { file: route.file.path.clone(), table: route.table.get_ref().clone(), topics }
}

struct Checking<'a> {
    settings: &'a Settings,
    routes: &'a [Route],
    report: Report,
}

impl Checking<'_> {
    // The plan of each route that fits, by the route's place.
    async fn schema(&mut self, store: &Store) -> Vec<Option<Plan>> {
        if store.table(PROBE_TABLE).is_none() {
            self.report.errors.push(Finding::general(format!(
                "table {PROBE_TABLE} does not exist; apply cassandra/tables/durability_probe.cql"
            )));
        }
        let mut planned = Vec::new();
        for route in self.routes {
            planned.push(match self.fit(store, route).await {
                Ok(plan) => Some(plan),
                Err(findings) => {
                    self.report.errors.extend(findings);
                    None
                }
            });
        }
        planned
    }

    async fn fit(&self, store: &Store, route: &Route) -> Result<Plan, Vec<Finding>> {
        let at_table = |message: String| vec![route.file.problem(&route.table.span(), message).into()];
        match plans(store, std::slice::from_ref(route)).map(|mut plans| plans.pop()) {
            Err(Misfit::MissingTables(problems) | Misfit::Problems(problems)) => {
                Err(problems.into_iter().map(Finding::from).collect())
            }
            Err(misfit) => Err(at_table(misfit.describe())),
            // One route, one plan.
            Ok(None) => Err(Vec::new()),
            Ok(Some(plan)) => match store.prepare(&plan).await {
                Ok(_) => Ok(plan),
                Err(error) => {
                    Err(at_table(format!("the server does not prepare this route's insert: {error}")))
                }
            },
        }
    }

    async fn topics(&mut self, topics: &Arc<Topics>, planned: &[Option<Plan>], sample: usize) {
        let mut configured = BTreeMap::new();
        let used: BTreeSet<String> = self.routes.iter().flat_map(|route| route.topics.clone()).collect();
        let with_letters = used.iter().flat_map(|topic| [topic.clone(), format!("{topic}{SUFFIX}")]);
        let existing = with_letters.filter(|topic| topics.partitions(topic).is_some());
        match topics::configs(&self.settings.kafka, existing).await {
            Ok(configs) => configured = configs,
            Err(why) => {
                self.warn(format!("the topics' settings cannot be read, so they are not checked: {why}"));
            }
        }
        let mut newest = BTreeMap::new();
        for topic in used.iter().filter(|topic| sample > 0 && topics.partitions(topic).is_some()) {
            let (asked, name) = (Arc::clone(topics), topic.clone());
            let read = tokio::task::spawn_blocking(move || topics::newest(&asked, &name, sample)).await;
            match read
                .map_err(|error| error.to_string())
                .and_then(|read| read.map_err(|error| error.to_string()))
            {
                Ok(read) => {
                    if let Some(cut) = &read.cut {
                        self.warn(format!("topic {topic}: {cut}"));
                        if read.chunk.is_empty() {
                            self.report.not_sampled.push(topic.clone());
                        }
                    }
                    newest.insert(topic.clone(), read);
                }
                Err(why) => {
                    self.warn(format!("topic {topic} cannot be sampled: {why}"));
                    self.report.not_sampled.push(topic.clone());
                }
            }
        }
        for (place, route) in self.routes.iter().enumerate() {
            let plan = planned.get(place).and_then(Option::as_ref);
            let mut reports = Vec::new();
            for topic in &route.topics {
                self.topic(route, topics, topic, &configured);
                reports.push(self.sampled(route, plan, topics, topic.clone(), &newest));
            }
            self.report.routes.push(report_of(route, reports));
        }
    }

    // Whether the topic is as a route needs it, and its topic of dead letters too.
    fn topic(&mut self, route: &Route, topics: &Topics, topic: &str, configured: &BTreeMap<String, Config>) {
        let brokers = &self.settings.kafka.brokers;
        let letters = format!("{topic}{SUFFIX}");
        let mut errors = Vec::new();
        if topics.partitions(topic).is_none() {
            let sources = topics.names().filter(|name| !name.ends_with(SUFFIX));
            let near = short(nearest(topic, sources));
            errors.push(format!(
                "topic {topic} does not exist on {brokers}{near}; create it (kafka/create-topics.sh does)"
            ));
        }
        if topics.partitions(&letters).is_none() {
            errors.push(format!(
                "topic {letters} does not exist on {brokers}: without it the first dead letter stops the commits; \
                 create it, compacted, with a larger max.message.bytes than {topic}"
            ));
        }
        let errors = errors.into_iter().map(|message| at_topic(route, message));
        self.report.errors.extend(errors);
        let advice = advice::of_topic(topic, configured.get(topic), configured.get(&letters));
        self.report.warnings.extend(advice.into_iter().map(|message| at_topic(route, message)));
    }

    fn sampled(
        &mut self,
        route: &Route,
        plan: Option<&Plan>,
        topics: &Topics,
        topic: String,
        newest: &BTreeMap<String, Newest>,
    ) -> TopicReport {
        let newest = newest.get(&topic);
        let mut report = TopicReport {
            partitions: topics.partitions(&topic).unwrap_or(0),
            offsets: newest.map_or(0, |newest| newest.offsets),
            topic,
            sample: None,
        };
        let (Some(plan), Some(newest)) = (plan, newest) else { return report };
        if newest.chunk.is_empty() {
            return report;
        }
        let now_ms = chrono::Utc::now().timestamp_millis();
        let sample = sample::sample(plan, &report.topic, &newest.chunk, &self.settings.consumer, now_ms);
        for (severe, message) in advice::of_sample(&report.topic, plan, &sample, &self.report.thresholds) {
            let finding = at_topic(route, message);
            if severe { self.report.errors.push(finding) } else { self.report.warnings.push(finding) }
        }
        report.sample = Some(sample);
        report
    }

    fn warn(&mut self, message: String) {
        self.report.warnings.push(Finding::general(message));
    }

    // Two routes of one topic find the same.
    fn done(mut self) -> Report {
        for findings in [&mut self.report.errors, &mut self.report.warnings] {
            findings.sort();
            findings.dedup();
        }
        self.report
    }
}

// A list of every topic there is helps nobody.
fn short(near: String) -> String {
    if near.len() <= 300 { near } else { String::new() }
}

// A problem with the topic of a route, at the place where the route names it.
fn at_topic(route: &Route, message: String) -> Finding {
    route.file.problem(&topic_place(&route.file.path).unwrap_or(0..0), message).into()
}

fn topic_place(file: &Path) -> Option<Range<usize>> {
    #[derive(Deserialize)]
    struct Head {
        topic: Spanned<toml::Value>,
    }
    let text = std::fs::read_to_string(file).ok()?;
    toml::from_str::<Head>(&text).ok().map(|head| head.topic.span())
}

#[cfg(test)]
mod tests;
