//! Primary keys -> rows: each cell's bytes as they are stored, and the WRITETIME that they were stored with.
//!
//! Nothing is decoded: what a message would write is bytes, too, and both are compared as they are.

mod consistency;
mod found;

use futures::stream::{self, StreamExt, TryStreamExt};
use scylla::cluster::metadata::{ColumnKind, ColumnType, Strategy};
use scylla::deserialize::row::ColumnIterator;
use scylla::errors::SerializationError;
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use service::telemetry::chain;
use uuid::Uuid;

pub use found::{Found, FoundRow};

use super::{Store, WriteError, error};
use crate::key::{self, Key};
use crate::route;
use crate::schema::{Role, Table, quoted};

/// Single rows that are asked for at once, where a key has several columns.
const AT_ONCE: usize = 64;

/// A prepared read of some columns of a table, by whole primary keys.
pub struct Select {
    one: PreparedStatement,
    /// Many rows in one request, which needs a primary key of one column: several would be read in all combinations.
    many: Option<PreparedStatement>,
    /// Columns of the key, and of the partition key.
    key: usize,
    partition: usize,
    /// Places in the key, of values that may be spelt in several ways.
    decimals: Vec<usize>,
    columns: Vec<Selected>,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its name.
    pub name: String,
    /// Whether it is several cells to the server: a collection or a user-defined type that is not frozen. An empty one is
    /// none at all.
    pub multi_cell: bool,
}

impl Select {
    /// The columns that are read, without those of the key.
    pub fn columns(&self) -> &[Selected] {
        &self.columns
    }
}

impl Store {
    /// Prepares the reading of those of these columns that belong to one row: a static one belongs to its partition.
    /// `written` are the consistencies with which rows are written; enough replicas are asked to see such writes.
    ///
    /// # Errors
    /// As for a write; also where a column is not frozen and the server is older than Cassandra 5.0.
    pub async fn prepare_select(
        &self,
        table: &Table,
        columns: &[&str],
        written: &[route::Consistency],
    ) -> Result<Select, WriteError> {
        let columns = self.selected(table, columns);
        let keys: Vec<String> = table
            .columns
            .iter()
            .filter(|column| column.role != Role::Regular)
            .map(|column| quoted(&column.name))
            .collect();
        let mut asked = keys.clone();
        for column in &columns {
            let name = quoted(&column.name);
            // Each of several cells has a WRITETIME; they come from one insert, but the newest is what counts.
            let writetime = if column.multi_cell { "maxwritetime" } else { "writetime" };
            asked.extend([name.clone(), format!("{writetime}({name})")]);
        }
        let name: Vec<String> = table.name.split('.').map(quoted).collect();
        let select = format!("SELECT {} FROM {}", asked.join(", "), name.join("."));
        let equal: Vec<String> = keys.iter().map(|key| format!("{key} = ?")).collect();
        let sees = consistency::that_sees(written, self.datacenters(table));
        let one = self.prepare_read(&format!("{select} WHERE {}", equal.join(" AND ")), sees).await?;
        let many = match &keys[..] {
            [only] => Some(self.prepare_read(&format!("{select} WHERE {only} IN ?"), sees).await?),
            _ => None,
        };
        let (key, partition) = (keys.len(), table.partition_key().count());
        Ok(Select { one, many, key, partition, decimals: key::decimals(table), columns })
    }

    fn selected(&self, table: &Table, columns: &[&str]) -> Vec<Selected> {
        let session = self.session();
        let state = session.get_cluster_state();
        let known = table.name.split_once('.').and_then(|(keyspace, short)| {
            state.get_keyspace(keyspace).and_then(|keyspace| keyspace.tables.get(short))
        });
        let selected = columns.iter().filter_map(|name| {
            let column = known?.columns.get(*name)?;
            let multi_cell = matches!(
                column.typ,
                ColumnType::Collection { frozen: false, .. }
                    | ColumnType::UserDefinedType { frozen: false, .. }
            );
            let name = (*name).to_owned();
            (column.kind == ColumnKind::Regular).then_some(Selected { name, multi_cell })
        });
        selected.collect()
    }

    // Among how many the table's rows have their copies.
    fn datacenters(&self, table: &Table) -> usize {
        let session = self.session();
        let state = session.get_cluster_state();
        let keyspace = table.name.split_once('.').and_then(|(keyspace, _)| state.get_keyspace(keyspace));
        match keyspace.map(|keyspace| &keyspace.strategy) {
            Some(Strategy::NetworkTopologyStrategy { datacenter_repfactors: copies }) => {
                copies.values().filter(|copies| **copies > 0).count()
            }
            // It knows of none: to it a local quorum is one of all copies.
            _ => 1,
        }
    }

