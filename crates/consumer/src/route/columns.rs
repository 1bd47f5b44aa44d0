//! `[columns]`: what each column of a route is filled with.

use toml::Spanned;
use toml::de::{DeFloat, DeTable, DeValue};

use super::entries::{Entries, Problems, Value, kind, listed, path, text};
use super::{Bucket, ColumnRule, Format, Meta, Options, Source};
use crate::path::{Path, Step};

const SOURCES: [&str; 6] = ["path", "key", "header", "meta", "value", "uuid"];
/// How a time is written.
pub(super) const TIME_KEYS: [&str; 3] = ["time", "zone", "truncate"];
const MORE_KEYS: [&str; 3] = ["bucket", "format", "default"];
const METAS: [(&str, Meta); 5] = [
    ("topic", Meta::Topic),
    ("partition", Meta::Partition),
    ("offset", Meta::Offset),
    ("timestamp", Meta::Timestamp),
    ("key", Meta::Key),
];
const BUCKETS: [(&str, Bucket); 3] = [("hour", Bucket::Hour), ("day", Bucket::Day), ("month", Bucket::Month)];
const FORMATS: [(&str, Format); 3] =
    [("json", Format::Json), ("hex", Format::Hex), ("base64", Format::Base64)];

/// All columns, in the order of the file.
pub(super) fn read(value: &Value<'_>, problems: &mut Problems<'_>) -> Vec<ColumnRule> {
    let DeValue::Table(table) = value.get_ref() else {
        let found = kind(value.get_ref());
        problems
            .add(&value.span(), format!("columns: expected [columns] with a line a column, found {found}"));
        return Vec::new();
    };
    if table.is_empty() {
        problems.add(&value.span(), "no columns: map at least the primary key");
    }
    let mut columns = Vec::new();
    for (name, value) in table.iter() {
        let value = Spanned::new(value.span(), value.get_ref());
        let name = Spanned::new(name.span(), name.get_ref().as_ref());
        columns.extend(column(&name, &value, problems));
    }
    // The parser sorts by name; the file's order is the one its author thinks in.
    columns.sort_by_key(|rule| rule.span.start);
    columns
}

