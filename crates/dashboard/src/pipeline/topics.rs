//! What Kafka and the consumer say of each topic -> counts and rates, also while one of the two is away.
//!
//! The consumer does not tell of a topic at all while it waits for the store, nor its lag while it has no partition of it or the
//! broker has not told it the ends. What was known then stays, and the lag grows by what is published.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::rates::Rate;
use crate::watch::SILENCE_MAX;
use crate::watch::broker::Ends;
use crate::watch::services::Look;

/// All topics.
const LAG: &str = "tributary_lag_records";

#[derive(Debug, Default)]
pub(super) struct Topics {
    of: BTreeMap<Arc<str>, Topic>,
    /// What each instance of the consumer told last, and when: one that misses a look is not gone yet.
    instances: BTreeMap<SocketAddr, (Instant, Arc<Metrics>)>,
}

#[derive(Debug, Default)]
struct Topic {
    published: Option<u64>,
    published_rate: Rate,
    /// Tables that the consumer's routes lead to; empty where none does.
    tables: BTreeSet<String>,
    stored_rates: BTreeMap<SocketAddr, Rate>,
    /// As the consumer told it last.
    told: Counts,
    /// When it told its lag last, how many messages the topic had by then, and how many of them had their outcome.
    lag_told: Option<(Instant, Option<u64>, u64)>,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) published: Option<u64>,
    pub(super) stored: Option<u64>,
    pub(super) expired: Option<u64>,
    pub(super) dead_lettered: Option<u64>,
    pub(super) lag_written: Option<u64>,
    pub(super) lag_durable: Option<u64>,
    /// The newest row's message, in seconds since 1970.
    pub(super) newest_s: Option<f64>,
    /// The median, and what 99 of 100 do not exceed.
    pub(super) latency_ms: (Option<f64>, Option<f64>),
}

impl Counts {
    fn outcomes(&self) -> u64 {
        [self.stored, self.expired, self.dead_lettered].into_iter().flatten().sum()
    }
}

impl Topics {
    /// Kafka has told the ends. A topic that it did not tell this time keeps what is known.
    pub(super) fn published(&mut self, ends: &Ends, at: Instant) {
        for (name, end) in ends {
            let topic = self.of.entry(Arc::clone(name)).or_default();
            topic.published = Some(*end);
            topic.published_rate.look(at, *end);
        }
    }

    /// The consumer's instances have told their counts.
    pub(super) fn consumed(&mut self, look: &Look, at: Instant) {
        let routes = |metrics: &Metrics| metrics.label_values("tributary_route_info", "topic", &[]).len();
        if look.answered().all(|(_, instance)| routes(&instance.metrics) == 0) {
            return;
        }
        let heard =
            look.answered().map(|(address, instance)| (*address, (at, Arc::clone(&instance.metrics))));
        self.instances.extend(heard);
        self.instances.retain(|_, (heard_at, _)| at.saturating_duration_since(*heard_at) <= SILENCE_MAX);
        let all = || self.instances.values().map(|(_, metrics)| &**metrics);
        let mut tables: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for metrics in all() {
            for topic in metrics.label_values("tributary_route_info", "topic", &[]) {
                let leads_to = metrics.label_values("tributary_route_info", "table", &[("topic", topic)]);
                tables.entry(topic).or_default().extend(leads_to.into_iter().map(str::to_owned));
            }
        }
        for (name, topic) in &mut self.of {
            topic.tables = tables.remove(&**name).unwrap_or_default();
        }
        for (name, tables) in tables {
            self.of.insert(name.into(), Topic { tables, ..Topic::default() });
        }
        for (name, topic) in self.of.iter_mut().filter(|(_, topic)| !topic.tables.is_empty()) {
            let before = topic.told;
            topic.told = told(name, &all());
            if topic.told.lag_written.is_some() {
                topic.lag_told = Some((at, topic.published, topic.told.outcomes()));
            } else {
                topic.told.lag_written = before.lag_written;
                topic.told.lag_durable = before.lag_durable;
            }
            topic.stored_rates.retain(|instance, _| self.instances.contains_key(instance));
            for (address, instance) in look.answered() {
                if let Some(stored) = outcome(name, "stored", &instance.metrics) {
                    topic.stored_rates.entry(*address).or_default().look(at, stored);
                }
            }
        }
    }

