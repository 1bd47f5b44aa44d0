//! One message -> one row, by the plan, in one pass over the value's bytes.
//!
//! Reads no clock and does no I/O: the caller passes the time. What cannot become a row is a [`DataError`], which
//! becomes a dead letter.

use crate::codec::ValueError;
use crate::json::{self, Kind, Reader};
use crate::message::Message;
use crate::plan::{Node, Plan, PlanColumn};
use crate::route::Meta;
use crate::rows::{Cell, CellValue, Rows};
use crate::schema::Role;

/// A message's timestamp may be ahead of the clock by this much: more would freeze its row until then.
const AHEAD_MAX_MS: i64 = 3_600_000;

/// Why a message can never become a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DataError {
    /// The kind, for counting.
    pub class: Class,
    /// What is wrong, where, in words.
    pub reason: String,
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
}

impl Decoder {
    /// Appends the message's row to `rows`, which has the plan's width.
    ///
    /// `now_ms` is the wall clock, milliseconds since 1970.
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
        let timestamp_ms = timestamp(message, now_ms)?;
        // A message of the (allowed) future lives no longer than the route says.
        let age_s = ((now_ms - timestamp_ms) / 1000).max(0);
        let ttl_s = plan.ttl_s.map(|ttl_s| ttl_s - age_s);
        if ttl_s.is_some_and(|left_s| left_s <= 0) {
            return Ok(Decoded::Expired);
        }
        let start = rows.bytes.len();
        rows.push(plan.missing);
        let filled = self
            .fill(plan, message, rows)
            .and_then(|()| using(plan, writetime(timestamp_ms, message.offset), ttl_s, rows));
        match filled {
            Ok(()) => Ok(Decoded::Row),
            Err(error) => {
                rows.pop(start);
                Err(error)
            }
        }
    }

    fn fill(&mut self, plan: &Plan, message: &Message<'_>, rows: &mut Rows) -> Result<(), DataError> {
        let Some(value) = message.value else {
            return Err(Class::Tombstone
                .error("the message has no value, and the route does not say what that means"));
        };
        let mut reader = Reader::new(value).map_err(DataError::from)?;
        let kind = reader.peek().map_err(DataError::from)?;
        if kind != Kind::Object {
            // `no json` begins like null and is none.
            reader.skip()?;
            return Err(Class::Json.error(format!("expected an object, found {}", kind.name())));
        }
        self.walk(plan, &plan.fields, &mut reader, rows)?;
        reader.end().map_err(DataError::from)?;
        for (column, meta) in &plan.metas {
            set_meta(plan, *column, *meta, message, rows)?;
        }
        for (column, name) in &plan.headers {
            if let Some(value) = message.headers.get(name) {
                set_bytes(plan, *column, value, rows)?;
            }
        }
        check_key(plan, rows)
    }

    // At a value that some columns want, or that holds what they want.
    fn walk(
        &mut self,
        plan: &Plan,
        node: &Node,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        let kind = reader.peek().map_err(DataError::from)?;
        let mut wanted = node.columns.iter().peekable();
        while let Some(&column) = wanted.next() {
            // The last reader of a value moves on, earlier ones look ahead.
            if wanted.peek().is_some() || !node.fields.is_empty() || !node.elements.is_empty() {
                self.set(plan, column, &mut reader.clone(), rows)?;
            } else {
                return self.set(plan, column, reader, rows);
            }
        }
        match kind {
            Kind::Object if !node.fields.is_empty() => self.walk_object(plan, node, reader, rows),
            Kind::Array if !node.elements.is_empty() => self.walk_array(plan, node, reader, rows),
            Kind::Null => reader.null().map_err(DataError::from),
            _ if !node.columns.is_empty() => reader.skip().map(drop).map_err(DataError::from),
            other => {
                let below = node.fields.first().map(|(name, _)| format!("an object with {name}"));
                let expected = below.unwrap_or_else(|| "an array".to_owned());
                Err(Class::Value.error(format!(
                    "expected {expected} at byte {}, found {}",
                    reader.at(),
                    other.name()
                )))
            }
        }
    }

    fn walk_object(
        &mut self,
        plan: &Plan,
        node: &Node,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        reader.object().map_err(DataError::from)?;
        // Writers keep their order of fields: the next one wanted is most likely the next one found.
        let mut likely = 0;
        let mut first = true;
        while let Some(key) = reader.key(first, &mut self.key).map_err(DataError::from)? {
            first = false;
            let place = match node.fields.get(likely) {
                Some((name, _)) if name == key => Some(likely),
                _ => node.fields.iter().position(|(name, _)| name == key),
            };
            match place {
                Some(place) => {
                    likely = place + 1;
                    self.walk(plan, &node.fields[place].1, reader, rows)?;
                }
                None => drop(reader.skip().map_err(DataError::from)?),
            }
        }
        Ok(())
    }

    fn walk_array(
        &mut self,
        plan: &Plan,
        node: &Node,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        reader.array().map_err(DataError::from)?;
        let mut index = 0;
        while reader.element(index == 0).map_err(DataError::from)? {
            match node.elements.iter().find(|(wanted, _)| *wanted == index) {
                Some((_, below)) => self.walk(plan, below, reader, rows)?,
                None => drop(reader.skip().map_err(DataError::from)?),
            }
            index += 1;
        }
        Ok(())
    }

    fn set(
        &mut self,
        plan: &Plan,
        column: usize,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        if rows.last(column) != plan.missing {
            let origin = &plan.columns[column].origin;
            return Err(Class::Value.error(format!("{origin} appears twice")));
        }
        let start = rows.bytes.len();
        match plan.columns[column].codec.encode(reader, &mut self.text, &mut rows.bytes) {
            Ok(true) => rows.set(column, start).ok_or_else(|| too_large(plan, column)),
            // Null in JSON is what the route says a missing field is.
            Ok(false) => Ok(()),
            Err(ValueError::Json(error)) => Err(error.into()),
            Err(ValueError::Unfit(why)) => Err(unfit(plan, column, &why)),
        }
    }
}

