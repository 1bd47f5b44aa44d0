//! A table, or the CSV files in its place -> some rows.

use std::sync::Arc;

use consumer::schema::Role;
use consumer::store::{Store, WriteError};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{BrowseError, blocking, contains, files, within};
use crate::watch::store::Tables;

/// Rows that are looked through for a search.
const SEARCHED_MAX: usize = 1_000;
/// Bytes of rows that are read.
const SAMPLE_BYTES_MAX: usize = 4 << 20;

/// Rows of a table.
#[derive(Debug, Serialize)]
pub(crate) struct Rows {
    pub(super) table: String,
    pub(super) columns: Vec<Column>,
    /// How many rows were looked through.
    pub(super) searched: usize,
    /// In the order of the columns.
    pub(super) rows: Vec<Vec<Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) cql: String,
    pub(super) key: bool,
}

/// Reads some rows; with a search those in which it occurs, in lower case.
///
/// # Errors
/// There is no such table, or the store does not answer.
pub(crate) async fn rows(
    tables: &Tables,
    store: Option<Arc<Store>>,
    table: String,
    search: String,
    limit: usize,
) -> Result<Rows, BrowseError> {
    let look_through = if search.is_empty() { limit } else { SEARCHED_MAX };
    let mut rows = match tables {
        Tables::Files(folder) => {
            let folder = folder.clone();
            within(blocking(move || files::rows(&folder, table, look_through))).await?
        }
        Tables::Cassandra(settings) => {
            let store = store.ok_or_else(|| {
                BrowseError::Unavailable(format!(
                    "no connection to cassandra at {} yet",
                    settings.contact_points
                ))
            })?;
            within(of_cassandra(&store, table, look_through)).await?
        }
    };
    rows.searched = rows.rows.len();
    rows.rows.retain(|row| contains_any(row, &search));
    rows.rows.truncate(limit);
    Ok(rows)
}

async fn of_cassandra(store: &Store, table: String, limit: usize) -> Result<Rows, BrowseError> {
    let unavailable = |error: WriteError| BrowseError::Unavailable(error.to_string());
    let Some(known) = store.table(&table) else {
        return Err(BrowseError::Unknown(format!("there is no table {table}")));
    };
    let sample = store.sample(&known, limit, SAMPLE_BYTES_MAX).await.map_err(unavailable)?;
    let columns: Vec<Column> = known
        .columns
        .iter()
        .map(|column| Column {
            name: column.name.clone(),
            cql: column.cql.to_string(),
            key: column.role != Role::Regular,
        })
        .collect();
    let rows = sample.iter().map(|json| row(json, &columns)).collect();
    Ok(Rows { table, columns, searched: 0, rows })
}

// `SELECT JSON` quotes names that are not all lower case.
fn row(json: &str, columns: &[Column]) -> Vec<Value> {
    let mut cells: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    let mut cell = |name: &str| cells.remove(name).or_else(|| cells.remove(&format!("\"{name}\"")));
    columns.iter().map(|column| cell(&column.name).unwrap_or(Value::Null)).collect()
}

fn contains_any(row: &[Value], search: &str) -> bool {
    let found = |cell: &Value| match cell {
        Value::String(text) => contains(text, search),
        Value::Null => false,
        other => contains(&other.to_string(), search),
    };
    search.is_empty() || row.iter().any(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_has_its_cells_in_the_order_of_the_columns() {
        let column = |name: &str| Column { name: name.to_owned(), cql: "text".to_owned(), key: false };
        let columns = [column("id"), column("City"), column("gone")];
        assert_eq!(row(r#"{"\"City\"": "Oslo", "id": 7}"#, &columns), [json!(7), json!("Oslo"), Value::Null]);
    }

    #[test]
    fn a_search_finds_texts_and_what_is_inside_of_collections() {
        let row = [json!(["Oslo", 7]), Value::Null, json!("Peru")];
        assert!(contains_any(&row, "oslo") && contains_any(&row, "per") && contains_any(&row, ""));
        assert!(!contains_any(&row, "null") && !contains_any(&row, "lima"));
    }
}
