//! Each user tries everything on test servers with the rights of the repository's files. The tables are printed: run with
//! `--nocapture`. The same is tried on the containers of docker-compose.secure.yml, by the compose tier.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use end_to_end::{Record, TOPICS, admin, publish, roles_try_everything, users_try_everything};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use serde_json::json;
use testbed::{Operation, Resource};

use super::scene::{Scene, lines, root, scene};

const PATIENCE: Duration = Duration::from_secs(10);

// Grants what the file says, as the one-shot of the containers does.
fn grant(scene: &Scene) {
    for words in lines("secure/acls.conf") {
        let [users, operations, kind, names] = &words[..] else { panic!("{words:?}") };
        for (operation, name) in
            operations.split(',').flat_map(|op| names.split(',').map(move |name| (op, name)))
        {
            let operation = match operation {
                "Read" => Operation::Read,
                "Write" => Operation::Write,
                "Describe" => Operation::Describe,
                "DescribeConfigs" => Operation::DescribeConfigs,
                "IdempotentWrite" => Operation::IdempotentWrite,
                other => panic!("{other}"),
            };
            let resource = match kind.as_str() {
                "topic" => Resource::Topic(name),
                "group" => Resource::Group(name),
                "cluster" => Resource::Cluster,
                other => panic!("{other}"),
            };
            for user in users.split(',') {
                scene.kafka.allow(user, operation, resource).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_kafka_may_do_its_work_and_nothing_else() {
    let scene = scene();
    scene.topics();
    grant(scene);
    for topic in TOPICS {
        publish(&scene.kafka.brokers(), topic, &[Record::of("{}")]).await;
    }
    let settings = |name: &str| {
        let settings = json!({
            "brokers": scene.kafka.secure_brokers(), "security_protocol": "sasl_ssl", "ca": scene.authority(),
            "username": name, "password": scene.password,
        });
        serde_json::from_value(settings).unwrap()
    };
    users_try_everything(settings).await;
    // Nobody was let in to make it, and what was to be deleted is there.
    let topics = admin(&scene.kafka.brokers()).inner().fetch_metadata(None, PATIENCE).unwrap();
    let names: BTreeSet<&str> = topics.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
    assert!(!names.contains("made-up") && names.contains("weather.dlq"), "{names:?}");
}

// Keyspaces, tables and roles, as cassandra/apply.sh applies them.
async fn apply(session: &Session, password: &str) {
    let tables = fs::read_dir(root().join("cassandra/tables")).unwrap();
    let mut files = vec![root().join("cassandra/keyspaces.cql")];
    files.extend(tables.map(|entry| entry.unwrap().path()));
    files.extend(["cassandra/roles.cql", "secure/roles.cql"].map(|file| root().join(file)));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let text: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let mut text = text.join("\n");
        for role in ["CONSUMER", "READER", "OPERATOR"] {
            text = text.replace(&format!("@{role}_PASSWORD@"), password);
        }
        for statement in
            text.split(";\n").map(|cql| cql.trim().trim_end_matches(';')).filter(|cql| !cql.is_empty())
        {
            let done = session.query_unpaged(statement, ()).await;
            done.unwrap_or_else(|error| panic!("{}: {statement}: {error}", file.display()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_of_cassandra_may_do_its_work_and_nothing_else() {
    let scene = scene();
    let point = scene.cassandra.contact_point();
    let (name, password) = scene.cassandra.superuser().unwrap();
    let superuser = SessionBuilder::new().known_node(&point).user(name, password).build().await.unwrap();
    apply(&superuser, &scene.password).await;
    let session = async |role: &str| {
        SessionBuilder::new().known_node(&point).user(role, &scene.password).build().await.unwrap()
    };
    roles_try_everything(session).await;
}
