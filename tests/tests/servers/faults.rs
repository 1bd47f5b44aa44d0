//! A consumer that stands still in an outage, for longer than its session: the kills themselves are in chaos/scenarios.

use end_to_end::{Load, World, converges, publish_more};
use testbed::{Options, pair};

const PER_S: u32 = 2_000;

// Some more users than there are now, so that a fault strikes at a random phase of a flowing stream.
fn flow(load: &Load) {
    publish_more(load, rand::random_range(1_000..6_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_that_stood_still_in_an_outage_goes_on() {
    // Kills need servers of their own.
    let start = || pair(Options::default(), Options::default().authentication(true)).unwrap();
    let (kafka, mut cassandra) = tokio::task::spawn_blocking(start).await.unwrap();
    let world = World::on(&kafka, &cassandra, "stood_still").await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let load = Load::start(&world.brokers, &topic, PER_S);
    let mut consumer = world.consumer(&[
        ("CONSUMER__SESSION_TIMEOUT", "6s"),
        // Soon full, so that the outage pauses the partitions.
        ("CONSUMER__BUFFER_BYTES", "1048576"),
    ]);
    for _ in 0..2 {
        flow(&load);
        cassandra.kill();
        publish_more(&load, 12_000);
        // Longer than the session: the group gives its partitions away.
        consumer.pause();
        publish_more(&load, 20_000);
        consumer.resume();
        cassandra.restart().unwrap();
    }
    flow(&load);
    let expected = load.stop();
    converges(&world, &expected, &consumer).await;
}
