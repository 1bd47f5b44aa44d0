//! Keys, constants, defaults, UUIDs, times from fields and deletes.

use super::*;

fn cell(cells: &[Option<Vec<u8>>], column: usize) -> Option<&[u8]> {
    cells[column].as_deref()
}

pub(super) fn keyed<'a>(key: Option<&'a [u8]>, value: &'a [u8]) -> Message<'a> {
    Message { key, ..message(value) }
}

#[test]
fn json_keys_fill_columns_beside_the_value() {
    let plan = plan(
        "",
        "id = { key = \"user.id\" }\nn = { key = \"list[1]\" }\na = { meta = \"key\" }\nb = \"b\"\n",
    );
    let key = br#"{"list":[1,2],"user":{"id":"i"}}"#;
    let cells = row(&plan, &keyed(Some(key), br#"{"b":"v","user":{"id":"not this"}}"#)).unwrap();
    assert_eq!(cell(&cells, 0), Some(&b"i"[..]));
    assert_eq!(cell(&cells, 1), Some(&2_i32.to_be_bytes()[..]));
    assert_eq!((cell(&cells, 2), cell(&cells, 3)), (Some(&key[..]), Some(&b"v"[..])));
}

#[test]
fn a_key_that_is_a_bare_json_value_can_be_read_as_a_whole() {
    let plan = plan("", "id = { key = \".\" }\n");
    let cells = row(&plan, &keyed(Some(br#""i""#), b"{}")).unwrap();
    assert_eq!(cell(&cells, 0), Some(&b"i"[..]));
}

#[test]
fn keys_that_do_not_fit_are_refused_with_the_column() {
    let plan = plan("", "id = { key = \"a.b\" }\nn = { key = \"n\" }\n");
    let cases: [(Option<&[u8]>, Class, &str); 8] = [
        (
            Some(b"plain"),
            Class::Json,
            "column id: key a.b: the message's key is not JSON: expected a value at byte 0",
        ),
        (Some(b""), Class::Json, "column id: key a.b: the message's key is not JSON"),
        (Some(b"\xff"), Class::Json, "column id: key a.b: the message's key is not JSON: invalid UTF-8"),
        (Some(br#"{"a":{"b":"i"}} x"#), Class::Json, "the message's key is not JSON: trailing"),
        (Some(b"7"), Class::Value, "column id: key a.b: expected an object with a at byte 0, found a number"),
        (Some(br#"{"a":{"b":"i"},"n":"x"}"#), Class::Value, "column n: key n: expected an integer"),
        (Some(br#"{"n":1}"#), Class::Key, "primary key column id: key a.b is missing or null"),
        (None, Class::Key, "primary key column id: key a.b is missing or null"),
    ];
    for (key, class, part) in cases {
        let error = row(&plan, &keyed(key, b"{}")).unwrap_err();
        assert!(error.class == class && error.reason.contains(part), "{key:?}: {error:?}");
    }
}

#[test]
fn constants_and_defaults_stand_where_the_message_has_nothing() {
    for head in ["", "missing = \"null\"", "deletes = \"cells\""] {
        let plan = plan(
            head,
            "id = { key = \".\", default = \"nobody\" }\nn = { path = \"o.n\", default = -7 }\n\
             a = { value = \"eu\" }\nb = { header = \"b\", default = \"none\" }\n",
        );
        let seven = (-7_i32).to_be_bytes();
        for value in [&b"{}"[..], br#"{"o":null}"#, br#"{"o":{"n":null}}"#] {
            let cells = row(&plan, &keyed(None, value)).unwrap();
            assert_eq!(cell(&cells, 0), Some(&b"nobody"[..]));
            assert_eq!(cell(&cells, 1), Some(&seven[..]));
            assert_eq!((cell(&cells, 2), cell(&cells, 3)), (Some(&b"eu"[..]), Some(&b"none"[..])));
        }
        let cells = row(&plan, &keyed(Some(br#""i""#), br#"{"o":{"n":0}}"#)).unwrap();
        assert_eq!((cell(&cells, 0), cell(&cells, 1)), (Some(&b"i"[..]), Some(&[0; 4][..])));
    }
}

#[test]
fn a_uuid_is_made_of_its_fields_as_the_reference_says() {
    let uuid = |columns: &str, value: &str| {
        let plan = plan("", columns);
        let cells = row(&plan, &message(value.as_bytes()))?;
        Ok::<_, DataError>(String::from_utf8(cells[0].clone().unwrap()).unwrap())
    };
    let columns = "id = { uuid = [\"a\", \"b.c\"] }\nb = \"a\"\n";
    // Computed by the Python lines of docs/routes.md.
    let cases = [
        (
            r#"{"a":"order-7","b":{"c":{"é \"q\"\n\u0001":[1,true,null]}}}"#,
            "38915007-e3d1-512c-8b4c-3429ba8b4791",
        ),
        (
            r#"{"b":{"c": { "\u00e9 \u0022q\"\u000a\u0001" : [ 1 ,true, null ] } }, "a":"\u006frder-7"}"#,
            "38915007-e3d1-512c-8b4c-3429ba8b4791",
        ),
        (r#"{"a":"order-7"}"#, "183eb0ea-45ef-5ba2-bbea-6ed3b64cd9bd"),
        (r#"{"a":"order-7","b":{}}"#, "183eb0ea-45ef-5ba2-bbea-6ed3b64cd9bd"),
        (r#"{"b":{"c":"order-7"}}"#, "b2c7be0b-a7f5-570f-9a9b-abccc8e48c4b"),
        (r#"{"a":"order-7","b":{"c":null}}"#, "309e5499-f2e6-5ab1-b660-46b87703fcdf"),
        (r#"{"b": null, "a":"order-7"}"#, "309e5499-f2e6-5ab1-b660-46b87703fcdf"),
    ];
    for (value, expected) in cases {
        assert_eq!(uuid(columns, value).unwrap(), expected, "{value}");
    }
    for value in ["{}", r#"{"a":null}"#, r#"{"a":null,"b":{"c":null}}"#, r#"{"b":7}"#] {
        assert!(uuid(columns, value).is_err(), "{value}");
    }
    let error = uuid(columns, "{}").unwrap_err();
    assert_eq!(
        (error.class, error.reason.contains("column id: uuid of a, b.c")),
        (Class::Key, true),
        "{error}"
    );
    let regular = plan("", "id = \"id\"\na = { uuid = [\"x\"] }\n");
    assert_eq!(row(&regular, &message(br#"{"id":"i"}"#)).unwrap_err().class, Class::Value);
    let twice = uuid(columns, r#"{"a":"1","a":"2"}"#).unwrap_err();
    assert!(twice.reason.contains("field a appears twice"), "{twice}");
    let twice = uuid(columns, r#"{"b":null,"b":{"c":1}}"#).unwrap_err();
    assert!(twice.reason.contains("field b.c appears twice"), "{twice}");
}

#[test]
fn a_field_that_is_there_twice_is_refused_also_where_one_is_null() {
    for head in ["", "missing = \"null\"", "deletes = \"cells\"", "missing = \"null\"\ndeletes = \"cells\""] {
        let plan = plan(head, "id = \"id\"\na = \"a\"\nb = \"o.b\"\nn = \"o.list[0]\"\n");
        for (fields, twice) in [
            (r#""a":null,"a":"y""#, "field a"),
            (r#""a":"y","a":null"#, "field a"),
            (r#""a":null,"a":null"#, "field a"),
            (r#""o":null,"o":{"b":"y"}"#, "field o.b"),
            (r#""o":{"b":"y"},"o":null"#, "field o.b"),
            (r#""o":{"list":null},"o":{"list":[7]}"#, "field o.list[0]"),
        ] {
            let (class, text) = reason(&plan, &format!(r#"{{"id":"x",{fields}}}"#));
            assert!(class == Class::Value && text == format!("{twice} appears twice"), "{fields}: {text}");
        }
        assert!(row(&plan, &message(br#"{"id":"x","a":null,"o":null}"#)).is_ok());
    }
}

#[test]
fn a_route_may_take_the_whole_value_whatever_it_is() {
    let plan = plan("", "id = { uuid = [\".\"] }\na = { path = \".\", format = \"json\" }\n");
    for value in [r#"{"x":1}"#, "[1]", "7", "\"text\"", "true"] {
        let cells = row(&plan, &message(value.as_bytes())).unwrap();
        assert_eq!(cell(&cells, 1), Some(value.as_bytes()));
    }
    assert_eq!(row(&plan, &message(b"null")).unwrap_err().class, Class::Key);
    assert_eq!(row(&plan, &message(b"[1")).unwrap_err().class, Class::Json);
}

#[test]
fn a_route_that_takes_nothing_of_the_value_still_wants_json() {
    let plan = plan("", "id = { meta = \"key\" }\nn = { meta = \"offset\" }\n");
    assert!(row(&plan, &message(br#"{"x":1}"#)).is_ok());
    assert_eq!(row(&plan, &message(b"no json")).unwrap_err().class, Class::Json);
    assert_eq!(row(&plan, &message(b"[]")).unwrap_err().class, Class::Json);
}

#[test]
fn the_time_to_live_of_a_field_counts_from_the_message() {
    let plan = plan("ttl = { path = \"o.ttl\", unit = \"s\" }", "id = \"id\"\n");
    // The message is five seconds old.
    let ttl = |value: &str| row(&plan, &message(value.as_bytes())).map(|cells| cells[2].clone());
    let seconds = |count: i32| Some(count.to_be_bytes().to_vec());
    assert_eq!(ttl(r#"{"id":"x","o":{"ttl":60}}"#).unwrap(), seconds(55));
    assert_eq!(ttl(r#"{"id":"x","o":{"ttl":"60"}}"#).unwrap(), seconds(55));
    assert_eq!(ttl(r#"{"o":{"ttl":630720000},"id":"x"}"#).unwrap(), seconds(630_719_995));
    assert_eq!(ttl(r#"{"id":"x"}"#).unwrap(), None);
    assert_eq!(ttl(r#"{"id":"x","o":{"ttl":null}}"#).unwrap(), None);
    for (given, found) in [
        ("0", "found 0"),
        ("-1", "found -1"),
        ("630720001", "630720001"),
        ("1.5", "1.5"),
        ("\"soon\"", "soon"),
        ("[]", "an array"),
    ] {
        let error = ttl(&format!(r#"{{"id":"x","o":{{"ttl":{given}}}}}"#)).unwrap_err();
        let (class, reason) = (error.class, error.reason);
        assert!(
            class == Class::Value && reason.starts_with("ttl: field o.ttl: ") && reason.contains(found),
            "{reason}"
        );
    }
}

// Of two versions of a row the newer is the one that counts, even if only the older still lives.
#[test]
fn an_expired_row_takes_the_place_of_an_older_one_that_would_live_longer() {
    let second = Some(1_i32.to_be_bytes().to_vec());
    let plan = |head: &str| plan(head, "id = \"id\"\n");
    let by_field = plan("ttl = { path = \"ttl\", unit = \"s\" }");
    // The message is five seconds old.
    for ttl in [1, 5] {
        let cells = row(&by_field, &message(format!(r#"{{"id":"x","ttl":{ttl}}}"#).as_bytes())).unwrap();
        let written = (NOW - 5_000) * 1000 + 42;
        assert_eq!(cells[1..], [Some(written.to_be_bytes().to_vec()), second.clone()], "{ttl} s");
    }
    let by_time = plan("ttl = \"5s\"\nwritetime = { path = \"u\", time = \"epoch_s\" }");
    let cells = row(&by_time, &message(br#"{"id":"x","u":7}"#)).unwrap();
    assert_eq!(cells[1..], [Some(7_000_042_i64.to_be_bytes().to_vec()), second]);
}

#[test]
fn a_message_without_the_ttl_field_leaves_it_to_the_default_or_the_table() {
    for (head, expected) in
        [("", CellValue::Unset), (", default = 1", CellValue::Bytes(&86_395_i32.to_be_bytes()))]
    {
        // Null would be no TTL at all, also where the table has one.
        let head = format!("missing = \"null\"\nttl = {{ path = \"ttl\", unit = \"d\"{head} }}");
        let plan = plan(&head, "id = \"id\"\n");
        let mut rows = Rows::new(plan.width());
        Decoder::default().decode(&plan, &message(br#"{"id":"x"}"#), NOW, &mut rows).unwrap();
        assert_eq!(rows.cell(0, 2), expected);
    }
}

#[test]
fn the_writetime_of_a_field_takes_the_place_of_the_timestamp() {
    let plan = plan("writetime = { path = \"u\", time = \"epoch_ms\" }", "id = \"id\"\nat = \"u2\"\n");
    let value = |time: i64| format!(r#"{{"u":{time},"id":"x"}}"#);
    for timestamp_ms in [None, Some(-1), Some(NOW + 9_000_000), Some(NOW)] {
        let text = value(123);
        let cells = row(&plan, &Message { timestamp_ms, ..message(text.as_bytes()) }).unwrap();
        assert_eq!(cell(&cells, 2), Some(&123_042_i64.to_be_bytes()[..]), "offset mod 1000 breaks ties");
    }
    assert!(row(&plan, &message(value(NOW + 3_600_000).as_bytes())).is_ok());
    for (text, part) in [
        (value(NOW + 3_600_001), "field u"),
        (value(-1), "field u -1 ms is before 1970"),
        (value(i64::MAX), "ahead of this clock"),
        ("{\"id\":\"x\"}".to_owned(), "writetime: field u: is missing or null"),
        ("{\"id\":\"x\",\"u\":null}".to_owned(), "is missing or null"),
        ("{\"id\":\"x\",\"u\":\"now\"}".to_owned(), "writetime: field u: expected an integer of millis"),
    ] {
        let error = row(&plan, &message(text.as_bytes())).unwrap_err();
        assert!(error.class == Class::Timestamp && error.reason.contains(part), "{text}: {error:?}");
    }
}

#[test]
fn with_both_times_the_row_lives_from_the_messages_timestamp_on() {
    let plan = plan("ttl = \"10s\"\nwritetime = { path = \"u\", time = \"epoch_s\" }", "id = \"id\"\n");
    let value = br#"{"u":1,"id":"x"}"#;
    let cells = row(&plan, &message(value)).unwrap();
    assert_eq!(cell(&cells, 1), Some(&1_000_042_i64.to_be_bytes()[..]));
    assert_eq!(cell(&cells, 2), Some(&5_i32.to_be_bytes()[..]));
    let error = row(&plan, &Message { timestamp_ms: None, ..message(value) }).unwrap_err();
    assert_eq!(error.class, Class::Timestamp);
}

#[test]
fn a_null_deletes_its_cell_where_the_route_says_so_and_a_missing_field_does_not() {
    let plan = plan("deletes = \"cells\"", "id = \"id\"\na = \"a\"\nb = \"o.b\"\nn = \"o.list[0]\"\n");
    let cells = |value: &str| {
        let mut rows = Rows::new(plan.width());
        let decoded = Decoder::default().decode(&plan, &message(value.as_bytes()), NOW, &mut rows);
        decoded.map(|_| (1..4).map(|column| rows.cell(0, column) == CellValue::Null).collect::<Vec<_>>())
    };
    assert_eq!(cells(r#"{"id":"x"}"#).unwrap(), [false; 3]);
    assert_eq!(cells(r#"{"id":"x","a":null}"#).unwrap(), [true, false, false]);
    assert_eq!(cells(r#"{"id":"x","o":{"b":null}}"#).unwrap(), [false, true, false]);
    assert_eq!(cells(r#"{"id":"x","o":null}"#).unwrap(), [false, true, true]);
    assert_eq!(cells(r#"{"id":"x","o":{"list":null}}"#).unwrap(), [false, false, true]);
    for twice in [r#"{"id":"x","a":null,"a":"y"}"#, r#"{"id":"x","o":{"b":"y"},"o":null}"#] {
        assert!(cells(twice).unwrap_err().reason.contains("appears twice"), "{twice}");
    }
}

#[test]
fn a_message_without_value_is_the_key_of_a_row_to_delete() {
    let plan = plan(
        "deletes = \"row\"\nttl = \"1s\"\nwritetime = { path = \"u\", time = \"epoch_ms\" }",
        "a = \"a\"\nid = { key = \"id\" }\n",
    );
    let delete = plan.delete.as_deref().unwrap();
    let tombstone = |key| Message { value: None, ..keyed(key, b"") };
    assert_eq!(plan.of(&tombstone(None)), delete);
    assert_eq!(plan.of(&message(b"{}")), &plan);
    let cells = row(delete, &tombstone(Some(br#"{"id":"i"}"#))).unwrap();
    let written = (NOW - 5_000) * 1000 + 42;
    assert_eq!(cells, [Some(b"i".to_vec()), Some(written.to_be_bytes().to_vec())], "no TTL: a delete lasts");
    assert_eq!(row(delete, &tombstone(None)).unwrap_err().class, Class::Key);
    assert_eq!(row(delete, &tombstone(Some(br#"{"id":""}"#))).unwrap_err().class, Class::Key);
    assert_eq!(row(delete, &tombstone(Some(b"i"))).unwrap_err().class, Class::Json);
    let late = Message { timestamp_ms: Some(NOW + 3_600_001), ..tombstone(Some(br#"{"id":"i"}"#)) };
    assert_eq!(row(delete, &late).unwrap_err().class, Class::Timestamp);
}

#[test]
fn without_permission_to_delete_a_message_without_value_says_how_to_give_it() {
    let plan = plan("", "id = { meta = \"key\" }\n");
    let error = row(&plan, &Message { value: None, ..message(b"") }).unwrap_err();
    assert_eq!(error.class, Class::Tombstone);
    assert!(error.reason.contains("deletes = \"row\""), "{error}");
}
