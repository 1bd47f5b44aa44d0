//! What an operator reads: a healthy service has nothing to warn of, an outage is told in words, and all of it as JSON.

use std::time::Duration;

use end_to_end::{Load, World, all_committed, publish_more};
use serde_json::Value;
use testbed::{Service, wait_for};

const SERVICES: [&str; 8] =
    ["weather", "faker", "wikipedia", "companies", "random-user", "consumer", "dashboard", "simulators"];
const SOON: Duration = Duration::from_secs(60);
const JSON: (&str, &str) = ("LOG_FORMAT", "json");
/// Nobody listens there.
const NO_KAFKA: (&str, &str) = ("TRIBUTARY__KAFKA__BROKERS", "127.0.0.1:1");

fn spawn(name: &str, environment: &[(&str, &str)], folder: &tempfile::TempDir) -> Service {
    Service::spawn_with(name, &[], environment, folder.path().join(format!("{name}.log"))).unwrap()
}

// Each line, once it is whole.
fn lines(log: &str) -> Vec<Value> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?} of\n{log}"));
    whole.lines().map(line).collect()
}

fn said(line: &Value, message: &str) -> bool {
    line["message"].as_str().is_some_and(|said| said.contains(message))
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_load_leaves_no_warning_in_the_log() {
    let world = World::shared("quiet_log").await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let mut consumer = world.consumer(&[]);
    let load = Load::start(&world.brokers, &topic, 2_000);
    publish_more(&load, 5_000);
    load.stop();
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0);
    let log = consumer.log();
    let loud: Vec<&str> =
        log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).collect();
    let first: Vec<&&str> = loud.iter().take(3).collect();
    assert!(loud.is_empty(), "{} lines, such as {first:#?}", loud.len());
}

#[test]
fn every_service_that_does_not_start_says_so_as_json_and_ends_with_78() {
    let folder = tempfile::tempdir().unwrap();
    for name in SERVICES {
        let bind = if name == "simulators" { "TRIBUTARY__SIMULATOR__BIND" } else { "TRIBUTARY__HTTP__BIND" };
        let mut service = spawn(name, &[JSON, (bind, "n\u{202e}o\u{9b}where")], &folder);
        assert_eq!(service.wait(SOON), Some(78), "{name}: {}", service.log());
        let log = service.log();
        let told = lines(&log);
        let last = told.last().unwrap_or_else(|| panic!("{name} says nothing"));
        assert_eq!(last["level"], "ERROR", "{name}: {log}");
        for line in &told {
            let has = |field: &str| line[field].is_string();
            assert!(["timestamp", "level", "target", "message"].into_iter().all(has), "{name}: {line}");
        }
        assert!(!log.contains(['\u{202e}', '\u{9b}']), "{name}: {log:?}");
    }
}

#[test]
fn wrong_values_of_the_logs_own_variables_are_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [("LOG_FORMAT", "jsn"), ("RUST_LOG", "consumer=loud"), NO_KAFKA];
    let faker = spawn("faker", &wrong, &folder);
    for word in ["LOG_FORMAT is not understood", "RUST_LOG is not understood", "jsn"] {
        wait_for(word, SOON, || faker.log().contains(word).then_some(()));
    }
}

#[test]
fn an_outage_is_told_once_and_then_every_ten_seconds_and_libraries_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let away = [JSON, NO_KAFKA, ("TRIBUTARY__CASSANDRA__CONTACT_POINTS", "127.0.0.1:1")];
    let routes = format!("{}/../routes", env!("CARGO_MANIFEST_DIR"));
    let consumer = [&away[..], &[("TRIBUTARY__CONSUMER__ROUTES", &routes)]].concat();
    let page = [&away[..], &[("TRIBUTARY__DASHBOARD__BIND", "127.0.0.1:0")]].concat();
    let services = [("faker", &away[..]), ("consumer", &consumer), ("dashboard", &page)];
    let services = services.map(|(name, environment)| (name, spawn(name, environment, &folder)));
    for (name, service) in &services {
        // The dashboard works: what it watches does not.
        let (once, again) = match *name {
            "dashboard" => ("does not work", "watching"),
            _ => ("not working", "still not working"),
        };
        let times = |message: &str| lines(&service.log()).iter().filter(|line| said(line, message)).count();
        wait_for(again, SOON, || (times(again) >= 2).then_some(()));
        let told = lines(&service.log());
        let first: Vec<_> = told.iter().filter(|line| line["message"] == once).collect();
        let parts: Vec<_> = first.iter().map(|line| (&line["part"], &line["service"])).collect();
        assert!((1..=2).contains(&first.len()) && parts.first() != parts.get(1), "{name}: {told:#?}");
        let why = |line: &&Value| line["reason"].as_str().is_some_and(|reason| reason.contains("refused"));
        assert!(first.iter().any(why), "{first:#?}");
        let ours = |line: &Value| {
            let target = line["target"].as_str().unwrap_or_default();
            ["service", "producers", "consumer", "dashboard"].iter().any(|own| target.starts_with(own))
        };
        assert!(told.iter().all(ours), "{name}: {told:#?}");
    }
}