fn column(name: &Spanned<&str>, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<ColumnRule> {
    const FORMS: &str = "a field path in quotes, or a table such as { path = \"a.b\", time = \"epoch_ms\" }";
    let column = (*name.get_ref()).to_owned();
    let what = format!("column {column}");
    let (source, options, default) = match value.get_ref() {
        DeValue::String(_) => {
            let source = field(&what, &text(&what, value, problems)?, problems).map(Source::Field);
            (source, Options::default(), None)
        }
        DeValue::Table(table) => {
            let known = [&SOURCES[..], &TIME_KEYS, &MORE_KEYS].concat();
            let entries = Entries::of(table, name.span(), &what, &known, problems);
            let source = source(&entries, &what, name, table, problems);
            let default = default(&entries, &what, source.as_ref(), problems);
            let options = Options {
                bucket: entries.choice("bucket", &BUCKETS, problems),
                format: entries.choice("format", &FORMATS, problems),
                ..time_options(&entries, problems)
            };
            check_options(&entries, &what, source.as_ref(), &options, problems);
            (source, options, default)
        }
        other => {
            let constant = match other {
                DeValue::Integer(number) => format!("; the constant is {{ value = {number} }}"),
                DeValue::Float(number) => format!("; the constant is {{ value = {number} }}"),
                DeValue::Boolean(truth) => format!("; the constant is {{ value = {truth} }}"),
                _ => String::new(),
            };
            let found = kind(other);
            problems.add(&value.span(), format!("{what}: expected {FORMS}, found {found}{constant}"));
            return None;
        }
    };
    Some(ColumnRule { source: source?, column, options, default, span: name.span() })
}

pub(super) fn time_options(entries: &Entries<'_>, problems: &mut Problems<'_>) -> Options {
    Options {
        time: entries.text("time", problems).map(Spanned::into_inner),
        zone: entries.text("zone", problems).map(Spanned::into_inner),
        truncate: entries.boolean("truncate", problems).unwrap_or_default(),
        ..Options::default()
    }
}

fn source(
    entries: &Entries<'_>,
    what: &str,
    name: &Spanned<&str>,
    table: &DeTable<'_>,
    problems: &mut Problems<'_>,
) -> Option<Source> {
    let given: Vec<&str> = SOURCES.into_iter().filter(|source| table.contains_key(*source)).collect();
    let [source] = given[..] else {
        let message = match given[..] {
            // What is wrong is a misspelt one of them, which is told already.
            [] if entries.is_misspelt() => return None,
            [] => format!("{what}: where does its value come from? Give one of {}", listed(&SOURCES)),
            _ => format!("{what} has {}: give one of them only", given.join(" and ")),
        };
        problems.add(&name.span(), message);
        return None;
    };
    let value = entries.get(source)?;
    match source {
        "path" => field(what, &entries.text("path", problems)?, problems).map(Source::Field),
        "key" => field(what, &entries.text("key", problems)?, problems).map(Source::Key),
        "header" => {
            let header = entries.text("header", problems)?;
            if header.get_ref().is_empty() {
                problems.add(&header.span(), format!("{what}: the header's name is empty"));
            }
            Some(Source::Header(header.into_inner()))
        }
        "meta" => entries.choice("meta", &METAS, problems).map(Source::Meta),
        "value" => literal(&format!("{what}: value"), &value, problems).map(Source::Constant),
        _ => uuid(entries, what, &value, problems),
    }
}

// `.` alone is the whole value, or the whole key.
fn field(what: &str, text: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Path> {
    if text.get_ref() == "." { Some(Path(Vec::<Step>::new())) } else { path(what, text, problems) }
}

fn uuid(entries: &Entries<'_>, what: &str, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Source> {
    for option in TIME_KEYS.iter().chain(&["bucket", "format"]) {
        if let Some(given) = entries.get(option) {
            problems.add(&given.span(), format!("{what}: {option} has no meaning beside uuid"));
        }
    }
    let DeValue::Array(elements) = value.get_ref() else {
        let found = kind(value.get_ref());
        problems.add(
            &value.span(),
            format!("{what}: uuid: expected a list of fields such as [\"a\", \"b.c\"], found {found}"),
        );
        return None;
    };
    if elements.is_empty() {
        problems.add(
            &value.span(),
            format!("{what}: a UUID of no fields would be the same in all rows; name some"),
        );
        return None;
    }
    let mut paths: Vec<Path> = Vec::new();
    for element in elements.iter() {
        let name = text(&entries.named("uuid"), &Spanned::new(element.span(), element.get_ref()), problems)?;
        let field = field(what, &name, problems)?;
        if paths.contains(&field) {
            problems.add(&name.span(), format!("{what}: {field} is named twice: remove one"));
        }
        paths.push(field);
    }
    Some(Source::Uuid(paths))
}

// Options that do not go with what is known of a message beside its value.
fn check_options(
    entries: &Entries<'_>,
    what: &str,
    source: Option<&Source>,
    options: &Options,
    problems: &mut Problems<'_>,
) {
    let is_word = matches!(source, Some(Source::Header(_) | Source::Meta(_)));
    if let Some(format) = entries.get("format").filter(|_| is_word && options.format == Some(Format::Json)) {
        let why = "has no meaning beside header and meta, whose text is kept as it is";
        problems.add(&format.span(), format!("{what}: format = \"json\" {why}"));
    }
    let is_timestamp = source == Some(&Source::Meta(Meta::Timestamp));
    let is_other = options.time.as_ref().is_some_and(|time| time != "epoch_ms");
    if let Some(time) = entries.get("time").filter(|_| is_timestamp && is_other) {
        problems
            .add(&time.span(), format!("{what}: a message's timestamp is a number of ms: leave time out"));
    }
}

fn default(
    entries: &Entries<'_>,
    what: &str,
    source: Option<&Source>,
    problems: &mut Problems<'_>,
) -> Option<Spanned<String>> {
    let value = entries.get("default")?;
    let useless = match source {
        Some(Source::Constant(_)) => Some("value, which is never missing"),
        Some(Source::Uuid(_)) => Some("uuid: rows without all of its fields would share one"),
        Some(Source::Meta(Meta::Timestamp)) => Some("meta = \"timestamp\": no constant is a message's time"),
        Some(Source::Meta(meta)) if *meta != Meta::Key => Some("this meta, which is never missing"),
        _ => None,
    };
    if let Some(why) = useless {
        problems.add(&value.span(), format!("{what}: default has no meaning beside {why}"));
        return None;
    }
    let json = literal(&format!("{what}: default"), &value, problems)?;
    Some(Spanned::new(value.span(), json))
}

// A TOML scalar as JSON.
fn literal(what: &str, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let message = match value.get_ref() {
        DeValue::String(text) => return Some(serde_json::Value::from(text.as_ref()).to_string()),
        DeValue::Boolean(value) => return Some(value.to_string()),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => return Some(integer.to_string()),
            Err(_) => format!("{what}: the integer is too large; put it in quotes for a text column"),
        },
        DeValue::Float(float) => match json_float(float) {
            Some(json) => return Some(json),
            None => format!("{what}: expected a finite number, found {float}"),
        },
        DeValue::Datetime(time) => format!("{what}: put a time in quotes: \"{time}\""),
        other => format!("{what}: expected a text, a number, true or false, found {}", kind(other)),
    };
    problems.add(&value.span(), message);
    None
}

// TOML writes floats as JSON does, but for a leading plus, infinities and NaN.
fn json_float(float: &DeFloat<'_>) -> Option<String> {
    let text = float.as_str().trim_start_matches('+');
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(|_| text.to_owned())
}
