//! The CSV files of a table, one a topic and partition -> their newest rows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::BrowseError;
use super::tables::{Column, Rows};

/// Bytes that are read from the end of a file.
const TAIL_BYTES: u64 = 256 << 10;

/// The newest rows of each file, about `limit` of all together. Of files with other columns than the newest has, none: a route
/// may have been changed, and the files that it left behind are kept under another name.
///
/// # Errors
/// The folder has no file of this table, or cannot be read.
pub(super) fn rows(folder: &Path, table: String, limit: usize) -> Result<Rows, BrowseError> {
    let unavailable = |path: &Path, error: &dyn std::error::Error| {
        BrowseError::Unavailable(format!("{}: {error}", path.display()))
    };
    let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unavailable(folder, &error))? {
        let path = entry.map_err(|error| unavailable(folder, &error))?.path();
        if is_of(&table, &path.file_name().unwrap_or_default().to_string_lossy()) {
            let written_at = path.metadata().and_then(|about| about.modified());
            files.push((written_at.map_err(|error| unavailable(&path, &error))?, path));
        }
    }
    files.sort_by(|one, other| other.cmp(one));
    let each = limit.div_ceil(files.len().max(1));
    let mut header: Option<Vec<String>> = None;
    let mut rows = Vec::new();
    for (_, path) in &files {
        let (columns, newest) = tail(path).map_err(|error| unavailable(path, &error))?;
        if *header.get_or_insert_with(|| columns.clone()) == columns {
            rows.extend(newest.into_iter().rev().take(each));
        }
    }
    let Some(header) = header else {
        return Err(BrowseError::Unknown(format!("there is no file of {table} in {}", folder.display())));
    };
    let column = |name: String| Column { name, cql: "text".to_owned(), key: false };
    Ok(Rows { table, columns: header.into_iter().map(column).collect(), searched: 0, rows })
}

// Whether it is `TABLE@TOPIC-PARTITION.csv`. One that is kept is `TABLE@TOPIC-PARTITION.until-OFFSET.csv`, perhaps with a number.
fn is_of(table: &str, name: &str) -> bool {
    let Some((known, file)) = name.strip_suffix(".csv").and_then(|name| name.split_once('@')) else {
        return false;
    };
    // A topic, too, may be called `TOPIC.until-OFFSET`.
    let is_kept = file.rsplit_once(".until-").is_some_and(|(of, offset)| {
        of.rsplit_once('-').is_some_and(|(_, partition)| partition.parse::<i32>().is_ok())
            && offset.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    });
    known == table && !is_kept
}

/// The header, and rows, the newest last.
type Tail = (Vec<String>, Vec<Vec<Option<String>>>);

// The header, and the rows that begin within the last bytes. The last row may be in the making: it is left out.
fn tail(path: &Path) -> Result<Tail, csv::Error> {
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
            rows.push(record.iter().map(|cell| Some(cell.to_owned())).collect());
        }
    }
    Ok((header, rows))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

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
        let mut ids: Vec<&str> = found.rows.iter().filter_map(|row| row[0].as_deref()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["1", "2", "9"]);
        assert_eq!(found.columns.len(), 2);
        assert!(matches!(rows(folder.path(), "k.gone".to_owned(), 10), Err(BrowseError::Unknown(_))));
    }

    #[test]
    fn rows_of_a_route_that_was_changed_are_not_shown_under_the_columns_of_the_new_one() {
        let folder = folder(&[
            ("k.t@topic-0.until-2.csv", "id,name\n1,Ana\n"),
            ("k.t@topic-0.until-2-2.csv", "id,name\n1,Ana\n"),
            ("k.t@topic-1.csv", "id,name\n1,Ana\n"),
            ("k.t@topic-0.csv", "name,id\nBo,2\n"),
            ("k.t@late.until-7-0.csv", "name,id\nCy,3\n"),
        ]);
        for (name, second) in [("k.t@topic-1.csv", 1), ("k.t@topic-0.csv", 3), ("k.t@late.until-7-0.csv", 2)]
        {
            let file = File::options().append(true).open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        }
        let found = rows(folder.path(), "k.t".to_owned(), 10).unwrap();
        assert_eq!((found.columns[0].name.as_str(), found.rows.len()), ("name", 2));
        assert_eq!(found.rows[0], [Some("Bo".to_owned()), Some("2".to_owned())]);
        assert_eq!(found.rows[1], [Some("Cy".to_owned()), Some("3".to_owned())]);
    }

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let lines: String = (0..100_000).map(|row| format!("{row},name\n")).collect();
        let folder = folder(&[("k.t@topic-0.csv", &format!("id,name\n{lines}"))]);
        let found = rows(folder.path(), "k.t".to_owned(), 100).unwrap();
        assert_eq!((found.rows.len(), found.rows[0][0].as_deref()), (100, Some("99999")));
    }
}
