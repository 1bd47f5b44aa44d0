//! What became of the letters that were to be replayed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::window::Outcome;
use crate::command::Ended;
use crate::dead_letter::{Letter, Selected};
use crate::decode::kind;

/// Kinds of failures that are told apart; the rest is counted as one.
const KINDS_MAX: usize = 50;

/// See the module.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Letters that were asked for.
    pub selected: usize,
    /// Whose rows are in their tables; in a dry run, whose messages would be rows.
    pub written: usize,
    /// Whose rows would have lived until now at most; nothing is written.
    pub expired: usize,
    /// That failed again, and still stand.
    pub again: usize,
    /// That were replaced or removed by others meanwhile.
    pub gone: usize,
    /// That were removed: written and durable, or expired.
    pub removed: usize,
    /// Why letters failed again, at most 51 kinds.
    pub reasons: Vec<Again>,
    /// Why the replay ended before all was done; `None` if all was.
    pub ended: Option<Ended>,
    #[serde(skip)]
    known: BTreeMap<String, usize>,
}

/// Letters that failed again for reasons of one kind.
#[derive(Debug, Serialize)]
pub struct Again {
    /// `keyspace.table`
    pub table: String,
    /// The kind of error; `unrouted` where no route leads from the topic to the table.
    pub class: String,
    /// The reason of one of them.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// How many of these failed for another reason before.
    pub changed: usize,
    /// The message of one of them, `topic:partition:offset`.
    pub example: String,
}

impl Report {
    pub(super) fn of(selected: &[(String, Vec<Selected>)]) -> Self {
        Self { selected: selected.iter().map(|(_, selected)| selected.len()).sum(), ..Self::default() }
    }

    /// Letters that still stand, for all that is known.
    pub fn left(&self) -> usize {
        self.selected - self.removed - self.gone
    }

    // Whether the letter fails for another reason than before.
    pub(super) fn count(&mut self, letter: &Letter<'_>, outcome: &Outcome) -> bool {
        let (class, reason) = match outcome {
            Outcome::Written(_) => {
                self.written += 1;
                return false;
            }
            Outcome::Expired => {
                self.expired += 1;
                return false;
            }
            Outcome::Dead(error) => (error.class.name(), error.reason.clone()),
            Outcome::Unrouted => {
                ("unrouted", format!("no route writes topic {} into this table", letter.topic))
            }
        };
        self.again += 1;
        let today = kind(class, &reason);
        let is_other = matches!(outcome, Outcome::Dead(_)) && today != kind(letter.class, letter.reason);
        let mut identity = format!("{}\0{today}", letter.table);
        let mut more = "";
        if !self.known.contains_key(&identity) && self.reasons.len() >= KINDS_MAX {
            (identity, more) = (String::new(), "other reasons, such as: ");
        }
        let place = *self.known.entry(identity).or_insert_with(|| {
            self.reasons.push(Again {
                table: letter.table.to_owned(),
                class: class.to_owned(),
                reason: format!("{more}{reason}"),
                count: 0,
                changed: 0,
                example: letter.address().to_string(),
            });
            self.reasons.len() - 1
        });
        self.reasons[place].count += 1;
        self.reasons[place].changed += usize::from(is_other);
        is_other
    }
}
