use super::*;
use crate::message::{Chunk, Partition};

struct Record<'a> {
    key: &'a str,
    partition: i32,
    offset: i64,
    // `None` is a tombstone.
    reason: Option<&'a str>,
}

fn letter(key: &'static str, offset: i64, reason: &'static str) -> Record<'static> {
    Record { key, partition: 0, offset, reason: Some(reason) }
}

fn take(fold: &mut Fold, record: &Record<'_>) {
    let Record { key, partition, offset, reason } = record;
    let headers = [
        ("group", "g"),
        ("table", "shop.orders"),
        ("class", "value"),
        ("topic", "orders"),
        ("partition", "3"),
        ("offset", *key),
        ("reason", reason.unwrap_or_default()),
    ];
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes())));
    let mut chunk = Chunk::default();
    let value = reason.map(|_| &b"raw"[..]);
    let place = Partition { topic: 0, number: *partition };
    chunk.push(place, *offset, Some(1_000 + offset), Some(key.as_bytes()), value, headers);
    fold.take(&chunk.message("orders.dlq", *partition, 0));
}

fn fold(records: &[Record<'_>]) -> Fold {
    let mut fold = Fold::default();
    records.iter().for_each(|record| take(&mut fold, record));
    fold
}

// Offset of the message, and that of the letter.
fn standing(fold: &Fold) -> Vec<(i64, i64)> {
    fold.standing().map(|(_, entry)| (entry.offset, entry.place)).collect()
}

#[test]
fn the_last_letter_of_a_key_stands() {
    let fold = fold(&[letter("7", 0, "one"), letter("8", 1, "one"), letter("7", 2, "two")]);
    assert_eq!(standing(&fold), [(7, 2), (8, 1)]);
    let reasons: Vec<_> = fold.standing().map(|(_, entry)| &fold.causes[entry.cause].reason).collect();
    assert_eq!(reasons, ["two", "one"]);
}

#[test]
fn a_tombstone_removes_its_key_and_a_later_letter_stands_again() {
    let gone = |offset| Record { reason: None, ..letter("7", offset, "") };
    assert_eq!(standing(&fold(&[letter("7", 0, "one"), letter("8", 1, "one"), gone(2)])), [(8, 1)]);
    assert_eq!(standing(&fold(&[letter("7", 0, "one"), gone(1), letter("7", 2, "one")])), [(7, 2)]);
}

#[test]
fn a_tombstone_removes_nothing_from_another_partition() {
    let elsewhere = Record { partition: 1, reason: None, ..letter("7", 9, "") };
    assert_eq!(standing(&fold(&[letter("7", 0, "one"), elsewhere])), [(7, 0)]);
}

#[test]
fn causes_differ_by_more_than_numbers_and_have_the_same_name_each_time() {
    let fold =
        |records: &[Record<'_>]| fold(records).causes.into_iter().map(|cause| cause.id).collect::<Vec<_>>();
    let one = fold(&[letter("7", 0, "byte 17: no"), letter("8", 1, "byte 4: no"), letter("9", 2, "no")]);
    assert_eq!(one.len(), 2);
    assert_eq!(one[0].len(), 8);
    assert_eq!(one, fold(&[letter("1", 0, "byte 99: no"), letter("2", 1, "no")]));
}

#[test]
fn reasons_without_end_are_one_cause_from_some_number_on() {
    let mut fold = Fold::default();
    for number in 0..3 * KINDS_MAX {
        let reason = format!("odd word {}", "x".repeat(number));
        take(&mut fold, &Record { reason: Some(&reason), ..letter("7", 0, "") });
    }
    assert_eq!(fold.causes.len(), KINDS_MAX + 1);
    assert!(fold.causes[KINDS_MAX].reason.starts_with("other reasons, such as: odd word x"));
}

#[test]
fn which_reasons_are_gathered_is_told() {
    let mut fold = Fold::default();
    for number in 0..=KINDS_MAX {
        let reason = format!("odd word {}", "x".repeat(number));
        take(&mut fold, &Record { reason: Some(&reason), ..letter("7", 0, "") });
    }
    let rest: Vec<_> = fold.causes.iter().map(|cause| cause.is_rest).collect();
    assert_eq!(rest, [vec![false; KINDS_MAX], vec![true]].concat());
}

#[test]
fn a_letter_is_as_large_as_its_record() {
    let reason = "no".repeat(500);
    let fold = fold(&[Record { reason: Some(&reason), ..letter("7", 0, "") }]);
    let (_, entry) = fold.standing().next().unwrap();
    assert!(entry.bytes > 1_000, "{} bytes, of which the reason alone has 1,000", entry.bytes);
}

#[test]
fn records_of_others_are_counted_and_left_alone() {
    let mut chunk = Chunk::default();
    chunk.push(Partition { topic: 0, number: 0 }, 0, None, Some(b"k"), Some(b"v"), std::iter::empty());
    let mut fold = Fold::default();
    fold.take(&chunk.message("orders.dlq", 0, 0));
    assert_eq!((fold.foreign, fold.standing().count()), (1, 0));
}

#[test]
fn only_letters_that_pass_every_filter_are_meant() {
    let fold = fold(&[letter("7", 0, "one"), letter("8", 1, "two")]);
    let meant = |select: &Select| {
        let meant = fold.standing().filter(|(_, entry)| select.takes(&fold.causes[entry.cause], entry));
        meant.map(|(_, entry)| entry.offset).collect::<Vec<_>>()
    };
    let all = Select { group: "g".to_owned(), ..Select::default() };
    assert_eq!(meant(&all), [7, 8]);
    assert!(meant(&Select { group: "other".to_owned(), ..all.clone() }).is_empty());
    let of_topic = |topic: &str| Select { topics: vec![topic.to_owned()], ..all.clone() };
    assert_eq!(meant(&of_topic("orders")), meant(&all));
    assert!(meant(&of_topic("others")).is_empty());
    let of_cause = Select { causes: vec![fold.causes[0].id.clone()], ..all.clone() };
    assert_eq!(meant(&of_cause), [7]);
    let at = |address: &str| vec![address.parse().unwrap()];
    assert_eq!(meant(&Select { addresses: at("orders:3:8"), ..all.clone() }), [8]);
    assert!(meant(&Select { addresses: at("orders:3:8"), ..of_cause }).is_empty());
    assert!(meant(&Select { tables: vec!["shop.other".to_owned()], ..all }).is_empty());
}

#[test]
fn an_address_is_read_from_its_end() {
    let address: Address = "eu:orders:3:17".parse().unwrap();
    assert_eq!((address.topic.as_str(), address.partition, address.offset), ("eu:orders", 3, 17));
    assert_eq!(address.to_string(), "eu:orders:3:17");
    for wrong in ["", "orders", "orders:3", ":3:17", "orders:3:x", "orders:-1:17", "orders:3000000000:1"] {
        let refused = wrong.parse::<Address>().unwrap_err();
        assert!(refused.contains("topic:partition:offset"), "{wrong}");
    }
}
