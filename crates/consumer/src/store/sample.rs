//! A table -> some of its rows as JSON, for people.

use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use service::telemetry::chain;

use super::{Store, WriteError, error};
use crate::schema::{Table, quoted};

impl Store {
    /// At most that many rows of the table, in the order of their partitions' tokens: each an object of its columns, as CQL's
    /// `SELECT JSON` writes it.
    ///
    /// # Errors
    /// As for a write; refused where the role may not read the table.
    pub async fn sample(&self, table: &Table, rows_max: i32) -> Result<Vec<String>, WriteError> {
        let Some((keyspace, name)) = table.name.split_once('.') else {
            return Err(WriteError::Refused(format!("{:?} is no keyspace.table", table.name)));
        };
        let mut question = Statement::new(format!(
            "SELECT JSON * FROM {}.{} LIMIT {rows_max}",
            quoted(keyspace),
            quoted(name)
        ));
        question.set_is_idempotent(true);
        question.set_consistency(Consistency::One);
        let answer = self.session().query_unpaged(question, ()).await;
        let answer = answer.map_err(|refused| error::of_execution(&refused))?.into_rows_result();
        let odd = |error: &(dyn std::error::Error + 'static)| WriteError::Failed(chain(error));
        let answer = answer.map_err(|error| odd(&error))?;
        let rows = answer.rows::<(String,)>().map_err(|error| odd(&error))?;
        rows.map(|row| row.map(|(json,)| json).map_err(|error| odd(&error))).collect()
    }
}
