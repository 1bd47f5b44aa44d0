//! Files after crashes, changed headers and tampering; any history of crashes is in `model`.

mod model;

use super::*;

const NAME: &str = "k.t@t-0.csv";

fn append(file: &mut CsvFile, offset: i64, field: &str) {
    file.append(
        offset,
        Some(offset * 10),
        [field.as_bytes(), b"x"].into_iter().take(file.checkpoint.header.len()),
    )
    .unwrap();
}

fn open(folder: &Path) -> anyhow::Result<CsvFile> {
    with_header(folder, &["a", "b"])
}

fn with_header(folder: &Path, header: &[&str]) -> anyhow::Result<CsvFile> {
    let path = folder.join(NAME);
    let checkpoint = Checkpoint::read(&path)?;
    CsvFile::open(path, checkpoint, header, 0)
}

fn sync(file: &mut CsvFile) {
    file.sync(i64::MAX).unwrap();
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

// Names and contents of all CSV files.
fn files(folder: &Path) -> Vec<(String, String)> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".csv")).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), text(folder, &name))).collect()
}

fn pairs(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn rows_behind_the_checkpoint_are_cut_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 0, "one");
    sync(&mut file);
    append(&mut file, 1, "two");
    file.flush().unwrap();
    drop(file);
    let mut again = open(folder.path()).unwrap();
    assert_eq!(again.next_offset(), 1);
    append(&mut again, 1, "two, \"quoted\"");
    again.pass(2, None);
    sync(&mut again);
    assert_eq!(text(folder.path(), NAME), "a,b\r\none,x\r\n\"two, \"\"quoted\"\"\",x\r\n");
    let checkpoint = Checkpoint::read(again.path()).unwrap().unwrap();
    assert_eq!((checkpoint.next_offset, checkpoint.last_timestamp_ms), (3, Some(NO_TIMESTAMP)));
    assert_eq!(open(folder.path()).unwrap().next_offset(), 3);
}

#[test]
fn a_checkpoint_without_a_timestamp_is_taken_up_and_knows_its_last_message_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(NAME), "a,b\r\none,x\r\n").unwrap();
    let sidecar = sidecar(&folder.path().join(NAME));
    std::fs::write(&sidecar, r#"{"next_offset":1,"bytes":12,"header":["a","b"]}"#).unwrap();
    let mut file = open(folder.path()).unwrap();
    assert_eq!(file.checkpoint.last_timestamp_ms, None);
    append(&mut file, 1, "two");
    sync(&mut file);
    assert_eq!(Checkpoint::read(file.path()).unwrap().unwrap().last_timestamp_ms, Some(10));
}

#[test]
fn a_checkpoint_stays_before_an_unsettled_offset_and_goes_as_far_as_was_due_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 0, "zero");
    file.pass(1, Some(10));
    file.sync(1).unwrap();
    assert_eq!(file.synced_offset(), 0);
    append(&mut file, 2, "two");
    file.pass(3, Some(30));
    // The letter of 1 is there, the one of 3 is not: a steady stream of letters does not stop the checkpoint.
    file.sync(3).unwrap();
    assert_eq!(file.synced_offset(), 2);
    drop(file);
    let mut again = open(folder.path()).unwrap();
    assert_eq!((again.next_offset(), again.checkpoint.last_timestamp_ms), (2, Some(10)));
    assert_eq!(text(folder.path(), NAME), "a,b\r\nzero,x\r\n");
    append(&mut again, 2, "two");
    sync(&mut again);
    assert_eq!(text(folder.path(), NAME), "a,b\r\nzero,x\r\ntwo,x\r\n");
}

#[test]
fn a_changed_header_starts_a_new_file_and_keeps_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 7, "one");
    sync(&mut file);
    drop(file);
    let file = with_header(folder.path(), &["a"]).unwrap();
    assert_eq!((file.next_offset(), file.checkpoint.last_timestamp_ms), (8, Some(70)));
    assert_eq!(files(folder.path()), pairs(&[(NAME, "a\r\n"), ("k.t@t-0.until-8.csv", "a,b\r\none,x\r\n")]));
}

#[test]
fn a_header_that_changes_again_before_a_row_arrives_destroys_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 7, "one");
    sync(&mut file);
    drop(file);
    for header in [&["a"][..], &["b"], &["a", "b"], &["a", "b", "c"], &["a"]] {
        let file = with_header(folder.path(), header).unwrap();
        assert_eq!(file.next_offset(), 8);
        let head = format!("{}\r\n", header.join(","));
        assert_eq!(
            files(folder.path()),
            pairs(&[(NAME, &head), ("k.t@t-0.until-8.csv", "a,b\r\none,x\r\n")])
        );
    }
}

