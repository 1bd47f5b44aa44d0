//! What was last seen of services, broker and store -> the snapshot. Takes values and returns values.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, Utc};
use datasets::{Dataset, REGISTRY, Upstream};
use service::health::State;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::rates::Rate;
use crate::settings::Address;
use crate::snapshot::{Part, Role, Service, Snapshot, Stream};
use crate::watch::Link;
use crate::watch::broker::Ends;
use crate::watch::services::Look;

/// All that was seen last, and what has to be remembered from one snapshot to the next.
pub(crate) struct Pipeline {
    services: Vec<Seen>,
    /// Kafka.
    pub(crate) broker: Link,
    /// How many messages each topic ever had.
    pub(crate) ends: Ends,
    /// Cassandra, or the folder of the CSV files.
    pub(crate) store: Link,
    store_name: &'static str,
    control: bool,
    started_at: DateTime<Utc>,
    rates: BTreeMap<String, Rates>,
}

struct Seen {
    name: String,
    role: Role,
    look: Option<Look>,
    /// The last state that was told, and since when.
    told: Option<(State, DateTime<Utc>)>,
}

#[derive(Default)]
struct Rates {
    published: Rate,
    stored: Rate,
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
        let mut services: Vec<Seen> = services.iter().map(|address| Seen::new(&address.name)).collect();
        services.sort_by_key(|seen| place(seen.role));
        Self {
            services,
            broker: Link::new(at, now),
            ends: Ends::new(),
            store: Link::new(at, now),
            store_name,
            control,
            started_at: now.trunc_subsecs(3),
            rates: BTreeMap::new(),
        }
    }

    /// Takes in a look at a service.
    pub(crate) fn looked(&mut self, name: &str, look: Look) {
        if let Some(seen) = self.services.iter_mut().find(|seen| seen.name == name) {
            seen.look = Some(look);
        }
    }

    /// How all of it is now.
    pub(crate) fn snapshot(&mut self, at: Instant, now: DateTime<Utc>) -> Snapshot {
        let now = now.trunc_subsecs(3);
        let mut services: Vec<Service> =
            self.services.iter_mut().filter_map(|seen| seen.service(now)).collect();
        let link = |name: &str, role, (state, reason, since): (State, String, DateTime<Utc>)| Service {
            name: name.to_owned(),
            role,
            instances: usize::from(state == State::Green),
            state,
            reason,
            since: since.trunc_subsecs(3),
            parts: Vec::new(),
            can_pause: false,
            paused: false,
        };
        services.push(link("kafka", Role::Broker, self.broker.state(at, now)));
        services.push(link(self.store_name, Role::Store, self.store.state(at, now)));
        let dashboard = (State::Green, String::new(), self.started_at);
        services.push(Service { instances: 1, ..link("dashboard", Role::Dashboard, dashboard) });
        services.sort_by_key(|service| place(service.role));
        let streams = self.streams(&services, at, now);
        Snapshot {
            at: now,
            started_at: self.started_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            control: self.control,
            streams,
            services,
        }
    }

    fn streams(&mut self, services: &[Service], at: Instant, now: DateTime<Utc>) -> Vec<Stream> {
        let nothing = Metrics::default();
        let metrics = |wanted: &dyn Fn(&Seen) -> bool| {
            self.services
                .iter()
                .find(|seen| wanted(seen))
                .and_then(|seen| seen.look.as_ref())
                .map(|look| &look.metrics)
        };
        // A second consumer, into CSV files for instance, is among the services and in no stream.
        let consumer = metrics(&|seen| seen.role == Role::Consumer).unwrap_or(&nothing);
        let own = consumer.label_values("tributary_route_info", "topic", &[]);
        let own: BTreeSet<&str> =
            own.into_iter().filter(|topic| !REGISTRY.iter().any(|dataset| dataset.topic == *topic)).collect();
        let datasets = REGISTRY.iter().map(|dataset| (dataset.topic, Some(*dataset)));
        let all = datasets.chain(own.into_iter().map(|topic| (topic, None)));
        let streams = all.map(|(topic, dataset)| {
            let producer =
                dataset.and_then(|dataset| services.iter().find(|service| service.name == dataset.name));
            let published_by = metrics(&|seen| dataset.is_some_and(|dataset| dataset.name == seen.name));
            let (state, reason) = worst(producer, services);
            let published = self.ends.get(topic).copied();
            let outcome = |outcome| {
                let labels = [("topic", topic), ("outcome", outcome)];
                consumer.sum("tributary_messages_total", &labels).map(count)
            };
            let lag =
                |kind| consumer.sum("tributary_lag_records", &[("topic", topic), ("kind", kind)]).map(count);
            let latency_ms = |quantile| {
                let labels = [("topic", topic), ("quantile", quantile)];
                // A summary without samples says 0.
                let seconds =
                    consumer.max("tributary_end_to_end_seconds", &labels).filter(|seconds| *seconds > 0.0);
                seconds.map(|seconds| (seconds * 10_000.0).round() / 10.0)
            };
            let newest = consumer.max("tributary_newest_row_timestamp_seconds", &[("topic", topic)]);
            let tables = consumer.label_values("tributary_route_info", "table", &[("topic", topic)]);
            Stream {
                name: dataset.map_or(topic, |dataset| dataset.name).to_owned(),
                about: dataset.map_or_else(String::new, |dataset| dataset.about.to_owned()),
                upstream: dataset.map(upstream),
                producer: producer.map(|producer| producer.name.clone()),
                topic: topic.to_owned(),
                tables: tables.into_iter().map(str::to_owned).collect(),
                origin: published_by.and_then(|metrics| {
                    // In the demo one process tells the metrics of all services.
                    let of = [("dataset", dataset?.name)];
                    let origins = metrics.label_values("tributary_origin", "origin", &of);
                    origins.first().map(|origin| (*origin).to_owned())
                }),
                published_per_s: None,
                stored_per_s: None,
                published,
                stored: outcome("stored"),
                expired: outcome("expired"),
                dead_lettered: outcome("dead_lettered").or_else(|| outcome("stored").map(|_| 0)),
                lag_written: lag("written"),
                lag_durable: lag("durable"),
                newest_row_age_s: newest.map(|newest| age_s(now, newest)),
                latency_p50_ms: latency_ms("0.5"),
                latency_p99_ms: latency_ms("0.99"),
                state,
                reason,
            }
        });
        let mut streams: Vec<Stream> = streams.collect();
        for stream in &mut streams {
            let rates = self.rates.entry(stream.topic.clone()).or_default();
            stream.published_per_s = stream.published.and_then(|count| rates.published.at(at, count));
            stream.stored_per_s = stream.stored.and_then(|count| rates.stored.at(at, count));
        }
        streams
    }
}

