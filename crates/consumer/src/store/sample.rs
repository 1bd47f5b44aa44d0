//! A table -> some of its rows as JSON, for people.

use futures::TryStreamExt;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use service::telemetry::chain;

use super::{Store, WriteError};
use crate::schema::{Table, quoted};

/// Rows of one answer: few, since they may be large.
const PAGE_ROWS: i32 = 20;

impl Store {
    /// Some rows of the table, in the order of their partitions' tokens: each an object of its columns, as CQL's `SELECT JSON`
    /// writes it. Reads no further once there are so many rows or bytes of them.
    ///
    /// # Errors
    /// The cluster does not answer, or does not let this role read the table.
    pub async fn sample(
        &self,
        table: &Table,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<String>, WriteError> {
        let Some((keyspace, name)) = table.name.split_once('.') else {
            return Err(WriteError::Refused(format!("{:?} is no keyspace.table", table.name)));
        };
        let (keyspace, name) = (quoted(keyspace), quoted(name));
        let mut question = Statement::new(format!("SELECT JSON * FROM {keyspace}.{name} LIMIT {rows_max}"));
        question.set_is_idempotent(true);
        question.set_consistency(Consistency::One);
        question.set_page_size(PAGE_ROWS);
        let pager = self.session().query_iter(question, ()).await;
        let pager = pager.map_err(|refused| WriteError::Unavailable(chain(&refused)))?;
        let mut rows = pager.rows_stream::<(String,)>().map_err(|odd| WriteError::Failed(chain(&odd)))?;
        let (mut sample, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max {
            match rows.try_next().await {
                Ok(Some((json,))) => {
                    bytes += json.len();
                    sample.push(json);
                }
                Ok(None) => break,
                Err(error) => return Err(WriteError::Unavailable(chain(&error))),
            }
        }
        Ok(sample)
    }
}
