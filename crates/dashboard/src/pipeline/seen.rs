//! The looks at one service -> how it does, with all its instances.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use datasets::{Dataset, REGISTRY};
use service::health::State;
use tokio::time::Instant;

use crate::snapshot::{Part, Role, Service};
use crate::watch::Link;
use crate::watch::services::Look;

/// How long an instance is missed: who scales down on purpose has read it by then.
const MISSED_FOR: Duration = Duration::from_secs(300);

/// One service, as it was seen last.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) role: Role,
    link: Link,
    /// The last look that found somebody.
    look: Look,
    /// When each instance answered last.
    heard: BTreeMap<SocketAddr, (Instant, DateTime<Utc>)>,
    /// The last state that was told, and since when.
    told: Option<(State, DateTime<Utc>)>,
}

impl Seen {
    pub(super) fn new(name: &str, at: Instant) -> Self {
        let role = match name {
            "upstreams" => Role::Upstreams,
            _ if REGISTRY.iter().any(|dataset| dataset.name == name) => Role::Producer,
            _ => Role::Consumer,
        };
        let (link, look, heard) = (Link::new(at), Look::default(), BTreeMap::new());
        Self { name: name.to_owned(), role, link, look, heard, told: None }
    }

    pub(super) fn looked(&mut self, look: Look, at: Instant, now: DateTime<Utc>) {
        if look.instances.is_empty() {
            let trouble = look.trouble.unwrap_or_else(|| "it has no address".to_owned());
            return self.link.failed(trouble);
        }
        self.link.answered(at, now);
        self.heard.extend(look.instances.keys().map(|instance| (*instance, (at, now))));
        self.heard.retain(|_, (heard_at, _)| at.saturating_duration_since(*heard_at) < MISSED_FOR);
        self.look = look;
    }

    /// Where a producer's records come from.
    pub(super) fn origin(&self, dataset: &Dataset) -> Option<String> {
        // In the demo one process tells the metrics of all services.
        let of = [("dataset", dataset.name)];
        let metrics = &self.look.instances.values().next()?.metrics;
        let origins = metrics.label_values("tributary_origin", "origin", &of);
        origins.first().map(|origin| (*origin).to_owned())
    }

    /// How it does; `None` while that is not known yet.
    pub(super) fn service(&mut self, at: Instant, now: DateTime<Utc>) -> Option<Service> {
        let (answers, trouble, link_since) = self.link.state(at, now)?;
        let is_there = answers == State::Green;
        let mut parts: Vec<Part> = if is_there {
            self.look.instances.values().flat_map(|instance| instance.parts.clone()).collect()
        } else {
            Vec::new()
        };
        // The worst first, and of those alike the one that began first.
        parts.sort_by(|one, other| (other.state, one.since).cmp(&(one.state, other.since)));
        let (mut state, mut reason, mut began) = match parts.first() {
            _ if !is_there => (State::Red, trouble, link_since),
            Some(part) if part.state == State::Green => (State::Green, String::new(), part.since),
            Some(part) => (part.state, format!("{}: {}", part.name, part.reason), part.since),
            None => (State::Red, "it has not reported yet".to_owned(), now),
        };
        if is_there
            && state < State::Red
            && let Some((words, since)) = self.missed(at)
        {
            // The others do its work.
            (state, reason, began) = (State::Yellow, words, since);
        }
        let since = match self.told {
            Some((told, since)) if told == state => since,
            _ => began.trunc_subsecs(3),
        };
        self.told = Some((state, since));
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        let instances = self.look.instances.values().filter(|_| is_there);
        Some(Service {
            name: self.name.clone(),
            role: self.role,
            instances: instances.clone().count(),
            state,
            reason,
            since,
            parts,
            can_pause: self.role == Role::Producer
                && instances.clone().any(|instance| instance.paused.is_some()),
            paused: instances.clone().any(|instance| instance.paused == Some(true)),
        })
    }

    // Instances that answered a while ago and do not any more.
    fn missed(&self, at: Instant) -> Option<(String, DateTime<Utc>)> {
        let silent = |heard_at: Instant| at.saturating_duration_since(heard_at) > crate::watch::SILENCE_MAX;
        let missed: Vec<_> = self.heard.iter().filter(|(_, (heard_at, _))| silent(*heard_at)).collect();
        let (_, (_, since)) = missed.first()?;
        let addresses: Vec<String> = missed.iter().map(|(instance, _)| instance.to_string()).collect();
        let (gone, all) = (missed.len(), self.heard.len());
        Some((format!("{gone} of {all} instances do not answer any more: {}", addresses.join(", ")), *since))
    }
}
