//! `tributary replay`: what is on a topic is in its table again, and nothing newer is touched.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use end_to_end::{Record, World, committed, consumed, ended, messages, publish, text};
use scylla::value::CqlValue;
use serde_json::{Value, json};
use testbed::{Options, Service, pair, wait_for};

const SOON: Duration = Duration::from_secs(90);
const TABLE: &str = "CREATE TABLE KEYSPACE.orders (k text PRIMARY KEY, n int, t text)";
const COLUMNS: &str = "k = { key = \".\" }\nn = \"n\"\n";
const BEGINNING: [&str; 2] = ["--since", "beginning"];
/// Two hours ago.
static AT: LazyLock<i64> = LazyLock::new(|| chrono::Utc::now().timestamp_millis() - 7_200_000);

async fn set_up(world: &World) -> String {
    let topic = world.create_topic("orders", 3);
    create_table(world).await;
    route(world, COLUMNS);
    topic
}

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = set_up(&world).await;
    (world, topic)
}

async fn create_table(world: &World) {
    world.cql(&TABLE.replace("KEYSPACE", &world.name)).await;
}

fn route(world: &World, columns: &str) {
    let (topic, keyspace) = (world.topic("orders"), &world.name);
    let text = format!(
        "topic = \"{topic}\"\ntable = \"{keyspace}.orders\"\ndeletes = \"row\"\n[columns]\n{columns}"
    );
    world.write_route("orders", &text);
}

fn order(key: &str, n: i32) -> Record {
    let value = json!({"n": n, "t": format!("words of {key}")});
    Record { key: Some(json!(key).to_string().into_bytes()), ..Record::of(value.to_string()) }.at(*AT)
}

fn orders(count: usize) -> Vec<Record> {
    (0..count).map(|number| order(&format!("{number:04}"), 1)).collect()
}

fn writetime((_, offset): (i32, i64)) -> i64 {
    *AT * 1_000 + offset % 1_000
}

fn start(world: &World, topic: &str, arguments: &[&str], more: &[(&str, &str)]) -> Service {
    let arguments = [&["replay", "--json", "--topic", topic], arguments].concat();
    let more = [&[("CONSUMER__DURABLE_AFTER", "0s")], more].concat();
    world.run("tributary", &arguments, &more)
}

// Exit code, all that was printed, and the object of the last line.
fn replay(world: &World, topic: &str, arguments: &[&str]) -> (i32, String, Value) {
    ended(&mut start(world, topic, arguments, &[]), SOON)
}

fn counts(object: &Value) -> [u64; 4] {
    ["messages", "written", "deleted", "refused"]
        .map(|count| object["topics"][0][count].as_u64().unwrap_or_else(|| panic!("{object}")))
}

