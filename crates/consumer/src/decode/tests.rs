mod features;
mod properties;

use super::*;
use crate::message::Headers;
use crate::schema::{Column, CqlType, Native, Table};

const NOW: i64 = 1_800_000_000_000;

fn plan(head: &str, columns: &str) -> Plan {
    let text = format!("topic = \"t\"\ntable = \"k.t\"\n{head}\n[columns]\n{columns}");
    let route = crate::route::parse(std::path::Path::new("r.toml"), text).unwrap();
    let column =
        |name: &str, native, role| Column { name: name.to_owned(), cql: CqlType::Native(native), role };
    let table = Table {
        name: "k.t".to_owned(),
        columns: vec![
            column("id", Native::Text, Role::PartitionKey),
            column("n", Native::Int, Role::Regular),
            column("a", Native::Text, Role::Regular),
            column("b", Native::Text, Role::Regular),
            column("at", Native::Timestamp, Role::Regular),
        ],
    };
    Plan::for_table(&route, &table).unwrap()
}

fn message(value: &[u8]) -> Message<'_> {
    Message {
        topic: "t",
        partition: 3,
        offset: 1_042,
        timestamp_ms: Some(NOW - 5_000),
        key: Some(b"the key"),
        value: Some(value),
        headers: Headers::NONE,
    }
}

fn row(plan: &Plan, message: &Message<'_>) -> Result<Vec<Option<Vec<u8>>>, DataError> {
    let mut rows = Rows::new(plan.width());
    let decoded = Decoder::default().decode(plan, message, NOW, &mut rows);
    assert_eq!(rows.len(), usize::from(decoded == Ok(Decoded::Row)), "a refused row leaves nothing behind");
    decoded?;
    Ok(rows
        .row(0)
        .map(|cell| match cell {
            CellValue::Bytes(bytes) => Some(bytes.to_vec()),
            CellValue::Null | CellValue::Unset => None,
        })
        .collect())
}

fn reason(plan: &Plan, value: &str) -> (Class, String) {
    let error = row(plan, &message(value.as_bytes())).unwrap_err();
    (error.class, error.reason)
}

#[test]
fn nested_fields_elements_and_metadata_find_their_columns() {
    let plan = plan(
        "",
        "id = \"user.id\"\nn = \"list[1].n\"\na = \"user.\\\"odd.name\\\"\"\nb = { meta = \"key\" }\nat = { meta = \"timestamp\" }\n",
    );
    let value =
        br#" {"x":[{}],"list":[{"n":1},{"n":2},{"n":3}],"user":{"odd.name":"o","id":"i","more":{"id":9}}} "#;
    let cells = row(&plan, &message(value)).unwrap();
    assert_eq!(cells[0].as_deref(), Some(&b"i"[..]));
    assert_eq!(cells[1].as_deref(), Some(&2_i32.to_be_bytes()[..]));
    assert_eq!(cells[2].as_deref(), Some(&b"o"[..]));
    assert_eq!(cells[3].as_deref(), Some(&b"the key"[..]));
    assert_eq!(cells[4].as_deref(), Some(&(NOW - 5_000).to_be_bytes()[..]));
    assert_eq!(cells[5].as_deref(), Some(&((NOW - 5_000) * 1000 + 42).to_be_bytes()[..]), "the WRITETIME");
}

