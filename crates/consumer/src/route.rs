//! A route file (`routes/<name>.toml`): which topic goes into which table, and how fields become columns.
//!
//! Parsing keeps the place of each entry, so that every problem, also one that only the live schema reveals,
//! is reported with file, line and column.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use crate::path::Path;

/// Twenty years, Cassandra's limit.
const TTL_MAX: Duration = Duration::from_secs(630_720_000);

/// What a field that a message lacks means for its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The cell is left as it is: no tombstone.
    #[default]
    Unset,
    /// The cell is deleted: absent rain is no rain.
    Null,
}

/// One topic into one table.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it was read from.
    pub file: SourceFile,
    /// The topic.
    pub topic: String,
    /// `keyspace.table`, with its place in the file.
    pub table: Spanned<String>,
    /// What a missing field means.
    pub missing: Missing,
    /// How long a row lives from its message's timestamp on.
    pub ttl: Option<Duration>,
    /// The columns that the route fills.
    pub columns: Vec<ColumnRule>,
}

/// One column of a route.
#[derive(Debug, Clone)]
pub struct ColumnRule {
    /// The column's name.
    pub column: String,
    /// Where the value comes from.
    pub source: Source,
    /// How it is read.
    pub options: Options,
    /// Place of the column's name in the file.
    pub span: Range<usize>,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A field of the message's JSON value.
    Field(Path),
    /// A header of the message, as text.
    Header(String),
    /// The message itself.
    Meta(Meta),
}

/// What is known of a message beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Kafka's own words")]
pub enum Meta {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
}

/// How a value is read, where its type alone does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` or a pattern such as `%Y-%m-%d %H:%M:%S`.
    pub time: Option<String>,
    /// `UTC` or `+02:00`: the zone of a pattern without one.
    pub zone: Option<String>,
    /// Cut the time down to its hour, day or month.
    pub bucket: Option<Bucket>,
    /// `json`: any value, kept as its text; `hex` or `base64`: how a blob is written.
    pub format: Option<Format>,
    /// Times finer than the column are cut instead of refused.
    pub truncate: bool,
}

/// A span of time that a partition covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Bucket {
    Hour,
    Day,
    Month,
}

/// How a value is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Any JSON, kept as its text.
    Json,
    /// A blob in hexadecimal digits, with or without `0x`.
    Hex,
    /// A blob in standard base64.
    Base64,
}

/// A file's name and text, for pointing into it.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// As it was opened.
    pub path: PathBuf,
    text: String,
}

/// Something wrong with a route, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The route file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)
    }
}

impl SourceFile {
    /// A problem at that place of the file.
    pub fn problem(&self, span: &Range<usize>, message: impl Into<String>) -> Problem {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem {
            file: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

/// All problems, a line each.
pub fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    format!("{} in the routes:{}", if problems.len() == 1 { "a problem" } else { "problems" }, lines.concat())
}

/// Reads every `*.toml` of a folder, in the order of their names.
///
/// # Errors
/// All problems of all files.
pub fn load(folder: &FilePath) -> Result<Vec<Route>, Vec<Problem>> {
    let whole = |message: String| vec![Problem { file: folder.to_owned(), line: 1, column: 1, message }];
    let entries = std::fs::read_dir(folder).map_err(|error| {
        whole(format!("read the folder of routes: {error}; consumer.routes names another"))
    })?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(whole("no route here: add a file such as users.toml".to_owned()));
    }
    let mut routes = Vec::new();
    let mut problems = Vec::new();
    for path in files {
        match std::fs::read_to_string(&path) {
            Ok(text) => match parse(&path, text) {
                Ok(route) => routes.push(route),
                Err(found) => problems.extend(found),
            },
            Err(error) => {
                problems.push(Problem { file: path, line: 1, column: 1, message: format!("read: {error}") });
            }
        }
    }
    if problems.is_empty() { Ok(routes) } else { Err(problems) }
}

/// Reads one route.
///
/// # Errors
/// All that is wrong with the text by itself.
pub fn parse(path: &FilePath, text: String) -> Result<Route, Vec<Problem>> {
    let file = SourceFile { path: path.to_owned(), text };
    let raw: RawRoute = toml::from_str(&file.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        vec![file.problem(&span, error.message())]
    })?;
    let mut problems = Vec::new();
    let topic_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if raw.topic.get_ref().is_empty() || !raw.topic.get_ref().chars().all(topic_ok) {
        problems.push(
            file.problem(&raw.topic.span(), "a topic's name has letters, digits, '.', '_' and '-' only"),
        );
    }
    if raw.table.get_ref().split('.').filter(|part| !part.is_empty()).count() != 2 {
        problems.push(file.problem(&raw.table.span(), "expected keyspace.table, as in shop.orders"));
    }
    if raw.columns.get_ref().0.is_empty() {
        problems.push(file.problem(&raw.columns.span(), "no columns: map at least the primary key"));
    }
    let ttl = raw.ttl.and_then(|ttl| match parse_ttl(ttl.get_ref()) {
        Ok(duration) => Some(duration),
        Err(message) => {
            problems.push(file.problem(&ttl.span(), message));
            None
        }
    });
    let mut columns = Vec::new();
    for (name, rule) in raw.columns.into_inner().0 {
        match rule.source() {
            Ok(source) => columns.push(ColumnRule {
                source,
                options: rule.options(),
                span: name.span(),
                column: name.into_inner(),
            }),
            Err(message) => problems.push(file.problem(&name.span(), message)),
        }
    }
    // The parser sorts by name; the file's order is the one its author thinks in.
    columns.sort_by_key(|rule| rule.span.start);
    if !problems.is_empty() {
        return Err(problems);
    }
    let topic = raw.topic.into_inner();
    Ok(Route { topic, table: raw.table, missing: raw.missing, ttl, columns, file })
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let duration: Duration = humantime_serde::re::humantime::parse_duration(text)
        .map_err(|error| format!("ttl {text:?}: {error}; expected a time such as \"30d\""))?;
    if duration.as_secs() == 0 || duration > TTL_MAX {
        return Err(format!("ttl {text:?}: expected 1s to 20 years (630720000s)"));
    }
    Ok(duration)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    topic: Spanned<String>,
    table: Spanned<String>,
    #[serde(default)]
    missing: Missing,
    ttl: Option<Spanned<String>>,
    columns: Spanned<RawColumns>,
}

