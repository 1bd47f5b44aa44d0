//! A route file (`routes/<name>.toml`): which topics go into which table, and how fields become columns.
//!
//! Reading (`read`, `columns`) keeps the place of each entry, so that every problem, also one that only the live
//! schema reveals, is reported with file, line and column.

mod columns;
mod entries;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use toml::Spanned;

use crate::path::Path;

pub(crate) use read::KEYS;
pub use read::parse;

/// Twenty years in seconds, Cassandra's limit.
pub const TTL_MAX_S: i64 = 630_720_000;

/// What a field that a message lacks means for its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The cell is left as it is: no tombstone.
    #[default]
    Unset,
    /// The cell is deleted: absent rain is no rain.
    Null,
}

/// Some topics into one table.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it was read from.
    pub file: SourceFile,
    /// The topics, at least one.
    pub topics: Vec<String>,
    /// `keyspace.table`, with its place in the file.
    pub table: Spanned<String>,
    /// What a missing field means.
    pub missing: Missing,
    /// What nulls delete.
    pub deletes: Deletes,
    /// How long a row lives from its message's timestamp on.
    pub ttl: Option<Ttl>,
    /// The field that tells the WRITETIME; else the message's timestamp does.
    pub writetime: Option<WriteTime>,
    /// How many replicas acknowledge a write.
    pub consistency: Consistency,
    /// The columns that the route fills.
    pub columns: Vec<ColumnRule>,
}

/// What nulls delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deletes {
    /// A message without a value deletes its key's row.
    pub row: bool,
    /// A field that is null deletes its cell, also where a missing field leaves it.
    pub cells: bool,
}

/// How long rows live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ttl {
    /// All alike: seconds.
    Constant(i64),
    /// As a field of the message's value says.
    Field {
        /// The field.
        path: Path,
        /// What it counts.
        unit: Unit,
        /// For messages without the field, in the same unit.
        default: Option<i64>,
    },
}

/// What a TTL counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
}

/// A field that tells the WRITETIME.
#[derive(Debug, Clone)]
pub struct WriteTime {
    /// The field of the message's value.
    pub path: Path,
    /// Its form: `time`, `zone` and `truncate`.
    pub options: Options,
    /// Its place in the file.
    pub span: Range<usize>,
}

/// How many replicas acknowledge a write. `ANY` is absent: a hint is no replica, and is lost with its node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are CQL's own")]
pub enum Consistency {
    One,
    LocalOne,
    Two,
    Three,
    Quorum,
    #[default]
    LocalQuorum,
    EachQuorum,
    All,
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
    /// The value, as JSON, where the source has none or null; with its place in the file.
    pub default: Option<Spanned<String>>,
    /// Place of the column's name in the file.
    pub span: Range<usize>,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A field of the message's JSON value.
    Field(Path),
    /// A field of the message's JSON key.
    Key(Path),
    /// A header of the message, as text.
    Header(String),
    /// The message itself.
    Meta(Meta),
    /// The same in all rows, as JSON.
    Constant(String),
    /// A UUID of version 5 made of these fields of the message's value.
    Uuid(Vec<Path>),
}

/// What is known of a message beside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Bucket {
    Hour,
    Day,
    Month,
}

/// How a value is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Any JSON, kept as its text.
    Json,
    /// A blob in hexadecimal digits, with or without `0x`.
    Hex,
    /// A blob in standard base64.
    Base64,
}

/// A file's name and text, for pointing into it.
#[derive(Debug, Clone, Default)]
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
    let (routes, problems) = load_all(folder);
    if problems.is_empty() { Ok(routes) } else { Err(problems) }
}

/// As [`load`]: the routes that can be read, and the problems of the others.
pub fn load_all(folder: &FilePath) -> (Vec<Route>, Vec<Problem>) {
    let whole = |message: String| Problem { file: folder.to_owned(), line: 1, column: 1, message };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("read the folder of routes: {error}; consumer.routes names another");
            return (Vec::new(), vec![whole(message)]);
        }
    };
    let mut routes = Vec::new();
    let (files, unread) = files(entries.map(|entry| Ok(entry?.path())));
    let mut problems: Vec<Problem> =
        unread.iter().map(|error| whole(format!("read the folder of routes: {error}"))).collect();
    if files.is_empty() && problems.is_empty() {
        problems.push(whole("no route here: add a file such as users.toml".to_owned()));
    }
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
    (routes, problems)
}

// The routes among the entries of a folder, and why some entries could not be read.
fn files(entries: impl Iterator<Item = io::Result<PathBuf>>) -> (Vec<PathBuf>, Vec<io::Error>) {
    let mut files = Vec::new();
    let mut unread = Vec::new();
    for entry in entries {
        match entry {
            Ok(path) if path.extension().is_some_and(|extension| extension == "toml") => files.push(path),
            Ok(_) => {}
            Err(error) => unread.push(error),
        }
    }
    files.sort();
    (files, unread)
}
