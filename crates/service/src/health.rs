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

/// What a part's change of state means.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// Its first report, and it works.
    Ready,
    /// It did not work for so many seconds, and does now.
    Recovered(u64),
    /// There was a remark, and is none any more.
    Clear,
    /// There is a remark.
    Remark,
    /// It does not work.
    Broken,
}

impl Change {
    fn of(before: Option<&Part>, state: State) -> Self {
        match (before, state) {
            (_, State::Red) => Self::Broken,
            (Some(part), _) if part.state == State::Red => Self::Recovered(part.for_s()),
            (_, State::Yellow) => Self::Remark,
            (None, State::Green) => Self::Ready,
            (Some(_), State::Green) => Self::Clear,
        }
    }
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
            match Change::of(before, state) {
                Change::Ready => info!(part = name, "ready"),
                Change::Recovered(after_s) if reason.is_empty() => info!(part = name, after_s, "recovered"),
                Change::Recovered(after_s) => info!(part = name, after_s, reason, "recovered, with a remark"),
                Change::Clear => info!(part = name, "working, without a remark"),
                Change::Remark => info!(part = name, reason, "working, with a remark"),
                Change::Broken => warn!(part = name, reason, "not working"),
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_told_when_it_ends_and_only_then() {
        let part = |state, seconds| {
            let began = (Instant::now() - Duration::from_secs(seconds), SystemTime::now());
            Part { state, reason: String::new(), since: began }
        };
        let (green, yellow, red) = (part(State::Green, 5), part(State::Yellow, 7), part(State::Red, 60));
        for works in [State::Green, State::Yellow] {
            assert_eq!(Change::of(Some(&red), works), Change::Recovered(60));
        }
        assert_eq!(Change::of(Some(&yellow), State::Green), Change::Clear);
        assert_eq!(Change::of(Some(&green), State::Yellow), Change::Remark);
        assert_eq!(Change::of(Some(&yellow), State::Red), Change::Broken);
        let first = [State::Green, State::Yellow, State::Red].map(|state| Change::of(None, state));
        assert_eq!(first, [Change::Ready, Change::Remark, Change::Broken]);
    }

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
