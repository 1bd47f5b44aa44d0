//! What a check has found: errors, warnings, and what the sampled messages would become. Serialises to its JSON form.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use service::UNAVAILABLE;

use crate::route::Problem;

/// Everything that a check has found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What keeps the consumer from working.
    pub errors: Vec<Finding>,
    /// What works, but not as well as it could.
    pub warnings: Vec<Finding>,
    /// The database.
    pub cassandra: Server,
    /// Its limits for batches and tombstones.
    pub thresholds: Thresholds,
    /// The broker.
    pub kafka: Server,
    /// Topics whose messages could not be looked at.
    pub not_sampled: Vec<String>,
    /// The routes that could be read, in the order of their files.
    pub routes: Vec<RouteReport>,
}

impl Report {
    /// 0: no error. 1: errors. 69: none so far, but a server could not be reached, or a topic not be sampled.
    pub fn exit_code(&self) -> i32 {
        let reached = self.cassandra.error.is_none() && self.kafka.error.is_none();
        match (self.errors.is_empty(), reached && self.not_sampled.is_empty()) {
            (false, _) => 1,
            (true, false) => UNAVAILABLE,
            (true, true) => 0,
        }
    }
}

/// One error or warning, with its place if it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The route file.
    pub file: Option<PathBuf>,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    /// One of no file.
    pub fn general(message: String) -> Self {
        Self { file: None, line: None, column: None, message }
    }
}

impl From<Problem> for Finding {
    fn from(Problem { file, line, column, message }: Problem) -> Self {
        Self { file: Some(file), line: Some(line), column: Some(column), message }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line), Some(column)) = (&self.file, self.line, self.column) {
            write!(f, "{}:{line}:{column}: ", file.display())?;
        }
        f.write_str(&self.message)
    }
}

/// A server that was asked.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// As configured.
    pub address: String,
    /// Why it could not be reached.
    pub error: Option<String>,
}

/// The server's limits, in bytes and in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    /// True where the server could not tell, and the values are those that Cassandra 5.0 ships with.
    pub assumed: bool,
    /// `batch_size_warn_threshold`, in bytes.
    pub batch_size_warn: u64,
    /// `batch_size_fail_threshold`, in bytes.
    pub batch_size_fail: u64,
    /// `unlogged_batch_across_partitions_warn_threshold`
    pub batch_partitions_warn: u64,
    /// `tombstone_warn_threshold`, of one read.
    pub tombstone_warn: u64,
    /// `tombstone_failure_threshold`, of one read.
    pub tombstone_fail: u64,
}

/// One route.
#[derive(Debug, Clone, Serialize)]
pub struct RouteReport {
    /// Its file.
    pub file: PathBuf,
    /// `keyspace.table`
    pub table: String,
    /// Its topics.
    pub topics: Vec<TopicReport>,
}

/// One topic of a route.
#[derive(Debug, Clone, Serialize)]
pub struct TopicReport {
    /// Its name.
    pub topic: String,
    /// How many partitions; 0 where it does not exist or the broker could not be asked.
    pub partitions: usize,
    /// Offsets between its beginning and its end.
    pub offsets: i64,
    /// What the newest messages would become; absent where the route does not fit or none were read.
    pub sample: Option<Sample>,
}

/// What sampled messages would become.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// How many were decoded.
    pub messages: usize,
    /// Of these, rows.
    pub rows: usize,
    /// Of these, deletes of a row.
    pub deletes: usize,
    /// Of these, messages whose time to live has passed.
    pub expired: usize,
    /// Of these, dead letters.
    pub dead_letters: usize,
    /// Why, most frequent first.
    pub reasons: Vec<Reason>,
    /// Bytes of a row's cells.
    pub row_bytes: Spread,
    /// Rows of a full batch.
    pub batch_rows: Spread,
    /// Bytes of a full batch's values.
    pub batch_bytes: Spread,
    /// Bytes of a full batch as the server counts them for its thresholds; of several partitions only, since it does not
    /// measure others.
    pub batch_server_bytes: Spread,
    /// Partitions of a full batch.
    pub batch_partitions: Spread,
    /// Null cells a row: each is a tombstone.
    pub null_cells: Spread,
    /// Cells a row that are left as they are.
    pub unset_cells: Spread,
    /// In how many rows a column is null; columns that never are, are absent.
    pub null_columns: BTreeMap<String, usize>,
}

/// Messages that are dead letters for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The kind of the data error.
    pub class: String,
    /// The example's reason, in words.
    pub reason: String,
    /// How many there are.
    pub count: usize,
    /// The example's partition.
    pub partition: i32,
    /// The example's offset.
    pub offset: i64,
}

/// How values are spread; all 0 where there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Their mean, to a tenth.
    pub mean: f64,
    /// 99 of 100 are at most this.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// Of these values.
    pub fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let Some(max) = values.last().copied() else { return Self::default() };
        let p99 = values[(values.len() * 99).div_ceil(100) - 1];
        let sum: u64 = values.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "sums of a sample are far below 2^52")]
        let mean = sum as f64 / values.len() as f64;
        Self { mean: (mean * 10.0).round() / 10.0, p99, max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(errors: usize, cassandra: Option<&str>, kafka: Option<&str>) -> Report {
        let server =
            |error: Option<&str>| Server { address: "a:1".to_owned(), error: error.map(str::to_owned) };
        Report {
            errors: vec![Finding::general("wrong".to_owned()); errors],
            warnings: vec![Finding::general("odd".to_owned())],
            cassandra: server(cassandra),
            thresholds: Thresholds::shipped(),
            kafka: server(kafka),
            not_sampled: Vec::new(),
            routes: Vec::new(),
        }
    }

    #[test]
    fn exit_code_tells_errors_before_unreachable_servers_and_permits_warnings() {
        assert_eq!(report(0, None, None).exit_code(), 0);
        assert_eq!(report(1, None, None).exit_code(), 1);
        assert_eq!(report(0, Some("refused"), None).exit_code(), 69);
        assert_eq!(report(0, None, Some("refused")).exit_code(), 69);
        assert_eq!(report(1, Some("refused"), None).exit_code(), 1);
        let unseen = |errors| Report { not_sampled: vec!["t".to_owned()], ..report(errors, None, None) };
        assert_eq!((unseen(0).exit_code(), unseen(1).exit_code()), (69, 1));
    }

    #[test]
    fn spread_has_the_nearest_rank_percentile() {
        let spread = Spread::of((1..=200).rev().collect());
        assert_eq!(spread, Spread { mean: 100.5, p99: 198, max: 200 });
        assert_eq!(Spread::of(vec![7]), Spread { mean: 7.0, p99: 7, max: 7 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
