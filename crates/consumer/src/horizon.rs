//! The durability horizon: when acknowledged rows are safe, and when they may be gone.
//!
//! Cassandra acknowledges a write before its commit log is on disk; a killed node forgets what it acknowledged
//! since its last sync. So a row counts as durable only when a probe, sent at least `durable_after` after the row's
//! acknowledgement, finds the node in the same generation (`system.local.gossip_generation` changes at every start).
//! A changed generation means: everything that is not durable yet has to be written again.
//!
//! Age is measured on a clock of its own that stands still while a probe is unanswered: a node that hangs does not
//! sync. State machine without a clock or I/O: instants and answers come in, verdicts go out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// What a round of probes found: every known node's generation, or that it did not answer.
pub type Answer = BTreeMap<Uuid, Option<i32>>;

/// Of the time between two probes at most this much counts: the consumer itself may have been stopped.
const STEP_MAX: Duration = Duration::from_secs(2);

/// A node that has not answered for this long no longer holds the others up.
const LEFT_OUT_AFTER: Duration = Duration::from_secs(10);

/// What an answered probe means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The first probe: writing may begin.
    First,
    /// All is as it was: what was written up to this time on the horizon's clock is durable.
    Same {
        /// `None` until the first `durable_after` has passed.
        durable_up_to: Option<Duration>,
    },
    /// A node was restarted or lost: read again everything that is not durable.
    Restarted {
        /// Which node and how, for the log.
        reason: String,
    },
    /// None of the nodes is known: this is another database.
    Replaced,
    /// Too little was answered to say anything.
    Unanswered,
}

/// The horizon of one consumer.
#[derive(Debug)]
pub struct Horizon {
    durable_after: Duration,
    clock: Duration,
    running_since: Option<Instant>,
    /// Since when some nodes answer and others do not, before the first verdict.
    incomplete_since: Option<Instant>,
    nodes: BTreeMap<Uuid, Node>,
}

#[derive(Debug)]
struct Node {
    generation: i32,
    silent_since: Option<Instant>,
    left_out: bool,
}

impl Horizon {
    /// A horizon that calls rows durable after that much answered time.
    pub fn new(durable_after: Duration) -> Self {
        Self {
            durable_after,
            clock: Duration::ZERO,
            running_since: None,
            incomplete_since: None,
            nodes: BTreeMap::new(),
        }
    }

    /// The horizon's clock: what an acknowledgement answered at `at` is stamped with.
    pub fn now(&self, at: Instant) -> Duration {
        let running = self.running_since.map(|since| at.saturating_duration_since(since).min(STEP_MAX));
        self.clock + running.unwrap_or_default()
    }

    /// A probe is about to be sent: the clock stops until it is answered.
    pub fn sent(&mut self, at: Instant) {
        self.clock = self.now(at);
        self.running_since = None;
    }

    /// A round of probes, sent when the clock was last stopped, has ended at `at`.
    pub fn answered(&mut self, at: Instant, answer: &Answer) -> Verdict {
        let reachable = answer.values().flatten().count();
        if reachable == 0 {
            return Verdict::Unanswered;
        }
        if self.nodes.is_empty() {
            let since = *self.incomplete_since.get_or_insert(at);
            if reachable < answer.len() && at.saturating_duration_since(since) < LEFT_OUT_AFTER {
                return Verdict::Unanswered;
            }
            self.remember(answer);
            self.running_since = Some(at);
            return Verdict::First;
        }
        if !answer.keys().any(|host| self.nodes.contains_key(host)) {
            return Verdict::Replaced;
        }
        let mut restarted = None;
        let mut waiting = false;
        for (host, generation) in answer {
            match (self.nodes.get_mut(host), generation) {
                (Some(node), Some(generation)) => {
                    if node.generation != *generation {
                        restarted = Some(format!("node {host} was restarted"));
                    }
                    *node = Node::up(*generation);
                }
                (Some(node), None) => {
                    let since = *node.silent_since.get_or_insert(at);
                    if !node.left_out && at.saturating_duration_since(since) >= LEFT_OUT_AFTER {
                        node.left_out = true;
                        restarted = Some(format!("node {host} has not answered for 10 s"));
                    }
                    waiting |= !node.left_out;
                }
                // New, or left out from the start: others may have counted on it meanwhile.
                (None, Some(generation)) => {
                    self.nodes.insert(*host, Node::up(*generation));
                    restarted = Some(format!("node {host} has appeared"));
                }
                // Left out until it answers.
                (None, None) => {}
            }
        }
        self.nodes.retain(|host, _| answer.contains_key(host));
        if let Some(reason) = restarted {
            self.running_since = Some(at);
            return Verdict::Restarted { reason };
        }
        if waiting {
            return Verdict::Unanswered;
        }
        self.running_since = Some(at);
        Verdict::Same { durable_up_to: self.clock.checked_sub(self.durable_after) }
    }

    /// Whether rows are durable at once, since the server syncs before it acknowledges.
    pub fn is_immediate(&self) -> bool {
        self.durable_after.is_zero()
    }

    /// The nodes that are known by now; none before the first verdict.
    pub fn hosts(&self) -> impl Iterator<Item = &Uuid> {
        self.nodes.keys()
    }

    fn remember(&mut self, answer: &Answer) {
        let up = |(host, generation): (&Uuid, &Option<i32>)| Some((*host, Node::up((*generation)?)));
        self.nodes = answer.iter().filter_map(up).collect();
    }
}

impl Node {
    fn up(generation: i32) -> Self {
        Self { generation, silent_since: None, left_out: false }
    }
}

#[cfg(test)]
mod tests;
