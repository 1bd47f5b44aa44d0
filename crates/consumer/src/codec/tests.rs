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
    let big = Codec::Integer(Width::BigInt);
    assert_eq!(bytes(&big, "-9223372036854775808"), i64::MIN.to_be_bytes());
    assert_eq!(bytes(&big, "\"9223372036854775807\""), i64::MAX.to_be_bytes(), "as protobuf writes it");
    assert!(cell(&big, "\"9223372036854775808\"").is_err() && cell(&big, "true").is_err());
}

// The values of section 6 of the native protocol, version 5.
#[test]
fn numbers_without_bounds_and_durations_have_their_wire_form() {
    assert_eq!(bytes(&Codec::VarInt, "-129"), [0xff, 0x7f]);
    assert_eq!(bytes(&Codec::VarInt, "\"128\""), [0x00, 0x80]);
    assert_eq!(bytes(&Codec::Decimal, "1.28"), [0, 0, 0, 2, 0x00, 0x80]);
    assert_eq!(bytes(&Codec::Decimal, "\"-1.28\""), [0, 0, 0, 2, 0x80]);
    assert_eq!(bytes(&Codec::Duration, "\"P1M2DT3S\""), [2, 4, 0xf1, 0x65, 0xa0, 0xbc, 0x00]);
    for (codec, json, reason) in [
        (Codec::Decimal, "1e1000000", "at most 10000 digits before and after its point, found 1e1000000"),
        (Codec::VarInt, "1e1000000", "an integer of at most 10000 digits, found 1e1000000"),
        (Codec::VarInt, "1.5", "an integer of at most 10000 digits, found 1.5"),
        (Codec::VarInt, "\"ten\"", "found \"ten\""),
        (Codec::Decimal, "true", "found true"),
        (Codec::Duration, "\"P1YT-1S\"", "of one sign, found \"P1YT-1S\""),
        (Codec::Duration, "5", "found 5"),
    ] {
        let error = cell(&codec, json).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn floats_that_cannot_hold_the_integer_are_refused() {
    let error = cell(&Codec::Double, "9007199254740993").unwrap_err();
    assert_eq!(error, "expected a number that a double can hold, found 9007199254740993");
    assert!(cell(&Codec::Float, "16777217").is_err());
    assert!(cell(&Codec::Float, "\"1.5\"").is_err());
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
    assert!(cell(&plain, "\"2026-01-02T12:00:00.1220000000001Z\"").is_err(), "the tenth decimal counts");
    assert_eq!(bytes(&plain, "\"2026-01-02T12:00:00.1220000000000Z\""), 1_767_355_200_122_i64.to_be_bytes());
    assert!(cell(&plain, "\"2016-12-31T23:59:60Z\"").is_err(), "a leap second is no other second");
    assert!(cell(&Codec::Time, "\"00:00:00.0000000001\"").is_err());
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
fn patterns_lose_no_part_of_a_time() {
    let at = |pattern: &str, zone: Option<&str>| {
        let options =
            Options { time: Some(pattern.to_owned()), zone: zone.map(str::to_owned), ..Options::default() };
        for_column(&CqlType::Native(Native::Timestamp), &options)
    };
    let millis = |pattern: &str, zone: Option<&str>, text: &str| {
        let codec = at(pattern, zone).unwrap();
        i64::from_be_bytes(bytes(&codec, &format!("\"{text}\"")).try_into().unwrap())
    };
    let (day, hour) = (1_767_312_000_000, 3_600_000);
    let utc = Some("UTC");
    for (pattern, zone, text, expected) in [
        ("%Y-%m-%d", utc, "2026-01-02", day),
        ("%Y-%m-%d", Some("+02:00"), "2026-01-02", day - 2 * hour),
        ("%Y-%m-%d%z", None, "2026-01-02+0200", day - 2 * hour),
        ("%G-W%V-%u", utc, "2026-W01-5", day),
        ("%Y%m%d%H%M", utc, "202601021530", day + 15 * hour + hour / 2),
        ("%d.%m.%y %I:%M %p", utc, "02.01.26 03:30 PM", day + 15 * hour + hour / 2),
        ("%Y-%m-%dT%H:%M:%S%.f%:z", None, "2026-01-02T01:00:00.5-01:00", day + 2 * hour + 500),
        ("%s", None, "1767312000", day),
    ] {
        assert_eq!(millis(pattern, zone, text), expected, "{pattern}");
    }
    for (pattern, reason) in [
        ("%Y%m%d%H", "tells no time"),
        ("%Y-%m-%d %H", "tells no time"),
        ("%m/%d/%Y %I:%M", "tells no time"),
        ("%Y-%m-%d %M", "tells no time"),
        ("%Y-%m-%d %p", "tells no time"),
        ("%Y-%m-%d %H:%M%.f", "tells no time"),
        ("%Y-%m", "tells no time"),
        ("%H:%M", "tells no time"),
        ("%Y-%m-%d %#z", "no time can be read"),
        ("%Y-%m-%d %H:%M:%S.%f", "%.f"),
        ("%Y-%m-%d %H:%M:%S %Z", "names of zones"),
        ("%Y-%m-%d %H:%M:%S %::z", "no time can be read"),
        ("%Y-%m-%d %H:%M:%S %:z", "offset of its own"),
        ("%Y-%m-%d %Q", "strftime"),
    ] {
        let error = at(pattern, utc).unwrap_err();
        assert!(error.contains(reason), "{pattern}: {error}");
    }
    assert!(at("%Y-%m-%d %H%z", None).unwrap_err().contains("tells no time"));
    let options = Options { zone: Some("+02:00 Europe/Berlin".to_owned()), ..Options::default() };
    let options = Options { time: Some("%Y-%m-%d".to_owned()), ..options };
    assert!(for_column(&CqlType::Native(Native::Timestamp), &options).unwrap_err().contains("expected UTC"));
}

#[test]
fn times_inside_a_column_are_times_and_texts_are_texts() {
    let options = Options { time: Some("epoch_s".to_owned()), ..Options::default() };
    let [text, time] = [Native::Text, Native::Timestamp].map(CqlType::Native);
    let map = CqlType::Map(Box::new(text.clone()), Box::new(time.clone()));
    let codec = for_column(&map, &options).unwrap();
    assert_eq!(bytes(&codec, r#"{"a":1}"#), b"\0\0\0\x01\0\0\0\x01a\0\0\0\x08\0\0\0\0\0\0\x03\xe8");
    let fields = vec![("note".to_owned(), text.clone()), ("at".to_owned(), time)];
    let list =
        CqlType::List { frozen: true, element: Box::new(CqlType::Udt { name: "u".to_owned(), fields }) };
    let codec = for_column(&list, &options).unwrap();
    assert!(cell(&codec, r#"[{"note":"tea","at":1}]"#).is_ok());
    let texts = CqlType::Set(Box::new(text));
    assert!(for_column(&texts, &options).unwrap_err().contains("time has no meaning"));
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
fn buckets_that_begin_before_all_times_are_refused() {
    for bucket in [Bucket::Hour, Bucket::Day, Bucket::Month] {
        let options =
            Options { time: Some("epoch_ms".to_owned()), bucket: Some(bucket), ..Options::default() };
        let codec = native(Native::Timestamp, &options);
        assert!(cell(&codec, "-9223372036854775808").is_err(), "{bucket:?}");
        assert_eq!(cell(&codec, "9223372036854775807").is_ok(), bucket != Bucket::Month, "{bucket:?}");
    }
}

#[test]
fn scalars_of_every_simple_type_have_their_wire_form() {
    assert_eq!(bytes(&Codec::Boolean, "true"), [1]);
    assert!(cell(&Codec::Boolean, "1").is_err());
    assert_eq!(bytes(&Codec::Double, "1.5"), 1.5_f64.to_be_bytes());
    assert!(cell(&Codec::Double, "1e999").is_err());
    assert_eq!(bytes(&Codec::Float, "0.1"), 0.1_f32.to_be_bytes());
    assert_eq!(bytes(&Codec::Inet, "\"::1\""), std::net::Ipv6Addr::LOCALHOST.octets());
    assert_eq!(bytes(&Codec::Inet, "\"::ffff:1.2.3.4\""), [1, 2, 3, 4]);
    assert_eq!(bytes(&Codec::Time, "\"00:00:01.000000001\""), 1_000_000_001_i64.to_be_bytes());
    assert_eq!(bytes(&Codec::Blob { hex: true }, "\"0xCAFE\""), [0xca, 0xfe]);
    assert!(cell(&Codec::Blob { hex: true }, "\"0xCAF\"").is_err());
    assert_eq!(bytes(&Codec::Blob { hex: false }, "\"yv4=\""), [0xca, 0xfe]);
    let uuid = "\"5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44\"";
    assert_eq!(bytes(&Codec::Uuid { time_based: false }, uuid)[..2], [0x5b, 0x0f]);
    assert!(cell(&Codec::Uuid { time_based: true }, uuid).unwrap_err().contains("version 1"));
    assert!(cell(&Codec::Uuid { time_based: false }, &uuid.replace('-', "")).is_ok());
    assert!(cell(&Codec::Ascii, "\"é\"").is_err());
    assert_eq!(bytes(&Codec::Json, r#"{ "a": [1, 2.50] }"#), br#"{ "a": [1, 2.50] }"#);
}

#[test]
fn dates_times_and_uuids_have_one_form() {
    for date in ["2026-1-2", " 2026-1-2", " 2026-1-02", "+2026-01-02", "-026-01-02", "-5-1-1", "12026-01-02"]
    {
        assert!(cell(&Codec::Date, &format!("\"{date}\"")).is_err(), "{date}");
    }
    for time in ["1:2:3", "1: 2:3", "1:2:3.456", " 1:02:03", "01:02:3.5", "01:02", "1é:02:03"] {
        assert!(cell(&Codec::Time, &format!("\"{time}\"")).is_err(), "{time}");
    }
    let uuid = "5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44";
    for uuid in [format!("{{{uuid}}}"), format!("urn:uuid:{uuid}")] {
        assert!(cell(&Codec::Uuid { time_based: false }, &format!("\"{uuid}\"")).is_err(), "{uuid}");
    }
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
    assert_eq!(cell(&tuple, "[true]").unwrap_err(), "expected an array of 2, found one of 1");
    assert_eq!(cell(&tuple, "[true,true,true]").unwrap_err(), "expected an array of 2, found one of more");
}

#[test]
fn vectors_have_lengths_only_before_elements_of_no_fixed_length() {
    let vector = |element, length| Codec::Vector(Box::new(element), length);
    let floats = vector(Codec::Float, 3);
    assert_eq!(bytes(&floats, "[1,0,-2.5]"), b"\x3f\x80\0\0\0\0\0\0\xc0\x20\0\0");
    assert_eq!(
        bytes(&vector(vector(Codec::Integer(Width::Int), 1), 2), "[[1],[2]]"),
        b"\0\0\0\x01\0\0\0\x02"
    );
    assert_eq!(bytes(&vector(Codec::Integer(Width::SmallInt), 2), "[1,2]"), b"\x02\0\x01\x02\0\x02");
    let texts = vector(Codec::Text, 2);
    let long = "x".repeat(200);
    let expected = [&b"\x01a\x80\xc8"[..], long.as_bytes()].concat();
    assert_eq!(bytes(&texts, &format!("[\"a\",\"{long}\"]")), expected);
    let lists = vector(Codec::List(Box::new(Codec::Boolean)), 2);
    assert_eq!(bytes(&lists, "[[],[true]]"), b"\x04\0\0\0\0\x09\0\0\0\x01\0\0\0\x01\x01");
    for (json, reason) in [
        ("[1,2]", "expected an array of 3, found one of 2"),
        ("[1,2,3,4]", "expected an array of 3, found one of more"),
        ("[]", "expected an array of 3, found one of 0"),
        ("[1,null,3]", "element 2: null inside a collection"),
        ("[1,2,\"x\"]", "element 3: expected a number that a float can hold, found \"x\""),
        ("1", "expected an array of 3, found a number"),
        ("\"[1,2,3]\"", "expected an array of 3, found a string"),
    ] {
        assert_eq!(cell(&floats, json).unwrap_err(), reason, "{json}");
    }
}

#[test]
fn map_keys_that_are_no_scalars_are_json_in_text() {
    let list = Codec::List(Box::new(Codec::Integer(Width::Int)));
    let map = Codec::Map(Box::new(list), Box::new(Codec::Boolean));
    assert_eq!(
        bytes(&map, r#"{"[2]":true,"[1,\u0033]":false}"#),
        [
            &b"\0\0\0\x02"[..],
            b"\0\0\0\x14\0\0\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x03\0\0\0\x01\0",
            b"\0\0\0\x0c\0\0\0\x01\0\0\0\x04\0\0\0\x02\0\0\0\x01\x01"
        ]
        .concat()
    );
    for (key, reason) in
        [("[1", "key 1: not JSON"), ("null", "found null"), ("[1] 2", "trailing"), ("7", "a number")]
    {
        let error = cell(&map, &format!("{{\"{key}\":true}}")).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_is_inside_another_value_counts_as_frozen() {
    let text = || Box::new(CqlType::Native(Native::Text));
    let list = CqlType::List { frozen: false, element: text() };
    let fields = vec![("tags".to_owned(), list)];
    let udt = CqlType::Udt { name: "labelled".to_owned(), fields };
    let codec = for_column(&udt, &Options::default()).unwrap();
    assert_eq!(codec, Codec::Udt(vec![("tags".to_owned(), Codec::List(Box::new(Codec::Text)))]));
}

#[test]
fn blobs_inside_a_column_are_written_as_its_format_says() {
    let blobs = CqlType::Set(Box::new(CqlType::Native(Native::Blob)));
    let options = Options { format: Some(Format::Hex), ..Options::default() };
    let codec = for_column(&blobs, &options).unwrap();
    assert_eq!(bytes(&codec, r#"["0xCAFE","01"]"#), b"\0\0\0\x02\0\0\0\x01\x01\0\0\0\x02\xca\xfe");
    let options = Options { format: Some(Format::Json), ..Options::default() };
    assert!(for_column(&blobs, &options).unwrap_err().contains("format"));
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

#[test]
fn a_short_message_cannot_take_all_of_the_memory() {
    let options = Options::default();
    let varints = CqlType::Set(Box::new(CqlType::Native(Native::VarInt)));
    let codec = for_column(&varints, &options).unwrap();
    let array = |count: usize| format!("[{}]", vec!["1e9999"; count].join(","));
    assert_eq!(bytes(&codec, &array(1)).len(), 4 + 4 + 4153);
    let error = cell(&codec, &array(150_000)).unwrap_err();
    assert!(error.ends_with("larger than 16 MiB in the table"), "{error}");
}
