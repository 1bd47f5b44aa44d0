//! Open rows as they were found, and every message of theirs -> who should be seen in each cell, and is not.
//!
//! A cell is right if its bytes and its WRITETIME are those of some message, and no other message has a greater one. A
//! cell that is not there is right if the greatest WRITETIME is that of a delete, a null, or a value whose time is over.
//!
//! State machine without I/O. Messages may come in any order, and more than once.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::effect::{Bound, Effect, Standing, standing};
use super::glance::RowKey;
use crate::store::{FoundRow, Selected};

/// How a message is not what the table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing is there.
    Missing,
    /// Something older is there.
    Stale,
    /// Something is there that none of the messages has written.
    Different,
}

/// A message that should be seen in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault<P> {
    /// The message.
    pub(crate) place: P,
    /// How it is not there.
    pub(crate) kind: Kind,
    /// The column, as they are read; `None` where the whole row is missing.
    pub(crate) column: Option<usize>,
    /// More columns of which the same is to be said.
    pub(crate) more: usize,
    /// The message's WRITETIME.
    pub(crate) writetime: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
// Of one WRITETIME the later wins: `Cells.reconcile` of Cassandra.
enum Wrote {
    /// A value.
    Value,
    /// A value that may be gone by now.
    Fading,
    /// A tombstone.
    Gone,
}

// What is known of one cell; the row's own existence counts as one.
#[derive(Debug, Clone)]
struct Claim<P> {
    /// The greatest of those that are certain.
    newest: Option<(i64, Wrote, P)>,
    /// Whether a message has written what was found.
    explained: bool,
    /// The greatest WRITETIME of a delete that may have happened.
    excused: Option<i64>,
}

impl<P> Default for Claim<P> {
    fn default() -> Self {
        Self { newest: None, explained: false, excused: None }
    }
}

/// The rows on trial. `P` names a message.
#[derive(Debug)]
pub(crate) struct Trial<P> {
    claims: HashMap<RowKey, Vec<Claim<P>>>,
}

impl<P: Clone + Ord> Trial<P> {
    /// A trial of these rows.
    pub(crate) fn of(rows: impl Iterator<Item = RowKey>) -> Self {
        Self { claims: rows.map(|row| (row, Vec::new())).collect() }
    }

    /// Whether this row is on trial.
    pub(crate) fn knows(&self, row: &RowKey) -> bool {
        self.claims.contains_key(row)
    }

    /// Hears one message of a row. What is not `certain` may have been written and may not: it explains what was found,
    /// and is not missed.
    pub(crate) fn hear(
        &mut self,
        row: &RowKey,
        effect: &Effect<'_>,
        found: Option<FoundRow<'_>>,
        selected: &[Selected],
        certain: bool,
        place: &P,
    ) {
        let Some(claims) = self.claims.get_mut(row) else { return };
        claims.resize_with(selected.len() + 1, Claim::default);
        let value = if effect.fades { Wrote::Fading } else { Wrote::Value };
        for (column, bound) in effect.cells.iter().enumerate() {
            let claim = &mut claims[column];
            let there = found.and_then(|found| found.cell(column));
            let stands = standing(*bound, effect.writetime, there);
            claim.explained |= there.is_some() && stands == Some(Standing::Same);
            let wrote = match bound {
                Bound::Untouched => continue,
                Bound::Gone => Wrote::Gone,
                Bound::Value(_) => value,
            };
            // Two inserts of one WRITETIME leave the elements of both in a collection that is not frozen.
            let again = claim.newest.as_ref().is_some_and(|(at, ..)| *at == effect.writetime);
            claim.explained |= again && selected[column].multi_cell && stands == Some(Standing::Tied);
            claim.add(effect.writetime, wrote, certain, place);
        }
        let wrote = if effect.deletes { Wrote::Gone } else { value };
        claims[selected.len()].add(effect.writetime, wrote, certain, place);
    }

    /// What is wrong with a row, one fault a message.
    pub(crate) fn faults(&self, row: &RowKey, found: Option<FoundRow<'_>>) -> Vec<Fault<P>> {
        let mut faults: BTreeMap<P, Fault<P>> = BTreeMap::new();
        let claims = self.claims.get(row).map_or(&[][..], Vec::as_slice);
        let Some(columns) = claims.len().checked_sub(1) else { return Vec::new() };
        for (column, claim) in claims.iter().enumerate() {
            let is_row = column == columns;
            // A row that is there may be somebody else's, by columns that no route fills.
            let there = found.and_then(|found| if is_row { None } else { found.cell(column) });
            if is_row && found.is_some() {
                continue;
            }
            let Some((kind, writetime, place)) = claim.verdict(there.map(|(_, at)| at)) else { continue };
            let column = found.map(|_| column);
            faults
                .entry(place.clone())
                .and_modify(|fault| {
                    if kind < fault.kind {
                        (fault.kind, fault.column, fault.more) = (kind, column, 0);
                    } else if kind == fault.kind && column.is_some() {
                        fault.more += 1;
                    }
                })
                .or_insert(Fault { place: place.clone(), kind, column, more: 0, writetime });
        }
        faults.into_values().collect()
    }
}

impl<P: Clone> Claim<P> {
    fn add(&mut self, writetime: i64, wrote: Wrote, certain: bool, place: &P) {
        if !certain {
            if wrote != Wrote::Value {
                self.excused = self.excused.max(Some(writetime));
            }
            return;
        }
        if self.newest.as_ref().is_none_or(|(at, known, _)| (*at, *known) < (writetime, wrote)) {
            self.newest = Some((writetime, wrote, place.clone()));
        }
    }

    // How the newest message is not what was found, of which this is the WRITETIME.
    fn verdict(&self, found: Option<i64>) -> Option<(Kind, i64, &P)> {
        let (writetime, wrote, place) = self.newest.as_ref()?;
        let kind = match found {
            None if *wrote != Wrote::Value || self.excused >= Some(*writetime) => return None,
            None => Kind::Missing,
            Some(at) if at < *writetime || (at == *writetime && *wrote == Wrote::Gone) => Kind::Stale,
            Some(_) if self.explained => return None,
            Some(_) => Kind::Different,
        };
        Some((kind, *writetime, place))
    }
}

#[cfg(test)]
mod tests;
