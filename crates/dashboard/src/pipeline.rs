//! What was last seen of services, broker and store -> the snapshot. Takes values and returns values.

mod seen;
mod topics;

use chrono::{DateTime, SubsecRound, Utc};
use datasets::{Dataset, REGISTRY, Upstream};
use service::health::State;
use tokio::time::Instant;

use crate::settings::Address;
use crate::snapshot::{Role, Service, Snapshot, Stream};
use crate::watch::Link;
use crate::watch::broker::Ends;
use crate::watch::services::Look;
use seen::Seen;
use topics::{Counts, Topics};

/// Topics of a user's own that are shown.
pub(crate) const OWN_MAX: usize = 100;

/// All that was seen last, and what has to be remembered from one snapshot to the next.
pub(crate) struct Pipeline {
    services: Vec<Seen>,
    /// Kafka.
    pub(crate) broker: Link,
    /// Cassandra, or the folder of the CSV files.
    pub(crate) store: Link,
    store_name: &'static str,
    control: bool,
    started_at: DateTime<Utc>,
    topics: Topics,
}

impl Pipeline {
    /// Nothing was seen yet.
    pub(crate) fn new(
        services: &[Address],
        store_name: &'static str,
        control: bool,
        at: Instant,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            services: services.iter().map(|address| Seen::new(&address.name, at)).collect(),
            broker: Link::new(at),
            store: Link::new(at),
            store_name,
            control,
            started_at: now.trunc_subsecs(3),
            topics: Topics::default(),
        }
    }

    /// Takes in a look at a service.
    pub(crate) fn looked(&mut self, name: &str, look: Look, at: Instant, now: DateTime<Utc>) {
        // A second consumer, into CSV files for instance, is among the services and in no stream.
        let is_consumer = self
            .services
            .iter()
            .find(|seen| seen.role == Role::Consumer)
            .is_some_and(|seen| seen.name == name);
        if is_consumer && look.trouble.is_none() {
            self.topics.consumed(&look, at);
        }
        if let Some(seen) = self.services.iter_mut().find(|seen| seen.name == name) {
            seen.looked(look, at, now);
        }
    }

    /// Takes in how many messages the topics ever had.
    pub(crate) fn published(&mut self, ends: &Ends, at: Instant) {
        self.topics.published(ends, at);
    }

    /// How all of it is now.
    pub(crate) fn snapshot(&mut self, at: Instant, now: DateTime<Utc>) -> Snapshot {
        let now = now.trunc_subsecs(3);
        let mut services: Vec<Service> =
            self.services.iter_mut().filter_map(|seen| seen.service(at, now)).collect();
        let linked = |name: &str, role, link: &mut Link| {
            let (state, reason, since) = link.state(at, now)?;
            Some(service(name, role, state, reason, since))
        };
        services.extend(linked("kafka", Role::Broker, &mut self.broker));
        services.extend(linked(self.store_name, Role::Store, &mut self.store));
        services.push(service("dashboard", Role::Dashboard, State::Green, String::new(), self.started_at));
        services.sort_by_key(|service| place(service.role));
        let datasets = REGISTRY.iter().map(|dataset| (dataset.topic, Some(*dataset)));
        let own = self.topics.routed().filter(|topic| REGISTRY.iter().all(|dataset| dataset.topic != *topic));
        let topics = datasets.chain(own.take(OWN_MAX).map(|topic| (topic, None)));
        Snapshot {
            at: now,
            started_at: self.started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            control: self.control,
            streams: topics.map(|(topic, dataset)| self.stream(topic, dataset, &services, at, now)).collect(),
            services,
        }
    }

    fn stream(
        &self,
        topic: &str,
        dataset: Option<&Dataset>,
        services: &[Service],
        at: Instant,
        now: DateTime<Utc>,
    ) -> Stream {
        let producer =
            dataset.and_then(|dataset| services.iter().find(|service| service.name == dataset.name));
        let seen = dataset.and_then(|dataset| self.services.iter().find(|seen| seen.name == dataset.name));
        let (state, reason) = worst(producer, services);
        let Counts {
            published,
            stored,
            expired,
            dead_lettered,
            lag_written,
            lag_durable,
            newest_s,
            latency_ms,
        } = self.topics.counts(topic, at);
        let (published_per_s, stored_per_s) = self.topics.rates(topic, at);
        Stream {
            name: dataset.map_or(topic, |dataset| dataset.name).to_owned(),
            about: dataset.map_or_else(String::new, |dataset| dataset.about.to_owned()),
            upstream: dataset.map(upstream),
            producer: producer.map(|producer| producer.name.clone()),
            topic: topic.to_owned(),
            tables: self.topics.tables(topic),
            origin: dataset.and_then(|dataset| seen?.origin(dataset)),
            published_per_s,
            stored_per_s,
            published,
            stored,
            expired,
            dead_lettered,
            lag_written,
            lag_durable,
            newest_row_age_s: newest_s.map(|newest_s| age_s(now, newest_s)),
            latency_p50_ms: latency_ms.0,
            latency_p99_ms: latency_ms.1,
            state,
            reason,
        }
    }
}

fn service(name: &str, role: Role, state: State, reason: String, since: DateTime<Utc>) -> Service {
    Service {
        name: name.to_owned(),
        role,
        instances: usize::from(state == State::Green),
        state,
        reason,
        since: since.trunc_subsecs(3),
        parts: Vec::new(),
        can_pause: false,
        paused: false,
    }
}

// The order in which the data flows.
fn place(role: Role) -> u8 {
    match role {
        Role::Upstreams => 0,
        Role::Producer => 1,
        Role::Broker => 2,
        Role::Consumer => 3,
        Role::Store => 4,
        Role::Dashboard => 5,
    }
}

// What a stream passes: its producer, the broker, the first consumer, the store.
fn worst(producer: Option<&Service>, services: &[Service]) -> (State, String) {
    let first = |role| services.iter().find(|service| service.role == role);
    let passed = [producer, first(Role::Broker), first(Role::Consumer), first(Role::Store)];
    let worst = passed.into_iter().flatten().rev().max_by_key(|service| service.state);
    match worst {
        Some(service) if service.state != State::Green => {
            (service.state, format!("{}: {}", service.name, service.reason))
        }
        _ => (State::Green, String::new()),
    }
}

fn upstream(dataset: &Dataset) -> String {
    let base_url = match dataset.upstream {
        Upstream::Polled { base_url, .. } | Upstream::Streamed { base_url, .. } => base_url,
        Upstream::Generated { .. } => return "generator".to_owned(),
    };
    let host = base_url.split("://").nth(1).unwrap_or(base_url);
    host.split('/').next().unwrap_or(host).to_owned()
}

fn age_s(now: DateTime<Utc>, timestamp_s: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact")]
    let now_s = now.timestamp_millis() as f64 / 1_000.0;
    ((now_s - timestamp_s) * 10.0).round().max(0.0) / 10.0
}

#[cfg(test)]
mod tests;
