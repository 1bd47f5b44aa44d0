//! The looks at one service -> how it does, with all its instances.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use datasets::{Dataset, REGISTRY};
use service::health::State;
use tokio::time::Instant;

use crate::snapshot::{Part, Role, Service};
use crate::watch::services::{Instance, Look};
use crate::watch::{Link, SILENCE_MAX};

/// How long an instance is missed that its name does not lead to any more: who scales down on purpose has read it by then.
const MISSED_FOR: Duration = Duration::from_secs(300);

/// One service, as it was seen last.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) role: Role,
    link: Link,
    /// The last look that found somebody.
    look: Look,
    known: BTreeMap<SocketAddr, Known>,
    /// The last state that was told, and since when.
    told: Option<(State, DateTime<Utc>)>,
}

/// One instance.
struct Known {
    /// When it answered last; before its first answer, when it was asked first.
    heard: (Instant, DateTime<Utc>),
    /// Why it does not answer.
    trouble: Option<String>,
}

impl Seen {
    pub(super) fn new(name: &str, at: Instant) -> Self {
        let role = match name {
            "upstreams" => Role::Upstreams,
            _ if REGISTRY.iter().any(|dataset| dataset.name == name) => Role::Producer,
            _ => Role::Consumer,
        };
        let (link, look, known) = (Link::new(at), Look::default(), BTreeMap::new());
        Self { name: name.to_owned(), role, link, look, known, told: None }
    }

    pub(super) fn looked(&mut self, look: Look, at: Instant, now: DateTime<Utc>) {
        if let Some(trouble) = look.trouble {
            return self.link.failed(trouble);
        }
        self.link.answered(at, now);
        for (address, said) in &look.instances {
            if !self.known.contains_key(address) {
                self.forget_one(&look);
            }
            let heard = (at, now);
            let known = self.known.entry(*address).or_insert(Known { heard, trouble: None });
            match said {
                Ok(_) => *known = Known { heard, trouble: None },
                Err(error) => known.trouble = Some(error.clone()),
            }
        }
        self.known.retain(|address, known| {
            if look.instances.contains_key(address) {
                return true;
            }
            known.trouble = Some("its name does not lead there any more".to_owned());
            at.saturating_duration_since(known.heard.0) < MISSED_FOR
        });
        self.look = look;
    }

    // A container that is made anew has another address: it takes the place of one that the name does not lead to any more.
    fn forget_one(&mut self, look: &Look) {
        let gone = self.known.iter().filter(|(address, _)| !look.instances.contains_key(address));
        let longest = gone.min_by_key(|(_, known)| known.heard.0).map(|(address, _)| *address);
        if let Some(address) = longest {
            self.known.remove(&address);
        }
    }

    /// Where a producer's records come from.
    pub(super) fn origin(&self, dataset: &Dataset) -> Option<String> {
        // In the demo one process tells the metrics of all services.
        let of = [("dataset", dataset.name)];
        let (_, Instance { metrics, .. }) = self.look.answered().next()?;
        let origins = metrics.label_values("tributary_origin", "origin", &of);
        origins.first().map(|origin| (*origin).to_owned())
    }

    /// How it does; `None` while that is not known yet.
    pub(super) fn service(&mut self, at: Instant, now: DateTime<Utc>) -> Option<Service> {
        let (answers, trouble, link_since) = self.link.state(at, now)?;
        let is_there = answers == State::Green;
        let mut parts: Vec<Part> = if is_there {
            self.look.answered().flat_map(|(_, instance)| instance.parts.clone()).collect()
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
        let instances = self.look.answered().map(|(_, instance)| instance).filter(|_| is_there);
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

    // Instances that have not answered for a while, or never.
    fn missed(&self, at: Instant) -> Option<(String, DateTime<Utc>)> {
        let is_silent = |known: &Known| at.saturating_duration_since(known.heard.0) > SILENCE_MAX;
        let missed: Vec<_> = self.known.iter().filter(|(_, known)| is_silent(known)).collect();
        let since = missed.iter().map(|(_, known)| known.heard.1).min()?;
        let words = |(address, known): &(&SocketAddr, &Known)| match &known.trouble {
            Some(trouble) => format!("{address} ({trouble})"),
            None => address.to_string(),
        };
        let each: Vec<String> = missed.iter().map(words).collect();
        let (gone, all) = (missed.len(), self.known.len());
        Some((format!("{gone} of {all} instances do not answer: {}", each.join(", ")), since))
    }
}
