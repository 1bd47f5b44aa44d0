//! One look at each message's row: it is settled, or the row is open and needs a trial.
//!
//! A message whose cells are all in the table is stored. A cell with a greater WRITETIME is another message's: which
//! one, is asked when that one comes along; until then the row waits. Most do not wait for long, since messages come in the
//! order of their WRITETIMEs. What still waits in the end, and all that does not fit at first sight, is open.
//!
//! A row that was judged clean is settled for all of its messages, as long as it holds what it held then: of such rows a
//! hash is kept, so that the topics are not read again for each of their messages.
//!
//! State machine without I/O: it takes what a message does and what was found, and never names a fault.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};

use super::effect::{Effect, Standing};
use crate::key::Key;
use crate::store::FoundRow;

/// A row: which table, and its key.
pub(crate) type RowKey = (usize, Key);

/// With so many rows unsettled the trial comes first: it bounds the memory.
const UNSETTLED_MAX: usize = 250_000;
/// Bytes of their keys, of which one may have 64 KiB.
const KEY_BYTES_MAX: usize = 64 << 20;
/// Hashes of clean rows: 38 MB. With more, they are forgotten, and their rows may come to another trial.
const CLEAN_MAX: usize = 3_500_000;

/// What a look has shown of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The table has what it wrote.
    Stored,
    /// Some of what it wrote has a greater WRITETIME now.
    Superseded,
    /// Some of what it wrote is not there, and may have lived its time.
    Expired,
    /// Nothing is known yet.
    Open,
}

/// The rows that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// Rows that hold something of this WRITETIME, whose message has not come along.
    waiting: HashSet<(RowKey, i64)>,
    open: HashSet<RowKey>,
    /// Bytes of the keys of both.
    key_bytes: usize,
    /// Hashes of rows that were judged clean, with what they held. A hash that meets another by chance, one in 10^12 looks,
    /// hides a fault; its key is random, so that nobody makes it happen.
    clean: HashSet<u64>,
    hasher: RandomState,
}

impl Glance {
    /// Looks at a message and at its row.
    pub(crate) fn look(&mut self, row: &RowKey, effect: &Effect<'_>, found: Option<FoundRow<'_>>) -> Look {
        let Some(there) = found else {
            return match effect {
                Effect { deletes: true, .. } => Look::Stored,
                Effect { fades: true, .. } => Look::Expired,
                _ => self.open(row, found),
            };
        };
        let mut newer = Vec::new();
        let mut faded = false;
        for (standing, cell) in effect.standings(there) {
            match standing {
                Some(Standing::Same) => {}
                Some(Standing::Newer(at)) => newer.push(at),
                Some(Standing::Absent) if effect.fades => faded = true,
                Some(Standing::Absent | Standing::Older(_) | Standing::Tied) => return self.open(row, found),
                // Somebody else wrote it with this message's WRITETIME: whoever waits for that must not take this
                // message for an answer.
                None if cell == Some(effect.writetime) => return self.open(row, found),
                None => {}
            }
        }
        if !self.waiting.is_empty() && self.waiting.remove(&(row.clone(), effect.writetime)) {
            self.key_bytes -= row.1.packed().len();
        }
        if newer.is_empty() {
            return if faded { Look::Expired } else { Look::Stored };
        }
        if !self.is_clean(row, found) {
            for at in newer {
                if self.waiting.insert((row.clone(), at)) {
                    self.key_bytes += row.1.packed().len();
                }
            }
        }
        Look::Superseded
    }

    fn open(&mut self, row: &RowKey, found: Option<FoundRow<'_>>) -> Look {
        if self.is_clean(row, found) {
            return Look::Superseded;
        }
        if !self.open.contains(row) {
            self.open.insert(row.clone());
            self.key_bytes += row.1.packed().len();
        }
        Look::Open
    }

