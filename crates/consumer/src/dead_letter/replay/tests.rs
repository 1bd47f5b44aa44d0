use super::*;
use crate::dead_letter::Entry;

fn letter(partition: i32, place: i64, bytes: usize) -> Selected {
    let key = Key { partition, bytes: place.to_be_bytes().into() };
    Selected {
        key,
        entry: Entry { place, cause: 0, partition: 9, offset: place, sent_ms: 0, bytes, timestamp_ms: None },
    }
}

fn sizes(selected: Vec<Selected>) -> Vec<usize> {
    windows(&[("orders".to_owned(), selected)]).map(|(_, window)| window.len()).collect()
}

#[test]
fn a_window_is_of_one_partition() {
    assert_eq!(sizes(vec![letter(0, 1, 10), letter(0, 5, 10), letter(2, 1, 10)]), [2, 1]);
    assert!(sizes(Vec::new()).is_empty());
}

#[test]
fn a_window_holds_so_many_bytes_or_one_message() {
    let half = WINDOW_BYTES / 2;
    assert_eq!(sizes((0..5).map(|place| letter(0, place, half)).collect()), [2, 2, 1]);
    assert_eq!(sizes((0..3).map(|place| letter(0, place, 2 * WINDOW_BYTES)).collect()), [1, 1, 1]);
}

#[test]
fn a_window_holds_so_many_letters() {
    let count = i64::try_from(2 * WINDOW_LETTERS + 1).unwrap();
    assert_eq!(
        sizes((0..count).map(|place| letter(0, place, 1)).collect()),
        [WINDOW_LETTERS, WINDOW_LETTERS, 1]
    );
}
