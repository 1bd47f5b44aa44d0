//! TLS, users and rights: who is let in, who is not and is told why, and what happens when rights are taken away.

mod attempts;
mod doctor;
mod operator;
mod scene;
mod secrets;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use end_to_end::{
    Load, Record, World, all_committed, converges, dead_letters, healthy, publish, publish_more, red, user,
};
use testbed::{Operation, Resource, Service, wait_for};
use uuid::Uuid;

use scene::{GUEST, Scene, WRONG, scene};

/// How long a refusal may take from the start of a process to its end.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(60);
const PRODUCERS: [&str; 5] = ["weather", "faker", "wikipedia", "companies", "random-user"];

// A world with a topic, a table, and a user and a role that may do what the consumer has to.
async fn ready(scene: &Scene, test: &str) -> (World, String) {
    let world = World::on(&scene.kafka, &scene.cassandra, test).await;
    let topic = world.create_topic("users_created", 1);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    for (operation, resource) in rights(&world, &topic, &format!("{topic}.dlq")) {
        scene.kafka.allow("consumer", operation, resource).unwrap();
    }
    world
        .cql(&format!("CREATE ROLE {} WITH PASSWORD = '{}' AND LOGIN = true", world.name, scene.password))
        .await;
    for table in [format!("{}.created_users", world.name), "tributary.durability_probe".to_owned()] {
        world.cql(&format!("GRANT MODIFY ON TABLE {table} TO {}", world.name)).await;
    }
    (world, topic)
}