/// The row's WRITETIME in microseconds: later messages of a partition win, also within one millisecond.
pub fn writetime(timestamp_ms: i64, offset: i64) -> i64 {
    timestamp_ms * 1000 + offset.rem_euclid(1000)
}

fn timestamp(message: &Message<'_>, now_ms: i64) -> Result<i64, DataError> {
    match message.timestamp_ms {
        None => Err(Class::Timestamp.error("the message has no timestamp")),
        Some(early) if early < 0 => {
            Err(Class::Timestamp.error(format!("timestamp {early} ms is before 1970")))
        }
        Some(late) if late > now_ms.saturating_add(AHEAD_MAX_MS) => Err(Class::Timestamp.error(format!(
            "timestamp {late} ms is {} s ahead of this clock: the row could not be changed until then",
            (late - now_ms) / 1000
        ))),
        Some(timestamp_ms) => Ok(timestamp_ms),
    }
}

// What the statement binds after the columns.
fn using(plan: &Plan, writetime: i64, ttl_s: Option<i64>, rows: &mut Rows) -> Result<(), DataError> {
    if plan.statement.is_empty() {
        return Ok(());
    }
    let column = plan.columns.len();
    let start = rows.bytes.len();
    rows.bytes.extend_from_slice(&writetime.to_be_bytes());
    let mut set = rows.set(column, start);
    // A route's TTL is at most twenty years, which fits.
    if let Some(ttl_s) = ttl_s.and_then(|ttl_s| i32::try_from(ttl_s).ok()) {
        let start = rows.bytes.len();
        rows.bytes.extend_from_slice(&ttl_s.to_be_bytes());
        set = set.and(rows.set(column + 1, start));
    }
    set.ok_or_else(|| Class::Value.error("the row is larger than 2 GiB"))
}

fn set_meta(
    plan: &Plan,
    column: usize,
    meta: Meta,
    message: &Message<'_>,
    rows: &mut Rows,
) -> Result<(), DataError> {
    let number = match meta {
        Meta::Topic => return set_bytes(plan, column, message.topic.as_bytes(), rows),
        Meta::Key => return message.key.map_or(Ok(()), |key| set_bytes(plan, column, key, rows)),
        Meta::Partition => i64::from(message.partition),
        Meta::Offset => message.offset,
        Meta::Timestamp => message.timestamp_ms.unwrap_or_default(),
    };
    set_bytes(plan, column, number.to_string().as_bytes(), rows)
}

fn set_bytes(plan: &Plan, column: usize, bytes: &[u8], rows: &mut Rows) -> Result<(), DataError> {
    let word = std::str::from_utf8(bytes).map_err(|_| unfit(plan, column, "not UTF-8"))?;
    let start = rows.bytes.len();
    match plan.columns[column].codec.encode_word(word, &mut rows.bytes) {
        Ok(()) => rows.set(column, start).ok_or_else(|| too_large(plan, column)),
        Err(error) => Err(unfit(plan, column, &error.to_string())),
    }
}

fn check_key(plan: &Plan, rows: &Rows) -> Result<(), DataError> {
    for (place, column) in plan.columns.iter().enumerate() {
        if column.role != Role::Regular && (rows.last(place) == Cell::NULL || rows.last(place) == Cell::UNSET)
        {
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
