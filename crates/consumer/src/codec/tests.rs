use super::*;
use crate::route::{Bucket, Format, Options};
use crate::schema::{CqlType, Native};

fn cell(codec: &Codec, json: &str) -> Result<Option<Vec<u8>>, String> {
    let mut out = Vec::new();
    let mut reader = Reader::new(json.as_bytes()).map_err(|error| error.to_string())?;
    let present =
        codec.encode(&mut reader, &mut String::new(), &mut out).map_err(|error| error.to_string())?;
    Ok(present.then_some(out))
}

fn native(native: Native, options: &Options) -> Codec {
    for_column(&CqlType::Native(native), options).unwrap()
}

fn bytes(codec: &Codec, json: &str) -> Vec<u8> {
    cell(codec, json).unwrap().unwrap()
}

#[test]
fn integers_beyond_their_type_are_refused() {
    let tiny = Codec::Integer(Width::TinyInt);
    assert_eq!(bytes(&tiny, "-128"), [0x80]);
    assert_eq!(cell(&tiny, "128").unwrap_err(), "expected an integer from -128 to 127, found 128");
    let int = Codec::Integer(Width::Int);
    assert_eq!(bytes(&int, "2147483647"), i32::MAX.to_be_bytes());
    assert!(cell(&int, "2147483648").is_err());
    assert!(cell(&int, "1.5").is_err());
    assert!(cell(&int, "\"1\"").is_err());
    assert_eq!(bytes(&Codec::Integer(Width::BigInt), "-9223372036854775808"), i64::MIN.to_be_bytes());
}

