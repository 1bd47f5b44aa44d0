//! Violations of the promise, counted, with examples.
//!
//! The invariants' numbers are those of the failure matrix in docs/chaos.md.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use futures::FutureExt;
use serde::{Deserialize, Serialize};

/// Examples that are kept of each kind.
const EXAMPLES: usize = 5;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Violation {
    /// I1: acknowledged by Kafka, and neither row nor dead letter.
    Lost,
    /// I1: a good message among the dead letters.
    DeadLettered,
    /// I2: one version twice on the topic, or one message as two rows.
    Doubled,
    /// I2: an older version over a newer one.
    Stale,
    /// I2: cells of no version, or of two.
    Different,
    /// I3: a row that nobody published.
    Invented,
    /// I4: committed, and not in the table.
    CommittedTooSoon,
    /// I5: does not flow again in time, or not all of it is committed in the end.
    NotHealed,
    /// I5: ended by itself, or did not end as it should.
    Ended,
    /// I6: more memory than allowed.
    Grew,
    /// I7: the health stays green in a fault.
    NotRed,
    /// I7: a metric is below zero.
    Negative,
    /// Slower than asked.
    Slow,
    /// The harness itself failed: nothing is proved.
    Unproved,
}

/// A step that found a promise broken.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(crate) struct Broken(pub(crate) Violation, pub(crate) String);

/// The violations of a run.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    counts: BTreeMap<Violation, usize>,
    examples: Vec<String>,
}

impl Findings {
    pub(crate) fn count(&self, violation: Violation) -> usize {
        self.counts.get(&violation).copied().unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether it was found, and nothing beside it that could be the cause of it.
    pub(crate) fn are_proof_of(&self, violation: Violation) -> bool {
        let doubts = [Violation::Ended, Violation::Unproved];
        self.count(violation) > 0 && doubts.iter().all(|doubt| *doubt == violation || self.count(*doubt) == 0)
    }

    /// Adds what something broke off with, if it did: a [`Broken`] promise, or the harness itself failed.
    pub(crate) fn note(&mut self, done: Result<()>) {
        if let Err(error) = done {
            let violation = error.downcast_ref::<Broken>().map_or(Violation::Unproved, |broken| broken.0);
            self.add(violation, || format!("{error:#}"));
        }
    }

    /// All of it, in words: the counts first.
    pub(crate) fn told(&self) -> Vec<String> {
        let counts = self.counts.iter().map(|(violation, count)| format!("{violation:?}: {count}"));
        counts.chain(self.examples.iter().cloned()).collect()
    }

    pub(crate) fn add(&mut self, violation: Violation, example: impl FnOnce() -> String) {
        let count = self.counts.entry(violation).or_default();
        *count += 1;
        if *count <= EXAMPLES {
            self.examples.push(format!("{violation:?}: {}", example()));
        }
    }
}

/// What panics in it is an error: what the tests share has no other way to say that it failed.
pub(crate) async fn guarded<T>(doing: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(doing).catch_unwind().await.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        Err(anyhow!("the harness panicked: {said}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_is_noted_as_such_and_anything_else_as_unproved() {
        let mut findings = Findings::default();
        findings.note(Ok(()));
        assert!(findings.is_empty());
        let broken = anyhow!(Broken(Violation::NotRed, "still green".to_owned()));
        findings.note(Err(broken.context("cycle 1")));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        findings.note(runtime.block_on(guarded(async { panic!("no rows") })));
        let told = findings.told();
        assert_eq!(findings.count(Violation::NotRed), 1);
        assert!(told.iter().any(|line| line == "NotRed: cycle 1: still green"), "{told:?}");
        assert!(told.iter().any(|line| line == "Unproved: the harness panicked: no rows"), "{told:?}");
    }

    #[test]
    fn all_are_counted_and_some_are_told() {
        let mut findings = Findings::default();
        assert!(findings.is_empty());
        (0..7).for_each(|user| findings.add(Violation::Lost, || format!("user {user}")));
        assert_eq!(findings.count(Violation::Lost), 7);
        assert_eq!(findings.count(Violation::Stale), 0);
        let told = findings.told();
        assert_eq!((told.len(), told[0].as_str(), told[5].as_str()), (6, "Lost: 7", "Lost: user 4"));
    }
}