#[test]
fn one_field_may_fill_several_columns() {
    let plan = plan("", "id = \"id\"\na = \"id\"\nb = { path = \"o\", format = \"json\" }\nn = \"o.n\"\n");
    let cells = row(&plan, &message(br#"{"id":"x","o":{"n":7}}"#)).unwrap();
    assert_eq!(cells[0], cells[1]);
    assert_eq!(cells[2].as_deref(), Some(&br#"{"n":7}"#[..]));
    assert_eq!(cells[3].as_deref(), Some(&7_i32.to_be_bytes()[..]));
}

#[test]
fn missing_and_null_fields_are_what_the_route_says() {
    for (head, expected) in [("", CellValue::Unset), ("missing = \"null\"", CellValue::Null)] {
        let plan = plan(head, "id = \"id\"\na = \"a\"\nb = \"b\"\nn = \"b.n\"\n");
        let mut rows = Rows::new(plan.width());
        Decoder::default().decode(&plan, &message(br#"{"id":"x","b":null}"#), NOW, &mut rows).unwrap();
        for column in 1..4 {
            assert_eq!(rows.cell(0, column), expected, "column {column}");
        }
    }
}

#[test]
fn poison_is_refused_with_class_and_reason() {
    let plan = plan("", "id = \"id\"\nn = \"n\"\na = \"o.a\"\n");
    let cases = [
        ("{\"id\":\"x\"", Class::Json, "unterminated"),
        ("no json", Class::Json, "not JSON: expected a value at byte 0"),
        ("[]", Class::Json, "expected an object, found an array"),
        ("{\"id\":\"x\"} {}", Class::Json, "trailing"),
        ("{\"id\":NaN}", Class::Json, "expected a value"),
        ("{\"id\":\"x\",\"n\":\"7\"}", Class::Value, "column n: field n: expected an integer"),
        ("{\"id\":\"x\",\"n\":2147483648}", Class::Value, "found 2147483648"),
        ("{\"id\":\"x\",\"o\":7}", Class::Value, "expected an object with a at byte 14, found a number"),
        ("{\"id\":\"x\",\"id\":\"y\"}", Class::Value, "field id appears twice"),
        ("{\"n\":1}", Class::Key, "primary key column id: field id is missing or null"),
        ("{\"id\":null}", Class::Key, "missing or null"),
        ("{\"id\":\"\"}", Class::Key, "partition key column id is empty"),
    ];
    for (value, class, part) in cases {
        let (found, text) = reason(&plan, value);
        assert!(found == class && text.contains(part), "{value}: {found:?} {text}");
    }
    let tombstone = Message { value: None, ..message(b"") };
    assert_eq!(row(&plan, &tombstone).unwrap_err().class, Class::Tombstone);
}

#[test]
fn timestamps_that_would_freeze_the_row_are_refused() {
    let plan = plan("", "id = \"id\"\n");
    let value = br#"{"id":"x"}"#;
    for timestamp_ms in [None, Some(-1), Some(NOW + 3_600_001)] {
        let error = row(&plan, &Message { timestamp_ms, ..message(value) }).unwrap_err();
        assert_eq!(error.class, Class::Timestamp, "{timestamp_ms:?}");
    }
    assert!(row(&plan, &Message { timestamp_ms: Some(NOW + 3_600_000), ..message(value) }).is_ok());
}

#[test]
fn time_to_live_counts_from_the_message_and_expired_rows_are_not_written() {
    let plan = plan("ttl = \"10s\"", "id = \"id\"\n");
    let value = br#"{"id":"x"}"#;
    let cells = row(&plan, &message(value)).unwrap();
    assert_eq!(cells[2].as_deref(), Some(&5_i32.to_be_bytes()[..]));
    let mut rows = Rows::new(plan.width());
    let old = Message { timestamp_ms: Some(NOW - 10_000), ..message(value) };
    assert_eq!(Decoder::default().decode(&plan, &old, NOW, &mut rows), Ok(Decoded::Expired));
    assert!(rows.is_empty());
}

#[test]
fn later_offsets_of_one_millisecond_win() {
    assert!(writetime(5, 1001) > writetime(5, 1000));
    assert!(writetime(6, 0) > writetime(5, 999));
}

#[test]
fn a_row_is_bounded_and_those_before_it_do_not_count() {
    let plan = plan("", "id = \"id\"\na = \"a\"\nb = \"b\"\n");
    let value =
        |a: usize, b: usize| format!(r#"{{"id":"i","a":"{}","b":"{}"}}"#, "a".repeat(a), "b".repeat(b));
    assert_eq!(
        reason(&plan, &value(9 << 20, 8 << 20)),
        (Class::Value, "column b: field b: the row is larger than 16 MiB".to_owned())
    );
    let mut rows = Rows::new(plan.width());
    for _ in 0..2 {
        let half = value(8 << 20, 4 << 20);
        let decoded = Decoder::default().decode(&plan, &message(half.as_bytes()), NOW, &mut rows);
        assert_eq!(decoded, Ok(Decoded::Row));
    }
}

#[test]
fn a_row_above_the_limit_of_the_settings_leaves_nothing_behind() {
    let plan = plan("", "id = \"id\"\na = \"a\"\n");
    let mut rows = Rows::new(plan.width());
    let mut decode = |value: &str| {
        let decoded = Decoder::default().decode_within(20, &plan, &message(value.as_bytes()), NOW, &mut rows);
        (decoded, rows.len(), rows.bytes.len())
    };
    // The key, the text, and a WRITETIME of eight bytes.
    assert_eq!(decode(r#"{"id":"i","a":"12345678901"}"#), (Ok(Decoded::Row), 1, 20));
    let (refused, rows, bytes) = decode(r#"{"id":"i","a":"123456789012"}"#);
    let error = refused.unwrap_err();
    assert_eq!(error.reason, "the row has 21 bytes, consumer.row_bytes_max is 20");
    assert_eq!((rows, bytes), (1, 20), "the row before it");
}

#[test]
fn errors_that_differ_in_numbers_and_quoted_words_only_are_of_one_kind() {
    let error = |class, reason: &str| DataError { class, reason: reason.to_owned() };
    let at = |byte: u32| error(Class::Json, &format!("not JSON: byte {byte}: expected a value")).kind();
    assert_eq!(at(7), "json not JSON: byte #: expected a value");
    assert_eq!(at(7), at(1_234));
    assert_ne!(at(7), error(Class::Json, "not JSON: byte 7: the end").kind());
    assert_ne!(error(Class::Value, "x").kind(), error(Class::Key, "x").kind());
    let found = |words: &str| error(Class::Value, &format!("column n: found {words:?}, 7 times")).kind();
    assert_eq!(found("seven"), "value column n: found \"#\", # times");
    for words in ["a 1", "a \"quoted\" word", "\\", "\\\"", "7"] {
        assert_eq!(found(words), found("seven"), "{words}");
    }
}
