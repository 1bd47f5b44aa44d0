//! The real Cassandra with the shipped table: started, emptied, left until it is idle, and checked row by row.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};
use testbed::{Cassandra, Options};
use uuid::Uuid;

use crate::messages::{Messages, TABLE};
use crate::user::{COLUMNS, User};

/// As in the figures that these are compared with.
const HEAP_MB: u32 = 4_096;
const SCHEMA: [&str; 3] = [
    include_str!("../../cassandra/keyspaces.cql"),
    include_str!("../../cassandra/tables/created_users.cql"),
    include_str!("../../cassandra/tables/durability_probe.cql"),
];
/// Less than a tenth of a core for this long is idle.
const IDLE_FOR: Duration = Duration::from_secs(2);
const IDLE_WITHIN: Duration = Duration::from_secs(60);
const IDLE_SHARE: f64 = 0.1;
const RANGES: i64 = 256;
const SAMPLE: u32 = 500;

/// A node of one's own.
pub(crate) struct Database {
    /// A session without any code of the consumer.
    pub(crate) session: Session,
    cassandra: Cassandra,
}

/// How the node is started.
pub(crate) fn options() -> Options {
    Options::default().heap_mb(HEAP_MB)
}

impl Database {
    /// Connects to a node that was just started, and creates the tables.
    pub(crate) async fn on(cassandra: Cassandra) -> Result<Self> {
        let session = SessionBuilder::new().known_node(cassandra.contact_point()).build().await?;
        let database = Self { session, cassandra };
        for text in SCHEMA {
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
            // Comments of tables have semicolons too, but none at the end of a line.
            let script = lines.join("\n");
            for statement in script.split(";\n").map(str::trim).filter(|cql| !cql.is_empty()) {
                database.cql(statement.trim_end_matches(';')).await?;
            }
        }
        Ok(database)
    }

    /// `host:port`
    pub(crate) fn contact_point(&self) -> String {
        self.cassandra.contact_point()
    }

    /// CPU seconds of the node so far.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        Ok(testbed::cpu_s(self.cassandra.pid().context("cassandra has ended")?)?)
    }

    /// Empties the table and waits until the node is idle.
    pub(crate) async fn empty(&self) -> Result<()> {
        self.cql(&format!("TRUNCATE {TABLE}")).await?;
        self.idle().await
    }

    /// Waits until flushes and compactions are over. A node that never rests is told of, and measured as it is.
    pub(crate) async fn idle(&self) -> Result<()> {
        let until = Instant::now() + IDLE_WITHIN;
        loop {
            let (before, since) = (self.cpu_s()?, Instant::now());
            tokio::time::sleep(IDLE_FOR).await;
            let share = (self.cpu_s()? - before) / since.elapsed().as_secs_f64();
            if share < IDLE_SHARE {
                return Ok(());
            }
            if Instant::now() > until {
                eprintln!("warning: cassandra still uses {share:.2} of a core after {IDLE_WITHIN:?}");
                return Ok(());
            }
        }
    }

    /// Compares the table with the messages: how many rows, and every field of some of them.
    pub(crate) async fn check(&self, messages: &Messages) -> Result<()> {
        let count = self.count().await?;
        ensure!(count == messages.len(), "{TABLE} has {count} rows of {} messages", messages.len());
        let select = self.select(&COLUMNS.join(", ")).await?;
        for _ in 0..SAMPLE {
            let (_, value) = messages.any();
            self.compare(&select, &User::parse(value)?).await?;
        }
        Ok(())
    }

    /// A prepared question for these columns of one user.
    pub(crate) async fn select(&self, columns: &str) -> Result<PreparedStatement> {
        Ok(self.session.prepare(format!("SELECT {columns} FROM {TABLE} WHERE id = ?")).await?)
    }

    async fn compare(&self, select: &PreparedStatement, user: &User<'_>) -> Result<()> {
        let id = Uuid::parse_str(user.id)?;
        let answer = self.session.execute_unpaged(select, (id,)).await?.into_rows_result()?;
        let row: Row = answer.single_row().with_context(|| format!("row of {id}"))?;
        ensure!(row.columns[0] == Some(CqlValue::Uuid(id)), "another id than {id}");
        for ((name, text), cell) in COLUMNS[1..].iter().zip(user.texts()).zip(&row.columns[1..]) {
            let found = cell.as_ref().and_then(CqlValue::as_text).map(String::as_str);
            if found != Some(text) {
                bail!("{name} of {id} is {found:?}, its message says {text:?}");
            }
        }
        Ok(())
    }

    // A count of the whole table would time out: one of each part of the ring.
    async fn count(&self) -> Result<u64> {
        let question = format!("SELECT count(*) FROM {TABLE} WHERE token(id) >= ? AND token(id) <= ?");
        let question = &self.session.prepare(question).await?;
        let counts = ranges().map(|(first, last)| async move {
            let answer = self.session.execute_unpaged(question, (first, last)).await?;
            let (count,) = answer.into_rows_result()?.single_row::<(i64,)>()?;
            anyhow::Ok(u64::try_from(count)?)
        });
        stream::iter(counts)
            .buffer_unordered(4)
            .try_fold(0, |sum, count| async move { Ok(sum + count) })
            .await
    }

    async fn cql(&self, statement: &str) -> Result<()> {
        let done = self.session.query_unpaged(statement, ()).await;
        done.map(drop).with_context(|| statement.to_owned())
    }
}

// The ring of 2^64 tokens in equal parts, first and last token of each.
fn ranges() -> impl Iterator<Item = (i64, i64)> {
    let step = i64::MAX / (RANGES / 2) + 1;
    (0..RANGES).map(move |part| {
        let first = i64::MIN.wrapping_add(part.wrapping_mul(step));
        (first, first + (step - 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_ring_leave_no_token_out() {
        let parts: Vec<(i64, i64)> = ranges().collect();
        assert_eq!((parts[0].0, parts[parts.len() - 1].1), (i64::MIN, i64::MAX));
        for pair in parts.windows(2) {
            assert_eq!(pair[0].1 + 1, pair[1].0);
        }
    }
}
