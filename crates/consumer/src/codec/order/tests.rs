use std::cmp::Ordering;

use super::compare;
use crate::codec::{Codec, Width};
use crate::json::Reader;

fn cell(codec: &Codec, json: &str) -> Result<Vec<u8>, String> {
    let mut out = b"before".to_vec();
    let mut reader = Reader::new(json.as_bytes()).unwrap();
    let present =
        codec.encode(&mut reader, &mut String::new(), &mut out).map_err(|error| error.to_string())?;
    assert!(present && out.starts_with(b"before"));
    Ok(out.split_off(6))
}

fn set(element: Codec) -> Codec {
    Codec::Set(Box::new(element))
}

fn int() -> Codec {
    Codec::Integer(Width::Int)
}

#[track_caller]
fn ascending(codec: &Codec, values: &[&str]) {
    let cells: Vec<_> = values.iter().map(|json| cell(codec, json).unwrap()).collect();
    for (place, left) in cells.iter().enumerate() {
        for (other, right) in cells.iter().enumerate() {
            let (one, two) = (values[place], values[other]);
            assert_eq!(compare(codec, left, right), place.cmp(&other), "{one} and {two}");
        }
    }
}

#[test]
fn one_set_is_one_cell_however_it_is_written() {
    let codec = set(int());
    let sorted = cell(&codec, "[-5,-1,0,3,70000]").unwrap();
    for shuffled in
        ["[3,0,-1,70000,-5]", "[70000,3,0,-1,-5]", "[-5,-1,0,3,70000,3,-5]", "[0,0,70000,-1,-5,3]"]
    {
        assert_eq!(cell(&codec, shuffled).unwrap(), sorted, "{shuffled}");
    }
    assert_eq!(cell(&codec, "[]").unwrap(), [0; 4]);
    assert_eq!(
        cell(&set(set(int())), "[[2,1],[1,2,2],[]]").unwrap(),
        cell(&set(set(int())), "[[],[1,2]]").unwrap()
    );
}

#[test]
fn maps_are_sorted_with_their_values_and_keys_come_once() {
    let codec = Codec::Map(Box::new(int()), Box::new(Codec::Text));
    assert_eq!(cell(&codec, r#"{"2":"b","-1":"a"}"#), cell(&codec, r#"{"-1":"a","2":"b"}"#));
    assert_eq!(
        cell(&codec, r#"{"2":"b","-1":"a"}"#).unwrap()[..12],
        *b"\0\0\0\x02\0\0\0\x04\xff\xff\xff\xff"
    );
    assert_eq!(cell(&codec, r#"{"1":"a","2":"b","1.0":"a"}"#).unwrap_err(), "keys 1 and 3 are the same");
}

#[test]
fn equal_decimals_of_different_scales_are_not_dropped_in_silence() {
    let codec = set(Codec::Decimal);
    assert_eq!(cell(&codec, "[2,1.5,2]"), cell(&codec, "[1.5,2]"));
    assert_eq!(cell(&codec, "[2,0.00,-1e3,1.5,-7,2]"), cell(&codec, "[-1e3,-7,0.00,1.5,2]"));
    assert_eq!(
        cell(&codec, "[2,1.5,1.50]").unwrap_err(),
        "elements 2 and 3 are equal but written differently, and a set keeps only one"
    );
}

#[test]
fn numbers_are_ordered_by_value() {
    ascending(&int(), &["-2147483648", "-1", "0", "1", "256", "2147483647"]);
    ascending(&Codec::Integer(Width::TinyInt), &["-128", "-1", "0", "127"]);
    ascending(&Codec::Float, &["-1e10", "-0.5", "-0.0", "0.0", "1e-10", "2", "1e10"]);
    ascending(&Codec::Double, &["-1e300", "-0.5", "-0.0", "0.0", "5e-324", "2", "1e300"]);
    ascending(&Codec::VarInt, &["-1e30", "-129", "-128", "0", "127", "128", "1e30"]);
    ascending(&Codec::Decimal, &["-1e30", "-0.1", "0", "0.01", "0.1", "1e30"]);
    ascending(&Codec::Boolean, &["false", "true"]);
    ascending(&Codec::Text, &["\"\"", "\"B\"", "\"a\"", "\"aa\"", "\"é\""]);
}

#[test]
fn uuids_of_version_1_are_ordered_by_time_and_then_by_their_kind() {
    // The time's low field comes first in the text and counts least.
    let by_time = [
        "\"ffffffff-0000-1000-8000-000000000000\"",
        "\"00000000-0001-1000-8000-000000000000\"",
        "\"00000000-0000-1001-8000-000000000000\"",
    ];
    let (any, time) = (Codec::Uuid { time_based: false }, Codec::Uuid { time_based: true });
    ascending(&any, &by_time);
    ascending(&time, &by_time);
    let low = "\"00000000-0000-1000-807f-000000000000\"";
    let high = "\"00000000-0000-1000-8080-000000000000\"";
    ascending(&any, &[low, high]);
    ascending(&time, &[high, low]);
    ascending(
        &any,
        &[
            "\"ffffffff-ffff-1fff-bfff-ffffffffffff\"",
            "\"00000000-0000-4000-8000-000000000000\"",
            "\"00000001-0000-4000-8000-000000000000\"",
            "\"00000000-0000-7000-8000-000000000000\"",
        ],
    );
}

#[test]
fn nested_values_are_ordered_part_by_part() {
    ascending(&Codec::List(Box::new(int())), &["[]", "[-1]", "[-1,5]", "[0]", "[1]", "[1,-9]"]);
    let map = Codec::Map(Box::new(Codec::Text), Box::new(int()));
    ascending(&map, &["{}", r#"{"a":-1}"#, r#"{"a":-1,"b":0}"#, r#"{"a":0}"#, r#"{"b":-9}"#]);
    let tuple = Codec::Tuple(vec![int(), Codec::Text]);
    ascending(&tuple, &["[null,null]", "[null,\"\"]", "[-1,\"z\"]", "[0,null]", "[0,\"\"]", "[0,\"a\"]"]);
    let udt = Codec::Udt(vec![("a".to_owned(), int()), ("b".to_owned(), int())]);
    ascending(&udt, &["{}", r#"{"b":-5}"#, r#"{"a":-1}"#, r#"{"a":0,"b":1}"#]);
    ascending(&Codec::Vector(Box::new(int()), 2), &["[-1,5]", "[0,-1]", "[0,0]", "[1,-7]"]);
    let texts = Codec::Vector(Box::new(Codec::Text), 2);
    ascending(&texts, &["[\"a\",\"b\"]", "[\"aa\",\"a\"]", "[\"b\",\"\"]"]);
    assert_eq!(compare(&int(), &[], &[]), Ordering::Equal);
}
