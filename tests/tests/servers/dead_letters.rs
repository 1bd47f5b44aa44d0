//! `tributary dead-letters`: what could not become a row is seen, and becomes one when its route or table is mended.

mod notes;

use std::sync::LazyLock;
use std::time::Duration;

use end_to_end::{
    Record, World, all_committed, committed, consumed, dead_letters, ended, ends, healthy, messages, note,
    publish, text,
};
use scylla::value::CqlValue;
use serde_json::{Value, json};
use testbed::{Options, Service, pair, wait_for};

const SOON: Duration = Duration::from_secs(90);
const TABLE: &str = "CREATE TABLE KEYSPACE.letters (k text PRIMARY KEY, n int, d double, t text)";
/// An hour ago: long enough for a replay to be told from a first try, and not so long that Kafka deletes it by its age.
static AT: LazyLock<i64> = LazyLock::new(|| chrono::Utc::now().timestamp_millis() - 3_600_000);

// `n` is an integer, and the messages hold words.
const BROKEN: &str = "k = \"k\"\nn = \"n\"\n";
const MENDED: &str = "k = \"k\"\nt = \"n\"\n";

async fn set_up(world: &World) -> String {
    let topic = world.create_topic("letters", 2);
    world.cql(&TABLE.replace("KEYSPACE", &world.name)).await;
    route(world, "", BROKEN);
    topic
}

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = set_up(&world).await;
    (world, topic)
}

fn route(world: &World, head: &str, columns: &str) {
    let (topic, keyspace) = (world.topic("letters"), &world.name);
    let text = format!("topic = \"{topic}\"\ntable = \"{keyspace}.letters\"\n{head}\n[columns]\n{columns}");
    world.write_route("letters", &text);
}

fn words(key: &str) -> Record {
    Record::of(json!({"k": key, "n": format!("words of {key}")}).to_string()).at(*AT)
}

fn start(world: &World, arguments: &[&str], more: &[(&str, &str)]) -> Service {
    let arguments = [&["dead-letters"], arguments, &["--json"]].concat();
    let more = [&[("CONSUMER__DURABLE_AFTER", "0s")], more].concat();
    world.run("tributary", &arguments, &more)
}

// Exit code, all that was printed, and the object of the last line.
fn run(world: &World, arguments: &[&str]) -> (i32, String, Value) {
    ended(&mut start(world, arguments, &[]), SOON)
}

fn standing(world: &World) -> u64 {
    let (code, log, object) = run(world, &["list"]);
    assert_eq!(code, 0, "{log}");
    object["letters"].as_u64().unwrap_or_else(|| panic!("{log}"))
}

fn address(topic: &str, (partition, offset): (i32, i64)) -> String {
    format!("{topic}:{partition}:{offset}")
}

// The text and its WRITETIME, by key.
async fn stored(world: &World, key: &str) -> Option<(String, i64)> {
    let question = format!("SELECT t, writetime(t) FROM {}.letters WHERE k = '{key}'", world.name);
    let rows = world.rows(&question).await;
    let row = rows.first()?;
    match &row[1] {
        Some(CqlValue::BigInt(writetime)) => Some((text(&row[0]), *writetime)),
        _ => None,
    }
}

