//! The judge: a world's table and offsets -> the claim of a test, or what is wrong.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testbed::{Service, wait_for};
use uuid::Uuid;

use crate::health::until;
use crate::load::{Expected, Load, Row};
use crate::publish::{Record, publish};
use crate::topics::{committed, ends, messages};
use crate::world::World;

const COMMITTED_WITHIN: Duration = Duration::from_secs(90);

/// Waits until `created_users` holds exactly what was acknowledged, and says what is wrong if it does not.
pub async fn converges(world: &World, expected: &Expected, consumer: &Service) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let rows = world.users().await;
        if rows == *expected {
            return;
        }
        assert!(Instant::now() < deadline, "{}\n{}", difference(&rows, expected), consumer.log());
    }
}

fn difference(rows: &BTreeMap<Uuid, Row>, expected: &Expected) -> String {
    let lost = expected.keys().filter(|id| !rows.contains_key(id)).count();
    let strange = rows.keys().filter(|id| !expected.contains_key(id)).count();
    let stale = rows.iter().filter(|(id, row)| expected.get(id).is_some_and(|known| known != *row)).count();
    let examples: Vec<String> = rows
        .iter()
        .filter_map(|(id, found)| Some((id, found, expected.get(id)?)))
        .filter(|(_, found, known)| found != known)
        .take(5)
        .map(|(id, found, known)| format!("\n  {id}: {found:?}, expected {known:?}"))
        .collect();
    format!(
        "{lost} of {} lost, {strange} never acknowledged, {stale} stale or different{}",
        expected.len(),
        examples.concat()
    )
}

/// Waits until a group has committed all of a topic.
pub fn all_committed(world: &World, group: &str, topic: &str, within: Duration, consumer: &Service) {
    let ends = ends(&world.brokers, topic);
    let done = until(within, || {
        let committed = committed(&world.brokers, group, topic);
        if committed == ends { Ok(()) } else { Err(format!("{committed:?}")) }
    });
    if let Err(committed) = done {
        panic!("{group} committed {committed} of {ends:?} within {within:?}:\n{}", consumer.log());
    }
}

/// Publishes, and lets a consumer make of it what it can: returns when all of it is committed.
pub async fn consumed(world: &World, topic: &str, records: &[Record]) -> Vec<(i32, i64)> {
    let places = publish(&world.brokers, topic, records).await;
    let mut consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(world, &world.name, topic, COMMITTED_WITHIN, &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    places
}

/// Asserts that each committed message of `users_created` is in the table, or a newer one of its user.
pub async fn committed_is_stored(world: &World, topic: &str) {
    // Offsets first: a row that is missing afterwards was missing when they were committed.
    let committed = committed(&world.brokers, &world.name, topic);
    let rows = world.users().await;
    for message in messages(&world.brokers, topic) {
        if message.offset >= committed[&message.partition] {
            continue;
        }
        let value: serde_json::Value = serde_json::from_slice(&message.value).unwrap();
        let id: Uuid = value["id"].as_str().unwrap().parse().unwrap();
        let writetime = message.timestamp_ms * 1000 + message.offset % 1000;
        let place = (message.partition, message.offset);
        let row = rows.get(&id).unwrap_or_else(|| panic!("{place:?} is committed and {id} not stored"));
        assert!(row.writetime >= writetime, "{place:?} is committed and {id} holds an older version");
    }
}

/// Lets a load publish that many more users.
pub fn publish_more(load: &Load, users: usize) {
    let wanted = load.users() + users;
    wait_for("the load to flow", Duration::from_secs(120), || (load.users() >= wanted).then_some(()));
}
