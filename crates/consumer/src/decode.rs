//! One message -> one row, by the plan, in one pass over the value's bytes.
//!
//! Reads no clock and does no I/O: the caller passes the time. What cannot become a row is a [`DataError`], which
//! becomes a dead letter.

mod aside;
mod content;
mod walk;
mod words;

use std::ops::Range;

pub use aside::NAMESPACE;

use crate::json::{self, Kind, Reader};
use crate::message::Message;
use crate::plan::{Plan, PlanColumn};
use crate::rows::{Cell, CellValue, Rows};
use crate::schema::Role;

/// A message's timestamp may be ahead of the clock by this much: more would freeze its row until then.
pub(crate) const AHEAD_MAX_MS: i64 = 3_600_000;

/// Why a message can never become a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DataError {
    /// The kind, for counting.
    pub class: Class,
    /// What is wrong, where, in words.
    pub reason: String,
}

impl DataError {
    /// See [`kind`].
    pub fn kind(&self) -> String {
        kind(self.class.name(), &self.reason)
    }
}

/// A class and a reason with `#` for each number and for what stands between quotation marks: errors of one kind differ
/// in places, sizes, times and the words of their messages.
pub fn kind(class: &str, reason: &str) -> String {
    let mut kind = format!("{class} ");
    let (mut is_quoted, mut is_escaped) = (false, false);
    for c in reason.chars() {
        let is_mark = c == '"' && !is_escaped;
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        is_quoted ^= is_mark;
        if is_mark || !(is_quoted || c.is_ascii_digit()) {
            kind.push(c);
        } else if !kind.ends_with('#') {
            kind.push('#');
        }
    }
    kind
}

/// Kinds of data errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The value is not JSON, or not an object.
    Json,
    /// A field's value does not fit its column.
    Value,
    /// A primary key column has no value.
    Key,
    /// The timestamp is missing, negative or in the future.
    Timestamp,
    /// The message has no value.
    Tombstone,
    /// The table refused the row.
    Refused,
}

impl Class {
    /// As metrics and headers name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Value => "value",
            Self::Key => "key",
            Self::Timestamp => "timestamp",
            Self::Tombstone => "tombstone",
            Self::Refused => "refused",
        }
    }

    fn error(self, reason: impl Into<String>) -> DataError {
        DataError { class: self, reason: reason.into() }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// A row was appended.
    Row,
    /// The row's time to live has passed; nothing was appended.
    Expired,
}

/// Turns messages into rows; keeps the buffers that this needs.
#[derive(Debug, Default)]
pub struct Decoder {
    key: String,
    text: String,
    /// Where in the value the fields of the plan's slots are.
    aside: Vec<Option<Range<usize>>>,
    content: Vec<u8>,
    /// Where the row's cells begin.
    row: usize,
}

impl Decoder {
    /// Appends the message's row to `rows`, which has the plan's width.
    ///
    /// `now_ms` is the wall clock, milliseconds since 1970. A plan that deletes does not look at the value.
    ///
    /// # Errors
    /// [`DataError`]; `rows` is as before.
    pub fn decode(
        &mut self,
        plan: &Plan,
        message: &Message<'_>,
        now_ms: i64,
        rows: &mut Rows,
    ) -> Result<Decoded, DataError> {
        // Where a field tells the WRITETIME, the message's own timestamp may be anything.
        let timestamp_ms = match plan.writetime {
            None => Some(checked(message.timestamp_ms, "timestamp", now_ms)?),
            Some(_) => message.timestamp_ms,
        };
        let ttl_s = match plan.ttl_s {
            None => None,
            Some(ttl_s) => Some(ttl_s - age_s(timestamp_ms, now_ms)?),
        };
        // Its older versions have expired as well, unless a field says which ones are older.
        if plan.writetime.is_none() && ttl_s.is_some_and(|left_s| left_s <= 0) {
            return Ok(Decoded::Expired);
        }
        let start = rows.bytes.len();
        self.row = start;
        rows.push(plan.missing);
        let filled = self.fill(plan, message, rows).and_then(|()| {
            let value = message.value.unwrap_or_default();
            let written_ms = match &plan.writetime {
                None => timestamp_ms.unwrap_or_default(),
                Some(field) => self.written_ms(plan, field, value, now_ms, rows)?,
            };
            let ttl_s = match &plan.ttl_field {
                None => ttl_s,
                Some(field) => match self.ttl_s(plan, field, value, rows)? {
                    None => None,
                    Some(ttl_s) => Some(ttl_s - age_s(timestamp_ms, now_ms)?),
                },
            };
            // An older version may live longer, and would stay if this one were left out. Written with a second to
            // live, this one takes its place.
            let ttl_s = ttl_s.map(|left_s| left_s.max(1));
            using(plan, writetime(written_ms, message.offset), ttl_s, rows)
        });
        if filled.is_err() {
            rows.pop(start);
        }
        filled.map(|()| Decoded::Row)
    }

    /// As [`Decoder::decode`]; a row whose values have more than `bytes_max` bytes is an error as well.
    ///
    /// # Errors
    /// [`DataError`]; `rows` is as before.
    pub fn decode_within(
        &mut self,
        bytes_max: usize,
        plan: &Plan,
        message: &Message<'_>,
        now_ms: i64,
        rows: &mut Rows,
    ) -> Result<Decoded, DataError> {
        let before = rows.bytes.len();
        let decoded = self.decode(plan, message, now_ms, rows)?;
        let bytes = rows.bytes.len() - before;
        if bytes > bytes_max {
            rows.pop(before);
            let reason = format!("the row has {bytes} bytes, consumer.row_bytes_max is {bytes_max}");
            return Err(Class::Value.error(reason));
        }
        Ok(decoded)
    }