struct RawColumns(Vec<(Spanned<String>, RawColumn)>);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    path: Option<String>,
    header: Option<String>,
    meta: Option<Meta>,
    time: Option<String>,
    zone: Option<String>,
    bucket: Option<Bucket>,
    format: Option<Format>,
    #[serde(default)]
    truncate: bool,
}

impl RawColumn {
    fn source(&self) -> Result<Source, String> {
        match (&self.path, &self.header, self.meta) {
            (Some(path), None, None) => path.parse().map(Source::Field).map_err(|error| format!("{error}")),
            (None, Some(header), None) => Ok(Source::Header(header.clone())),
            (None, None, Some(meta)) => Ok(Source::Meta(meta)),
            _ => Err("expected exactly one of path, header and meta".to_owned()),
        }
    }

    fn options(self) -> Options {
        let Self { time, zone, bucket, format, truncate, .. } = self;
        Options { time, zone, bucket, format, truncate }
    }
}

impl<'de> Deserialize<'de> for RawColumns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = RawColumns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of columns")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawColumns, A::Error> {
                let mut columns = Vec::new();
                while let Some(entry) = map.next_entry::<Spanned<String>, ColumnForm>()? {
                    columns.push((entry.0, entry.1.0));
                }
                Ok(RawColumns(columns))
            }
        }
        deserializer.deserialize_map(Columns)
    }
}

// `column = "path"` or `column = { path = "..", .. }`.
struct ColumnForm(RawColumn);

impl<'de> Deserialize<'de> for ColumnForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = ColumnForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field path, or a table such as { path = \"a.b\", time = \"epoch_ms\" }")
            }

            fn visit_str<E>(self, path: &str) -> Result<ColumnForm, E> {
                Ok(ColumnForm(RawColumn { path: Some(path.to_owned()), ..RawColumn::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ColumnForm, A::Error> {
                RawColumn::deserialize(MapAccessDeserializer::new(map)).map(ColumnForm)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let result = parse(FilePath::new("routes/x.toml"), text.to_owned());
        result.unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn route_reads_paths_headers_metadata_and_options() {
        let text = r#"
            topic = "orders"
            table = "shop.orders"
            missing = "null"
            ttl = "30d"
            [columns]
            id = "id"
            at = { path = "when", time = "epoch_ms" }
            origin = { header = "origin" }
            seen = { meta = "timestamp" }
        "#;
        let route = parse(FilePath::new("x.toml"), text.to_owned()).unwrap();
        assert_eq!(route.ttl, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(route.missing, Missing::Null);
        let sources: Vec<_> = route.columns.iter().map(|rule| rule.source.clone()).collect();
        assert_eq!(sources[2..], [Source::Header("origin".to_owned()), Source::Meta(Meta::Timestamp)]);
        assert_eq!(route.columns[1].options.time.as_deref(), Some("epoch_ms"));
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let found = problems("topic = \"a b\"\ntable = \"orders\"\nttl = \"0s\"\n[columns]\nid = \"a..b\"\n");
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found[0].starts_with("routes/x.toml:1:9: a topic's name"), "{}", found[0]);
        assert!(found[1].starts_with("routes/x.toml:2:9: expected keyspace.table"), "{}", found[1]);
        assert!(found[2].starts_with("routes/x.toml:3:7: ttl"), "{}", found[2]);
        assert!(found[3].starts_with("routes/x.toml:5:1: path \"a..b\", character 3"), "{}", found[3]);
    }

    #[test]
    fn unknown_keys_are_errors_that_name_the_known_ones() {
        let found = problems("topic = \"t\"\ntable = \"k.t\"\nttll = \"1d\"\n[columns]\nid = \"id\"\n");
        assert!(found[0].contains("ttll") && found[0].contains("missing"), "{found:?}");
        let found = problems("topic = \"t\"\ntable = \"k.t\"\n[columns]\nid = { pth = \"id\" }\n");
        assert!(found[0].starts_with("routes/x.toml:4:") && found[0].contains("pth"), "{found:?}");
    }
}