    /// The topics that a route leads from.
    pub(super) fn routed(&self) -> impl Iterator<Item = &str> {
        self.of.iter().filter(|(_, topic)| !topic.tables.is_empty()).map(|(name, _)| &**name)
    }

    pub(super) fn tables(&self, topic: &str) -> Vec<String> {
        self.of.get(topic).map(|topic| topic.tables.iter().cloned().collect()).unwrap_or_default()
    }

    /// What is known now. While the consumer does not tell its lag, it grows by what is published, less what has its outcome.
    pub(super) fn counts(&self, topic: &str, now: Instant) -> Counts {
        let Some(topic) = self.of.get(topic) else { return Counts::default() };
        let is_old = |at: Instant| now.saturating_duration_since(at) > SILENCE_MAX;
        let (published, done) = match topic.lag_told {
            Some((at, Some(published), outcomes)) if is_old(at) => {
                let now = topic.told.outcomes();
                // After its restart it counts from 0.
                let done = now.checked_sub(outcomes).unwrap_or(now);
                (topic.published.unwrap_or(published).saturating_sub(published), done)
            }
            _ => (0, 0),
        };
        let lag = |told: Option<u64>| told.map(|lag| (lag + published).saturating_sub(done));
        Counts {
            published: topic.published,
            lag_written: lag(topic.told.lag_written),
            lag_durable: lag(topic.told.lag_durable),
            ..topic.told
        }
    }

    /// Messages published and rows stored a second.
    pub(super) fn rates(&self, topic: &str, now: Instant) -> (Option<f64>, Option<f64>) {
        let Some(topic) = self.of.get(topic) else { return (None, None) };
        let stored = topic.stored_rates.values().filter_map(|rate| rate.per_s(now));
        let rounded = |rate: f64| (rate * 10.0).round() / 10.0;
        (topic.published_rate.per_s(now).map(rounded), stored.reduce(|one, other| one + other).map(rounded))
    }
}

fn told<'a>(topic: &str, all: &(impl Iterator<Item = &'a Metrics> + Clone)) -> Counts {
    let sum = |value: &dyn Fn(&Metrics) -> Option<u64>| {
        all.clone().filter_map(value).reduce(|one, other| one + other)
    };
    // Of several instances the greatest: that of all together is no greater.
    let max = |name: &str, labels: &[(&str, &str)]| {
        all.clone().filter_map(|metrics| metrics.sum(name, labels)).reduce(f64::max)
    };
    let lag = |kind| {
        let labels = [("topic", topic), ("kind", kind)];
        // An instance that knows no lag at all has no partition; the others have them.
        let mut telling = all.clone().filter(|metrics| metrics.sum(LAG, &[]).is_some());
        let is_known = !telling.any(|metrics| metrics.is_unknown(LAG, &labels));
        sum(&|metrics| metrics.sum(LAG, &labels).map(count)).filter(|_| is_known)
    };
    let latency_ms = |quantile| {
        // A summary without samples says 0, which none of them is.
        let labels = [("topic", topic), ("quantile", quantile)];
        let seconds = max("tributary_end_to_end_seconds", &labels).filter(|seconds| *seconds > 0.0);
        seconds.map(|seconds| (seconds * 10_000.0).round() / 10.0)
    };
    let stored = sum(&|metrics| outcome(topic, "stored", metrics));
    Counts {
        published: None,
        stored,
        expired: sum(&|metrics| outcome(topic, "expired", metrics)),
        // Counted from the first one on.
        dead_lettered: sum(&|metrics| outcome(topic, "dead_lettered", metrics)).or(stored.map(|_| 0)),
        lag_written: lag("written"),
        lag_durable: lag("durable"),
        newest_s: max("tributary_newest_row_timestamp_seconds", &[("topic", topic)]),
        latency_ms: (latency_ms("0.5"), latency_ms("0.99")),
    }
}

fn outcome(topic: &str, outcome: &str, metrics: &Metrics) -> Option<u64> {
    metrics.sum("tributary_messages_total", &[("topic", topic), ("outcome", outcome)]).map(count)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, told as a float")]
fn count(value: f64) -> u64 {
    value.max(0.0) as u64
}
