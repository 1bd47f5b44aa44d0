//! The nodes that rows were written to -> a note beside the group's committed offsets, and back.
//!
//! A database that none of the noted nodes belongs to lacks what was stored: it was replaced, or it is another one.

use std::collections::BTreeSet;

use uuid::Uuid;

/// A note may have 4,096 bytes (`offset.metadata.max.bytes`).
const NOTED_MAX: usize = 100;

/// Ids of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(BTreeSet<Uuid>);

impl Hosts {
    /// Those that a note names; none where the note is another's, or empty.
    pub fn of_note(note: &str) -> Self {
        note.split(',').filter_map(|host| host.parse().ok()).collect()
    }

    /// The note.
    pub fn note(&self) -> String {
        let hosts: Vec<String> = self.0.iter().take(NOTED_MAX).map(Uuid::to_string).collect();
        hosts.join(",")
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// More of them.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Whether these were written to, and none of `now` is among them. Where nothing is known, nothing is held against it.
    pub fn are_strange_to(&self, now: &Self) -> bool {
        !self.is_empty() && !now.is_empty() && self.0.is_disjoint(&now.0)
    }
}

impl FromIterator<Uuid> for Hosts {
    fn from_iter<T: IntoIterator<Item = Uuid>>(hosts: T) -> Self {
        Self(hosts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(numbers: std::ops::Range<u128>) -> Hosts {
        numbers.map(Uuid::from_u128).collect()
    }

    #[test]
    fn a_note_names_the_nodes_again_and_fits_the_broker() {
        assert_eq!(Hosts::of_note(&hosts(0..3).note()), hosts(0..3));
        assert!(Hosts::of_note("").is_empty() && Hosts::of_note("by another tool").is_empty());
        assert!(hosts(0..1_000).note().len() <= 4_096);
    }

    #[test]
    fn a_database_is_strange_when_none_of_its_nodes_was_written_to() {
        assert!(hosts(0..3).are_strange_to(&hosts(3..6)));
        assert!(!hosts(0..3).are_strange_to(&hosts(2..6)), "one node is left");
        assert!(!hosts(0..0).are_strange_to(&hosts(0..3)), "nothing was noted");
        assert!(!hosts(0..3).are_strange_to(&hosts(0..0)), "nothing has answered yet");
    }
}
