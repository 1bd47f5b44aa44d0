//! A schema that changes while rows flow: the consumer pauses or goes on, and no message is lost or misread.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use end_to_end::{
    Load, Message, Record, World, all_committed, converges, dead_letters, delete_before, ends, healthy,
    messages, metric, publish, publish_more, red, tells_deleted, text, user,
};
use futures::TryStreamExt;
use scylla::value::CqlValue;
use serde_json::json;
use testbed::{Service, wait_for};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
const AT_ONCE: &[(&str, &str)] = &[("CONSUMER__DURABLE_AFTER", "0s")];

// Users at 500 a second, and a consumer that stores them.
async fn users(test: &str) -> (World, String, Service, Load) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 3);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let consumer = world.consumer(AT_ONCE);
    let load = Load::start(&world.brokers, &topic, 500);
    publish_more(&load, 1_000);
    (world, topic, consumer, load)
}

async fn nothing_is_lost(world: &World, topic: &str, load: Load, mut consumer: Service) {
    let expected = load.stop();
    all_committed(world, &world.name, topic, SOON, &consumer);
    converges(world, &expected, &consumer).await;
    assert!(dead_letters(&world.brokers, topic).is_empty(), "{}", consumer.log());
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_on_while_a_column_is_added() {
    let (world, topic, consumer, load) = users("column_added").await;
    for number in 0..3 {
        world.cql(&format!("ALTER TABLE {}.created_users ADD extra_{number} int", world.name)).await;
        publish_more(&load, 500);
    }
    assert_eq!(metric(&consumer, "tributary_rewinds_total", &[]), 0.0, "{}", consumer.log());
    nothing_is_lost(&world, &topic, load, consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_column_pauses_the_consumer_until_it_is_back() {
    let (world, topic, consumer, load) = users("column_dropped").await;
    world.cql(&format!("ALTER TABLE {}.created_users DROP phone", world.name)).await;
    let dropped_at = now_ms();
    red(&consumer, &["random-user.toml:", "has no column phone"], SOON);
    publish_more(&load, 1_000);
    world.cql(&format!("ALTER TABLE {}.created_users ADD phone text", world.name)).await;
    healthy(&consumer);
    publish_more(&load, 500);
    let published = messages(&world.brokers, &topic);
    let expected = published.iter().filter(|message| message.timestamp_ms > dropped_at);
    let expected: Vec<Uuid> = expected.map(id).collect();
    assert!(expected.len() > 1_000);
    let deadline = Instant::now() + SOON;
    loop {
        let without = match phones(&world).await {
            Ok(phones) => expected.iter().filter(|id| !phones.contains(*id)).count().to_string(),
            Err(error) => error.to_string(),
        };
        if without == "0" {
            break;
        }
        assert!(Instant::now() < deadline, "{without} without their phone:\n{}", consumer.log());
    }
    nothing_is_lost(&world, &topic, load, consumer).await;
}

// The users who have one.
async fn phones(world: &World) -> anyhow::Result<BTreeSet<Uuid>> {
    let question = format!("SELECT id, phone FROM {}.created_users", world.name);
    let pager = world.session.query_iter(question, ()).await?;
    let rows: Vec<(Uuid, Option<String>)> = pager.rows_stream()?.try_collect().await?;
    Ok(rows.into_iter().filter(|(_, phone)| phone.is_some()).map(|(id, _)| id).collect())
}

fn id(message: &Message) -> Uuid {
    let value: serde_json::Value = serde_json::from_slice(&message.value).unwrap();
    value["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_retention_deletes_during_the_pause_are_told() {
    let world = World::shared("paused_for_long").await;
    let topic = world.create_topic("users_created", 1);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let consumer = world.consumer(AT_ONCE);
    publish(&world.brokers, &topic, &people(0..30)).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    world.cql(&format!("ALTER TABLE {}.created_users DROP phone", world.name)).await;
    publish(&world.brokers, &topic, &people(30..60)).await;
    red(&consumer, &["random-user.toml:", "has no column phone"], SOON);
    delete_before(&world.brokers, &topic, &[(0, 50)]).await;
    world.cql(&format!("ALTER TABLE {}.created_users ADD phone text", world.name)).await;
    healthy(&consumer);
    tells_deleted(&consumer, "partition=0 from=30 to=50");
    all_committed(&world, &world.name, &topic, SOON, &consumer);
}

fn people(numbers: Range<u128>) -> Vec<Record> {
    numbers.map(|number| Record::of(user(Uuid::from_u128(number), "Camille", "Moreau")).on(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_key_column_pauses_the_consumer_until_it_has_its_name_again() {
    let (world, topic, consumer, load) = users("key_renamed").await;
    world.cql(&format!("ALTER TABLE {}.created_users RENAME id TO user_id", world.name)).await;
    red(&consumer, &["has no column id", "primary key column user_id"], SOON);
    publish_more(&load, 1_000);
    world.cql(&format!("ALTER TABLE {}.created_users RENAME user_id TO id", world.name)).await;
    healthy(&consumer);
    nothing_is_lost(&world, &topic, load, consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn column_that_goes_and_comes_back_quickly_costs_no_dead_letter() {
    let (world, topic, consumer, load) = users("column_flickers").await;
    for _ in 0..10 {
        world.cql(&format!("ALTER TABLE {}.created_users DROP picture", world.name)).await;
        world.cql(&format!("ALTER TABLE {}.created_users ADD picture text", world.name)).await;
        publish_more(&load, 100);
    }
    healthy(&consumer);
    nothing_is_lost(&world, &topic, load, consumer).await;
}

// A table whose column `v` has a type, and a consumer that fills it.
struct Typed {
    world: World,
    topic: String,
    consumer: Service,
    next: usize,
}

impl Typed {
    async fn new(test: &str, cql: &str) -> Self {
        let world = World::shared(test).await;
        let topic = world.create_topic("typed", 1);
        world.cql(&format!("CREATE TABLE {}.typed (k text PRIMARY KEY, v {cql})", world.name)).await;
        let (table, columns) = (format!("{}.typed", world.name), "k = \"k\"\nv = \"v\"\n");
        world
            .write_route("typed", &format!("topic = \"{topic}\"\ntable = \"{table}\"\n[columns]\n{columns}"));
        let consumer = world.consumer(AT_ONCE);
        Self { world, topic, consumer, next: 0 }
    }

    // Publishes ten messages of that value: returns their keys.
    async fn ten(&mut self, value: &serde_json::Value) -> Vec<String> {
        let keys: Vec<String> =
            (self.next..self.next + 10).map(|number| format!("key {number:06}")).collect();
        self.next += 10;
        let record = |key: &String| Record::of(json!({"k": key, "v": value}).to_string());
        publish(&self.world.brokers, &self.topic, &keys.iter().map(record).collect::<Vec<_>>()).await;
        keys
    }

    async fn cells(&self) -> BTreeMap<String, Option<CqlValue>> {
        let rows = self.world.rows(&format!("SELECT k, v FROM {}.typed", self.world.name)).await;
        rows.into_iter().map(|mut row| (text(&row[0]), row.remove(1))).collect()
    }

    async fn all_have(&self, keys: &[String], value: &CqlValue) {
        let deadline = Instant::now() + SOON;
        loop {
            let cells = self.cells().await;
            let wrong: Vec<_> =
                keys.iter().filter(|key| cells.get(*key) != Some(&Some(value.clone()))).collect();
            if wrong.is_empty() {
                return;
            }
            let first = cells.get(wrong[0]);
            let count = wrong.len();
            assert!(Instant::now() < deadline, "{count} wrong: {first:?}\n{}", self.consumer.log());
        }
    }

    async fn recreate(&self, cql: &str) {
        self.world.cql(&format!("DROP TABLE {}.typed", self.world.name)).await;
        self.world
            .cql(&format!("CREATE TABLE {}.typed (k text PRIMARY KEY, v {cql})", self.world.name))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn table_created_again_with_another_type_gets_no_bytes_of_the_old_one() {
    let mut typed = Typed::new("recreated", "int").await;
    let keys = typed.ten(&json!(7)).await;
    typed.all_have(&keys, &CqlValue::Int(7)).await;
    // Four bytes of an int are a valid text, and each way of a bigint's eight a valid double.
    let forms = [
        ("text", CqlValue::Text("7".to_owned())),
        ("bigint", CqlValue::BigInt(7)),
        ("double", CqlValue::Double(7.0)),
        ("bigint", CqlValue::BigInt(7)),
        ("ascii", CqlValue::Ascii("7".to_owned())),
        ("int", CqlValue::Int(7)),
        ("float", CqlValue::Float(7.0)),
    ];
    for (cql, cell) in forms {
        typed.recreate(cql).await;
        let keys = typed.ten(&json!(7)).await;
        typed.all_have(&keys, &cell).await;
        let strange: Vec<_> =
            typed.cells().await.into_iter().filter(|(_, known)| *known != Some(cell.clone())).collect();
        assert!(strange.is_empty(), "{strange:?} in a column of {cql}\n{}", typed.consumer.log());
    }
    assert!(dead_letters(&typed.world.brokers, &typed.topic).is_empty(), "{}", typed.consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_column_added_with_a_compatible_type_is_filled_by_that_type() {
    let mut typed = Typed::new("readded", "text").await;
    let keys = typed.ten(&json!("aGVsbG8=")).await;
    typed.all_have(&keys, &CqlValue::Text("aGVsbG8=".to_owned())).await;
    let table = format!("{}.typed", typed.world.name);
    typed.world.cql(&format!("ALTER TABLE {table} DROP v")).await;
    // Cassandra takes no other type back than one that can read the old cells.
    let refused = typed.world.session.query_unpaged(format!("ALTER TABLE {table} ADD v int"), ()).await;
    let refused = refused.map(drop).unwrap_err().to_string();
    assert!(refused.contains("incompatible with previously dropped column"), "{refused}");
    typed.world.cql(&format!("ALTER TABLE {table} ADD v blob")).await;
    wait_for("the new plan", SOON, || {
        (metric(&typed.consumer, "tributary_rewinds_total", &[]) > 0.0).then_some(())
    });
    healthy(&typed.consumer);
    let keys = typed.ten(&json!("aGVsbG8=")).await;
    typed.all_have(&keys, &CqlValue::Blob(b"hello".to_vec())).await;
    assert!(dead_letters(&typed.world.brokers, &typed.topic).is_empty(), "{}", typed.consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn table_dropped_while_nothing_flows_is_named_before_the_next_message() {
    let mut typed = Typed::new("idle", "int").await;
    let keys = typed.ten(&json!(1)).await;
    typed.all_have(&keys, &CqlValue::Int(1)).await;
    typed.world.cql(&format!("DROP TABLE {}.typed", typed.world.name)).await;
    red(&typed.consumer, &[".typed does not exist"], Duration::from_secs(20));
    let keys = typed.ten(&json!(2)).await;
    typed.world.cql(&format!("CREATE TABLE {}.typed (k text PRIMARY KEY, v int)", typed.world.name)).await;
    healthy(&typed.consumer);
    typed.all_have(&keys, &CqlValue::Int(2)).await;
    let (group, ends) = (typed.world.name.clone(), ends(&typed.world.brokers, &typed.topic));
    all_committed(&typed.world, &group, &typed.topic, SOON, &typed.consumer);
    assert_eq!(ends[&0], 20);
}
