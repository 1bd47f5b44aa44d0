//! Messages that come again, late or out of order: the newest row stays as it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use end_to_end::{Load, Record, World, all_committed, publish, publish_more, user};
use testbed::Service;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    (world, topic)
}

fn consumer(world: &World, group: &str) -> Service {
    world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s"), ("CONSUMER__GROUP", group)])
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn version(id: Uuid, number: usize, timestamp_ms: i64) -> Record {
    Record::of(user(id, &number.to_string(), "Moreau")).at(timestamp_ms).on(0)
}

// All cells of all rows with their write times.
async fn snapshot(world: &World) -> Vec<String> {
    let columns =
        "first_name last_name gender address post_code email username registered_date phone picture";
    let times: Vec<String> =
        columns.split(' ').map(|column| format!("{column}, writetime({column}), ttl({column})")).collect();
    let question = format!("SELECT id, {} FROM {}.created_users", times.join(", "), world.name);
    let mut rows: Vec<String> = world.rows(&question).await.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_topic_delivered_again_changes_no_cell_and_no_writetime() {
    let (world, topic) = scene("redelivery").await;
    let load = Load::start(&world.brokers, &topic, 2_000);
    publish_more(&load, 6_000);
    let expected = load.stop();
    let first = consumer(&world, &world.name);
    all_committed(&world, &world.name, &topic, SOON, &first);
    assert_eq!(world.users().await, expected);
    let before = snapshot(&world).await;
    // Both at once, then the second alone from the beginning: another group has no offsets.
    let again = format!("{}_again", world.name);
    let second = consumer(&world, &again);
    all_committed(&world, &again, &topic, SOON, &second);
    assert_eq!(before.len(), expected.len());
    assert!(snapshot(&world).await == before, "a redelivery changed a row:\n{}", second.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn older_version_that_arrives_later_never_wins() {
    let (world, topic) = scene("older_later").await;
    let consumer = consumer(&world, &world.name);
    let now_ms = now_ms();
    let ids: Vec<Uuid> = (0..300).map(Uuid::from_u128).collect();
    let newer: Vec<Record> = ids.iter().map(|id| version(*id, 2, now_ms - 10_000)).collect();
    publish(&world.brokers, &topic, &newer).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let before = snapshot(&world).await;
    assert_eq!(before.len(), ids.len());
    let older: Vec<Record> = ids.iter().map(|id| version(*id, 1, now_ms - 60_000)).collect();
    publish(&world.brokers, &topic, &older).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    assert!(snapshot(&world).await == before, "an older version won");
    // And what is newer still does win.
    publish(&world.brokers, &topic, &[version(ids[7], 3, now_ms - 9_999)]).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    assert_eq!(world.users().await[&ids[7]].first_name, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn greater_offset_wins_within_one_millisecond() {
    let (world, topic) = scene("same_millisecond").await;
    let consumer = consumer(&world, &world.name);
    let at_ms = now_ms() - 5_000;
    let ids: Vec<Uuid> = (0..5).map(Uuid::from_u128).collect();
    // 900 offsets of one millisecond, below the multiple of 1,000 at which the stated limit lies.
    let records: Vec<Record> = (0..900).map(|number| version(ids[number % 5], number, at_ms)).collect();
    let places = publish(&world.brokers, &topic, &records).await;
    assert_eq!(places.last(), Some(&(0, 899)));
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let rows = world.users().await;
    for (place, id) in ids.iter().enumerate() {
        assert_eq!(rows[id].first_name, (895 + place).to_string());
        assert_eq!(rows[id].writetime, at_ms * 1000 + 895 + i64::try_from(place).unwrap());
    }
}