#[test]
fn a_kept_file_never_takes_the_name_of_another() {
    let folder = tempfile::tempdir().unwrap();
    for number in ["", "-2"] {
        std::fs::write(folder.path().join(format!("k.t@t-0.until-8{number}.csv")), "precious").unwrap();
    }
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 7, "one");
    sync(&mut file);
    drop(file);
    with_header(folder.path(), &["a"]).unwrap();
    assert_eq!(
        files(folder.path()),
        pairs(&[
            (NAME, "a\r\n"),
            ("k.t@t-0.until-8-2.csv", "precious"),
            ("k.t@t-0.until-8-3.csv", "a,b\r\none,x\r\n"),
            ("k.t@t-0.until-8.csv", "precious"),
        ])
    );
}

// Each state in which a kill between the rename and the new checkpoint leaves the folder, and each header, the old
// one included, with which the next start may come.
#[test]
fn a_kill_between_the_kept_file_and_its_successor_is_finished_by_the_next_start() {
    for left in [None, Some(""), Some("b,c,d"), Some("b,c,d\r\n")] {
        for header in [&["b", "c", "d"][..], &["a", "b"], &["z"]] {
            let folder = tempfile::tempdir().unwrap();
            let mut file = open(folder.path()).unwrap();
            append(&mut file, 7, "one");
            sync(&mut file);
            drop(file);
            let (path, kept) = (folder.path().join(NAME), folder.path().join("k.t@t-0.until-8.csv"));
            std::fs::rename(&path, &kept).unwrap();
            if let Some(left) = left {
                std::fs::write(&path, left).unwrap();
            }
            let file = with_header(folder.path(), header);
            let mut file = file.unwrap_or_else(|error| panic!("{left:?}, {header:?}: {error:#}"));
            assert_eq!((file.next_offset(), file.checkpoint.last_timestamp_ms), (8, Some(70)));
            append(&mut file, 8, "two");
            sync(&mut file);
            assert!(text(folder.path(), NAME).starts_with(&format!("{}\r\ntwo", header.join(","))));
            assert_eq!(text(folder.path(), "k.t@t-0.until-8.csv"), "a,b\r\none,x\r\n");
        }
    }
}

#[test]
fn a_kill_while_a_file_without_rows_changes_its_header_is_finished_by_the_next_start() {
    for left in ["", "a,b,c", "a,b,c\r\n", "z\r\n"] {
        for header in [&["a", "b", "c"][..], &["a", "b"]] {
            let folder = tempfile::tempdir().unwrap();
            drop(open(folder.path()).unwrap());
            std::fs::write(folder.path().join(NAME), left).unwrap();
            with_header(folder.path(), header).unwrap();
            assert_eq!(files(folder.path()), pairs(&[(NAME, &format!("{}\r\n", header.join(",")))]));
        }
    }
}

#[test]
fn foreign_shortened_and_edited_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let refused = |header: &[&str]| format!("{:#}", with_header(folder.path(), header).unwrap_err());
    std::fs::write(&path, "precious").unwrap();
    assert!(refused(&["a", "b"]).contains("not overwritten"));
    assert_eq!(text(folder.path(), NAME), "precious");
    std::fs::remove_file(&path).unwrap();
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 0, "one");
    sync(&mut file);
    drop(file);
    for header in [&["a", "b"][..], &["a"]] {
        std::fs::write(&path, "a,b\r\no").unwrap();
        assert!(refused(header).contains("rows are missing"));
        assert_eq!(text(folder.path(), NAME), "a,b\r\no");
        std::fs::write(&path, "id,b\r\none,x\r\n").unwrap();
        assert!(refused(header).contains("it was edited"));
        assert_eq!(text(folder.path(), NAME), "id,b\r\none,x\r\n");
        std::fs::remove_file(&path).unwrap();
        assert!(refused(header).contains("which has a .checkpoint"));
    }
}

#[test]
fn a_crash_while_a_file_is_created_is_mended() {
    for left in ["", "a", "a,b\r", "a,b\r\n"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), left).unwrap();
        assert_eq!(open(folder.path()).unwrap().next_offset(), 0, "{left:?}");
        assert_eq!(text(folder.path(), NAME), "a,b\r\n");
    }
}

#[test]
fn rows_that_come_while_a_file_is_synced_are_behind_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = open(folder.path()).unwrap();
    append(&mut file, 0, "one");
    let sync = file.begin_sync(i64::MAX).unwrap().unwrap();
    append(&mut file, 1, "two");
    file.flush().unwrap();
    let checkpoint = sync.run().unwrap();
    file.synced(checkpoint);
    assert_eq!((file.synced_offset(), file.next_offset()), (1, 2));
    drop(file);
    assert_eq!(open(folder.path()).unwrap().next_offset(), 1);
    assert_eq!(text(folder.path(), NAME), "a,b\r\none,x\r\n");
}
