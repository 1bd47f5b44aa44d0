//! A decoded row and the row of the table -> each column as text, with how the one stands to the other.

use super::Column;
use crate::audit::effect::{Effect, Standing, standing};
use crate::plan::{Plan, PlanColumn};
use crate::rows::{CellValue, Rows};
use crate::schema::Role;
use crate::store::{FoundRow, Selected};

/// The plan's columns: what the message binds, and what is there.
pub(super) fn shown(
    selected: &[Selected],
    plan: &Plan,
    rows: &Rows,
    effect: &Effect<'_>,
    there: Option<FoundRow<'_>>,
) -> Vec<Column> {
    let column = |(place, column): (usize, &PlanColumn)| {
        let is_key = column.role != Role::Regular;
        let read = selected.iter().position(|selected| selected.name == column.name);
        let found = read.and_then(|read| there.and_then(|there| there.cell(read)));
        let stands = read.and_then(|read| standing(effect.cells[read], effect.writetime, found));
        let default = plan.defaults.iter().any(|(defaulted, _)| *defaulted == place);
        Column {
            name: column.name.clone(),
            from: if default {
                format!("{}, else its default", column.origin)
            } else {
                column.origin.clone()
            },
            key: is_key,
            cell: match rows.cell(0, place) {
                CellValue::Bytes(bytes) => column.codec.show(bytes),
                CellValue::Null => "null".to_owned(),
                CellValue::Unset => "unset".to_owned(),
            },
            found: found.map(|(bytes, _)| column.codec.show(bytes)),
            found_writetime: found.map(|(_, at)| at),
            standing: stands.map(|stands| words(stands, effect.writetime)),
        }
    };
    plan.columns.iter().enumerate().map(column).collect()
}

fn words(standing: Standing, writetime: i64) -> String {
    let apart = |at: i64| {
        let micros = at.abs_diff(writetime);
        humantime::format_duration(std::time::Duration::from_micros(micros)).to_string()
    };
    match standing {
        Standing::Same => "the same".to_owned(),
        Standing::Absent => "not there".to_owned(),
        Standing::Newer(at) => format!("newer by {}", apart(at)),
        Standing::Older(at) => format!("OLDER by {}", apart(at)),
        Standing::Tied => "OTHER, of the same WRITETIME".to_owned(),
    }
}

/// A number of four bytes.
pub(super) fn number(cell: CellValue<'_>) -> Option<i64> {
    match cell {
        CellValue::Bytes(bytes) => bytes.first_chunk().map(|bytes| i32::from_be_bytes(*bytes).into()),
        CellValue::Null | CellValue::Unset => None,
    }
}
