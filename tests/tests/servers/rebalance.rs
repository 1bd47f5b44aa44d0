//! Members come and go under load: every row once, every offset committed.

use std::time::Duration;

use end_to_end::{Load, World, all_committed, committed_is_stored, converges, healthy, metric, publish_more};
use testbed::{Service, wait_for};

fn stored(consumer: &Service) -> f64 {
    metric(consumer, "tributary_messages_total", &[r#"outcome="stored""#])
}

// Each member has partitions and stores rows from now on.
fn all_work(consumers: &[&Service], load: &Load) {
    let before: Vec<f64> = consumers.iter().map(|consumer| stored(consumer)).collect();
    wait_for("rows of every member", Duration::from_secs(60), || {
        let work = consumers.iter().zip(&before).all(|(consumer, before)| stored(consumer) > before + 200.0);
        work.then_some(())
    });
    publish_more(load, 3_000);
}

// Members that have much to catch up with when the group changes, so that rows are in flight then.
fn fall_behind(members: &mut [&mut Service], load: &Load) {
    for member in &mut *members {
        member.pause();
    }
    publish_more(load, 4_000);
    for member in members {
        member.resume();
    }
}

async fn members_come_and_go(test: &str, durable_after: &str) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let settings = [("CONSUMER__DURABLE_AFTER", durable_after), ("CONSUMER__SESSION_TIMEOUT", "6s")];
    let load = Load::start(&world.brokers, &topic, 2_000);
    let mut first = world.consumer(&settings);
    let mut second = world.consumer(&settings);
    all_work(&[&first, &second], &load);
    let third = world.spawn("consumer", &settings);
    fall_behind(&mut [&mut first, &mut second], &load);
    healthy(&third);
    all_work(&[&first, &second, &third], &load);
    committed_is_stored(&world, &topic).await;
    fall_behind(&mut [&mut first], &load);
    assert_eq!(first.terminate().unwrap(), 0, "{}", first.log());
    all_work(&[&second, &third], &load);
    // And one that does not take its leave.
    fall_behind(&mut [&mut second], &load);
    second.kill();
    all_work(&[&third], &load);
    committed_is_stored(&world, &topic).await;
    let expected = load.stop();
    converges(&world, &expected, &third).await;
    all_committed(&world, &world.name, &topic, Duration::from_secs(60), &third);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_join_and_leave_under_load_lose_and_double_nothing() {
    members_come_and_go("rebalance", "0s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_join_and_leave_before_rows_are_durable_lose_and_double_nothing() {
    members_come_and_go("rebalance_horizon", "3s").await;
}
