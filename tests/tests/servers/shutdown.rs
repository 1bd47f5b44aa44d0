//! SIGTERM under load: a quick, clean end, offsets that tell the truth, and a successor that goes on.

use std::time::{Duration, Instant};

use end_to_end::{
    Load, World, all_committed, committed, committed_is_stored, converges, metric, publish_more,
};

const STORED: &[&str] = &[r#"outcome="stored""#];

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    (world, topic)
}

async fn sigterm_loses_nothing(test: &str, durable_after: &str) {
    let (world, topic) = scene(test).await;
    let settings = [("CONSUMER__DURABLE_AFTER", durable_after)];
    let load = Load::start(&world.brokers, &topic, 2_000);
    for _ in 0..3 {
        let mut consumer = world.consumer(&settings);
        publish_more(&load, rand::random_range(4_000..8_000));
        committed_is_stored(&world, &topic).await;
        assert!(metric(&consumer, "tributary_messages_total", STORED) > 0.0, "{}", consumer.log());
        let told_at = Instant::now();
        let code = consumer.terminate().unwrap();
        assert_eq!(code, 0, "{}", consumer.log());
        assert!(!consumer.log().contains("leaving it behind"), "it stayed in its group:\n{}", consumer.log());
        assert!(told_at.elapsed() < Duration::from_secs(10), "{:?}:\n{}", told_at.elapsed(), consumer.log());
        committed_is_stored(&world, &topic).await;
    }
    let committed: i64 = committed(&world.brokers, &world.name, &topic).values().sum();
    assert!(committed > 0, "nothing was ever committed: the offsets prove nothing");
    let consumer = world.consumer(&settings);
    let expected = load.stop();
    converges(&world, &expected, &consumer).await;
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &consumer);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_ends_within_ten_seconds_and_the_successor_goes_on() {
    sigterm_loses_nothing("sigterm", "0s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_rows_that_are_not_yet_durable_leaves_them_to_the_successor() {
    sigterm_loses_nothing("sigterm_horizon", "1s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_horizon_everything_is_committed_in_the_end() {
    let (world, topic) = scene("horizon").await;
    let consumer = world.consumer(&[]);
    let load = Load::start(&world.brokers, &topic, 2_000);
    publish_more(&load, 8_000);
    let expected = load.stop();
    converges(&world, &expected, &consumer).await;
    let converged_at = Instant::now();
    let early: i64 = committed(&world.brokers, &world.name, &topic).values().sum();
    let all = i64::try_from(expected.len()).unwrap();
    assert!(early < all, "{early} offsets of {all} users were committed before their rows were durable");
    all_committed(&world, &world.name, &topic, Duration::from_secs(40), &consumer);
    println!("committed {:?} after the last row", converged_at.elapsed());
    committed_is_stored(&world, &topic).await;
}
