//! Messages become rows.

use std::time::{Duration, Instant};

use end_to_end::{Load, Record, World, publish, user};
use testbed::wait_for;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn console_producer_message_becomes_a_row() {
    let world = World::shared("console").await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let consumer = world.consumer(&[]);
    let id = Uuid::from_u128(7);
    publish(&world.brokers, &topic, &[Record::of(user(id, "Ines", "Moreau"))]).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let row = loop {
        if let Some(row) = world.users().await.remove(&id) {
            break row;
        }
        assert!(Instant::now() < deadline, "no row within 60 s:\n{}", consumer.log());
    };
    assert_eq!((row.first_name.as_str(), row.last_name.as_str()), ("Ines", "Moreau"));
}

#[tokio::test(flavor = "multi_thread")]
async fn load_becomes_exactly_its_rows() {
    let world = World::shared("load").await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let mut consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    let load = Load::start(&world.brokers, &topic, 2_000);
    wait_for("10,000 users", Duration::from_secs(60), || (load.users() > 10_000).then_some(()));
    let expected = load.stop();
    let group = world.name.clone();
    let ends = end_to_end::ends(&world.brokers, &topic);
    wait_for("all committed", Duration::from_secs(30), || {
        (end_to_end::committed(&world.brokers, &group, &topic) == ends).then_some(())
    });
    assert_eq!(world.users().await, expected);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    let log = consumer.log();
    let warning = log.lines().find(|line| line.contains("consumer.durable_after is"));
    assert!(warning.is_some_and(|line| line.contains("needs 16s")), "{log}");
}