    async fn prepare_read(
        &self,
        statement: &str,
        sees: Consistency,
    ) -> Result<PreparedStatement, WriteError> {
        let prepared = self.session().prepare(statement).await;
        let mut prepared = prepared.map_err(|error| error::of_prepare(&error))?;
        prepared.set_is_idempotent(true);
        prepared.set_consistency(sees);
        Ok(prepared)
    }

    /// The rows of these keys, those that there are. A key that no row can have is not asked for: the server would refuse
    /// the whole question.
    ///
    /// # Errors
    /// As for a write.
    pub async fn read(&self, select: &Select, keys: &[Key]) -> Result<Found, WriteError> {
        let keys: Vec<&Key> = keys.iter().filter(|key| key.fits(select.partition)).collect();
        if keys.is_empty() {
            return Ok(Found::new(select.columns.len()));
        }
        let session = self.session();
        if let Some(many) = &select.many {
            let answer = session.execute_unpaged(many, ManyKeys(&keys)).await;
            return select.found(answer.map_err(|error| error::of_execution(&error))?);
        }
        let ask = |key| {
            let asked = session.execute_unpaged(&select.one, OneKey(key));
            async { select.found(asked.await.map_err(|error| error::of_execution(&error))?) }
        };
        stream::iter(keys.into_iter().map(ask))
            .buffer_unordered(AT_ONCE)
            .try_fold(Found::new(select.columns.len()), |mut all, row| async move {
                all.extend(&row)?;
                Ok(all)
            })
            .await
    }

    /// What tells a table from one of the same name that was there before; `None` if it is missing.
    ///
    /// # Errors
    /// As for a write.
    pub async fn table_id(&self, name: &str) -> Result<Option<Uuid>, WriteError> {
        let question = "SELECT id FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
        let names = name.split_once('.').unwrap_or_default();
        let answer = self.session().query_unpaged(question, names).await;
        let answer = answer.map_err(|error| error::of_execution(&error))?.into_rows_result();
        Ok(answer.ok().and_then(|rows| rows.single_row::<(Uuid,)>().ok()).map(|(id,)| id))
    }

    /// How long a row of the table lives that is written without a time to live, in seconds; `None` is for ever.
    ///
    /// # Errors
    /// As for a write.
    pub async fn default_ttl_s(&self, table: &Table) -> Result<Option<i64>, WriteError> {
        let question = "SELECT default_time_to_live FROM system_schema.tables \
                        WHERE keyspace_name = ? AND table_name = ?";
        let names = table.name.split_once('.').unwrap_or_default();
        let answer = self.session().query_unpaged(question, names).await;
        let answer = answer.map_err(|error| error::of_execution(&error))?.into_rows_result();
        let ttl = answer.ok().and_then(|rows| rows.single_row::<(Option<i32>,)>().ok());
        Ok(ttl.and_then(|(ttl,)| ttl).filter(|ttl| *ttl > 0).map(i64::from))
    }
}

impl Select {
    fn found(&self, answer: QueryResult) -> Result<Found, WriteError> {
        let answer = answer.into_rows_result().map_err(|error| unreadable(&error))?;
        let rows = answer.rows::<ColumnIterator<'_, '_>>().map_err(|error| unreadable(&error))?;
        let mut found = Found::new(self.columns.len());
        let mut cells = Vec::new();
        for row in rows {
            cells.clear();
            for column in row.map_err(|error| unreadable(&error))? {
                let column = column.map_err(|error| unreadable(&error))?;
                cells.push(column.slice.map(|slice| slice.as_slice()));
            }
            let (key, columns) = cells.split_at(self.key.min(cells.len()));
            let key = Key::pack(key.iter().map(|value| value.unwrap_or_default())).canonical(&self.decimals);
            found.add(key, columns.chunks_exact(2).map(|cell| Some((cell[0]?, writetime(cell[1]?)?))))?;
        }
        Ok(found)
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> WriteError {
    WriteError::Failed(chain(error))
}

fn writetime(bytes: &[u8]) -> Option<i64> {
    bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

struct OneKey<'a>(&'a Key);

impl SerializeRow for OneKey<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        self.0.values().try_for_each(|value| {
            writer.make_cell_writer().set_value(value).map(drop).map_err(SerializationError::new)
        })
    }

    fn is_empty(&self) -> bool {
        false
    }
}

// One value: a list of the keys, which is their number and then each with its length, as they are packed.
struct ManyKeys<'a>(&'a [&'a Key]);

impl SerializeRow for ManyKeys<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let mut list = writer.make_cell_writer().into_value_builder();
        list.append_bytes(&i32::try_from(self.0.len()).unwrap_or(i32::MAX).to_be_bytes());
        for key in self.0 {
            list.append_bytes(key.packed());
        }
        list.finish().map(drop).map_err(SerializationError::new)
    }

    fn is_empty(&self) -> bool {
        false
    }
}
