//! Health: the parts of a service report their state; `/health` and the log tell the worst of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

/// How well a part, or the whole service, is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Works.
    Green,
    /// Works, with something an operator may want to know.
    Yellow,
    /// Does not do its work now; the reason says why and what happens next.
    Red,
}

#[derive(Debug, Clone)]
struct Part {
    state: State,
    reason: String,
    /// The same moment on both clocks.
    since: (Instant, SystemTime),
}

impl Part {
    fn for_s(&self) -> u64 {
        self.since.0.elapsed().as_secs()
    }
}

/// The health of one service; cheap to clone, shared by its parts.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, Part>>>,
}

/// What `/health` answers.
#[derive(Debug, Serialize, PartialEq)]
pub struct Report {
    /// The worst state of all parts; red while no part has reported.
    pub state: State,
    /// By part.
    pub parts: BTreeMap<&'static str, PartReport>,
}

/// One part's line in a [`Report`].
#[derive(Debug, Serialize, PartialEq)]
pub struct PartReport {
    /// The part's state.
    pub state: State,
    /// Why, in words; empty when green.
    pub reason: String,
    /// Seconds since the state last changed.
    pub for_s: u64,
    /// When that was, as RFC 3339 in UTC.
    pub since: String,
}

impl Health {
    /// Reports that `part` works.
    pub fn green(&self, part: &'static str) {
        self.set(part, State::Green, String::new());
    }

    /// Reports that `part` works, with a remark.
    pub fn yellow(&self, part: &'static str, reason: impl Into<String>) {
        self.set(part, State::Yellow, reason.into());
    }

    /// Reports that `part` does not work: the reason names what, where and what happens next.
    pub fn red(&self, part: &'static str, reason: impl Into<String>) {
        self.set(part, State::Red, reason.into());
    }

    /// The state of all parts now.
    pub fn report(&self) -> Report {
        let parts = self.lock();
        let state = parts.values().map(|part| part.state).max().unwrap_or(State::Red);
        let line = |part: &Part| PartReport {
            state: part.state,
            reason: part.reason.clone(),
            for_s: part.for_s(),
            since: humantime::format_rfc3339_millis(part.since.1).to_string(),
        };
        Report { state, parts: parts.iter().map(|(name, part)| (*name, line(part))).collect() }
    }

    // A change of state is logged here, once; a new reason for the same state only replaces the old one.
    fn set(&self, name: &'static str, state: State, reason: String) {
        let mut parts = self.lock();
        let before = parts.get(name);
        if before.is_none_or(|part| part.state != state) {
            match state {
                State::Green if before.is_none() => info!(part = name, "ready"),
                State::Green => info!(part = name, after_s = before.map(Part::for_s), "recovered"),
                State::Yellow => info!(part = name, reason, "working, with a remark"),
                State::Red => warn!(part = name, reason, "not working"),
            }
            parts.insert(name, Part { state, reason, since: (Instant::now(), SystemTime::now()) });
        } else if let Some(part) = parts.get_mut(name) {
            part.reason = reason;
        }
    }

    /// Logs which parts do not work still: who looks at the log's end wants to know, too.
    pub(crate) fn remind(&self) {
        for (name, part) in self.lock().iter().filter(|(_, part)| part.state == State::Red) {
            info!(part = name, for_s = part.for_s(), reason = part.reason, "still not working");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_part_decides_and_keeps_its_reason() {
        let health = Health::default();
        assert_eq!(health.report().state, State::Red, "nothing has reported yet");
        health.green("kafka");
        health.red("cassandra", "connection refused, next try in 2 s");
        let report = health.report();
        assert_eq!(report.state, State::Red);
        assert_eq!(report.parts["cassandra"].reason, "connection refused, next try in 2 s");
        health.green("cassandra");
        assert_eq!(health.report().state, State::Green);
    }
}
