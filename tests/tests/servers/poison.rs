//! Poison among good messages: the good ones become rows, each bad one a dead letter with its raw bytes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use end_to_end::{Record, World, all_committed, dead_letters, messages, metric, publish, text};
use serde_json::json;
use testbed::Kafka;

const TABLE: &str =
    "CREATE TABLE KEYSPACE.poison (k text PRIMARY KEY, n int, d double, at timestamp, t text)";
const ROUTE: &str = r#"
topic = "TOPIC"
table = "KEYSPACE.poison"
[columns]
k = "k"
n = "n"
d = "d"
at = "at"
t = "t"
"#;

struct Poison {
    class: &'static str,
    // A part of the reason that tells where and what.
    reason: &'static str,
    record: Record,
}

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.topic("poison");
    let broker = Kafka::elsewhere(&world.brokers);
    // Kafka itself would refuse the far future.
    let limits = [("message.timestamp.after.max.ms", "9223372036854775807")];
    broker.create_topic(&topic, 1, &limits).unwrap();
    let limits = [("cleanup.policy", "compact"), ("max.message.bytes", "2097152")];
    broker.create_topic(&format!("{topic}.dlq"), 1, &limits).unwrap();
    world.cql(&TABLE.replace("KEYSPACE", &world.name)).await;
    world.write_route("poison", &ROUTE.replace("KEYSPACE", &world.name).replace("TOPIC", &topic));
    (world, topic)
}

fn in_two_hours() -> i64 {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(2 * 3600);
    i64::try_from(at.as_millis()).unwrap()
}

