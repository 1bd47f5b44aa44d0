//! What an operator gets wrong, or another system does not have ready: each says what, where and what to do, and
//! nothing is skipped.

use std::time::Duration;

use end_to_end::{
    Load, Record, World, all_committed, committed, dead_letters, ends, healthy, metric, publish,
    publish_more, red, user,
};
use testbed::{Cassandra, Kafka, Options, Service, shared, wait_for};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
const AT_ONCE: &[(&str, &str)] = &[("CONSUMER__DURABLE_AFTER", "0s")];

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 1);
    world.route("random-user");
    (world, topic)
}

async fn create_table(world: &World) {
    world.script("cassandra/tables/created_users.cql").await;
}

fn someone(number: u128) -> Record {
    Record::of(user(Uuid::from_u128(number), "Ines", "Moreau"))
}

async fn rows_arrive(world: &World, numbers: std::ops::Range<u128>, consumer: &Service) {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let rows = world.users().await;
        if numbers.clone().all(|number| rows.contains_key(&Uuid::from_u128(number))) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{} rows:\n{}", rows.len(), consumer.log());
    }
}

fn no_dead_letter(world: &World, topic: &str, consumer: &Service) {
    assert!(dead_letters(&world.brokers, topic).is_empty(), "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_cassandra_password_ends_the_consumer_and_names_user_address_and_setting() {
    let (world, _) = scene("wrong_password").await;
    create_table(&world).await;
    let secret = "not-the-password-7391";
    let mut consumer = world.spawn("consumer", &[("CASSANDRA__PASSWORD", secret)]);
    let code = consumer.wait(Duration::from_secs(30));
    let log = consumer.log();
    assert!(code.is_some_and(|code| code != 0), "ended with {code:?}:\n{log}");
    for word in ["\"cassandra\"", &world.contact_point, "cassandra.password", "password_file"] {
        assert!(log.contains(word), "{word} is not in:\n{log}");
    }
    assert!(!log.contains(secret), "the password is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_table_is_named_and_its_rows_arrive_once_it_is_created() {
    let (world, topic) = scene("missing_table").await;
    publish(&world.brokers, &topic, &[someone(0), someone(1)]).await;
    let consumer = world.spawn("consumer", AT_ONCE);
    red(&consumer, &[&format!("{}.created_users", world.name), "CREATE TABLE"], SOON);
    publish(&world.brokers, &topic, &[someone(2)]).await;
    create_table(&world).await;
    healthy(&consumer);
    rows_arrive(&world, 0..3, &consumer).await;
    no_dead_letter(&world, &topic, &consumer);
}

#[tokio::test(flavor = "multi_thread")]
async fn table_that_is_dropped_and_created_again_under_load_costs_no_dead_letter() {
    let (world, topic) = scene("dropped_table").await;
    create_table(&world).await;
    let mut consumer = world.consumer(AT_ONCE);
    let load = Load::start(&world.brokers, &topic, 1_000);
    publish_more(&load, 2_000);
    world.cql(&format!("DROP TABLE {}.created_users", world.name)).await;
    red(&consumer, &[&format!("{}.created_users", world.name)], SOON);
    publish_more(&load, 2_000);
    let unread = committed(&world.brokers, &world.name, &topic)[&0];
    create_table(&world).await;
    healthy(&consumer);
    publish(&world.brokers, &topic, &[someone(1), someone(2)]).await;
    load.stop();
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    rows_arrive(&world, 1..3, &consumer).await;
    // All that was not committed when the table came back is in it. What is newer and was committed went with the old table.
    let rows = world.users().await;
    for message in end_to_end::messages(&world.brokers, &topic).iter().filter(|found| found.offset >= unread)
    {
        let value: serde_json::Value = serde_json::from_slice(&message.value).unwrap();
        let id: Uuid = value["id"].as_str().unwrap().parse().unwrap();
        let row = rows.get(&id);
        let row = row.unwrap_or_else(|| panic!("offset {} is missing:\n{}", message.offset, consumer.log()));
        let writetime = message.timestamp_ms * 1000 + message.offset % 1000;
        assert!(row.writetime >= writetime, "offset {}: {id} is stale: {row:?}", message.offset);
    }
    no_dead_letter(&world, &topic, &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_column_ends_the_consumer_with_its_place_and_the_nearest_name() {
    let (world, topic) = scene("unknown_column").await;
    create_table(&world).await;
    let text = format!(
        "topic = \"{topic}\"\ntable = \"{}.created_users\"\n[columns]\nid = \"id\"\n  first_nam = \"first_name\"\n",
        world.name
    );
    world.write_route("random-user", &text);
    let mut consumer = world.spawn("consumer", &[]);
    let code = consumer.wait(SOON);
    let log = consumer.log();
    assert_eq!(code, Some(1), "{log}");
    let place = format!("{}:5:3: ", world.routes().join("random-user.toml").display());
    let line =
        log.lines().find(|line| line.contains(&place)).unwrap_or_else(|| panic!("no {place} in:\n{log}"));
    assert!(line.contains("first_nam") && line.contains("did you mean first_name?"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_broker_is_named_by_the_health() {
    let (world, _) = scene("unknown_broker").await;
    create_table(&world).await;
    let consumer = world.spawn("consumer", &[("KAFKA__BROKERS", "127.0.0.1:1")]);
    red(&consumer, &["127.0.0.1:1", "\"kafka\""], SOON);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topic_is_named_and_read_once_it_is_created() {
    let world = World::shared("missing_topic").await;
    world.route("random-user");
    create_table(&world).await;
    let consumer = world.spawn("consumer", AT_ONCE);
    red(&consumer, &[&world.topic("users_created"), "create"], SOON);
    let topic = world.create_topic("users_created", 6);
    publish(&world.brokers, &topic, &[someone(0), someone(1)]).await;
    healthy(&consumer);
    rows_arrive(&world, 0..2, &consumer).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    no_dead_letter(&world, &topic, &consumer);
}

#[tokio::test(flavor = "multi_thread")]
async fn cassandra_that_is_down_at_the_start_is_named_and_awaited() {
    let mut cassandra = tokio::task::spawn_blocking(|| {
        Cassandra::start(Options::default().heap_mb(512).authentication(true)).unwrap()
    })
    .await
    .unwrap();
    let kafka = tokio::task::spawn_blocking(|| &shared().kafka).await.unwrap();
    let world = World::on(kafka, &cassandra, "down_at_start").await;
    let topic = world.create_topic("users_created", 6);
    world.route("random-user");
    create_table(&world).await;
    publish(&world.brokers, &topic, &[someone(0), someone(1)]).await;
    cassandra.stop();
    let consumer = world.spawn("consumer", AT_ONCE);
    red(&consumer, &[&world.contact_point, "does not answer"], SOON);
    cassandra.restart().unwrap();
    world.answers().await;
    healthy(&consumer);
    rows_arrive(&world, 0..2, &consumer).await;
    no_dead_letter(&world, &topic, &consumer);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topic_of_dead_letters_is_named_and_nothing_is_skipped() {
    let world = World::shared("missing_dlq").await;
    let (topic, broker) = (world.topic("users_created"), Kafka::elsewhere(&world.brokers));
    broker.create_topic(&topic, 1, &[]).unwrap();
    world.route("random-user");
    create_table(&world).await;
    let bad = Record::of("no json");
    publish(&world.brokers, &topic, &[someone(0), bad, someone(1)]).await;
    let consumer = world.spawn("consumer", AT_ONCE);
    let letters = format!("{topic}.dlq");
    red(&consumer, &[&letters, "create it"], Duration::from_secs(90));
    rows_arrive(&world, 0..2, &consumer).await;
    assert!(committed(&world.brokers, &world.name, &topic)[&0] <= 1, "the bad message was skipped");
    broker.create_topic(&letters, 1, &[("max.message.bytes", "2097152")]).unwrap();
    wait_for("the dead letter", SOON, || (ends(&world.brokers, &letters)[&0] == 1).then_some(()));
    healthy(&consumer);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    assert_eq!(dead_letters(&world.brokers, &topic).len(), 1);
    assert_eq!(metric(&consumer, "tributary_messages_total", &[r#"outcome="dead_lettered""#]), 1.0);
}
