//! Violations of the promise, counted, with examples.
//!
//! The invariants' numbers are those of the failure matrix in docs/chaos.md.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Deserialize;

/// Examples that are kept of each kind.
const EXAMPLES: usize = 5;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ValueEnum)]
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
    /// Slower than asked.
    Slow,
    /// The harness itself failed: nothing is proved.
    Unproved,
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
