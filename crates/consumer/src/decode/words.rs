//! What a message has beside its value, as text -> cells: topic, partition, offset, timestamp, key, headers.

use super::{DataError, too_large, unfit};
use crate::message::Message;
use crate::plan::Plan;
use crate::route::Meta;
use crate::rows::Rows;

pub(super) fn set(plan: &Plan, message: &Message<'_>, rows: &mut Rows) -> Result<(), DataError> {
    for (column, meta) in &plan.metas {
        set_meta(plan, *column, *meta, message, rows)?;
    }
    for (column, name) in &plan.headers {
        if let Some(value) = message.headers.get(name) {
            set_bytes(plan, *column, value, rows)?;
        }
    }
    Ok(())
}

fn set_meta(
    plan: &Plan,
    column: usize,
    meta: Meta,
    message: &Message<'_>,
    rows: &mut Rows,
) -> Result<(), DataError> {
    let number = match meta {
        Meta::Topic => return set_word(plan, column, message.topic, rows),
        Meta::Key => return message.key.map_or(Ok(()), |key| set_bytes(plan, column, key, rows)),
        Meta::Partition => i64::from(message.partition),
        Meta::Offset => message.offset,
        Meta::Timestamp => match message.timestamp_ms {
            Some(timestamp_ms) => timestamp_ms,
            // Possible where a field tells the WRITETIME.
            None => return Ok(()),
        },
    };
    set_word(plan, column, &number.to_string(), rows)
}

fn set_bytes(plan: &Plan, column: usize, bytes: &[u8], rows: &mut Rows) -> Result<(), DataError> {
    let word = std::str::from_utf8(bytes).map_err(|_| unfit(plan, column, "not UTF-8"))?;
    set_word(plan, column, word, rows)
}

pub(super) fn set_word(plan: &Plan, column: usize, word: &str, rows: &mut Rows) -> Result<(), DataError> {
    let start = rows.bytes.len();
    match plan.columns[column].codec.encode_word(word, &mut rows.bytes) {
        Ok(()) => rows.set(column, start).ok_or_else(|| too_large(plan, column)),
        Err(error) => Err(unfit(plan, column, &error.to_string())),
    }
}