#[test]
fn text_keeps_the_literal_of_numbers() {
    assert_eq!(bytes(&Codec::Text, "08139.10e2".trim_start_matches('0')), b"8139.10e2");
    assert_eq!(bytes(&Codec::Text, r#""a\u00e9\n""#), "aé\n".as_bytes());
    assert_eq!(bytes(&Codec::Text, "true"), b"true");
    assert_eq!(cell(&Codec::Text, "null"), Ok(None));
    assert!(cell(&Codec::Text, "{}").unwrap_err().contains("found an object"));
}

#[test]
fn times_are_exact_or_refused() {
    let plain = native(Native::Timestamp, &Options::default());
    assert_eq!(bytes(&plain, "\"2026-01-02T12:00:00.122Z\""), 1_767_355_200_122_i64.to_be_bytes());
    assert!(cell(&plain, "\"2026-01-02T12:00:00.1225Z\"").is_err(), "finer than a millisecond");
    assert!(cell(&plain, "1767355200122").is_err(), "a bare number has no unit");
    let cut = native(Native::Timestamp, &Options { truncate: true, ..Options::default() });
    assert_eq!(bytes(&cut, "\"2026-01-02T12:00:00.1225Z\""), 1_767_355_200_122_i64.to_be_bytes());
    let micros =
        native(Native::Timestamp, &Options { time: Some("epoch_us".to_owned()), ..Options::default() });
    assert_eq!(bytes(&micros, "-1000"), (-1_i64).to_be_bytes());
    assert!(cell(&micros, "-1").is_err());
}

#[test]
fn patterns_need_a_zone_and_use_it() {
    let pattern = |zone: Option<&str>| Options {
        time: Some("%Y-%m-%d %H:%M:%S".to_owned()),
        zone: zone.map(str::to_owned),
        ..Options::default()
    };
    let error = for_column(&CqlType::Native(Native::Timestamp), &pattern(None)).unwrap_err();
    assert!(error.contains("zone"), "{error}");
    let east = native(Native::Timestamp, &pattern(Some("+02:00")));
    let utc = native(Native::Timestamp, &pattern(Some("UTC")));
    let read =
        |codec: &Codec| i64::from_be_bytes(bytes(codec, "\"2023-12-08 15:30:00\"").try_into().unwrap());
    assert_eq!(read(&utc), 1_702_049_400_000);
    assert_eq!(read(&utc) - read(&east), 7_200_000);
}

#[test]
fn buckets_start_their_hour_day_and_month() {
    let bucket = |cql, bucket| native(cql, &Options { bucket: Some(bucket), ..Options::default() });
    let time = "\"2026-02-28T23:59:59.999Z\"";
    let day = |days: u32| (days + (1 << 31)).to_be_bytes().to_vec();
    assert_eq!(bytes(&bucket(Native::Date, Bucket::Month), time), day(20_485));
    assert_eq!(bytes(&bucket(Native::Date, Bucket::Day), time), day(20_512));
    assert_eq!(bytes(&bucket(Native::Timestamp, Bucket::Hour), time), 1_772_319_600_000_i64.to_be_bytes());
    assert_eq!(bytes(&bucket(Native::Text, Bucket::Month), time), b"2026-02");
    assert_eq!(bytes(&bucket(Native::Text, Bucket::Hour), time), b"2026-02-28T23");
    assert_eq!(bytes(&Codec::Date, "\"1970-01-01\""), day(0));
}

#[test]
fn scalars_of_every_simple_type_have_their_wire_form() {
    assert_eq!(bytes(&Codec::Boolean, "true"), [1]);
    assert!(cell(&Codec::Boolean, "1").is_err());
    assert_eq!(bytes(&Codec::Double, "1.5"), 1.5_f64.to_be_bytes());
    assert!(cell(&Codec::Double, "1e999").is_err());
    assert_eq!(bytes(&Codec::Float, "0.1"), 0.1_f32.to_be_bytes());
    assert_eq!(bytes(&Codec::Inet, "\"::1\""), std::net::Ipv6Addr::LOCALHOST.octets());
    assert_eq!(bytes(&Codec::Time, "\"00:00:01.000000001\""), 1_000_000_001_i64.to_be_bytes());
    assert_eq!(bytes(&Codec::Blob { hex: true }, "\"0xCAFE\""), [0xca, 0xfe]);
    assert!(cell(&Codec::Blob { hex: true }, "\"0xCAF\"").is_err());
    assert_eq!(bytes(&Codec::Blob { hex: false }, "\"yv4=\""), [0xca, 0xfe]);
    let uuid = "\"5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44\"";
    assert_eq!(bytes(&Codec::Uuid { time_based: false }, uuid)[..2], [0x5b, 0x0f]);
    assert!(cell(&Codec::Uuid { time_based: true }, uuid).unwrap_err().contains("version 1"));
    assert!(cell(&Codec::Ascii, "\"é\"").is_err());
    assert_eq!(bytes(&Codec::Json, r#"{ "a": [1, 2.50] }"#), br#"{ "a": [1, 2.50] }"#);
}

#[test]
fn nested_values_carry_counts_and_lengths() {
    let list = Codec::List(Box::new(Codec::Text));
    assert_eq!(bytes(&list, r#"["a","bc"]"#), b"\0\0\0\x02\0\0\0\x01a\0\0\0\x02bc");
    assert_eq!(cell(&list, r#"["a",null]"#).unwrap_err(), "element 2: null inside a collection");
    let map = Codec::Map(Box::new(Codec::Integer(Width::Int)), Box::new(Codec::Boolean));
    assert_eq!(bytes(&map, r#"{"7":true}"#), b"\0\0\0\x01\0\0\0\x04\0\0\0\x07\0\0\0\x01\x01");
    assert!(cell(&map, r#"{"x":true}"#).unwrap_err().starts_with("key 1: "));
    let udt = Codec::Udt(vec![("a".to_owned(), Codec::Text), ("b".to_owned(), Codec::Boolean)]);
    assert_eq!(bytes(&udt, r#"{"b":true,"x":{"y":[]}}"#), b"\xff\xff\xff\xff\0\0\0\x01\x01");
    assert!(cell(&udt, r#"{"b":true,"b":false}"#).unwrap_err().contains("twice"));
    let tuple = Codec::Tuple(vec![Codec::Boolean, Codec::Boolean]);
    assert_eq!(bytes(&tuple, "[true,null]"), b"\0\0\0\x01\x01\xff\xff\xff\xff");
    assert!(cell(&tuple, "[true]").is_err() && cell(&tuple, "[true,true,true]").is_err());
}

#[test]
fn types_that_a_replay_would_double_are_refused_with_the_reason() {
    let refuse = |cql: CqlType| for_column(&cql, &Options::default()).unwrap_err();
    let text = || Box::new(CqlType::Native(Native::Text));
    assert!(refuse(CqlType::List { frozen: false, element: text() }).contains("redelivery"));
    assert!(refuse(CqlType::Native(Native::Counter)).contains("redelivery"));
}

#[test]
fn options_without_effect_are_refused() {
    let options = Options { format: Some(Format::Hex), ..Options::default() };
    assert!(for_column(&CqlType::Native(Native::Int), &options).unwrap_err().contains("format"));
    let options = Options { bucket: Some(Bucket::Day), ..Options::default() };
    assert!(for_column(&CqlType::Native(Native::Uuid), &options).unwrap_err().contains("bucket"));
}

#[test]
fn csv_cells_are_safe_to_open_in_a_spreadsheet() {
    for (json, field) in [
        ("\"=1+1\"", "'=1+1"),
        ("\"-x\"", "'-x"),
        ("\"\\u0000x\"", "'\0x"),
        ("-5", "-5"),
        ("\"plain = text\"", "plain = text"),
        ("{\"a\":[1]}", "{\"a\":[1]}"),
    ] {
        assert_eq!(bytes(&Codec::Plain, json), field.as_bytes(), "{json}");
    }
}
