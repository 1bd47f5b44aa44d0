//! One rule of a route and its column -> how the column is filled, or why it cannot be.

use std::ops::Range;

use uuid::Uuid;

use super::{PlanColumn, nearest};
use crate::codec::{self, Codec};
use crate::json::Reader;
use crate::route::{ColumnRule, Meta, Options, Source};
use crate::schema::{CqlType, Native, Role, Table};

/// A column, its rule, and the cell of its constant or default.
#[derive(Debug, Clone)]
pub(super) struct Filled<'a> {
    pub(super) rule: &'a ColumnRule,
    pub(super) column: PlanColumn,
    pub(super) default: Option<Vec<u8>>,
}

/// A place in the route's file, and what is wrong there.
pub(super) type Wrong = (Range<usize>, String);

pub(super) fn of_table<'a>(
    rule: &'a ColumnRule,
    table: &Table,
    topics: &[String],
) -> Result<Filled<'a>, Wrong> {
    let Some(column) = table.column(&rule.column) else {
        let near = if crate::route::KEYS.contains(&&*rule.column) {
            "; as a key of the route it belongs above [columns]".to_owned()
        } else {
            nearest(&rule.column, table.columns.iter().map(|column| column.name.as_str()))
        };
        return Err((rule.span.clone(), format!("{} has no column {}{near}", table.name, rule.column)));
    };
    let is_timestamp = column.cql == CqlType::Native(Native::Timestamp);
    let simple = matches!(column.cql, CqlType::Native(_));
    codec::for_column(&column.cql, &options(rule, is_timestamp))
        .map_err(|why| (rule.span.clone(), why))
        .and_then(|codec| filled(rule, codec, column.role, simple, topics))
        .map_err(|(place, why)| (place, format!("column {} ({}): {why}", column.name, column.cql)))
}

pub(super) fn of_csv<'a>(rule: &'a ColumnRule, topics: &[String]) -> Result<Filled<'a>, Wrong> {
    codec::for_csv(&options(rule, false))
        .map_err(|why| (rule.span.clone(), why))
        .and_then(|codec| filled(rule, codec, Role::Regular, true, topics))
        .map_err(|(place, why)| (place, format!("column {}: {why}", rule.column)))
}

// A message's own timestamp is in milliseconds, wherever it is read as a time.
fn options(rule: &ColumnRule, is_timestamp: bool) -> Options {
    let mut options = rule.options.clone();
    let as_time = is_timestamp || options.bucket.is_some();
    if rule.source == Source::Meta(Meta::Timestamp) && options.time.is_none() && as_time {
        options.time = Some("epoch_ms".to_owned());
    }
    options
}

fn filled<'a>(
    rule: &'a ColumnRule,
    codec: Codec,
    role: Role,
    simple: bool,
    topics: &[String],
) -> Result<Filled<'a>, Wrong> {
    let here = |why: String| (rule.span.clone(), why);
    fits(&rule.source, &codec, simple, topics).map_err(here)?;
    let default = match (&rule.source, &rule.default) {
        (Source::Constant(json), _) => Some(cell(&codec, json).map_err(|why| here(format!("value: {why}")))?),
        (_, Some(json)) => {
            Some(cell(&codec, json.get_ref()).map_err(|why| (json.span(), format!("default: {why}")))?)
        }
        _ => None,
    };
    let column = PlanColumn { name: rule.column.clone(), codec, role, origin: origin(&rule.source) };
    Ok(Filled { rule, column, default })
}

fn origin(source: &Source) -> String {
    match source {
        Source::Field(path) => format!("field {path}"),
        Source::Key(path) if path.0.is_empty() => "key".to_owned(),
        Source::Key(path) => format!("key {path}"),
        Source::Header(name) => format!("header {name}"),
        Source::Meta(meta) => format!("{meta:?}").to_lowercase(),
        Source::Constant(_) => "value".to_owned(),
        Source::Uuid(paths) => {
            let paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            format!("uuid of {}", paths.join(", "))
        }
    }
}

// What can be known of a source's values before the first message.
fn fits(source: &Source, codec: &Codec, simple: bool, topics: &[String]) -> Result<(), String> {
    let sample = |word: &str| {
        codec.encode_word(word, &mut Vec::new()).map_err(|why| format!("{}: {why}", origin(source)))
    };
    match source {
        Source::Field(_) | Source::Key(_) | Source::Constant(_) => Ok(()),
        Source::Header(_) | Source::Meta(Meta::Key) if simple => Ok(()),
        Source::Header(_) => {
            Err("a header is a text, of which this type cannot be made: take it from a field".to_owned())
        }
        Source::Meta(Meta::Key) => {
            Err("meta = \"key\" is a text, of which this type cannot be made; key = \"a.b\" reads JSON"
                .to_owned())
        }
        Source::Meta(Meta::Topic) => topics.iter().try_for_each(|topic| sample(topic)),
        Source::Meta(Meta::Partition | Meta::Offset | Meta::Timestamp) => sample("0"),
        Source::Uuid(_) => {
            let made = Uuid::new_v5(&Uuid::NAMESPACE_URL, &[]).to_string();
            sample(&made).map_err(|_| {
                "a UUID made of fields is one of version 5: fill a uuid or text with it".to_owned()
            })
        }
    }
}

// A constant's cell.
fn cell(codec: &Codec, json: &str) -> Result<Vec<u8>, String> {
    let mut cell = Vec::new();
    let mut reader = Reader::new(json.as_bytes()).map_err(|error| error.to_string())?;
    codec.encode(&mut reader, &mut String::new(), &mut cell).map_err(|error| error.to_string())?;
    Ok(cell)
}

/// Whether the column of a primary key is known of a message without a value, and the same as with one.
pub(super) fn known_without_value(rule: &ColumnRule) -> Result<(), String> {
    let why = match &rule.source {
        Source::Key(_) | Source::Header(_) | Source::Constant(_) => return Ok(()),
        Source::Meta(Meta::Topic | Meta::Partition | Meta::Key) => return Ok(()),
        Source::Meta(Meta::Offset | Meta::Timestamp) => {
            "differs from message to message, so that no row would be found"
        }
        Source::Field(_) | Source::Uuid(_) => "is not known of a message without a value",
    };
    Err(format!(
        "deletes = \"row\": primary key column {} comes from {}, which {why}; take it from the key \
         ({{ key = \"{}\" }} or {{ meta = \"key\" }}) or from a header",
        rule.column,
        origin(&rule.source),
        rule.column
    ))
}
