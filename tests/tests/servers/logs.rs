//! What an operator reads: a healthy service has nothing to warn of.

use std::time::Duration;

use end_to_end::{Load, World, all_committed, publish_more};

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
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0);
    let log = consumer.log();
    let loud: Vec<&str> =
        log.lines().filter(|line| line.contains(" WARN ") || line.contains("ERROR ")).collect();
    let first: Vec<&&str> = loud.iter().take(3).collect();
    assert!(loud.is_empty(), "{} lines, such as {first:#?}", loud.len());
}