    fn fill(&mut self, plan: &Plan, message: &Message<'_>, rows: &mut Rows) -> Result<(), DataError> {
        if !plan.deletes {
            let Some(value) = message.value else { return Err(Class::Tombstone.error(plan.tombstone)) };
            self.read(plan, value, rows)?;
        }
        if let (Some(node), Some(key)) = (&plan.key_fields, message.key) {
            self.read_key(plan, node, key, rows)?;
        }
        words::set(plan, message, rows)?;
        for (column, cell) in &plan.defaults {
            if !rows.last(*column).is_set() {
                let start = rows.bytes.len();
                rows.bytes.extend_from_slice(cell);
                rows.set(*column, start).ok_or_else(|| too_large(plan, *column))?;
            }
        }
        if !plan.uuids.is_empty() {
            self.set_uuids(plan, message.value.unwrap_or_default(), rows)?;
        }
        check_key(plan, rows)
    }

    fn read(&mut self, plan: &Plan, value: &[u8], rows: &mut Rows) -> Result<(), DataError> {
        self.aside.clear();
        self.aside.resize(plan.slots.len(), None);
        let mut reader = Reader::new(value)?;
        let kind = reader.peek()?;
        // Only a route that takes the whole value takes one that is no object.
        if kind != Kind::Object && plan.fields.columns.is_empty() {
            // `no json` begins like null and is none.
            reader.skip()?;
            return Err(Class::Json.error(format!("expected an object, found {}", kind.name())));
        }
        self.walk(plan, &plan.fields, &mut reader, rows)?;
        Ok(reader.end()?)
    }
}

/// The row's WRITETIME in microseconds: later messages of a partition win, also within one millisecond.
pub fn writetime(timestamp_ms: i64, offset: i64) -> i64 {
    timestamp_ms * 1000 + offset.rem_euclid(1000)
}

// A time that may become a WRITETIME. `name` says which one it is.
fn checked(time_ms: Option<i64>, name: &str, now_ms: i64) -> Result<i64, DataError> {
    match time_ms {
        None => Err(Class::Timestamp.error(format!("the message has no {name}"))),
        Some(early) if early < 0 => Err(Class::Timestamp.error(format!("{name} {early} ms is before 1970"))),
        Some(late) if late > now_ms.saturating_add(AHEAD_MAX_MS) => Err(Class::Timestamp.error(format!(
            "{name} {late} ms is {} s ahead of this clock: the row could not be changed until then",
            late.saturating_sub(now_ms) / 1000
        ))),
        Some(time_ms) => Ok(time_ms),
    }
}

// A message of the (allowed) future lives no longer than the route says.
fn age_s(timestamp_ms: Option<i64>, now_ms: i64) -> Result<i64, DataError> {
    match timestamp_ms {
        Some(timestamp_ms) if timestamp_ms >= 0 => Ok(((now_ms - timestamp_ms) / 1000).max(0)),
        _ => Err(Class::Timestamp.error("the message has no timestamp, from which its time to live counts")),
    }
}

// What the statement binds beside the columns.
fn using(plan: &Plan, writetime: i64, ttl_s: Option<i64>, rows: &mut Rows) -> Result<(), DataError> {
    if plan.statement.is_empty() {
        return Ok(());
    }
    let column = plan.columns.len();
    let start = rows.bytes.len();
    rows.bytes.extend_from_slice(&writetime.to_be_bytes());
    let mut set = rows.set(column, start);
    // A TTL is at most twenty years, which fits.
    if let Some(ttl_s) = ttl_s.and_then(|ttl_s| i32::try_from(ttl_s).ok()) {
        let start = rows.bytes.len();
        rows.bytes.extend_from_slice(&ttl_s.to_be_bytes());
        set = set.and(rows.set(column + 1, start));
    } else if plan.ttl_field.is_some() {
        // Unset is the table's own default; null would be none at all.
        rows.set_cell(column + 1, Cell::UNSET);
    }
    set.ok_or_else(|| Class::Value.error("the row is larger than 2 GiB"))
}

fn check_key(plan: &Plan, rows: &Rows) -> Result<(), DataError> {
    for (place, column) in plan.columns.iter().enumerate() {
        if column.role != Role::Regular && !rows.last(place).is_set() {
            let PlanColumn { name, origin, .. } = column;
            return Err(Class::Key.error(format!("primary key column {name}: {origin} is missing or null")));
        }
    }
    // Cassandra's own rule: a partition key of one column must not be empty.
    if let [only] = plan.partition_key[..]
        && rows.cell(rows.len() - 1, only) == CellValue::Bytes(b"")
    {
        let name = &plan.columns[only].name;
        return Err(Class::Key.error(format!("partition key column {name} is empty")));
    }
    Ok(())
}

impl From<json::Error> for DataError {
    fn from(error: json::Error) -> Self {
        Class::Json.error(format!("not JSON: {error}"))
    }
}

fn unfit(plan: &Plan, column: usize, why: &str) -> DataError {
    let PlanColumn { name, origin, .. } = &plan.columns[column];
    Class::Value.error(format!("column {name}: {origin}: {why}"))
}

fn too_large(plan: &Plan, column: usize) -> DataError {
    unfit(plan, column, "larger than 2 GiB")
}

#[cfg(test)]
mod tests;