    /// The row was judged by all of its messages, and none is missing: it is settled as long as it holds the same.
    pub(crate) fn settle(&mut self, row: &RowKey, found: Option<FoundRow<'_>>) {
        if self.clean.len() >= CLEAN_MAX {
            self.clean.clear();
        }
        self.clean.insert(self.hash(row, found));
    }

    fn is_clean(&self, row: &RowKey, found: Option<FoundRow<'_>>) -> bool {
        !self.clean.is_empty() && self.clean.contains(&self.hash(row, found))
    }

    fn hash(&self, row: &RowKey, found: Option<FoundRow<'_>>) -> u64 {
        let mut hash = self.hasher.build_hasher();
        row.hash(&mut hash);
        found.is_some().hash(&mut hash);
        found.iter().flat_map(|found| found.cells()).for_each(|cell| cell.hash(&mut hash));
        hash.finish()
    }

    /// Open rows, and those that wait.
    pub(crate) fn unsettled(&self) -> usize {
        self.open.len() + self.waiting.len()
    }

    /// Whether no more can be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.unsettled() >= UNSETTLED_MAX || self.key_bytes >= KEY_BYTES_MAX
    }

    /// All rows that are not settled, each once; there are none afterwards.
    pub(crate) fn take(&mut self) -> HashSet<RowKey> {
        self.key_bytes = 0;
        let mut rows = std::mem::take(&mut self.open);
        rows.extend(std::mem::take(&mut self.waiting).into_iter().map(|(row, _)| row));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::effect::Bound;
    use crate::key::Key;
    use crate::store::Found;

    #[test]
    fn what_is_not_there_is_stored_by_no_message_but_a_delete() {
        type Cell = Option<(&'static [u8], i64)>;
        let value = Bound::Value(b"x");
        let effect = |fades, cells: &[Bound<'static>]| Effect {
            writetime: 5,
            deletes: false,
            fades,
            cells: cells.to_vec(),
        };
        let row = (0, Key::pack([&b"k"[..]].into_iter()));
        let look = |effect: &Effect<'_>, cells: Option<[Cell; 2]>| {
            let mut found = Found::new(2);
            cells.map(|cells| found.add(row.1.clone(), cells.into_iter())).transpose().unwrap();
            Glance::default().look(&row, effect, found.get(&row.1))
        };
        let there = Some((&b"x"[..], 5));
        let both = [value, value];
        assert_eq!(look(&effect(true, &both), None), Look::Expired);
        assert_eq!(look(&effect(true, &both), Some([there, None])), Look::Expired, "one of two");
        assert_eq!(look(&effect(true, &both), Some([Some((b"y", 6)), None])), Look::Superseded);
        assert_eq!(look(&effect(true, &both), Some([there, there])), Look::Stored);
        assert_eq!(look(&effect(true, &[value, Bound::Gone]), Some([there, None])), Look::Stored);
        assert_eq!(look(&effect(false, &both), None), Look::Open, "it cannot have lived its time");
        assert_eq!(look(&effect(false, &both), Some([there, None])), Look::Open);
        let delete = Effect { deletes: true, ..effect(false, &[Bound::Gone, Bound::Gone]) };
        assert_eq!(look(&delete, None), Look::Stored);
    }

    #[test]
    fn rows_of_long_keys_are_few() {
        let mut glance = Glance::default();
        let missing = Effect { writetime: 1, deletes: false, fades: false, cells: Vec::new() };
        let row = |number: u32| {
            let [number, filling] = [number.to_be_bytes().to_vec(), vec![0; 60_000]];
            (0, Key::pack([&number[..], &filling[..]].into_iter()))
        };
        let mut rows = 0;
        while !glance.is_full() {
            assert_eq!(glance.look(&row(rows), &missing, None), Look::Open);
            rows += 1;
        }
        assert!(rows < 1_200, "{rows} rows of 60 kB each");
        assert_eq!((glance.take().len(), glance.is_full()), (rows as usize, false));
    }
}
