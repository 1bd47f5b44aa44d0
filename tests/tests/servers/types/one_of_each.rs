//! A column of each type, from a topic through the consumer; what the server itself says of the cells, as JSON.

use std::time::Duration;

use end_to_end::{Record, World, all_committed, dead_letters, publish, text};

// Name, type, what the message holds, what `toJson` makes of the cell.
const COLUMNS: [(&str, &str, &str, &str); 38] = [
    ("c_ascii", "ascii", r#""tea""#, r#""tea""#),
    ("c_bigint", "bigint", r#""9223372036854775807""#, "9223372036854775807"),
    ("c_blob", "blob", r#""yv4=""#, r#""0xcafe""#),
    ("c_boolean", "boolean", "true", "true"),
    ("c_date", "date", r#""2026-01-02""#, r#""2026-01-02""#),
    ("c_decimal", "decimal", "12.50", "12.50"),
    ("c_decimal_small", "decimal", r#""-1e-7""#, "-1E-7"),
    ("c_double", "double", "0.1", "0.1"),
    ("c_float", "float", "16777216", "1.6777216E7"),
    ("c_duration", "duration", r#""P1Y2M3DT4H5M6.7S""#, r#""1y2mo3d4h5m6s700ms""#),
    ("c_duration_own", "duration", r#""-1y2mo3w""#, r#""-1y2mo21d""#),
    ("c_inet", "inet", r#""2001:db8::1""#, r#""2001:db8:0:0:0:0:0:1""#),
    ("c_inet_mapped", "inet", r#""::ffff:1.2.3.4""#, r#""1.2.3.4""#),
    ("c_int", "int", "1e3", "1000"),
    ("c_smallint", "smallint", "-32768", "-32768"),
    ("c_text", "text", "8.50", r#""8.50""#),
    ("c_time", "time", r#""23:59:59.999999999""#, r#""23:59:59.999999999""#),
    ("c_timestamp", "timestamp", r#""2026-01-02T13:00:00.122+01:00""#, r#""2026-01-02 12:00:00.122Z""#),
    (
        "c_timeuuid",
        "timeuuid",
        r#""50554d6e-29bb-11e5-b345-feff819cdc9f""#,
        r#""50554d6e-29bb-11e5-b345-feff819cdc9f""#,
    ),
    ("c_tinyint", "tinyint", "-128", "-128"),
    ("c_uuid", "uuid", r#""5b0f6c1e2d7a4f5c9a318f2f1f0c7e44""#, r#""5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44""#),
    (
        "c_varint",
        "varint",
        "170141183460469231731687303715884105728",
        "170141183460469231731687303715884105728",
    ),
    ("n_list", "frozen<list<text>>", r#"["tea","cup","tea"]"#, r#"["tea", "cup", "tea"]"#),
    ("n_set", "set<int>", "[3,1,-2,3]", "[-2, 1, 3]"),
    ("n_set_frozen", "frozen<set<text>>", "[]", "[]"),
    ("n_set_empty", "set<text>", "[]", "null"),
    ("n_map", "map<int, text>", r#"{"7":"seven","-7":"minus"}"#, r#"{"-7": "minus", "7": "seven"}"#),
    ("n_map_empty", "map<int, text>", "{}", "null"),
    ("n_map_of_lists", "map<frozen<list<int>>, text>", r#"{"[1,2]":"pair"}"#, r#"{"[1, 2]": "pair"}"#),
    ("n_tuple", "tuple<text, int, tuple<int, int>>", r#"["x",null,[1,null]]"#, r#"["x", null, [1, null]]"#),
    ("n_tuple_of_set", "tuple<frozen<set<int>>>", "[[3,1,2,1]]", "[[1, 2, 3]]"),
    ("n_vector", "vector<float, 3>", "[0.25,-1,3]", "[0.25, -1.0, 3.0]"),
    ("n_vector_of_text", "vector<text, 2>", r#"["a",""]"#, r#"["a", ""]"#),
    ("n_vector_of_vectors", "vector<vector<smallint, 2>, 2>", "[[1,2],[3,-4]]", "[[1, 2], [3, -4]]"),
    ("n_udt", "place", r#"{"no":1,"more":{}}"#, r#"{"street": null, "no": 1, "tags": null}"#),
    ("n_udt_empty", "place", "{}", "null"),
    ("n_udt_frozen", "frozen<place>", "{}", r#"{"street": null, "no": null, "tags": null}"#),
    (
        "n_udt_nested",
        "frozen<list<frozen<place>>>",
        r#"[{"tags":["b","a"],"street":"Test St"}]"#,
        r#"[{"street": "Test St", "no": null, "tags": ["b", "a"]}]"#,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn one_message_fills_a_column_of_each_type() {
    let world = World::shared("one_of_each").await;
    let topic = world.create_topic("each", 1);
    let place = "(street text, no int, tags frozen<list<text>>)";
    world.cql(&format!("CREATE TYPE {}.place {place}", world.name)).await;
    let mut table = format!("CREATE TABLE {}.each (id int PRIMARY KEY", world.name);
    let mut route = format!("topic = \"{topic}\"\ntable = \"{}.each\"\n[columns]\nid = \"id\"\n", world.name);
    let mut message = "{\"id\":1".to_owned();
    for (name, kind, json, _) in COLUMNS {
        table.push_str(&format!(", {name} {kind}"));
        route.push_str(&format!("{name} = \"{name}\"\n"));
        message.push_str(&format!(", \"{name}\": {json}"));
    }
    world.cql(&(table + ")")).await;
    world.write_route("each", &route);
    let absurd = r#"{"id":2,"c_decimal":1e1000000}"#;
    publish(&world.brokers, &topic, &[Record::of(message + "}"), Record::of(absurd)]).await;
    let consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &consumer);

    let letters = dead_letters(&world.brokers, &topic);
    let reasons: Vec<&str> = letters.values().map(|letter| letter.headers["reason"].as_str()).collect();
    let expected = "column c_decimal: field c_decimal: expected a decimal number with at most 10000 digits before and \
                    after its point, found 1e1000000";
    assert_eq!(reasons, [expected]);

    let asked: Vec<String> = COLUMNS.iter().map(|(name, ..)| format!("toJson({name})")).collect();
    let rows = world.rows(&format!("SELECT {} FROM {}.each", asked.join(", "), world.name)).await;
    let found: Vec<_> = rows[0].iter().zip(COLUMNS).map(|(cell, column)| (column.0, text(cell))).collect();
    let expected: Vec<_> = COLUMNS.iter().map(|(name, _, _, json)| (*name, (*json).to_owned())).collect();
    assert_eq!(found, expected);

    // Reading them back as bytes: each is what the message would write again.
    let (code, report, _) = crate::audit::audit(&world, &[], &[]);
    assert_eq!(code, 0, "{report}");
}
