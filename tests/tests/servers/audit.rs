//! `tributary audit`: every message that is not in its table is named, and no other.

mod several_topics;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use end_to_end::{Record, World, all_committed, delete_before, ended, messages, publish, recreate, user};
use serde_json::{Value, json};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
const AT_ONCE: [(&str, &str); 1] = [("CONSUMER__DURABLE_AFTER", "0s")];

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 3);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    (world, topic)
}

/// Exit code, what a person reads, and the object of the last line.
pub(super) fn audit(world: &World, arguments: &[&str], more: &[(&str, &str)]) -> (i32, String, Value) {
    let arguments = [&["audit", "--json"], arguments].concat();
    let mut audit = world.run("tributary", &arguments, more);
    ended(&mut audit, SOON)
}

fn consume(world: &World, topic: &str) {
    let mut consumer = world.consumer(&AT_ONCE);
    all_committed(world, &world.name, topic, SOON, &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
}

fn id(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

// Of 50 people, in one version each after the other.
fn someone(number: usize) -> Record {
    let id = id(number % 50);
    let key = Some(id.as_bytes().to_vec());
    Record { key, ..Record::of(user(id, &format!("version {}", number / 50), "Moreau")) }
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_every_message_is_0_and_each_message_has_one_outcome() {
    let (world, topic) = scene("audit_clean").await;
    let mut records: Vec<Record> = (0..1_000).map(someone).collect();
    records[500] = Record::of("no json");
    records[501] = Record::of(r#"{"id":"no uuid"}"#);
    publish(&world.brokers, &topic, &records).await;
    consume(&world, &topic);
    publish(&world.brokers, &topic, &(0..7).map(someone).collect::<Vec<_>>()).await;
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["ok"], &object["incomplete"]), (0, &json!(true), &Value::Null), "{text}");
    let counts = ["messages", "stored", "superseded", "dead_lettered", "missing", "stale", "different"];
    let counts = counts.map(|count| object[count].as_u64().unwrap());
    assert_eq!(counts, [1_000, 50, 948, 2, 0, 0, 0], "{text}");
    let topic = &object["routes"][0]["topics"][0];
    assert_eq!((&topic["not_committed"], &topic["gone"]), (&json!(7), &json!(0)), "{text}");
    assert_eq!(audit(&world, &["--until", "end"], &[]).0, 1, "the last seven are not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_fault_is_named_by_its_offset_and_nothing_else() {
    let (world, topic) = scene("audit_planted").await;
    let table = format!("{}.created_users", world.name);
    let records: Vec<Record> = (0..300).map(someone).collect();
    let places = publish(&world.brokers, &topic, &records).await;
    consume(&world, &topic);
    // The newest version of person n is message 250 + n.
    let writetime = |(partition, offset): (i32, i64)| {
        let all = messages(&world.brokers, &topic);
        let message = all.iter().find(|message| (message.partition, message.offset) == (partition, offset));
        message.unwrap().timestamp_ms * 1000 + offset % 1000
    };
    let plant = async |statement: String| world.cql(&statement).await;
    plant(format!("DELETE FROM {table} WHERE id = {}", id(1))).await;
    plant(format!("DELETE email FROM {table} WHERE id = {}", id(2))).await;
    // The greater of two values wins under one WRITETIME.
    let same = writetime(places[253]);
    plant(format!("UPDATE {table} USING TIMESTAMP {same} SET email = 'zzz' WHERE id = {}", id(3))).await;
    plant(format!("UPDATE {table} SET phone = 'by hand' WHERE id = {}", id(4))).await;
    // The same value, but of a time at which no message came.
    plant(format!("UPDATE {table} SET email = 't@example.com' WHERE id = {}", id(5))).await;
    // What the consumer never saw: an older version in the table, and no dead letter.
    let late =
        [Record::of(user(id(60), "new", "Moreau")), Record::of("no json, and no consumer that says so")];
    let late = publish(&world.brokers, &topic, &late).await;
    let older = writetime(late[0]) - 5_000_000;
    let columns = "id, first_name, last_name";
    plant(format!(
        "INSERT INTO {table} ({columns}) VALUES ({}, 'old', 'Moreau') USING TIMESTAMP {older}",
        id(60)
    ))
    .await;

    let (code, text, object) = audit(&world, &["--until", "end"], &[]);
    assert_eq!(code, 1, "{text}");
    let faults = object["faults"].as_array().unwrap();
    let found: BTreeSet<(String, i64, i64, String)> = faults
        .iter()
        .map(|fault| {
            let word = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
            let number = |name: &str| fault[name].as_i64().unwrap();
            (word("kind"), number("partition"), number("offset"), word("column"))
        })
        .collect();
    let expected = [
        ("missing", places[251], ""),
        ("missing", places[252], "email"),
        ("different", places[253], "email"),
        ("different", places[254], "phone"),
        ("different", places[255], "email"),
        // Eight columns are not there and two are older: it is told of the first that is missing.
        ("missing", late[0], "address"),
        ("missing", late[1], ""),
    ];
    let expected: BTreeSet<(String, i64, i64, String)> = expected
        .into_iter()
        .map(|(kind, (partition, offset), column)| {
            (kind.to_owned(), i64::from(partition), offset, column.to_owned())
        })
        .collect();
    assert_eq!(found, expected, "{text}");
    assert!(text.contains("'by hand' of the WRITETIME"), "{text}");
    assert!(text.contains(&format!("id {}", id(1))), "{text}");
    assert!(text.contains("neither row nor dead letter: json"), "{text}");
    let counts = ["messages", "missing", "stale", "different"].map(|count| object[count].as_u64().unwrap());
    assert_eq!(counts, [302, 4, 0, 3], "{text}");

    // Seven are too many to be named, and all are counted.
    let (_, text, object) = audit(&world, &["--until", "end", "--named", "2"], &[]);
    assert_eq!(
        (object["faults"].as_array().unwrap().len(), &object["faults_not_named"]),
        (2, &json!(5)),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_stands_is_stale() {
    let (world, topic) = scene("audit_stale").await;
    let places = publish(&world.brokers, &topic, &[someone(0), someone(50)]).await;
    let all = messages(&world.brokers, &topic);
    let writetime = all[0].timestamp_ms * 1000 + all[0].offset % 1000;
    let value: Value = serde_json::from_slice(&all[0].value).unwrap();
    let json = serde_json::to_string(&value).unwrap();
    let table = format!("{}.created_users", world.name);
    world.cql(&format!("INSERT INTO {table} JSON '{json}' USING TIMESTAMP {writetime}")).await;
    let (code, text, object) = audit(&world, &["--until", "end"], &[]);
    assert_eq!((code, object["faults"].as_array().unwrap().len()), (1, 1), "{text}");
    let fault = &object["faults"][0];
    let place = (fault["partition"].as_i64(), fault["offset"].as_i64());
    assert_eq!(place, (Some(places[1].0.into()), Some(places[1].1)), "{text}");
    assert_eq!((&fault["kind"], &fault["column"]), (&json!("stale"), &json!("address")), "{text}");
    assert_eq!((&object["stored"], &object["stale"]), (&json!(1), &json!(1)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_nulls_ties_expiry_and_two_routes_of_one_topic_are_no_faults() {
    let world = World::shared("audit_history").await;
    let topic = world.create_topic("history", 2);
    let keyspace = &world.name;
    world
        .cql(&format!("CREATE TABLE {keyspace}.kept (a text, b int, v text, s set<int>, PRIMARY KEY (a, b))"))
        .await;
    world.cql(&format!("CREATE TABLE {keyspace}.brief (a text PRIMARY KEY, v text)")).await;
    let kept = format!(
        "topic = \"{topic}\"\ntable = \"{keyspace}.kept\"\ndeletes = [\"row\", \"cells\"]\n[columns]\n\
         a = {{ key = \"a\" }}\nb = {{ key = \"b\" }}\nv = \"v\"\ns = \"s\"\n"
    );
    let brief = format!(
        "topic = \"{topic}\"\ntable = \"{keyspace}.brief\"\ndeletes = \"row\"\n\
         ttl = {{ path = \"ttl\", unit = \"s\" }}\n[columns]\na = {{ key = \"a\" }}\nv = \"v\"\n"
    );
    world.write_route("kept", &kept);
    world.write_route("brief", &brief);
    let now = now_ms();
    let of = |a: &str, b: i32, value: Option<Value>, age_s: i64, partition: i32| Record {
        key: Some(json!({"a": a, "b": b}).to_string().into_bytes()),
        value: value.map(|value| value.to_string().into_bytes()),
        ..Record::default().at(now - age_s * 1000).on(partition)
    };
    let records = [
        of("plain", 1, Some(json!({"v": "one", "s": [3, 1, 2]})), 100, 0),
        of("plain", 2, Some(json!({"v": "two", "s": []})), 100, 0),
        of("updated", 1, Some(json!({"v": "old", "s": [1]})), 90, 0),
        of("updated", 1, Some(json!({"v": "new"})), 80, 0),
        of("nulled", 1, Some(json!({"v": "gone"})), 70, 0),
        of("nulled", 1, Some(json!({"v": null})), 60, 0),
        of("deleted", 1, Some(json!({"v": "gone", "s": [1]})), 50, 0),
        of("deleted", 1, None, 40, 0),
        of("back", 1, Some(json!({"v": "first"})), 39, 0),
        of("back", 1, None, 38, 0),
        of("back", 1, Some(json!({"v": "again"})), 37, 0),
        // Later in the topic, earlier in time.
        of("late", 1, Some(json!({"v": "newer"})), 10, 0),
        of("late", 1, Some(json!({"v": "older"})), 20, 0),
        of("expired", 1, Some(json!({"v": "brief", "ttl": 5})), 3_600, 0),
        of("lives", 1, Some(json!({"v": "brief", "ttl": 86_400})), 3_600, 0),
        of("keys only", 1, Some(json!({})), 5, 0),
    ];
    // The same offset, the same time, another partition: one WRITETIME.
    let twins: Vec<Record> = (0..records.len())
        .map(|number| of("twins", 1, Some(json!({"v": format!("{number:02}")})), 30, 1))
        .chain([of("twins", 1, Some(json!({"v": "zero"})), 30, 1)])
        .collect();
    publish(&world.brokers, &topic, &records).await;
    publish(&world.brokers, &topic, &twins).await;
    publish(&world.brokers, &topic, &[of("twins", 1, Some(json!({"v": "other"})), 30, 0)]).await;
    consume(&world, &topic);
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!(code, 0, "{text}");
    let messages = 2 * (records.len() + twins.len() + 1);
    assert_eq!(object["messages"].as_u64().unwrap(), messages as u64, "one outcome for each route: {text}");
    // So the audit does look: what is lost of this history is named.
    world.cql(&format!("DELETE s FROM {keyspace}.kept WHERE a = 'plain' AND b = 1")).await;
    world.cql(&format!("DELETE FROM {keyspace}.kept WHERE a = 'keys only' AND b = 1")).await;
    world.cql(&format!("DELETE FROM {keyspace}.brief WHERE a = 'lives'")).await;
    world.cql(&format!("INSERT INTO {keyspace}.kept (a, b, v) VALUES ('nulled', 1, 'back')")).await;
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!(code, 1, "{text}");
    let mut offsets: Vec<i64> =
        object["faults"].as_array().unwrap().iter().map(|fault| fault["offset"].as_i64().unwrap()).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [0, 5, 14, 15], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_begins_where_it_is_told_and_says_what_is_gone() {
    let (world, topic) = scene("audit_since").await;
    let at = now_ms();
    let records: Vec<Record> = (0..50)
        .map(|number| someone(number).on(0).at(at - 100_000 + i64::try_from(number).unwrap()))
        .collect();
    publish(&world.brokers, &topic, &records).await;
    consume(&world, &topic);
    world.cql(&format!("DELETE FROM {}.created_users WHERE id = {}", world.name, id(9))).await;
    assert_eq!(audit(&world, &["--since", "9"], &[]).0, 1);
    let (code, text, object) = audit(&world, &["--since", "10"], &[]);
    assert_eq!((code, &object["messages"]), (0, &json!(40)), "{text}");
    let time = chrono::DateTime::from_timestamp_millis(at - 100_000 + 10).unwrap().to_rfc3339();
    assert_eq!(audit(&world, &["--since", &time], &[]).2["messages"], json!(40));
    assert_eq!(audit(&world, &["--since", "90s"], &[]).2["messages"], json!(0));
    delete_before(&world.brokers, &topic, &[(0, 20)]).await;
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["messages"]), (0, &json!(30)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_it_was_read_is_named_as_lost() {
    let (world, topic) = scene("audit_lost").await;
    let some = |count: usize| (0..count).map(|number| someone(number).on(0)).collect::<Vec<_>>();
    publish(&world.brokers, &topic, &some(10)).await;
    consume(&world, &topic);
    publish(&world.brokers, &topic, &some(20)).await;
    delete_before(&world.brokers, &topic, &[(0, 25)]).await;
    for until in ["committed", "end"] {
        let (code, text, object) = audit(&world, &["--until", until], &[]);
        assert_eq!(code, 1, "{text}");
        let lost = json!([{"topic": topic, "partition": 0, "from": 10, "to": 25, "offsets": 15}]);
        assert_eq!(object["lost_before_read"], lost, "{text}");
        assert!(text.contains(&format!("LOST       {topic}:0:10  15 offsets before 25")), "{text}");
    }
    assert_eq!(audit(&world, &["--since", "25"], &[]).0, 0, "what was asked for is there");
    consume(&world, &topic);
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["lost_before_read"]), (0, &json!([])), "the consumer has gone on: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_an_earlier_topic_explains_no_message_of_a_new_one() {
    let (world, topic) = scene("audit_recreated").await;
    let bad = |age_s: i64| Record::of("no json").on(0).at(now_ms() - age_s * 1000);
    publish(&world.brokers, &topic, &[bad(100)]).await;
    consume(&world, &topic);
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["dead_lettered"]), (0, &json!(1)), "{text}");
    recreate(&world.brokers, &topic, 3).await;
    publish(&world.brokers, &topic, &[bad(50)]).await;
    let (code, text, object) = audit(&world, &["--until", "end"], &[]);
    assert_eq!((code, &object["dead_lettered"], &object["missing"]), (1, &json!(0), &json!(1)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decimal_key_is_one_row_however_its_messages_spell_it() {
    let world = World::shared("audit_decimals").await;
    let topic = world.create_topic("decimals", 1);
    let table = format!("{}.decimals", world.name);
    world.cql(&format!("CREATE TABLE {table} (a text, d decimal, v text, PRIMARY KEY (a, d))")).await;
    let columns = "a = \"a\"\nd = \"d\"\nv = \"v\"\n";
    world.write_route("decimals", &format!("topic = \"{topic}\"\ntable = \"{table}\"\n[columns]\n{columns}"));
    let of = |d: &str, v: &str| Record::of(format!(r#"{{"a":"x","d":{d},"v":"{v}"}}"#));
    let records = [
        of("1.0", "first"),
        of("1.00", "second"),
        of("100", "other"),
        of("1e2", "again"),
        of("0.00", "zero"),
    ];
    publish(&world.brokers, &topic, &records).await;
    consume(&world, &topic);
    assert_eq!(world.count("decimals").await, 3, "Cassandra compares them by their values");
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["stored"], &object["superseded"]), (0, &json!(3), &json!(2)), "{text}");
    world.cql(&format!("DELETE FROM {table} WHERE a = 'x' AND d = 1")).await;
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["missing"]), (1, &json!(1)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_row_can_have_is_an_outcome_of_its_message_and_ends_no_audit() {
    let world = World::shared("audit_long_keys").await;
    let topic = world.create_topic("long_keys", 1);
    let keyspace = &world.name;
    // As a key of one column, which is read with others; as one of two; as a clustering column.
    for (table, key) in [("one", "k"), ("two", "(a, k)"), ("three", "a, k")] {
        world.cql(&format!("CREATE TABLE {keyspace}.{table} (k text, a int, PRIMARY KEY ({key}))")).await;
        let columns = "k = \"k\"\na = \"a\"\n";
        let route = format!("topic = \"{topic}\"\ntable = \"{keyspace}.{table}\"\n[columns]\n{columns}");
        world.write_route(table, &route);
    }
    let deletes = world.create_topic("long_deletes", 1);
    world.write_route(
        "deletes",
        &format!(
            "topic = \"{deletes}\"\ntable = \"{keyspace}.one\"\ndeletes = \"row\"\n[columns]\nk = {{ key = \".\" }}\n"
        ),
    );
    let of = |k: &str| Record::of(json!({"k": k, "a": 1}).to_string());
    let delete =
        Record { key: Some(json!("z".repeat(70_000)).to_string().into_bytes()), ..Record::default() };
    publish(&world.brokers, &topic, &[of("before"), of(&"x".repeat(70_000)), of("behind")]).await;
    publish(&world.brokers, &deletes, &[delete]).await;
    consume(&world, &topic);
    consume(&world, &deletes);
    let (code, text, object) = audit(&world, &[], &[]);
    let counts = ["stored", "dead_lettered", "missing"].map(|count| object[count].as_u64().unwrap());
    assert_eq!((code, counts), (0, [6, 4, 0]), "{text}");
    for place in [format!("{topic}:0:1"), format!("{deletes}:0:0")] {
        let mut explain = world.run("tributary", &["explain", "--json", &place], &[]);
        assert_eq!(explain.wait(SOON), Some(0), "{}", explain.log());
        assert!(explain.log().contains(r#""verdict":"dead_lettered""#), "{}", explain.log());
    }
    publish(&world.brokers, &topic, &[of(&"y".repeat(70_000))]).await;
    let (code, text, object) = audit(&world, &["--until", "end"], &[]);
    let counts = ["stored", "dead_lettered", "missing"].map(|count| object[count].as_u64().unwrap());
    assert_eq!((code, counts), (1, [6, 4, 3]), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_scripts_what_an_audit_could_not_do() {
    let (world, topic) = scene("audit_codes").await;
    assert_eq!(audit(&world, &[], &[]).0, 0, "an empty topic");
    publish(&world.brokers, &topic, &[someone(0)]).await;
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["messages"]), (69, &json!(0)), "what nobody has consumed is not clean: {text}");
    assert!(object["incomplete"].as_str().unwrap().contains("has committed nothing"), "{text}");
    let (code, text, object) = audit(&world, &[], &[("KAFKA__BROKERS", "127.0.0.1:1")]);
    assert_eq!(code, 69, "{text}");
    assert!(object["incomplete"].as_str().unwrap().contains("127.0.0.1:1"), "{text}");
    assert_eq!(audit(&world, &[], &[("CASSANDRA__CONTACT_POINTS", "127.0.0.1:1")]).0, 69);
    assert_eq!(audit(&world, &[], &[("CASSANDRA__PASSWORD", "not-the-password-7391")]).0, 78);
    assert_eq!(audit(&world, &[], &[("CONSUMER__SINK", "csv")]).0, 78);
    assert_eq!(audit(&world, &["--since", "yesterday"], &[]).0, 2);
    let (code, text, _) = audit(&world, &["--topic", &format!("{topic}s")], &[]);
    assert_eq!(code, 78, "{text}");
    assert!(text.contains(&format!("did you mean {topic}?")), "{text}");
}
