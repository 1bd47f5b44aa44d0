//! A table, or the CSV files in its place -> some rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use consumer::schema::Role;
use consumer::store::{Store, WriteError};
use serde::Serialize;
use serde_json::value::RawValue;

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
    /// In the order of the columns: each cell's text, or null. A number is a text, too: a browser would round it.
    pub(super) rows: Vec<Vec<Option<String>>>,
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
fn row(json: &str, columns: &[Column]) -> Vec<Option<String>> {
    let cells: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap_or_default();
    let cell = |name: &str| cells.get(name).or_else(|| cells.get(&format!("\"{name}\"")));
    columns.iter().map(|column| text(cell(&column.name)?)).collect()
}

// A text without its quotes, and all else as Cassandra writes it.
fn text(cell: &RawValue) -> Option<String> {
    match cell.get() {
        "null" => None,
        json => Some(serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())),
    }
}

fn contains_any(row: &[Option<String>], search: &str) -> bool {
    search.is_empty() || row.iter().flatten().any(|cell| contains(cell, search))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_cells_in_the_order_of_the_columns() {
        let column = |name: &str| Column { name: name.to_owned(), cql: "text".to_owned(), key: false };
        let columns = [column("id"), column("City"), column("gone")];
        let row = row(r#"{"\"City\"": "Oslo \u00e9", "id": 7}"#, &columns);
        assert_eq!(row, [Some("7".to_owned()), Some("Oslo é".to_owned()), None]);
    }

    #[test]
    fn a_number_keeps_its_digits_and_is_found_by_them() {
        let columns = ["n", "many", "exact"].map(|name| Column {
            name: name.to_owned(),
            cql: "varint".to_owned(),
            key: false,
        });
        let json =
            r#"{"exact": 0.12345678901234567890, "n": 1234567890123456789, "many": [9007199254740993]}"#;
        let row = row(json, &columns);
        let expected = ["1234567890123456789", "[9007199254740993]", "0.12345678901234567890"];
        assert_eq!(row, expected.map(|cell| Some(cell.to_owned())));
        assert!(contains_any(&row, "123456789012345678") && contains_any(&row, "740993"));
    }

    #[test]
    fn a_search_finds_texts_and_what_is_inside_of_collections() {
        let row = [Some(r#"["Oslo", 7]"#.to_owned()), None, Some("Peru".to_owned())];
        assert!(contains_any(&row, "oslo") && contains_any(&row, "per") && contains_any(&row, ""));
        assert!(!contains_any(&row, "null") && !contains_any(&row, "lima"));
    }
}
