//! Snapshots -> what the log tells of the pipeline: which service does not work any more, which does again, and every ten
//! seconds a line of all of it. Reads no clock.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use service::health::State;
use tracing::info;

use crate::snapshot::{Role, Service, Snapshot};

const SUMMARY_EVERY_MS: i64 = 10_000;
/// A snapshot may come a little early.
const EARLY_MS: i64 = 500;

/// What was told so far.
#[derive(Debug)]
pub(crate) struct Story {
    /// Since when a service has not worked.
    red: BTreeMap<String, DateTime<Utc>>,
    summed_up: DateTime<Utc>,
}

/// What is new in a snapshot.
#[derive(Debug)]
enum Change<'a> {
    Broken(&'a Service),
    /// After so many seconds.
    Mended(&'a Service, i64),
}

impl Story {
    /// It begins now.
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self { red: BTreeMap::new(), summed_up: now }
    }

    /// Logs what has changed, and the summary when it is due.
    pub(crate) fn tell(&mut self, snapshot: &Snapshot, viewers: usize) {
        for change in self.changes(snapshot) {
            match change {
                Change::Broken(Service { name, reason, .. }) => {
                    info!(service = name, reason, "does not work");
                }
                Change::Mended(Service { name, .. }, after_s) => {
                    info!(service = name, after_s, "works again");
                }
            }
        }
        if (snapshot.at - self.summed_up).num_milliseconds() + EARLY_MS < SUMMARY_EVERY_MS {
            return;
        }
        self.summed_up = snapshot.at;
        let watched = watched(snapshot).count();
        let working = watched - self.red.len();
        let rate = |of: fn(&crate::Stream) -> Option<f64>| {
            // Where there are none the sum is -0.
            let sum = 0.0 + snapshot.streams.iter().filter_map(of).sum::<f64>();
            (sum * 10.0).round() / 10.0
        };
        let (published_per_s, stored_per_s) =
            (rate(|stream| stream.published_per_s), rate(|stream| stream.stored_per_s));
        let not_working = self.red.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let not_working = (!not_working.is_empty()).then_some(not_working);
        info!(viewers, watched, working, not_working, published_per_s, stored_per_s, "watching");
    }

    fn changes<'a>(&mut self, snapshot: &'a Snapshot) -> Vec<Change<'a>> {
        let mut changes = Vec::new();
        for service in watched(snapshot) {
            let is_red = service.state == State::Red;
            match self.red.get(&service.name).copied() {
                None if is_red => {
                    self.red.insert(service.name.clone(), service.since);
                    changes.push(Change::Broken(service));
                }
                Some(since) if !is_red => {
                    self.red.remove(&service.name);
                    changes.push(Change::Mended(service, (snapshot.at - since).num_seconds()));
                }
                _ => {}
            }
        }
        changes
    }
}

fn watched(snapshot: &Snapshot) -> impl Iterator<Item = &Service> {
    snapshot.services.iter().filter(|service| service.role != Role::Dashboard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(second: i64, states: &[(&str, State)]) -> Snapshot {
        let mut snapshot = crate::snapshot::tests::snapshot(second, Vec::new());
        let service = |(name, state): &(&str, State)| Service {
            name: (*name).to_owned(),
            role: Role::Producer,
            instances: 1,
            state: *state,
            reason: String::new(),
            since: snapshot.at,
            parts: Vec::new(),
            can_pause: false,
            paused: false,
        };
        snapshot.services = states.iter().map(service).collect();
        snapshot
    }

    #[test]
    fn a_service_that_breaks_and_works_again_is_told_once_each_time() {
        let mut story = Story::new(DateTime::UNIX_EPOCH);
        let mut told = |second, state| {
            let snapshot = snapshot(second, &[("faker", state), ("weather", State::Green)]);
            let name = |change: &Change<'_>| match change {
                Change::Broken(service) => format!("{} broke", service.name),
                Change::Mended(service, after_s) => format!("{} after {after_s} s", service.name),
            };
            story.changes(&snapshot).iter().map(name).collect::<Vec<_>>()
        };
        assert!(told(1, State::Yellow).is_empty());
        assert_eq!(told(2, State::Red), ["faker broke"]);
        assert!(told(3, State::Red).is_empty());
        assert_eq!(told(12, State::Green), ["faker after 10 s"]);
        assert!(told(13, State::Green).is_empty());
    }
}
