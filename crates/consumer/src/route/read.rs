//! The text of a route file -> [`Route`]: the entries above `[columns]`.

use std::ops::Range;
use std::path::Path as FilePath;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::columns::{self, TIME_KEYS, time_options};
use super::entries::{Entries, Problems, Value, choice, kind, path, text};
use super::{Consistency, Deletes, Missing, Problem, Route, SourceFile, TTL_MAX_S, Ttl, Unit, WriteTime};

/// What a route says above its columns, and the columns.
pub(crate) const KEYS: [&str; 8] =
    ["topic", "table", "missing", "deletes", "ttl", "writetime", "consistency", "columns"];
const MISSING: [(&str, Missing); 2] = [("unset", Missing::Unset), ("null", Missing::Null)];
const UNITS: [(&str, Unit); 5] = [
    ("ms", Unit::Milliseconds),
    ("s", Unit::Seconds),
    ("m", Unit::Minutes),
    ("h", Unit::Hours),
    ("d", Unit::Days),
];
const CONSISTENCIES: [(&str, Consistency); 8] = [
    ("local_quorum", Consistency::LocalQuorum),
    ("local_one", Consistency::LocalOne),
    ("one", Consistency::One),
    ("two", Consistency::Two),
    ("three", Consistency::Three),
    ("quorum", Consistency::Quorum),
    ("each_quorum", Consistency::EachQuorum),
    ("all", Consistency::All),
];
/// Kafka's own limit.
const TOPIC_LENGTH_MAX: usize = 249;

/// Reads one route.
///
/// # Errors
/// All that is wrong with the text by itself.
pub fn parse(path: &FilePath, text: String) -> Result<Route, Vec<Problem>> {
    let file = SourceFile { path: path.to_owned(), text };
    let mut problems = Problems { file: &file, found: Vec::new() };
    let (document, broken) = DeTable::parse_recoverable(&file.text);
    for error in broken {
        let span = error.span().unwrap_or(0..0);
        let message = match (error.message(), file.text.get(span.clone())) {
            ("duplicate key", Some(key)) => format!("{key} is given a second time: remove one"),
            (other, _) => format!("not TOML: {other}"),
        };
        problems.add(&span, message);
    }
    // One broken place makes several complaints.
    problems.found.dedup_by_key(|problem| problem.line);
    // What can be made out of a broken text is guesswork: its problems would be, too.
    let route = if problems.found.is_empty() { read(document.get_ref(), &mut problems) } else { None };
    let mut found = problems.found;
    match route {
        Some(route) if found.is_empty() => Ok(Route { file, ..route }),
        _ => {
            found.sort_by_key(|problem| (problem.line, problem.column));
            Err(found)
        }
    }
}

fn read(document: &DeTable<'_>, problems: &mut Problems<'_>) -> Option<Route> {
    let start = 0..0;
    let entries = Entries::of(document, start, "", &KEYS, problems);
    let topics = entries
        .required("topic", "topic = \"orders\"", problems)
        .map(|value| topics(&value, problems))
        .unwrap_or_default();
    let table = entries
        .required("table", "table = \"shop.orders\"", problems)
        .and_then(|value| table(&value, problems));
    let columns = entries
        .required("columns", "[columns] with a line a column: id = \"id\"", problems)
        .map(|value| columns::read(&value, problems))
        .unwrap_or_default();
    let missing = entries.choice("missing", &MISSING, problems).unwrap_or_default();
    let deletes = entries.get("deletes").map(|value| deletes(&value, problems)).unwrap_or_default();
    let ttl = entries.get("ttl").and_then(|value| ttl(&value, problems));
    let writetime = entries.get("writetime").and_then(|value| writetime(&value, problems));
    let consistency = entries.get("consistency").and_then(|value| consistency(&value, problems));
    Some(Route {
        file: SourceFile::default(),
        topics,
        table: table?,
        missing,
        deletes,
        ttl,
        writetime,
        consistency: consistency.unwrap_or_default(),
        columns,
    })
}

fn topics(value: &Value<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut topics: Vec<String> = Vec::new();
    for topic in list("topic", "\"orders\" or [\"orders-eu\", \"orders-us\"]", value, problems) {
        let Some(topic) = text("topic", &topic, problems) else { continue };
        let name = topic.get_ref();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || !name.chars().all(allowed) {
            let rule = "a topic's name has letters, digits, '.', '_' and '-' only";
            problems.add(&topic.span(), format!("topic {name:?}: {rule}"));
        } else if name.len() > TOPIC_LENGTH_MAX || name == "." || name == ".." {
            problems.add(&topic.span(), format!("topic {name:?}: Kafka allows no topic of this name"));
        } else if topics.contains(name) {
            problems.add(&topic.span(), format!("topic {name:?} is named twice: remove one"));
        }
        topics.push(topic.into_inner());
    }
    topics
}

// One text, or a list of some.
fn list<'a>(name: &str, example: &str, value: &Value<'a>, problems: &mut Problems<'_>) -> Vec<Value<'a>> {
    match value.get_ref() {
        DeValue::Array(elements) if !elements.is_empty() => {
            elements.iter().map(|element| Spanned::new(element.span(), element.get_ref())).collect()
        }
        DeValue::String(_) => vec![value.clone()],
        other => {
            let found = if other.is_array() { "an empty list" } else { kind(other) };
            problems.add(&value.span(), format!("{name}: expected {example}, found {found}"));
            Vec::new()
        }
    }
}

