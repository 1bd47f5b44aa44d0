//! `tributary doctor`: faults are planted, and each is named, with what mends it.

use std::time::{Duration, Instant};

use chrono::Utc;
use end_to_end::{Record, World, publish, user};
use serde_json::{Value, json};
use testbed::{Kafka, Options};
use uuid::Uuid;

/// What the help promises, and a little for the start of the process.
const WITHIN: Duration = Duration::from_secs(17);

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 2);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    (world, topic)
}

// Exit code, what a person reads, and the findings.
fn doctor(world: &World, more: &[(&str, &str)]) -> (i32, String, Vec<Value>) {
    let started = Instant::now();
    let mut doctor = world.run("tributary", &["doctor", "--json"], more);
    let code = doctor.wait(WITHIN).unwrap_or_else(|| panic!("still running:\n{}", doctor.log()));
    let text = doctor.log();
    assert!(started.elapsed() < WITHIN, "{:?}:\n{text}", started.elapsed());
    let object: Value =
        text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    assert_eq!((&object["exit_code"], &object["ok"]), (&json!(code), &json!(code == 0)), "{text}");
    (code, text, object["findings"].as_array().cloned().unwrap_or_default())
}

// The finding whose text has all these words: its state, and what mends it.
fn found(findings: &[Value], words: &[&str]) -> (String, String) {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let has = |finding: &&Value| {
        let said = format!("{}: {}", text(finding, "what"), text(finding, "says"));
        words.iter().all(|word| said.contains(word))
    };
    let finding = findings.iter().find(has).unwrap_or_else(|| panic!("nothing has {words:?}: {findings:#?}"));
    (text(finding, "state"), text(finding, "remedy"))
}

fn wrong(findings: &[Value], words: &[&str], remedy: &str) {
    let (state, told) = found(findings, words);
    assert!(state == "wrong" && told.contains(remedy), "{words:?}: {state}, {told}");
}

