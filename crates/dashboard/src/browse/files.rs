//! The CSV files of a table, one a topic and partition -> their newest rows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::BrowseError;
use super::tables::{Column, Rows};

/// Bytes that are read from the end of a file.
const TAIL_BYTES: u64 = 256 << 10;

/// The newest rows of each file, about `limit` of all together.
///
/// # Errors
/// The folder has no file of this table, or cannot be read.
pub(super) fn rows(folder: &Path, table: String, limit: usize) -> Result<Rows, BrowseError> {
    let unavailable = |path: &Path, error: &dyn std::error::Error| {
        BrowseError::Unavailable(format!("{}: {error}", path.display()))
    };
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unavailable(folder, &error))? {
        let path = entry.map_err(|error| unavailable(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let of_table = name.split_once('@').is_some_and(|(known, _)| known == table);
        if of_table && path.extension().is_some_and(|extension| extension == "csv") {
            names.push(path);
        }
    }
    if names.is_empty() {
        return Err(BrowseError::Unknown(format!("there is no file of {table} in {}", folder.display())));
    }
    let each = limit.div_ceil(names.len());
    let mut columns = Vec::new();
    let mut rows = Vec::new();
    for path in &names {
        let (header, mut newest) = tail(path).map_err(|error| unavailable(path, &error))?;
        newest.reverse();
        newest.truncate(each);
        rows.extend(newest);
        let column = |name: String| Column { name, cql: "text".to_owned(), key: false };
        columns = header.into_iter().map(column).collect();
    }
    Ok(Rows { table, columns, searched: 0, rows })
}

// The header, and the rows that begin within the last bytes. The last row may be in the making: it is left out.
fn tail(path: &Path) -> Result<(Vec<String>, Vec<Vec<Value>>), csv::Error> {
    let mut file = File::open(path)?;
    let header: Vec<String> =
        csv::Reader::from_reader(&mut file).headers()?.iter().map(str::to_owned).collect();
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&text[..whole]);
    let mut rows = Vec::new();
    // The first is the header, or torn; a line feed within a cell may tear one more, which then has another width.
    for record in reader.records().skip(1) {
        let Ok(record) = record else { continue };
        if record.len() == header.len() {
            rows.push(record.iter().map(|cell| Value::String(cell.to_owned())).collect());
        }
    }
    Ok((header, rows))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            File::create(folder.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
        }
        folder
    }

    #[test]
    fn the_newest_rows_of_all_partitions_are_shown_and_one_in_the_making_is_not() {
        let folder = folder(&[
            ("k.t@topic-0.csv", "id,name\n1,Ana\n2,\"Bo\nb\"\n3,C"),
            ("k.t@topic-1.csv", "id,name\n9,Zoe\n"),
            ("k.t@topic-1.csv.checkpoint", "{}"),
            ("k.other@topic-0.csv", "x\n1\n"),
        ]);
        let found = rows(folder.path(), "k.t".to_owned(), 10).unwrap();
        let mut ids: Vec<&str> = found.rows.iter().filter_map(|row| row[0].as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["1", "2", "9"]);
        assert_eq!(found.columns.len(), 2);
        assert!(matches!(rows(folder.path(), "k.gone".to_owned(), 10), Err(BrowseError::Unknown(_))));
    }

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let lines: String = (0..100_000).map(|row| format!("{row},name\n")).collect();
        let folder = folder(&[("k.t@topic-0.csv", &format!("id,name\n{lines}"))]);
        let found = rows(folder.path(), "k.t".to_owned(), 100).unwrap();
        assert_eq!((found.rows.len(), found.rows[0][0].as_str()), (100, Some("99999")));
    }
}