fn table(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Spanned<String>> {
    let table = text("table", value, problems)?;
    let mut parts = table.get_ref().split('.');
    let well_formed = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
    if !(well_formed(parts.next()) && well_formed(parts.next()) && parts.next().is_none()) {
        let found = table.get_ref();
        problems.add(&table.span(), format!("table {found:?}: expected keyspace.table, as in shop.orders"));
    }
    Some(table)
}

fn deletes(value: &Value<'_>, problems: &mut Problems<'_>) -> Deletes {
    let set_row: fn(&mut Deletes) = |deletes| deletes.row = true;
    let set_cells: fn(&mut Deletes) = |deletes| deletes.cells = true;
    let choices = [("row", set_row), ("cells", set_cells)];
    let mut deletes = Deletes::default();
    for word in list("deletes", "\"row\", \"cells\" or [\"row\", \"cells\"]", value, problems) {
        if let Some(set) = choice("deletes", &word, &choices, problems) {
            set(&mut deletes);
        }
    }
    deletes
}

fn ttl(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Ttl> {
    const FORMS: &str = "a time such as \"30d\", or a field such as { path = \"expires_in\", unit = \"s\" }";
    match value.get_ref() {
        DeValue::String(text) => match constant_ttl(text) {
            Ok(seconds) => Some(Ttl::Constant(seconds)),
            Err(message) => {
                problems.add(&value.span(), message);
                None
            }
        },
        DeValue::Table(table) => field_ttl(table, value.span(), problems),
        other => {
            problems.add(&value.span(), format!("ttl: expected {FORMS}, found {}", kind(other)));
            None
        }
    }
}

fn constant_ttl(text: &str) -> Result<i64, String> {
    let duration: Duration = humantime_serde::re::humantime::parse_duration(text)
        .map_err(|_| format!("ttl = {text:?}: expected a time such as \"30d\", \"12h\" or \"1h 30m\""))?;
    let seconds = i64::try_from(duration.as_secs()).ok().filter(|seconds| (1..=TTL_MAX_S).contains(seconds));
    seconds.ok_or_else(|| format!("ttl = {text:?}: expected 1s to 20 years (630720000s)"))
}

fn field_ttl(table: &DeTable<'_>, span: Range<usize>, problems: &mut Problems<'_>) -> Option<Ttl> {
    let entries = Entries::of(table, span, "ttl", &["path", "unit", "default"], problems);
    let path = entries
        .required("path", "path = \"expires_in\"", problems)
        .and_then(|value| text("ttl: path", &value, problems))
        .and_then(|text| path("ttl", &text, problems));
    let unit = entries
        .required("unit", "unit = \"s\"", problems)
        .and_then(|_| entries.choice("unit", &UNITS, problems));
    let mut default = None;
    if let Some(value) = entries.get("default") {
        default = value
            .get_ref()
            .as_integer()
            .and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
        let seconds = default.zip(unit).map(|(count, unit): (i64, Unit)| unit.seconds(count));
        if default.is_none() || seconds == Some(None) {
            problems.add(
                &value.span(),
                "ttl: default: expected an integer of the same unit, 1 s to 20 years in all",
            );
        }
    }
    Some(Ttl::Field { path: path?, unit: unit?, default })
}

fn writetime(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<WriteTime> {
    const FORMS: &str = "a field such as { path = \"updated_at\", time = \"epoch_ms\" }";
    let span = value.span();
    match value.get_ref() {
        DeValue::String(_) => {
            let text = text("writetime", value, problems)?;
            let path = path("writetime", &text, problems)?;
            Some(WriteTime { path, options: super::Options::default(), span })
        }
        DeValue::Table(table) => {
            let known = [&["path"], &TIME_KEYS[..]].concat();
            let entries = Entries::of(table, span.clone(), "writetime", &known, problems);
            let path = entries
                .required("path", "path = \"updated_at\"", problems)
                .and_then(|value| text("writetime: path", &value, problems))
                .and_then(|text| path("writetime", &text, problems));
            let options = time_options(&entries, problems);
            Some(WriteTime { path: path?, options, span })
        }
        other => {
            problems.add(&span, format!("writetime: expected {FORMS}, found {}", kind(other)));
            None
        }
    }
}

fn consistency(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Consistency> {
    if value.get_ref().as_str() == Some("any") {
        let why = "any node's hint would do, and a hint is lost with its node: expected \"one\" or more";
        problems.add(&value.span(), format!("consistency = \"any\": {why}"));
        return None;
    }
    choice("consistency", value, &CONSISTENCIES, problems)
}

impl Unit {
    /// Whole seconds of so many; `None` below one second or above twenty years.
    pub fn seconds(self, count: i64) -> Option<i64> {
        let seconds = match self {
            Self::Milliseconds => count.div_euclid(1000),
            Self::Seconds => count,
            Self::Minutes => count.checked_mul(60)?,
            Self::Hours => count.checked_mul(3_600)?,
            Self::Days => count.checked_mul(86_400)?,
        };
        (1..=TTL_MAX_S).contains(&seconds).then_some(seconds)
    }
}
