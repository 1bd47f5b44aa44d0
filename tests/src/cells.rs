//! Cells of a row against the message that they were made of, independently of the consumer's own codecs.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use scylla::value::CqlValue;
use serde_json::Value;

/// The text that a cell holds.
pub fn text(cell: &Option<CqlValue>) -> String {
    cell.as_ref().and_then(CqlValue::as_text).cloned().unwrap()
}

/// Whether the cell is what this message says of that column.
pub fn fits(column: &str, cell: &Option<CqlValue>, message: &Value) -> bool {
    let said = match column {
        "month" => Some(format!("{}-01", &message["observed_at"].as_str().unwrap()[..7]).into()),
        "hour" => Some(format!("{}:00:00Z", &message["dt"].as_str().unwrap()[..13]).into()),
        "log_params" => {
            let stored = cell.as_ref().map(|cell| serde_json::from_str(cell.as_text().unwrap()).unwrap());
            return stored.as_ref() == message.get(column);
        }
        _ => message.get(column).cloned(),
    };
    match (cell, said) {
        (Some(cell), Some(said)) => is(cell, &said),
        (None, None) => true,
        _ => false,
    }
}

fn is(cell: &CqlValue, said: &Value) -> bool {
    match cell {
        CqlValue::Text(text) => said == text,
        CqlValue::Uuid(uuid) => *said == uuid.to_string(),
        CqlValue::Int(number) => said.as_i64() == Some(i64::from(*number)),
        CqlValue::BigInt(number) => said.as_i64() == Some(*number),
        CqlValue::Double(number) => said.as_f64() == Some(*number),
        CqlValue::Boolean(truth) => said == truth,
        CqlValue::Timestamp(at) => said.as_str().and_then(instant_ms) == Some(at.0),
        CqlValue::Date(date) => {
            // CQL counts the days from 1970 with 2^31 added.
            let stored = NaiveDate::default() + TimeDelta::days(i64::from(date.0) - (1 << 31));
            *said == stored.format("%Y-%m-%d").to_string()
        }
        CqlValue::List(elements) => said.as_array().is_some_and(|said| {
            said.len() == elements.len() && elements.iter().zip(said).all(|(cell, said)| is(cell, said))
        }),
        CqlValue::UserDefinedType { fields, .. } => {
            let known = |name: &String| fields.iter().any(|(field, _)| field == name);
            said.as_object().is_some_and(|said| said.keys().all(known))
                && fields.iter().all(|(name, cell)| fits(name, cell, said))
        }
        other => panic!("no column has the type of {other:?}"),
    }
}

fn instant_ms(text: &str) -> Option<i64> {
    let instant = DateTime::parse_from_rfc3339(text).map(|at| at.timestamp_millis());
    let plain = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map(|at| at.and_utc());
    instant.or_else(|_| plain().map(|at| at.timestamp_millis())).ok()
}
