//! One look at each message's row: it is settled, or the row is open and needs a trial.
//!
//! A message whose cells are all in the table is stored. A cell with a greater WRITETIME is another message's: which
//! one, is asked when that one comes along; until then the row waits. Most do not wait for long, since messages come in the
//! order of their WRITETIMEs. What still waits in the end, and all that does not fit at first sight, is open.
//!
//! State machine without I/O: it takes what a message does and what was found, and never names a fault.

use std::collections::HashSet;

use super::effect::{Effect, Standing};
use crate::key::Key;
use crate::store::FoundRow;

/// A row: which table, and its key.
pub(crate) type RowKey = (usize, Key);

/// What a look has shown of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The table has what it wrote.
    Stored,
    /// Some of what it wrote has a greater WRITETIME now.
    Superseded,
    /// Nothing is known yet.
    Open,
}

/// The rows that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// Rows that hold something of this WRITETIME, whose message has not come along.
    waiting: HashSet<(RowKey, i64)>,
    open: HashSet<RowKey>,
}

impl Glance {
    /// Looks at a message and at its row.
    pub(crate) fn look(&mut self, row: &RowKey, effect: &Effect<'_>, found: Option<FoundRow<'_>>) -> Look {
        let Some(found) = found else {
            if effect.deletes || effect.fades {
                return Look::Stored;
            }
            return self.open(row);
        };
        let mut newer = Vec::new();
        for (standing, found) in effect.standings(found) {
            match standing {
                Some(Standing::Same) => {}
                Some(Standing::Newer(at)) => newer.push(at),
                Some(Standing::Absent) if effect.fades => {}
                Some(Standing::Absent | Standing::Older(_) | Standing::Tied) => return self.open(row),
                // Somebody else wrote it with this message's WRITETIME: whoever waits for that must not take this
                // message for an answer.
                None if found == Some(effect.writetime) => return self.open(row),
                None => {}
            }
        }
        if !self.waiting.is_empty() {
            self.waiting.remove(&(row.clone(), effect.writetime));
        }
        newer.dedup();
        if newer.is_empty() {
            return Look::Stored;
        }
        self.waiting.extend(newer.into_iter().map(|at| (row.clone(), at)));
        Look::Superseded
    }

    fn open(&mut self, row: &RowKey) -> Look {
        if !self.open.contains(row) {
            self.open.insert(row.clone());
        }
        Look::Open
    }

    /// Open rows, and those that wait.
    pub(crate) fn unsettled(&self) -> usize {
        self.open.len() + self.waiting.len()
    }

    /// All rows that are not settled, each once; there are none afterwards.
    pub(crate) fn take(&mut self) -> HashSet<RowKey> {
        let mut rows = std::mem::take(&mut self.open);
        rows.extend(std::mem::take(&mut self.waiting).into_iter().map(|(row, _)| row));
        rows
    }
}