fn poisons() -> Vec<Poison> {
    let bad = |class, reason, value: &str| Poison { class, reason, record: Record::of(value) };
    let deep = format!(r#"{{"k":"deep","extra":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let deep_value = format!(r#"{{"k":"deep","t":{}1{}}}"#, r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let large = format!(r#"{{"k":"large","t":"{}","n":"x"}}"#, "ä".repeat(450_000));
    let not_utf8 = [&b"{\"k\":\"latin\",\"t\":\"caf\xe9\"}"[..]].concat();
    let keyed = Record { key: Some(b"\0key\xff".to_vec()), ..Record::of(r#"{"n":1}"#) };
    let odd_header = Record::of(r#"{"k":"header","n":"x"}"#).header(b"\xffname");
    let future = Record::of(r#"{"k":"future"}"#).at(in_two_hours());
    vec![
        bad("json", "byte 4", r#"{"k""#),
        bad("json", "expected a value", "?json"),
        bad("json", "the end", ""),
        bad("json", "an array", "[1]"),
        bad("json", "byte", r#"{"k":"tail"} {"k":"more"}"#),
        bad("json", "byte", "{\"k\":\"raw NUL\",\"t\":\"a\0b\"}"),
        bad("json", "byte", r#"{"k":"nan","d":NaN}"#),
        bad("json", "byte", r#"{"k":"infinite","extra":-Infinity}"#),
        bad("json", "128 levels", &deep),
        bad("value", "column t", &deep_value),
        Poison { class: "json", reason: "UTF-8", record: Record::of(not_utf8) },
        bad("value", "column n", r#"{"k":"word","n":"seven"}"#),
        bad("value", "column n", r#"{"k":"fraction","n":1.5}"#),
        bad("value", "column n", r#"{"k":"wide","n":3000000000}"#),
        bad("value", "column d", r#"{"k":"truth","d":true}"#),
        bad("value", "column at", r#"{"k":"day","at":"yesterday"}"#),
        bad("value", "column k", r#"{"k":{"a":1}}"#),
        bad("value", "column n", &large),
        bad("value", "k appears twice", r#"{"k":"one","k":"two"}"#),
        bad("key", "primary key column k", r#"{"n":1}"#),
        bad("key", "primary key column k", r#"{"k":null,"n":1}"#),
        bad("key", "k is empty", r#"{"k":"","n":1}"#),
        Poison { class: "key", reason: "primary key column k", record: keyed },
        Poison { class: "value", reason: "column n", record: odd_header },
        Poison { class: "tombstone", reason: "no value", record: Record::default() },
        Poison { class: "timestamp", reason: "ahead of this clock", record: future },
        bad("refused", "70000 bytes", &json!({"k": "x".repeat(70_000), "n": 1}).to_string()),
    ]
}

// Ordinary ones, and some that look like poison and are none.
fn good(number: usize) -> (String, Record) {
    let key = format!("good {number}");
    let value = match number % 5 {
        0 => json!({"k": key, "t": "NUL \0 as an escape"}),
        1 => json!({"k": key, "unknown": {"extra": [1, null, {"x": "y"}]}, "t": "NUL \0 as an escape"}),
        2 => json!({"k": key, "n": 1, "d": -1e300, "at": "2026-11-21T08:00:00Z", "t": null}),
        _ => json!({"k": key, "n": number, "t": "plain"}),
    };
    let record = Record::of(value.to_string());
    (key, if number % 5 == 3 { record.header(b"caf\xe9") } else { record })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_poisoned_message_is_one_dead_letter_and_its_neighbours_are_rows() {
    let (world, topic) = scene("poison").await;
    let poisons = poisons();
    let mut records = Vec::new();
    let mut expected_rows = Vec::new();
    for poison in &poisons {
        for _ in 0..3 {
            let (key, record) = good(expected_rows.len());
            expected_rows.push(key);
            records.push(record);
        }
        records.push(poison.record.clone());
    }
    let (key, last) = good(expected_rows.len());
    expected_rows.push(key);
    records.push(last);
    let places = publish(&world.brokers, &topic, &records).await;

    let mut consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &consumer);
    assert_eq!(
        metric(&consumer, "tributary_messages_total", &[r#"outcome="dead_lettered""#]),
        poisons.len() as f64
    );
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());

    let rows = world.rows(&format!("SELECT k, t FROM {}.poison", world.name)).await;
    let rows: BTreeMap<_, _> =
        rows.into_iter().map(|row| (text(&row[0]), row[1].as_ref().map(|_| text(&row[1])))).collect();
    expected_rows.sort();
    assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), expected_rows);
    assert_eq!(rows["good 0"].as_deref(), Some("NUL \0 as an escape"));

    let letters = messages(&world.brokers, &format!("{topic}.dlq"));
    assert_eq!(letters.len(), poisons.len(), "one dead letter each");
    let letters = dead_letters(&world.brokers, &topic);
    for (poison, (partition, offset)) in poisons.iter().zip(places.iter().skip(3).step_by(4)) {
        let letter = &letters[&format!("{0}/{topic}/{partition}/{offset}/{0}.poison", world.name)];
        let said = &letter.headers["reason"];
        assert_eq!(letter.headers["class"], poison.class, "{said}");
        assert!(said.contains(poison.reason), "{said} of {}", poison.reason);
        let raw = poison.record.value.clone().unwrap_or_default();
        assert!(letter.value == raw, "raw bytes of {said}");
        let origin = ["group", "topic", "partition", "offset"].map(|name| letter.headers[name].as_str());
        assert_eq!(poison.record.header.is_some(), letter.headers.contains_key("header.\u{fffd}name"));
        assert_eq!(origin, [&world.name, &topic, &partition.to_string(), &offset.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn value_of_900_kb_becomes_a_row() {
    let (world, topic) = scene("large_value").await;
    let large = "ä".repeat(450_000);
    let records = [good(3).1, Record::of(json!({"k": "large", "t": large}).to_string()), good(4).1];
    publish(&world.brokers, &topic, &records).await;
    let consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &consumer);
    let rows = world.rows(&format!("SELECT t FROM {}.poison WHERE k = 'large'", world.name)).await;
    assert!(text(&rows[0][0]) == large, "the whole value");
    assert_eq!(world.count("poison").await, 3);
    assert!(messages(&world.brokers, &format!("{topic}.dlq")).is_empty(), "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_refused_rows_are_dead_letters_and_the_rows_of_their_batches_are_stored() {
    let (world, topic) = scene("many_refused").await;
    let route = ROUTE.replace("KEYSPACE", &world.name).replace("TOPIC", &topic);
    world.write_route(
        "poison",
        &route.replace("[columns]", "ttl = { path = \"days\", unit = \"d\" }\n[columns]"),
    );
    // What lives on after 2038 is more than the server's calendar has, with the settings that it ships with.
    let lives = |number: usize| if number.is_multiple_of(5) { 19 * 365 } else { 1 };
    let record =
        |number: usize| Record::of(json!({"k": number.to_string(), "days": lives(number)}).to_string());
    publish(&world.brokers, &topic, &(0..1_500).map(record).collect::<Vec<_>>()).await;
    let consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &consumer);
    assert_eq!(world.count("poison").await, 1_200);
    let letters = dead_letters(&world.brokers, &topic);
    assert_eq!(letters.len(), 300, "{}", consumer.log());
    for letter in letters.values() {
        assert_eq!(letter.headers["class"], "refused", "{}", letter.headers["reason"]);
    }
}