// The number and its WRITETIME, by key.
async fn stored(world: &World, key: &str) -> Option<(i32, i64)> {
    let question = format!("SELECT n, writetime(n) FROM {}.orders WHERE k = '{key}'", world.name);
    match world.rows(&question).await.first()?[..] {
        [Some(CqlValue::Int(n)), Some(CqlValue::BigInt(writetime))] => Some((n, writetime)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_emptied_or_dropped_is_filled_again_and_no_offset_moves() {
    let (world, topic) = scene("replay_emptied").await;
    let places = consumed(&world, &topic, &orders(5_000)).await;
    let before = committed(&world.brokers, &world.name, &topic);
    let keyspace = &world.name;
    for loss in ["TRUNCATE KEYSPACE.orders", "DROP TABLE KEYSPACE.orders"] {
        world.cql(&loss.replace("KEYSPACE", keyspace)).await;
        if loss.starts_with("DROP") {
            let (code, log, _) = replay(&world, &topic, &BEGINNING);
            assert!(code == 1 && log.contains("does not exist"), "{code}: {log}");
            create_table(&world).await;
        }
        let (code, log, object) = replay(&world, &topic, &[&BEGINNING[..], &["--dry-run"]].concat());
        assert_eq!((code, counts(&object)), (0, [5_000, 5_000, 0, 0]), "{log}");
        assert_eq!(world.count("orders").await, 0, "nothing was written");
        let (code, log, object) = replay(&world, &topic, &BEGINNING);
        assert_eq!((code, counts(&object)), (0, [5_000, 5_000, 0, 0]), "{log}");
        assert!(log.contains("their rows are durable") && object["ended"].is_null(), "{log}");
        assert_eq!(world.count("orders").await, 5_000);
        assert_eq!(stored(&world, "0017").await, Some((1, writetime(places[17]))));
    }
    assert_eq!(committed(&world.brokers, keyspace, &topic), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_a_route_has_by_now_is_filled_in_old_rows() {
    let (world, topic) = scene("replay_column").await;
    consumed(&world, &topic, &orders(20)).await;
    route(&world, &format!("{COLUMNS}t = \"t\"\n"));
    let (code, log, _) = replay(&world, &topic, &BEGINNING);
    assert_eq!(code, 0, "{log}");
    let rows = world.rows(&format!("SELECT t FROM {}.orders WHERE k = '0007'", world.name)).await;
    assert_eq!(text(&rows[0][0]), "words of 0007");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_stays_whether_it_is_a_row_or_a_delete() {
    let (world, topic) = scene("replay_newer").await;
    let delete = Record { value: None, ..order("deleted", 0) };
    // One key, one partition: the delete comes last.
    let mut records = ["newer", "older", "by hand"].map(|key| order(key, 1)).to_vec();
    records.extend([order("deleted", 1), delete].map(|record| record.on(0)));
    let places = consumed(&world, &topic, &records).await;
    let table = format!("{}.orders", world.name);
    world.cql(&format!("TRUNCATE {table}")).await;
    for (key, writetime) in [("newer", writetime(places[0]) + 1), ("older", writetime(places[1]) - 1)] {
        world
            .cql(&format!("INSERT INTO {table} (k, n) VALUES ('{key}', 2) USING TIMESTAMP {writetime}"))
            .await;
    }
    world.cql(&format!("DELETE FROM {table} WHERE k = 'by hand'")).await;
    for _ in 0..2 {
        let (code, log, object) = replay(&world, &topic, &BEGINNING);
        assert_eq!((code, counts(&object)), (0, [5, 4, 1, 0]), "{log}");
        assert_eq!(stored(&world, "newer").await, Some((2, writetime(places[0]) + 1)));
        assert_eq!(stored(&world, "older").await, Some((1, writetime(places[1]))));
        assert_eq!(stored(&world, "deleted").await, None, "its delete is newer");
        assert_eq!(stored(&world, "by hand").await, None, "so is this one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn since_and_until_cut_what_is_read() {
    let (world, topic) = scene("replay_cut").await;
    let hours_ago = |hours: i64| chrono::Utc::now().timestamp_millis() - hours * 3_600_000;
    // One is stamped with a time that is to come, and older ones follow.
    let records = [5, -1, 3, 1].map(|hours| order(&format!("{hours} hours"), 1).at(hours_ago(hours)).on(1));
    let places = publish(&world.brokers, &topic, &records).await;
    let read = |arguments: &[&str]| {
        let (code, log, object) = replay(&world, &topic, &[arguments, &["--dry-run"]].concat());
        assert_eq!(code, 0, "{log}");
        counts(&object)[0]
    };
    assert_eq!(read(&BEGINNING), 4);
    assert_eq!(read(&["--since", "4h"]), 3);
    assert_eq!(read(&["--since", "4h", "--until", "2h"]), 1);
    assert_eq!(read(&["--since", "beginning", "--until", "2h"]), 2);
    assert_eq!(read(&["--since", &places[3].1.to_string()]), 1);
    let (code, log, _) = replay(&world, &topic, &["--since", "9999"]);
    assert!(code == 0 && log.contains("nothing in that range") && !log.contains("rows are durable"), "{log}");
    let (code, log, _) = replay(&world, &topic, &["--since", "2h", "--until", "4h"]);
    assert!(code == 2 && log.contains("--until is not behind --since"), "{code}: {log}");
    let (code, log, _) = replay(&world, &topic, &["--since", "4h", "--until", "2h"]);
    assert!(code == 0 && log.contains(&format!("rows of {}.orders may come back", world.name)), "{log}");
    let there = ["5 hours", "3 hours", "1 hours"];
    let mut found = Vec::new();
    for key in there {
        found.push(stored(&world, key).await.is_some());
    }
    assert_eq!(found, [false, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_messages_are_counted_by_cause_and_named_and_make_no_second_letter() {
    let (world, topic) = scene("replay_refused").await;
    let mut records = orders(300);
    for bad in [10, 20, 30] {
        records[bad] = Record { value: Some(b"no json".to_vec()), ..records[bad].clone() };
    }
    let long = "x".repeat(70_000);
    records[40] = order(&long, 1);
    let places = consumed(&world, &topic, &records).await;
    let letters = || messages(&world.brokers, &format!("{topic}.dlq")).len();
    assert_eq!(letters(), 4);
    world.cql(&format!("TRUNCATE {}.orders", world.name)).await;
    let (code, log, object) = replay(&world, &topic, &BEGINNING);
    assert_eq!((code, counts(&object)), (1, [300, 296, 0, 4]), "{log}");
    let of_class = |class: &str| {
        let refusals = object["refusals"].as_array().unwrap();
        refusals.iter().find(|refusal| refusal["class"] == class).unwrap_or_else(|| panic!("{log}")).clone()
    };
    let (json, refused) = (of_class("json"), of_class("refused"));
    assert_eq!((&json["count"], &refused["count"]), (&json!(3), &json!(1)), "{log}");
    let address = |place: usize| format!("{topic}:{}:{}", places[place].0, places[place].1);
    let named = json["first"].as_array().unwrap();
    assert!([10, 20, 30].iter().all(|place| named.contains(&json!(address(*place)))), "{log}");
    assert_eq!(refused["first"], json!([address(40)]), "{log}");
    assert!(log.contains(&format!("tributary explain {topic}:")), "{log}");
    assert_eq!((world.count("orders").await, letters()), (296, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_is_told_before_anything_is_read() {
    let (world, topic) = scene("replay_codes").await;
    let with = |topic: &str, more: &[(&str, &str)]| ended(&mut start(&world, topic, &BEGINNING, more), SOON);
    let misspelt = topic.replace("orders", "ordres");
    let (code, log, _) = with(&misspelt, &[]);
    assert!(
        code == 78 && log.contains(&format!("no route takes topic {misspelt}; did you mean {topic}?")),
        "{log}"
    );
    let (code, log, _) = with(&topic, &[("CONSUMER__SINK", "csv")]);
    assert!(code == 78 && log.contains("CSV files have none"), "{log}");
    assert_eq!(with(&topic, &[("KAFKA__BROKERS", "127.0.0.1:1")]).0, 69);
    assert_eq!(with(&topic, &[("CASSANDRA__CONTACT_POINTS", "127.0.0.1:1")]).0, 69);
    assert_eq!(with(&topic, &[("CASSANDRA__PASSWORD", "wrong")]).0, 78);
    let keyspace = &world.name;
    world.write_route(
        "gone",
        &format!("topic = \"{misspelt}\"\ntable = \"{keyspace}.orders\"\n[columns]\nk = \"k\"\n"),
    );
    let (code, log, _) = with(&misspelt, &[]);
    assert!(
        code == 78 && log.contains("does not exist") && log.contains(&format!("did you mean {topic}?")),
        "{log}"
    );
    route(&world, "k = \"k\"\nno_such_column = \"n\"\n");
    let (code, log, _) = with(&topic, &[]);
    assert!(code == 1 && log.contains("no_such_column"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_tells_how_far_it_came_and_can_be_run_again() {
    let (world, topic) = scene("replay_interrupted").await;
    let later = |(number, order): (i64, Record)| order.at(*AT + number).on(0);
    publish(&world.brokers, &topic, &(0..).zip(orders(4_000)).map(later).collect::<Vec<_>>()).await;
    let mut command = start(&world, &topic, &[&BEGINNING[..], &["--rate", "100"]].concat(), &[]);
    let deadline = std::time::Instant::now() + SOON;
    while world.count("orders").await < 400 {
        assert!(std::time::Instant::now() < deadline, "too few rows came:\n{}", command.log());
    }
    assert_eq!(command.terminate().unwrap(), 69, "{}", command.log());
    let (_, log, object) = ended(&mut command, SOON);
    assert!(log.contains("it was interrupted; run it again") && log.contains(" not read"), "{log}");
    assert!(world.count("orders").await < 4_000);
    let of_topic = &object["topics"][0];
    let (position, since) =
        (of_topic["positions"]["0"].as_u64().unwrap(), of_topic["since"].as_str().unwrap());
    assert!((1..4_000).contains(&position), "{log}");
    let (code, log, rest) = replay(&world, &topic, &["--since", since]);
    assert_eq!((code, world.count("orders").await), (0, 4_000), "{log}");
    assert_eq!(counts(&rest)[0], 4_001 - position, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_created_again_meanwhile_is_noticed() {
    let (world, topic) = scene("replay_changed").await;
    publish(&world.brokers, &topic, &orders(500)).await;
    let mut command = start(&world, &topic, &BEGINNING, &[("CONSUMER__DURABLE_AFTER", "30s")]);
    wait_for("rows of the replay", SOON, || command.log().contains("all rows are written").then_some(()));
    world.cql(&format!("DROP TABLE {}.orders", world.name)).await;
    create_table(&world).await;
    let (code, log, object) = ended(&mut command, SOON);
    assert!(code == 69 && log.contains("a table has changed; run it again"), "{code}: {log}");
    assert_eq!(object["topics"][0]["positions"], json!({}), "all of it is to be read again: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_still_connects_can_be_interrupted() {
    let (world, topic) = scene("replay_connects").await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let brokers = silent.local_addr().unwrap().to_string();
    let mut command = start(&world, &topic, &BEGINNING, &[("KAFKA__BROKERS", &brokers)]);
    let connected = tokio::task::spawn_blocking(move || silent.accept().unwrap()).await.unwrap();
    let began = std::time::Instant::now();
    assert_eq!(command.terminate().unwrap(), 69, "{}", command.log());
    assert!(began.elapsed() < Duration::from_secs(5) && command.log().contains("it was interrupted"));
    drop(connected);
}

// Rights are told by the server that has some.
async fn a_right_that_is_missing_is_named(world: &World, topic: &str) {
    let name = &world.name;
    world.cql(&format!("CREATE ROLE {name} WITH PASSWORD = 'secret' AND LOGIN = true")).await;
    let role = [("CASSANDRA__USERNAME", name.as_str()), ("CASSANDRA__PASSWORD", "secret")];
    for table in ["tributary.durability_probe".to_owned(), format!("{name}.orders")] {
        let missing = format!("no MODIFY permission on <table {table}>");
        let deadline = std::time::Instant::now() + SOON;
        loop {
            let (code, log, _) = ended(&mut start(world, topic, &BEGINNING, &role), SOON);
            assert!(code == 78 && log.contains("grant that first"), "{code}: {log}");
            if log.contains(&missing) {
                break;
            }
            // The right that was granted last is known after some seconds.
            assert!(std::time::Instant::now() < deadline, "{log}");
        }
        world.cql(&format!("GRANT MODIFY ON TABLE {table} TO {name}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_and_a_missing_right_are_told() {
    let start_both = || pair(Options::default(), Options::default().authentication(true)).unwrap();
    let (kafka, mut cassandra) = tokio::task::spawn_blocking(start_both).await.unwrap();
    let world = World::on(&kafka, &cassandra, "replay_durable").await;
    let topic = set_up(&world).await;
    publish(&world.brokers, &topic, &orders(500)).await;
    let patient = [("CONSUMER__DURABLE_AFTER", "16s")];
    let mut command = start(&world, &topic, &BEGINNING, &patient);
    wait_for("rows of the replay", SOON, || command.log().contains("all rows are written").then_some(()));
    cassandra.kill();
    let mut cassandra = tokio::task::spawn_blocking(move || {
        cassandra.restart().unwrap();
        cassandra
    })
    .await
    .unwrap();
    let (code, log, _) = ended(&mut command, SOON);
    assert!(
        code == 69 && log.contains("may have forgotten") && log.contains("run it again"),
        "{code}: {log}"
    );
    world.answers().await;
    let (code, log, _) = ended(&mut start(&world, &topic, &BEGINNING, &patient), SOON);
    assert_eq!((code, world.count("orders").await), (0, 500), "{log}");
    a_right_that_is_missing_is_named(&world, &topic).await;
    cassandra.stop();
}