fn rights<'a>(world: &'a World, topic: &'a str, letters: &'a str) -> [(Operation, Resource<'a>); 3] {
    [
        (Operation::Read, Resource::Topic(topic)),
        (Operation::Read, Resource::Group(&world.name)),
        (Operation::Write, Resource::Topic(letters)),
    ]
}

// Settings that are wrong, and what the last line of the log then says.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

// Starts a binary as this user of Kafka and this world's role of Cassandra, with some settings changed.
fn start(scene: &Scene, world: &World, binary: &str, user: &str, changes: &[(&str, &str)]) -> Service {
    let mut settings = scene.settings(user, &world.name);
    settings.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.spawn(binary, &settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_the_right_secrets_stores_and_commits() {
    let scene = scene();
    let (world, topic) = ready(scene, "secure_right").await;
    let consumer = start(scene, &world, "consumer", "consumer", &[("CONSUMER__DURABLE_AFTER", "2s")]);
    healthy(&consumer);
    let load = Load::start(&world.brokers, &topic, 1_000);
    publish_more(&load, 2_000);
    let expected = load.stop();
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    converges(&world, &expected, &consumer).await;
    assert!(dead_letters(&world.brokers, &topic).is_empty(), "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_csv_sink_needs_no_rights_on_any_group() {
    let scene = scene();
    let world = World::on(&scene.kafka, &scene.cassandra, "secure_csv").await;
    let topic = world.create_topic("users_created", 1);
    world.route("random-user");
    scene.kafka.allow("consumer-csv", Operation::Read, Resource::Topic(&topic)).unwrap();
    let mut sink = start(scene, &world, "consumer", "consumer-csv", &[("CONSUMER__SINK", "csv")]);
    healthy(&sink);
    publish(&world.brokers, &topic, &[Record::of(user(Uuid::from_u128(1), "Ines", "Moreau"))]).await;
    let file = world.folder.path().join(format!("csv/{}.created_users@{topic}-0.csv", world.name));
    wait_for("a row in the file", SOON, || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains("Moreau")).then_some(())
    });
    healthy(&sink);
    assert_eq!(sink.terminate().unwrap(), 0, "{}", sink.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_authority_name_or_password_ends_the_consumer_within_30_s_and_is_named() {
    let scene = scene();
    let (world, _) = ready(scene, "secure_wrong").await;
    let other = scene.other_authority();
    let by_address = scene.kafka.secure_brokers().replace("localhost", "127.0.0.1");
    let cases: [Case<'_>; 6] = [
        (&[("KAFKA__CA", &other)], &["certificate", "kafka.ca"]),
        (&[("KAFKA__BROKERS", &by_address)], &["certificate", "kafka.brokers", &by_address]),
        (
            &[("KAFKA__PASSWORD_FILE", ""), ("KAFKA__PASSWORD", WRONG)],
            &["Authentication failed", "kafka.password"],
        ),
        (&[("CASSANDRA__CA", &other)], &["certificate", "cassandra.ca"]),
        (&[("CASSANDRA__TLS_NAME", "elsewhere")], &["ostname mismatch", "cassandra.tls_name", "elsewhere"]),
        (
            &[("CASSANDRA__PASSWORD_FILE", ""), ("CASSANDRA__PASSWORD", WRONG)],
            &["refuses user", "cassandra.password"],
        ),
    ];
    let started = Instant::now();
    let consumers: Vec<Service> =
        cases.iter().map(|(changes, _)| start(scene, &world, "consumer", "consumer", changes)).collect();
    for ((changes, words), mut consumer) in cases.iter().zip(consumers) {
        let left = REFUSED_WITHIN.saturating_sub(started.elapsed());
        let code = consumer.wait(left);
        let log = consumer.log();
        assert!(code.is_some_and(|code| code != 0), "{changes:?}: {code:?}\n{log}");
        let last = log.lines().last().unwrap_or_default();
        assert!(words.iter().all(|word| last.contains(word)), "{changes:?}: no {words:?} in\n{log}");
    }
    println!("all six ended within {:.1} s", started.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_ends_on_a_wrong_password() {
    let scene = scene();
    let (world, _) = ready(scene, "secure_all").await;
    let wrong = [("KAFKA__PASSWORD_FILE", ""), ("KAFKA__PASSWORD", WRONG)];
    let started = Instant::now();
    let mut services = BTreeMap::new();
    for name in PRODUCERS {
        let changes = [&wrong[..], &[("PRODUCER__UPSTREAMS", "simulated")]].concat();
        services.insert(name, start(scene, &world, name, name, &changes));
    }
    let csv = [&wrong[..], &[("CONSUMER__SINK", "csv")]].concat();
    services.insert("csv", start(scene, &world, "consumer", "consumer-csv", &csv));
    for (name, mut service) in services {
        let code = service.wait(REFUSED_WITHIN.saturating_sub(started.elapsed()));
        let log = service.log();
        assert!(code.is_some_and(|code| code != 0), "{name}: {code:?}\n{log}");
        assert!(log.contains("kafka.password") && !log.contains(WRONG), "{name}:\n{log}");
    }
    println!("all six ended within {:.1} s", started.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_tls_gets_nowhere_and_is_told_which_setting_to_look_at() {
    let scene = scene();
    let (world, topic) = ready(scene, "secure_plain").await;
    publish(&world.brokers, &topic, &[Record::of(user(Uuid::from_u128(1), "Ines", "Moreau"))]).await;
    let secure = scene.kafka.secure_brokers();
    let consumer = world.spawn("consumer", &[("KAFKA__BROKERS", &secure)]);
    red(&consumer, &["kafka.security_protocol"], REFUSED_WITHIN);
    assert!(world.users().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_towards_a_plain_port_gets_nowhere_and_is_told_which_setting_to_look_at() {
    let scene = scene();
    let (world, _) = ready(scene, "secure_tls_to_plain").await;
    let changes = [("KAFKA__BROKERS", world.brokers.as_str())];
    let consumer = start(scene, &world, "consumer", "consumer", &changes);
    red(&consumer, &["kafka.security_protocol"], REFUSED_WITHIN);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_taken_away_pause_the_consumer_and_given_back_lose_nothing() {
    let scene = scene();
    let (world, topic) = ready(scene, "secure_revoked").await;
    let consumer = start(scene, &world, "consumer", "consumer", &[("CONSUMER__DURABLE_AFTER", "2s")]);
    healthy(&consumer);
    let mut next = 0_u128;
    let mut publish_ten = async || {
        let from = next;
        next += 10;
        let people = (from..next).map(|id| Record::of(user(Uuid::from_u128(id), "Ines", "Moreau")));
        publish(&world.brokers, &topic, &people.collect::<Vec<_>>()).await;
        next
    };
    let stored = async |count: u128| {
        let deadline = Instant::now() + SOON;
        while world.users().await.len() as u128 != count {
            assert!(Instant::now() < deadline, "not {count} rows:\n{}", consumer.log());
        }
    };
    let all = publish_ten().await;
    stored(all).await;

    let read = (Operation::Read, Resource::Topic(topic.as_str()));
    scene.kafka.disallow("consumer", read.0, read.1).unwrap();
    publish_ten().await;
    red(&consumer, &["access", "read the topics"], SOON);
    scene.kafka.allow("consumer", read.0, read.1).unwrap();
    let all = publish_ten().await;
    stored(all).await;
    healthy(&consumer);

    let grant = format!("MODIFY ON TABLE {}.created_users", world.name);
    world.cql(&format!("REVOKE {grant} FROM {}", world.name)).await;
    let published = publish_ten().await;
    red(&consumer, &["cassandra", "MODIFY"], SOON);
    assert!(world.users().await.len() as u128 <= published);
    world.cql(&format!("GRANT {grant} TO {}", world.name)).await;
    let all = publish_ten().await;
    stored(all).await;
    healthy(&consumer);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    assert!(dead_letters(&world.brokers, &topic).is_empty(), "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_whose_right_is_taken_away_keeps_its_records_and_sends_them_later() {
    let scene = scene();
    let world = World::on(&scene.kafka, &scene.cassandra, "secure_producer").await;
    scene.topics();
    let topic = Resource::Topic("faker");
    scene.kafka.allow(GUEST, Operation::Write, topic).unwrap();
    // As in secure/acls.conf: who may write nothing at all is else no producer any more, which ends the client.
    scene.kafka.allow(GUEST, Operation::IdempotentWrite, Resource::Cluster).unwrap();
    let mut producer = start(scene, &world, "faker", GUEST, &[("FAKER__RATE", "50")]);
    healthy(&producer);
    scene.kafka.disallow(GUEST, Operation::Write, topic).unwrap();
    red(&producer, &["authoriz"], SOON);
    scene.kafka.allow(GUEST, Operation::Write, topic).unwrap();
    healthy(&producer);
    assert_eq!(producer.terminate().unwrap(), 0, "{}", producer.log());
    let log = producer.log();
    assert!(log.contains("all records acknowledged"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_a_log_however_much_is_logged() {
    let scene = scene();
    let (world, topic) = ready(scene, "secure_silent").await;
    let everything = ("RUST_LOG".to_owned(), "trace".to_owned());
    let mut environment: BTreeMap<String, String> = world.environment();
    let settings = scene.settings("consumer", &world.name);
    environment.extend(settings.into_iter().map(|(key, value)| (format!("TRIBUTARY__{key}"), value)));
    environment.extend([everything]);
    let pairs: Vec<(&str, &str)> =
        environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let log = world.folder.path().join("consumer.trace.log");
    let consumer = Service::spawn("consumer", &pairs, log).unwrap();
    healthy(&consumer);
    publish(&world.brokers, &topic, &[Record::of(user(Uuid::from_u128(1), "Ines", "Moreau"))]).await;
    wait_for("a line on librdkafka", SOON, || consumer.log().contains("librdkafka").then_some(()));
    let log = consumer.log();
    let leak = log.lines().find(|line| line.contains(&scene.password));
    assert_eq!(leak, None);
}
