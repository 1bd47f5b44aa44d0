use std::path::Path;
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rdkafka::message::Headers as _;
use service::Health;
use service::kafka;

use super::*;
use crate::dead_letter::{DeadLetter, DeadLetters, Fold};
use crate::decode::{Class, DataError};
use crate::message::Headers;
use crate::plan::Plan;

const TABLE: &str = "shop.orders";

fn error(reason: &str) -> DataError {
    DataError { class: Class::Value, reason: reason.to_owned() }
}

fn sent(message: &Message<'_>) -> DeadLetter {
    static SENDER: OnceLock<DeadLetters> = OnceLock::new();
    let sender = SENDER
        .get_or_init(|| DeadLetters::new(&kafka::Settings::default(), "eu/blue", Health::default()).unwrap());
    let text = format!("topic = \"orders\"\ntable = \"{TABLE}\"\n[columns]\nid = \"id\"\n");
    let plan = Plan::for_csv(&crate::route::parse(Path::new("r.toml"), text).unwrap()).unwrap();
    sender.letter(&plan, message, &error("column id: no"))
}

// As it is on the topic of dead letters.
fn record(letter: &DeadLetter) -> Chunk {
    let mut chunk = Chunk::default();
    let headers = letter.headers.iter().map(|header| (header.key.as_bytes(), header.value));
    let partition = Partition { topic: 0, number: letter.partition.unwrap_or(4) };
    chunk.push(partition, 17, Some(1), Some(&letter.key), letter.value.as_deref(), headers);
    chunk
}

fn of(chunk: &Chunk) -> Letter<'_> {
    Letter::of(chunk.message("orders.dlq", 4, 0)).unwrap()
}

fn parts<'a>(message: &Message<'a>) -> impl PartialEq + std::fmt::Debug + use<'a> {
    let Message { topic, partition, offset, timestamp_ms, key, value, headers } = *message;
    (topic.to_owned(), partition, offset, timestamp_ms, key, value, headers.iter().collect::<Vec<_>>())
}

fn message(value: Option<&[u8]>) -> Message<'_> {
    Message {
        topic: "orders",
        partition: 3,
        offset: 1_042,
        timestamp_ms: Some(1_800_000_000_000),
        key: Some(b"\0key\xff"),
        value,
        headers: Headers::NONE,
    }
}

proptest! {
    #[test]
    fn a_letter_is_the_message_it_was(
        (partition, offset) in (0..i32::MAX, 0..i64::MAX),
        timestamp_ms in option::of(-4_000_000_000_000_i64..4_000_000_000_000),
        key in option::of(vec(any::<u8>(), 0..20)),
        value in option::of(vec(any::<u8>(), 0..50)),
        headers in vec(("[a-z.]{0,8}", option::of(vec(any::<u8>(), 0..9))), 0..5),
    ) {
        let mut chunk = Chunk::default();
        let place = Partition { topic: 0, number: partition };
        let own = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref()));
        chunk.push(place, offset, timestamp_ms, key.as_deref(), value.as_deref(), own);
        let message = chunk.message("orders", partition, 0);
        let sent = sent(&message);
        prop_assert!(sent.value.is_some(), "a tombstone would remove the letter");
        let record = record(&sent);
        let letter = of(&record);
        prop_assert_eq!((letter.group, letter.table, letter.class), ("eu/blue", TABLE, "value"));
        let mut restored = Chunk::default();
        letter.restore(&mut restored);
        prop_assert_eq!(parts(&restored.message("orders", letter.partition, 0)), parts(&message));
    }
}

#[test]
fn null_and_empty_values_are_told_apart() {
    for value in [None, Some(&b""[..])] {
        let record = record(&sent(&message(value)));
        assert_eq!(of(&record).value(), value);
    }
}

#[test]
fn letters_of_before_the_header_of_null_tell_by_their_class() {
    for (class, value) in [("tombstone", None), ("json", Some(&b""[..]))] {
        let letter = sent(&message(Some(b"")));
        let headers = letter.headers.iter().map(|header| match header.key {
            "class" => ("class", Some(class.as_bytes())),
            key => (key, header.value),
        });
        let mut chunk = Chunk::default();
        let headers = headers.map(|(name, value)| (name.as_bytes(), value));
        chunk.push(Partition { topic: 0, number: 4 }, 17, None, Some(&letter.key), Some(b""), headers);
        assert_eq!(of(&chunk).value(), value, "{class}");
    }
}

#[test]
fn a_letter_that_fails_again_has_another_reason_and_is_the_same_otherwise() {
    let first = record(&sent(&message(Some(b"no json"))));
    let before = of(&first);
    let again = DeadLetter::again(&before, &error("column n: no"));
    assert_eq!((&again.key[..], again.partition), (before.record.key.unwrap(), Some(4)));
    let second = record(&again);
    let after = of(&second);
    assert_eq!((after.reason, after.replays), ("column n: no", 1));
    assert_eq!((after.group, after.address()), (before.group, before.address()));
    let (mut one, mut two) = (Chunk::default(), Chunk::default());
    before.restore(&mut one);
    after.restore(&mut two);
    assert_eq!(parts(&one.message("orders", 3, 0)), parts(&two.message("orders", 3, 0)));
    let third = record(&DeadLetter::again(&after, &error("column m: no")));
    assert_eq!(of(&third).replays, 2);
    let mut fold = Fold::default();
    for chunk in [&first, &second, &third] {
        fold.take(&chunk.message("orders.dlq", 4, 0));
    }
    assert_eq!(fold.standing().count(), 1, "one letter, however often it fails");
}

#[test]
fn a_record_without_its_headers_is_no_letter_and_says_what_is_missing() {
    let why = |headers: &[(&str, &str)]| {
        let mut chunk = Chunk::default();
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes())));
        chunk.push(Partition { topic: 0, number: 0 }, 0, None, None, Some(b"x"), headers);
        Letter::of(chunk.message("orders.dlq", 0, 0)).unwrap_err().to_string()
    };
    assert_eq!(why(&[]), "it has no header group");
    let most = [("group", "g"), ("table", "k.t"), ("class", "json"), ("reason", "r"), ("topic", "t")];
    assert_eq!(why(&most), "it has no header partition");
    let odd = [&most[..], &[("partition", "3000000000")]].concat();
    assert_eq!(why(&odd), "header partition is \"3000000000\", which is no number that fits");
}