fn writetime((_, offset): (i32, i64)) -> i64 {
    *AT * 1_000 + offset % 1_000
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_after_the_route_is_mended_writes_the_original_writetime() {
    let (world, topic) = scene("letters_mended").await;
    let keys = ["a", "b", "c"];
    let mut records = keys.map(words).to_vec();
    records.extend([Record::of(r#"{"k":"good","n":1}"#), Record::of("no json").at(*AT)]);
    let places = consumed(&world, &topic, &records).await;

    let (code, log, object) = run(&world, &["list"]);
    assert_eq!((code, &object["letters"]), (0, &json!(4)), "{log}");
    let causes = object["causes"].as_array().unwrap();
    assert_eq!((causes.len(), &causes[0]["count"], &causes[0]["class"]), (2, &json!(3), &json!("value")));
    let cause = causes[0]["id"].as_str().unwrap().to_owned();
    assert!(log.contains(&cause) && log.contains("3 x value: column n"), "{log}");

    let one = address(&topic, places[1]);
    let (code, log, object) = run(&world, &["show", &one]);
    assert_eq!((code, &object["address"]), (0, &json!(one)), "{log}");
    assert!(object["today"].as_str().unwrap().starts_with("dead still: value: column n"), "{log}");
    assert!(log.contains("words of b"), "{log}");

    route(&world, "", MENDED);
    let (_, log, object) = run(&world, &["show", &one]);
    assert_eq!(object["today"], json!("1 row, if the table takes it"), "{log}");
    let (code, log, object) = run(&world, &["replay", "--cause", &cause, "--dry-run"]);
    assert_eq!((code, &object["written"], &object["removed"]), (0, &json!(3), &json!(0)), "{log}");
    let (code, log, _) = run(&world, &["replay", "--cause", &cause]);
    assert!(code == 2 && log.contains("--yes"), "{log}");
    assert_eq!((stored(&world, "a").await, standing(&world)), (None, 4), "nothing has changed so far");

    let (code, log, object) = run(&world, &["replay", "--cause", &cause, "--yes"]);
    assert_eq!(code, 0, "{log}");
    assert_eq!((&object["written"], &object["removed"]), (&json!(3), &json!(3)), "{log}");
    for (key, place) in keys.iter().zip(&places) {
        let row = (format!("words of {key}"), writetime(*place));
        assert_eq!(stored(&world, key).await, Some(row), "{key}");
    }
    assert_eq!(standing(&world), 1, "the one of the other cause");
    let tombstones = messages(&world.brokers, &format!("{topic}.dlq"));
    let by = |message: &&end_to_end::Message| message.headers.get("by").is_some_and(|by| by == "replay");
    assert_eq!(tombstones.iter().filter(by).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_changes_nothing_that_is_newer() {
    let (world, topic) = scene("letters_newer").await;
    let places = consumed(&world, &topic, &[words("a"), words("b")]).await;
    for (key, writetime) in [("a", writetime(places[0]) + 1), ("b", writetime(places[1]) - 1)] {
        let keyspace = &world.name;
        world
            .cql(&format!(
                "INSERT INTO {keyspace}.letters (k, t) VALUES ('{key}', 'other') USING TIMESTAMP {writetime}"
            ))
            .await;
    }
    route(&world, "", MENDED);
    let (code, log, _) = run(&world, &["replay", "--all", "--yes"]);
    assert_eq!(code, 0, "{log}");
    assert_eq!(stored(&world, "a").await.unwrap().0, "other");
    assert_eq!(stored(&world, "b").await.unwrap(), ("words of b".to_owned(), writetime(places[1])));
    assert_eq!(standing(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_fails_again_stays_one_letter_and_tells_the_new_reason() {
    let (world, topic) = scene("letters_again").await;
    let keyed = Record { key: Some(b"\0key\xff".to_vec()), ..words("a") }.header(b"own");
    let places = consumed(&world, &topic, &[keyed]).await;
    let before = dead_letters(&world.brokers, &topic);
    let source = format!("{topic}.dlq");
    // The same reason: nothing is sent.
    let (code, log, object) = run(&world, &["replay", "--all", "--yes"]);
    assert_eq!(
        (code, &object["again"], &object["reasons"][0]["changed"]),
        (1, &json!(1), &json!(0)),
        "{log}"
    );
    assert_eq!(messages(&world.brokers, &source).len(), 1);
    // Another reason, twice: the letter is replaced once.
    route(&world, "", "k = \"k\"\nd = \"n\"\n");
    for changed in [1, 0] {
        let (code, log, object) = run(&world, &["replay", &address(&topic, places[0]), "--yes"]);
        assert_eq!((code, &object["reasons"][0]["changed"]), (1, &json!(changed)), "{log}");
        assert_eq!(messages(&world.brokers, &source).len(), 2, "{log}");
    }
    let after = dead_letters(&world.brokers, &topic);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (before, after) in before.values().zip(after.values()) {
        assert!(after.headers["reason"].contains("column d"), "{:?}", after.headers);
        let same = |letter: &end_to_end::Message| {
            let mut headers = letter.headers.clone();
            for changed in ["reason", "class", "replays"] {
                headers.remove(changed);
            }
            (letter.value.clone(), headers)
        };
        assert_eq!((same(before), after.headers["replays"].as_str()), (same(after), "1"));
    }
    assert_eq!(standing(&world), 1);
    route(&world, "", MENDED);
    assert_eq!(run(&world, &["replay", "--all", "--yes"]).0, 0);
    assert_eq!((standing(&world), stored(&world, "a").await.is_some()), (0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_stored_once_its_table_takes_it() {
    let (world, topic) = scene("letters_refused").await;
    let ttl = "ttl = { path = \"days\", unit = \"d\" }";
    route(&world, ttl, "k = \"k\"\nt = \"t\"\n");
    // What lives on after 2038 is more than the server's calendar has, with the settings that it ships with.
    let record = |number: usize| {
        Record::of(json!({"k": format!("key {number:02}"), "t": "x", "days": 19 * 365}).to_string())
    };
    consumed(&world, &topic, &(0..40).map(record).collect::<Vec<_>>()).await;
    let (code, log, object) = run(&world, &["replay", "--all", "--yes"]);
    assert_eq!(code, 1, "{log}");
    let reason = &object["reasons"][0];
    assert_eq!((&reason["class"], &reason["count"]), (&json!("refused"), &json!(40)), "{log}");
    assert_eq!((&reason["changed"], &object["removed"]), (&json!(0), &json!(0)), "{log}");
    assert_eq!(messages(&world.brokers, &format!("{topic}.dlq")).len(), 40, "none is sent again");
    route(&world, "", "k = \"k\"\nt = \"t\"\n");
    let (code, log, object) = run(&world, &["replay", "--all", "--yes"]);
    assert_eq!((code, &object["removed"]), (0, &json!(40)), "{log}");
    assert_eq!((world.count("letters").await, standing(&world)), (40, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_delete_deletes_what_is_older_and_nothing_else() {
    let (world, topic) = scene("letters_delete").await;
    let columns = "k = { key = \".\" }\nt = \"t\"\n";
    route(&world, "", columns);
    let delete = |key: &str| Record { key: Some(json!(key).to_string().into_bytes()), ..Record::default() };
    let places = consumed(&world, &topic, &[delete("a").at(*AT), delete("b").at(*AT)]).await;
    for (key, writetime) in [("a", writetime(places[0]) - 1), ("b", writetime(places[1]) + 1)] {
        let keyspace = &world.name;
        world
            .cql(&format!(
                "INSERT INTO {keyspace}.letters (k, t) VALUES ('{key}', 'row') USING TIMESTAMP {writetime}"
            ))
            .await;
    }
    let (_, log, object) = run(&world, &["show", &address(&topic, places[0])]);
    assert_eq!((&object["class"], &object["value_base64"]), (&json!("tombstone"), &Value::Null), "{log}");
    route(&world, "deletes = \"row\"", columns);
    let (code, log, object) = run(&world, &["replay", "--all", "--yes"]);
    assert_eq!((code, &object["removed"]), (0, &json!(2)), "{log}");
    assert_eq!((stored(&world, "a").await, stored(&world, "b").await.is_some()), (None, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_stay_until_their_rows_are_durable() {
    let start_both = || pair(Options::default(), Options::default().authentication(true)).unwrap();
    let (kafka, mut cassandra) = tokio::task::spawn_blocking(start_both).await.unwrap();
    let world = World::on(&kafka, &cassandra, "letters_durable").await;
    let topic = set_up(&world).await;
    consumed(&world, &topic, &[words("a"), words("b")]).await;
    route(&world, "", MENDED);
    let patient = [("CONSUMER__DURABLE_AFTER", "16s")];
    let mut replay = start(&world, &["replay", "--all", "--yes"], &patient);
    wait_for("rows of the replay", SOON, || replay.log().contains("2 of 2 tried").then_some(()));
    cassandra.kill();
    let mut cassandra = tokio::task::spawn_blocking(move || {
        cassandra.restart().unwrap();
        cassandra
    })
    .await
    .unwrap();
    let (code, log, object) = ended(&mut replay, SOON);
    assert_eq!((code, &object["removed"]), (69, &json!(0)), "{log}");
    world.answers().await;
    assert_eq!(standing(&world), 2, "the rows may be gone: {log}");
    let (code, log, object) = ended(&mut start(&world, &["replay", "--all", "--yes"], &patient), SOON);
    assert_eq!((code, &object["removed"]), (0, &json!(2)), "{log}");
    assert_eq!((standing(&world), world.count("letters").await), (0, 2));
    cassandra.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_removes_what_was_selected_and_replay_leaves_other_groups_alone() {
    let (world, topic) = scene("letters_purge").await;
    let places = consumed(&world, &topic, &[words("a"), words("b"), words("c")]).await;
    let one = address(&topic, places[1]);
    let (code, log, object) = run(&world, &["purge", &one, "--dry-run"]);
    assert_eq!((code, &object["selected"], &object["removed"]), (0, &json!(1), &json!(0)), "{log}");
    let (code, log, _) = run(&world, &["purge", &one]);
    assert!(code == 2 && log.contains("--yes"), "{log}");
    assert_eq!(standing(&world), 3);
    let (code, log, object) = run(&world, &["purge", &one, "--yes"]);
    assert_eq!((code, &object["removed"]), (0, &json!(1)), "{log}");
    assert_eq!((run(&world, &["show", &one]).0, standing(&world)), (1, 2));
    // As another group that reads the same topic.
    route(&world, "", MENDED);
    let (code, log, object) = run(&world, &["replay", "--all", "--yes", "--group", "another"]);
    assert_eq!((code, &object["selected"]), (0, &json!(0)), "{log}");
    let (_, log, object) = run(&world, &["list", "--group", "another"]);
    assert_eq!((&object["letters"], &object["of_other_groups"]), (&json!(0), &json!(2)), "{log}");
    assert_eq!((standing(&world), stored(&world, "a").await), (2, None));
    assert_eq!(committed(&world.brokers, &world.name, &topic), ends(&world.brokers, &topic));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_beside_the_consumer_loses_and_doubles_nothing() {
    let (world, topic) = scene("letters_beside").await;
    let words_of = |range: std::ops::Range<usize>| {
        let key = |number: usize| words(&format!("{number:04}"));
        range.map(key).collect::<Vec<_>>()
    };
    consumed(&world, &topic, &words_of(0..500)).await;
    // The consumer goes on with the broken route and makes letters; the replay has the mended one.
    let consumer = world.spawn("consumer", &[("CONSUMER__DURABLE_AFTER", "0s")]);
    healthy(&consumer);
    route(&world, "", MENDED);
    let mut replay = start(&world, &["replay", "--all", "--yes"], &[]);
    publish(&world.brokers, &topic, &words_of(500..1_000)).await;
    let (code, log, object) = ended(&mut replay, SOON);
    assert_eq!(code, 0, "{log}");
    assert_eq!(object["written"], object["removed"], "{log}");
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let (stored, left) = (world.count("letters").await, standing(&world));
    assert_eq!(stored + i64::try_from(left).unwrap(), 1_000, "each is a row or a letter: {log}");
    let (code, log, _) = run(&world, &["replay", "--all", "--yes"]);
    assert_eq!(code, 0, "{log}");
    assert_eq!((world.count("letters").await, standing(&world)), (1_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_replayed_into_no_database_that_their_group_has_not_written_to() {
    let (world, topic) = scene("letters_elsewhere").await;
    consumed(&world, &topic, &[words("a"), words("b")]).await;
    route(&world, "", MENDED);
    let all = ["replay", "--all", "--yes"];
    // As if the group had written to other nodes.
    note(&world.brokers, &world.name, &topic, &uuid::Uuid::from_u128(7).to_string());
    for arguments in [&all[..], &["replay", "--all", "--dry-run"]] {
        let (code, log, _) = run(&world, arguments);
        assert!(
            code == 78 && log.contains("not the database that the group has written to"),
            "{code}: {log}"
        );
    }
    assert_eq!((standing(&world), stored(&world, "a").await), (2, None));
    // As after a rewind: nothing is known.
    note(&world.brokers, &world.name, &topic, "");
    let (code, log, object) = run(&world, &all);
    assert_eq!((code, &object["removed"]), (0, &json!(2)), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_group_that_writes_files_are_not_replayed_into_tables() {
    let (world, topic) = scene("letters_of_files").await;
    publish(&world.brokers, &topic, &[Record::of("no json").at(*AT)]).await;
    let files = format!("{}-csv", world.name);
    let mut consumer = world.consumer(&[("CONSUMER__SINK", "csv"), ("CONSUMER__GROUP", &files)]);
    wait_for("the letter", SOON, || (!dead_letters(&world.brokers, &topic).is_empty()).then_some(()));
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    let (code, log, _) = run(&world, &["replay", "--all", "--yes", "--group", &files]);
    assert!(code == 78 && log.contains("has committed nothing") && log.contains("CSV"), "{code}: {log}");
    let (_, log, object) = run(&world, &["list", "--group", &files]);
    assert_eq!(object["letters"], json!(1), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_scripts_what_to_do() {
    let (world, topic) = scene("letters_codes").await;
    consumed(&world, &topic, &[words("a")]).await;
    let with = |arguments: &[&str], more: &[(&str, &str)]| ended(&mut start(&world, arguments, more), SOON);
    let all = ["replay", "--all", "--yes"];
    assert_eq!(with(&["replay", "--yes"], &[]).0, 2);
    assert_eq!(with(&["list"], &[("KAFKA__BROKERS", "127.0.0.1:1")]).0, 69);
    let (code, log, _) = with(&all, &[("CASSANDRA__CONTACT_POINTS", "127.0.0.1:1")]);
    assert!(code == 69 && log.contains("127.0.0.1:1"), "{log}");
    assert_eq!(with(&all, &[("CASSANDRA__PASSWORD", "wrong")]).0, 78);
    assert_eq!(with(&all, &[("CONSUMER__SINK", "csv")]).0, 78);
    assert_eq!(with(&["list"], &[("CONSUMER__SINK", "csv")]).0, 0);
    for command in ["replay", "purge"] {
        let (code, log, _) = with(&[command, "--topic", "misspelt", "--yes"], &[]);
        assert!(code == 0 && log.contains("topic misspelt.dlq does not exist"), "{log}");
    }
    let (code, log, _) = with(&["show", &format!("{topic}:0:999")], &[]);
    assert!(code == 1 && log.contains("no dead letter"), "{log}");
    route(&world, "", "k = \"k\"\nno_such_column = \"n\"\n");
    let (code, log, _) = with(&all, &[]);
    assert!(code == 1 && log.contains("no_such_column"), "{log}");
    world.write_route("letters", "not a route");
    assert_eq!(with(&["list"], &[]).0, 1);
    assert_eq!(with(&["list", "--topic", &topic], &[]).0, 0);
    assert_eq!(standing_of(&world, &topic), 1);
}

fn standing_of(world: &World, topic: &str) -> u64 {
    run(world, &["list", "--topic", topic]).2["letters"].as_u64().unwrap()
}
