//! A decoded message -> what it does to a row of the table, and how what was found there stands to it.

use crate::codec::Codec;
use crate::decode::AHEAD_MAX_MS;
use crate::key::{self, Key};
use crate::plan::Plan;
use crate::rows::{CellValue, Rows};
use crate::schema::{Role, Table};
use crate::store::{FoundRow, Selected};

/// A message may have been ahead of the consumer's clock by so much when its row was written, with all of its time to live.
const AHEAD_MAX_S: i64 = AHEAD_MAX_MS / 1000;
/// So many seconds before its end a row may be gone already; clocks differ, too.
const FADES_BEFORE_S: i64 = AHEAD_MAX_S + 60;

/// What a message does to one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound<'a> {
    /// Nothing.
    Untouched,
    /// Deletes it.
    Gone,
    /// Writes these bytes.
    Value(&'a [u8]),
}

/// What a message does to one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Effect<'a> {
    /// In microseconds.
    pub(crate) writetime: i64,
    /// Whether it deletes the row.
    pub(crate) deletes: bool,
    /// Whether what it writes may have lived its time: then it is right if it is there, and right if it is not.
    pub(crate) fades: bool,
    /// By the columns as they are read.
    pub(crate) cells: Vec<Bound<'a>>,
}

/// How what was found in a column stands to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the message's.
    Same,
    /// The message wrote something, and nothing is there.
    Absent,
    /// It was written with this greater WRITETIME.
    Newer(i64),
    /// It was written with this smaller WRITETIME.
    Older(i64),
    /// It was written with the same WRITETIME, and is something else.
    Tied,
}

/// How a message that does `bound` with this WRITETIME stands to what was found; `None` where it does nothing.
pub(crate) fn standing(bound: Bound<'_>, writetime: i64, found: Option<(&[u8], i64)>) -> Option<Standing> {
    let written = match bound {
        Bound::Untouched => return None,
        Bound::Gone => None,
        Bound::Value(bytes) => Some(bytes),
    };
    Some(match (written, found) {
        (None, None) => Standing::Same,
        (Some(_), None) => Standing::Absent,
        (_, Some((_, at))) if at > writetime => Standing::Newer(at),
        (_, Some((_, at))) if at < writetime => Standing::Older(at),
        (Some(bytes), Some((there, _))) if bytes == there => Standing::Same,
        (_, Some(_)) => Standing::Tied,
    })
}

/// Where a plan's row has what is read of the table.
#[derive(Debug, Clone)]
pub(crate) struct View {
    key: Vec<usize>,
    /// Places in the key, of values that may be spelt in several ways.
    decimals: Vec<usize>,
    /// For each column that is read: its place in the plan, if the plan fills it; and whether an empty value is none.
    columns: Vec<Option<(usize, Empty)>>,
}

// Which values of a column that is several cells are none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    IsKept,
    Collection,
    Udt,
}

impl Empty {
    fn is(self, bytes: &[u8]) -> bool {
        match self {
            Self::IsKept => false,
            // No elements.
            Self::Collection => bytes == [0; 4],
            // No field but nulls, each of which has the length -1.
            Self::Udt => bytes.iter().all(|byte| *byte == 0xff),
        }
    }
}

impl View {
    /// The view of a plan of this table.
    pub(crate) fn of(plan: &Plan, table: &Table, selected: &[Selected]) -> Self {
        let place = |name: &str| plan.columns.iter().position(|column| column.name == name);
        let keys = table.columns.iter().filter(|column| column.role != Role::Regular);
        let column = |selected: &Selected| {
            let place = place(&selected.name)?;
            let empty = match &plan.columns[place].codec {
                _ if !selected.multi_cell => Empty::IsKept,
                Codec::Udt(_) => Empty::Udt,
                _ => Empty::Collection,
            };
            Some((place, empty))
        };
        Self {
            key: keys.filter_map(|key| place(&key.name)).collect(),
            decimals: key::decimals(table),
            columns: selected.iter().map(column).collect(),
        }
    }

    /// The key of a decoded row.
    pub(crate) fn key(&self, rows: &Rows, row: usize) -> Key {
        Key::of(rows, row, &self.key).canonical(&self.decimals)
    }

    /// What a decoded row does. A row without a time to live of its own, which was written `age_s` ago at most, lives
    /// for the table's `default_ttl_s` if there is one.
    pub(crate) fn effect<'a>(
        &self,
        plan: &Plan,
        rows: &'a Rows,
        row: usize,
        age_s: Option<i64>,
        default_ttl_s: Option<i64>,
    ) -> Effect<'a> {
        let width = plan.columns.len();
        let cell = |place: usize| if place < rows.width() { rows.cell(row, place) } else { CellValue::Unset };
        let writetime = number(cell(width)).unwrap_or_default();
        let left_s = match number(cell(width + 1)) {
            Some(left_s) => Some(left_s),
            // Without a timestamp nobody knows when it was written.
            None => default_ttl_s.map(|ttl_s| age_s.map_or(0, |age_s| ttl_s - age_s.max(0))),
        };
        let bound = |column: &Option<(usize, Empty)>| match column {
            _ if plan.deletes => Bound::Gone,
            None => Bound::Untouched,
            Some((place, empty)) => match cell(*place) {
                CellValue::Unset => Bound::Untouched,
                CellValue::Null => Bound::Gone,
                CellValue::Bytes(bytes) if empty.is(bytes) => Bound::Gone,
                CellValue::Bytes(bytes) => Bound::Value(bytes),
            },
        };
        Effect {
            writetime,
            deletes: plan.deletes,
            fades: left_s.is_some_and(|left_s| may_be_over(left_s, age_s)),
            cells: self.columns.iter().map(bound).collect(),
        }
    }
}

// Whether a row of which so much should be left may have lived its time. Where a field tells the WRITETIME, a message may be
// of any future, and nobody knows then when it was written.
fn may_be_over(left_s: i64, age_s: Option<i64>) -> bool {
    left_s <= FADES_BEFORE_S || age_s.is_some_and(|age_s| age_s < -AHEAD_MAX_S)
}

// A WRITETIME has eight bytes, a time to live four.
fn number(cell: CellValue<'_>) -> Option<i64> {
    let CellValue::Bytes(bytes) = cell else { return None };
    match bytes.len() {
        8 => bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)),
        _ => bytes.first_chunk().map(|bytes| i32::from_be_bytes(*bytes).into()),
    }
}

impl Effect<'_> {
    /// How each column stands to the message, if that touches it; and the WRITETIME of what was found there.
    pub(crate) fn standings<'a>(
        &'a self,
        found: FoundRow<'a>,
    ) -> impl Iterator<Item = (Option<Standing>, Option<i64>)> {
        self.cells.iter().enumerate().map(move |(column, bound)| {
            let found = found.cell(column);
            (standing(*bound, self.writetime, found), found.map(|(_, at)| at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_future_may_have_a_row_that_is_over() {
        // Written an hour before its own time, for two hours: an hour after its time it is over, whatever its age says.
        let (ttl_s, age_s) = (7_200, 3_600);
        assert!(may_be_over(ttl_s - age_s, Some(age_s)));
        assert!(!may_be_over(ttl_s - 3_500, Some(3_500)), "nobody could have written it so early");
        assert!(may_be_over(86_400, Some(-3_601)), "of a future that no timestamp may have");
        assert!(!may_be_over(86_400, Some(-3_000)) && !may_be_over(86_400, None));
    }
}