impl Rate {
    fn at(&mut self, at: Instant, count: u64) -> Option<f64> {
        self.look(at, count);
        self.per_s().map(|rate| (rate * 10.0).round() / 10.0)
    }
}

impl Seen {
    fn new(name: &str) -> Self {
        let role = match name {
            "upstreams" => Role::Upstreams,
            _ if REGISTRY.iter().any(|dataset| dataset.name == name) => Role::Producer,
            _ => Role::Consumer,
        };
        Self { name: name.to_owned(), role, look: None, told: None }
    }

    // None before the first look.
    fn service(&mut self, now: DateTime<Utc>) -> Option<Service> {
        let look = self.look.as_ref()?;
        let mut parts: Vec<Part> =
            look.instances.iter().flat_map(|instance| instance.parts.clone()).collect();
        // The worst first, and of those alike the one that began first.
        parts.sort_by(|one, other| (other.state, one.since).cmp(&(one.state, other.since)));
        let mut state = parts.first().map_or(State::Red, |part| part.state);
        let mut reason = match parts.first() {
            Some(part) if part.state != State::Green => format!("{}: {}", part.name, part.reason),
            Some(_) => String::new(),
            None => "it has not reported yet".to_owned(),
        };
        if let Some(trouble) = &look.trouble {
            // The others do its work.
            let trouble_state = if look.instances.is_empty() { State::Red } else { State::Yellow };
            if trouble_state >= state {
                (state, reason) = (trouble_state, trouble.clone());
            }
        }
        let began = parts.first().filter(|part| part.state == state).map_or(now, |part| part.since);
        let since = match self.told {
            Some((told, since)) if told == state => since,
            _ => began.trunc_subsecs(3),
        };
        self.told = Some((state, since));
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        Some(Service {
            name: self.name.clone(),
            role: self.role,
            instances: look.instances.len(),
            state,
            reason,
            since,
            parts,
            can_pause: self.role == Role::Producer
                && look.instances.iter().any(|instance| instance.paused.is_some()),
            paused: look.instances.iter().any(|instance| instance.paused == Some(true)),
        })
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, told as a float")]
fn count(value: f64) -> u64 {
    value.max(0.0) as u64
}

fn age_s(now: DateTime<Utc>, timestamp_s: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact")]
    let now_s = now.timestamp_millis() as f64 / 1_000.0;
    ((now_s - timestamp_s) * 10.0).round().max(0.0) / 10.0
}

#[cfg(test)]
mod tests;
