//! `tributary` with the operator's rights: all its commands do their work, and need no more than secure/ grants.

use std::time::Duration;

use end_to_end::{Record, World, all_committed, healthy, publish};
use serde_json::{Value, json};
use testbed::{Operation, Resource};

use super::scene::{Scene, scene};

const SOON: Duration = Duration::from_secs(60);

fn route(world: &World, topic: &str, columns: &str) {
    let table = format!("{}.words", world.name);
    world.write_route("words", &format!("topic = \"{topic}\"\ntable = \"{table}\"\n[columns]\n{columns}"));
}

// As secure/acls.conf and secure/roles.cql have it, on this world's own.
async fn grant(scene: &Scene, world: &World, topic: &str) -> String {
    let letters = format!("{topic}.dlq");
    for (operation, resource) in [
        (Operation::Read, Resource::Topic(topic)),
        (Operation::DescribeConfigs, Resource::Topic(topic)),
        (Operation::Read, Resource::Topic(&letters)),
        (Operation::Write, Resource::Topic(&letters)),
        (Operation::DescribeConfigs, Resource::Topic(&letters)),
        (Operation::Describe, Resource::Group(&world.name)),
    ] {
        scene.kafka.allow("operator", operation, resource).unwrap();
    }
    let role = format!("{}_operator", world.name);
    world.cql(&format!("CREATE ROLE {role} WITH PASSWORD = '{}' AND LOGIN = true", scene.password)).await;
    for right in [
        &format!("SELECT ON KEYSPACE {}", world.name),
        &format!("MODIFY ON KEYSPACE {}", world.name),
        "SELECT ON TABLE tributary.durability_probe",
        "MODIFY ON TABLE tributary.durability_probe",
        "SELECT ON TABLE system_views.settings",
    ] {
        world.cql(&format!("GRANT {right} TO {role}")).await;
    }
    role
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_can_check_audit_explain_replay_and_purge() {
    let scene = scene();
    let world = World::on(&scene.kafka, &scene.cassandra, "secure_operator").await;
    let topic = world.create_topic("words", 1);
    world.cql(&format!("CREATE TABLE {}.words (k text PRIMARY KEY, n int, t text)", world.name)).await;
    route(&world, &topic, "k = \"k\"\nn = \"n\"\n");
    let role = grant(scene, &world, &topic).await;
    let mut settings = scene.settings("operator", &role);
    settings.push(("CONSUMER__DURABLE_AFTER".to_owned(), "0s".to_owned()));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    // Exit code 0, and the object of the last line.
    let done = |arguments: &[&str]| -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let mut command = world.run("tributary", &arguments, &settings);
        let code = command.wait(SOON);
        let text = command.log();
        assert_eq!(code, Some(0), "{arguments:?}:\n{text}");
        text.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
    };

    publish(&world.brokers, &topic, &[Record::of(json!({"k": "right", "n": 1}).to_string())]).await;
    // Settings that are not shown are not taken for good ones.
    let warnings = || done(&["check"])["warnings"].to_string();
    assert!(!warnings().contains("DescribeConfigs"), "{}", warnings());
    let configs = (Operation::DescribeConfigs, Resource::Topic(topic.as_str()));
    scene.kafka.disallow("operator", configs.0, configs.1).unwrap();
    assert!(warnings().contains("DescribeConfigs"), "{}", warnings());
    scene.kafka.allow("operator", configs.0, configs.1).unwrap();

    let words = ["first", "second"].map(|k| Record::of(json!({"k": k, "n": "words"}).to_string()));
    publish(&world.brokers, &topic, &words).await;
    // On the ways that are open to the tests themselves.
    let consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    healthy(&consumer);

    let audited = done(&["audit"]);
    assert_eq!(
        (&audited["ok"], &audited["stored"], &audited["dead_lettered"]),
        (&json!(true), &json!(1), &json!(2))
    );
    done(&["explain", &format!("{topic}:0:0")]);
    assert_eq!(done(&["dead-letters", "list"])["letters"], 2);
    assert_eq!(done(&["dead-letters", "purge", &format!("{topic}:0:1"), "--yes"])["removed"], 1);
    route(&world, &topic, "k = \"k\"\nt = \"n\"\n");
    assert_eq!(done(&["dead-letters", "replay", "--all", "--yes"])["written"], 1);
    assert_eq!(world.count("words").await, 2);
    assert_eq!(done(&["dead-letters", "list"])["letters"], 0);
}