fn warned(findings: &[Value], words: &[&str], remedy: &str) {
    let (state, told) = found(findings, words);
    assert!(state == "warning" && told.contains(remedy), "{words:?}: {state}, {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_where_everything_fits() {
    let (world, topic) = scene("doctor_fits").await;
    let now = Record::of(user(Uuid::from_u128(1), "Ines", "Moreau"));
    publish(&world.brokers, &topic, &[now]).await;
    let (code, text, findings) = doctor(&world, &[]);
    assert_eq!(code, 0, "{text}");
    for ok in [
        &["settings"][..],
        &["kafka", &world.brokers, "answers"],
        &["kafka client", "is let in"],
        &["kafka's version", "2.8 or newer"],
        &["kafka's advertised address"],
        &["cassandra session", "is let in"],
        &["cassandra's version"],
        &["cassandra's clock"],
        &["cassandra's commit log"],
        &["routes", "1 route"],
        &["kafka's newest messages"],
    ] {
        assert_eq!(found(&findings, ok).0, "ok", "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_wrong_in_its_own_way_and_the_rest_is_looked_at() {
    let (world, _) = scene("doctor_addresses").await;
    let (code, text, findings) = doctor(&world, &[("KAFKA__BROKERS", "broker.invalid:9092")]);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &["kafka broker.invalid:9092", "does not resolve"], "kafka.brokers");
    assert_eq!(found(&findings, &["cassandra session", "is let in"]).0, "ok");

    let away = [("KAFKA__BROKERS", "127.0.0.1:1"), ("CASSANDRA__CONTACT_POINTS", "cassandra.invalid:9042")];
    let (code, _, findings) = doctor(&world, &away);
    assert_eq!(code, 1);
    wrong(&findings, &["kafka 127.0.0.1:1", "nobody listens"], "docker compose up -d kafka");
    wrong(&findings, &["cassandra cassandra.invalid:9042", "does not resolve"], "cassandra.contact_points");

    // Each is sought where the other is.
    let swapped = [
        ("KAFKA__BROKERS", world.contact_point.as_str()),
        ("CASSANDRA__CONTACT_POINTS", world.brokers.as_str()),
    ];
    let (code, text, findings) = doctor(&world, &swapped);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &["kafka", &world.contact_point], "kafka.brokers");
    assert_eq!(found(&findings, &["cassandra", &world.brokers]).0, "wrong", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advertised_address_that_is_known_elsewhere_only_is_told_with_both() {
    let kafka = Kafka::start(Options::default().advertised_name("kafka.invalid")).unwrap();
    let shared = tokio::task::spawn_blocking(testbed::shared).await.unwrap();
    let world = World::on(&kafka, &shared.cassandra, "doctor_advertised").await;
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let (code, text, findings) = doctor(&world, &[]);
    assert_eq!(code, 1, "{text}");
    wrong(
        &findings,
        &["advertised address kafka.invalid", &world.brokers, "does not resolve"],
        "advertised.listeners",
    );
    assert_eq!(found(&findings, &["kafka client", "advertised"]).0, "not_checked", "{text}");
    assert_eq!(found(&findings, &["topics of the routes", "advertised"]).0, "not_checked", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_of_cassandra_is_told_without_the_password() {
    let (world, _) = scene("doctor_refused").await;
    let (code, text, findings) = doctor(&world, &[("CASSANDRA__PASSWORD", "not-the-password-7391")]);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &["cassandra session", "refuses user"], "cassandra.password");
    assert!(!text.contains("7391"), "{text}");
    assert_eq!(found(&findings, &["tables of the routes"]).0, "not_checked", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_tables_that_do_not_fit_are_named() {
    let world = World::shared("doctor_routes").await;
    let kafka = Kafka::elsewhere(&world.brokers);
    let topic = world.topic("odd");
    kafka.create_topic(&topic, 1, &[]).unwrap();
    let small = [("cleanup.policy", "delete"), ("max.message.bytes", "100000")];
    kafka.create_topic(&format!("{topic}.dlq"), 1, &small).unwrap();
    let keyspace = &world.name;
    world.cql(&format!("CREATE TABLE {keyspace}.orders (order_id uuid PRIMARY KEY, total int)")).await;
    let route = |name: &str, topic: &str, table: &str, columns: &str| {
        let head = format!("topic = \"{topic}\"\ntable = \"{keyspace}.{table}\"\n[columns]\n");
        world.write_route(name, &format!("{head}{columns}"));
    };
    route("a", &topic, "orders", "order_id = \"id\"\n");
    route("b", &world.topic("absent"), "orders", "order_id = \"id\"\nttal = \"t\"\n");
    route("c", &topic, "order", "order_id = \"id\"\n");
    let (code, text, findings) = doctor(&world, &[]);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &["b.toml:1", "absent does not exist"], "create it");
    wrong(&findings, &["b.toml:1", "absent.dlq does not exist"], "create it");
    warned(&findings, &["odd.dlq is not compacted"], "set cleanup.policy=compact");
    warned(&findings, &["odd.dlq has max.message.bytes=100000"], "raise it");
    wrong(&findings, &["c.toml:2", ".order does not exist"], "");
    wrong(&findings, &["b.toml:5", "no column ttal"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_the_future_and_a_short_durability_are_told() {
    let world = World::shared("doctor_times").await;
    let topic = world.topic("users_created");
    // As shipped, Kafka refuses such messages since 4.0.
    let any_time = [("message.timestamp.after.max.ms", "9223372036854775807")];
    Kafka::elsewhere(&world.brokers).create_topic(&topic, 2, &any_time).unwrap();
    Kafka::elsewhere(&world.brokers).create_topic(&format!("{topic}.dlq"), 1, &[]).unwrap();
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let ahead = Record::of(user(Uuid::from_u128(1), "Ines", "Moreau"));
    let ahead = ahead.on(1).at(Utc::now().timestamp_millis() + 2 * 3_600_000);
    publish(&world.brokers, &topic, &[ahead]).await;
    let (code, text, findings) = doctor(&world, &[("CONSUMER__DURABLE_AFTER", "1s")]);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &[&format!("{topic}:1:0"), "more than an hour ahead"], "NTP");
    warned(&findings, &["commit log", "consumer.durable_after is 1s"], "set it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_section_that_is_wrong_keeps_no_other_from_being_used() {
    let (world, _) = scene("doctor_settings").await;
    let unreadable = [("KAFKA__PASSWORD_FILE", "/none/here"), ("CONSUMER__BATCH_ROWS", "0")];
    let (code, text, findings) = doctor(&world, &unreadable);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &["settings [kafka]", "/none/here"], "TRIBUTARY__KAFKA__PASSWORD_FILE");
    wrong(&findings, &["settings [consumer]", "consumer.batch_rows"], "tributary.toml");
    assert_eq!(found(&findings, &["kafka", "its settings cannot be used"]).0, "not_checked", "{text}");
    assert_eq!(found(&findings, &["cassandra session", "is let in"]).0, "ok", "{text}");

    let others = [("PRODUCER__UPSTREAMS", "live"), ("CASSANDRA__USR", "a"), ("WETHER__KEY", "b")];
    let (code, text, findings) = doctor(&world, &others);
    assert_eq!(code, 1, "{text}");
    wrong(&findings, &["settings of weather", "weather needs a key"], "openweathermap.org");
    wrong(&findings, &["settings [cassandra]", "usr"], "tributary.toml");
    wrong(&findings, &["settings: [wether]", "no section has this name"], "");
    assert_eq!(found(&findings, &["kafka client", "is let in"]).0, "ok", "{text}");
}
