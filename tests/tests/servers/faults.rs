//! Kill -9 of every part under 2,000 messages a second: everything published is in the table, once, and newest.

use std::time::{Duration, Instant};

use end_to_end::{Load, World, converges, publish_more};
use testbed::{Cassandra, Kafka, Options, Service, pair};
use uuid::Uuid;

const PER_S: u32 = 2_000;

/// Three of each; `TRIBUTARY_KILLS=10` for the long form.
fn kills() -> u32 {
    std::env::var("TRIBUTARY_KILLS").map_or(3, |kills| kills.parse().unwrap())
}

struct Scene {
    kafka: Kafka,
    cassandra: Cassandra,
    world: World,
    topic: String,
}

// Kills need servers of their own.
async fn scene(test: &str) -> Scene {
    scene_with(test, Options::default()).await
}

async fn scene_with(test: &str, cassandra: Options) -> Scene {
    let start = move || pair(Options::default(), cassandra.authentication(true)).unwrap();
    let (kafka, cassandra) = tokio::task::spawn_blocking(start).await.unwrap();
    let world = World::on(&kafka, &cassandra, test).await;
    let topic = world.create_topic("users_created", 6);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    Scene { kafka, cassandra, world, topic }
}

impl Scene {
    fn consumer(&self) -> Service {
        self.world.consumer(&[("CONSUMER__SESSION_TIMEOUT", "6s")])
    }

    fn load(&self) -> Load {
        Load::start(&self.world.brokers, &self.topic, PER_S)
    }
}

// Some more users than there are now, so that a fault strikes at a random phase of a flowing stream.
fn flow(load: &Load) {
    publish_more(load, rand::random_range(1_000..6_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumer_loses_and_doubles_nothing() {
    let mut scene = scene("kill_consumer").await;
    let load = scene.load();
    let mut consumer = scene.consumer();
    for kill in 0..kills() {
        flow(&load);
        // Every other time what was read stays unwritten for longer than the interval of commits: an offset that is
        // stored too soon is committed before the kill.
        let unwritten = kill % 2 == 0;
        if unwritten {
            scene.cassandra.pause();
            publish_more(&load, 2 * usize::try_from(PER_S).unwrap());
        }
        consumer.kill();
        if unwritten {
            scene.cassandra.resume();
        }
        consumer = scene.consumer();
    }
    let expected = load.stop();
    converges(&scene.world, &expected, &consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_broker_loses_and_doubles_nothing() {
    let mut scene = scene("kill_broker").await;
    let load = scene.load();
    let consumer = scene.consumer();
    for _ in 0..kills() {
        flow(&load);
        scene.kafka.kill();
        scene.kafka.restart().unwrap();
    }
    flow(&load);
    let expected = load.stop();
    converges(&scene.world, &expected, &consumer).await;
    assert!(consumer.is_running(), "the consumer heals by itself:\n{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_killed_cassandra_forgot_come_back() {
    // A compressed log reaches the file at a sync only, so a kill forgets up to 10 s of rows. The shipped one forgets
    // up to 0.1 s: too little to meet at each kill.
    let compressed = Options::default().setting("commitlog_compression", "[{class_name: LZ4Compressor}]");
    let mut scene = scene_with("kill_cassandra", compressed).await;
    let load = scene.load();
    let mut consumer = scene.consumer();
    let mut forgotten = 0;
    for kill in 0..kills() {
        flow(&load);
        // A server that has just started gets again what was not durable: it may be slower than the load.
        load.hold(true);
        seen(&scene.world, &load).await;
        load.hold(false);
        flow(&load);
        let seen = seen(&scene.world, &load).await;
        scene.cassandra.kill();
        // Every other time the consumer stands still until the table has been read.
        let look = kill % 2 == 0;
        if look {
            consumer.pause();
        }
        scene.cassandra.restart().unwrap();
        scene.world.answers().await;
        if look {
            forgotten += missing(&scene.world, &seen).await;
            consumer.resume();
        }
    }
    flow(&load);
    let expected = load.stop();
    converges(&scene.world, &expected, &consumer).await;
    assert!(consumer.is_running(), "the consumer heals by itself:\n{}", consumer.log());
    println!("{}", consumer.log());
    assert!(forgotten > 0, "no acknowledged row was forgotten: the kills prove nothing");
    println!("{forgotten} rows were acknowledged, read, forgotten by a kill, and are back");
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_that_stood_still_in_an_outage_goes_on() {
    let mut scene = scene("stood_still").await;
    let load = scene.load();
    let mut consumer = scene.world.consumer(&[
        ("CONSUMER__SESSION_TIMEOUT", "6s"),
        // Soon full, so that the outage pauses the partitions.
        ("CONSUMER__BUFFER_BYTES", "1048576"),
    ]);
    for _ in 0..2 {
        flow(&load);
        scene.cassandra.kill();
        publish_more(&load, 12_000);
        // Longer than the session: the group gives its partitions away.
        consumer.pause();
        publish_more(&load, 20_000);
        consumer.resume();
        scene.cassandra.restart().unwrap();
    }
    flow(&load);
    let expected = load.stop();
    converges(&scene.world, &expected, &consumer).await;
}

// Of the users that were published last, those whose row can be read now: their write was acknowledged.
async fn seen(world: &World, load: &Load) -> Vec<Uuid> {
    let question = format!("SELECT id FROM {}.created_users WHERE id IN ?", world.name);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(
            Instant::now() < deadline,
            "fewer than 100 of the youngest users were stored for two minutes"
        );
        // A node that has just come back may time out, and the consumer may be behind: the youngest are asked again.
        let answer = world.session.query_unpaged(question.as_str(), (load.latest(400),)).await;
        let Ok(Ok(rows)) = answer.map(scylla::response::query_result::QueryResult::into_rows_result) else {
            continue;
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        let seen: Vec<Uuid> = rows.rows::<(Uuid,)>().unwrap().map(|row| row.unwrap().0).collect();
        if seen.len() >= 100 {
            return seen;
        }
    }
}

async fn missing(world: &World, seen: &[Uuid]) -> usize {
    let rows = world.users().await;
    seen.iter().filter(|id| !rows.contains_key(id)).count()
}
