//! The CSV sink: each offset is one row of its file, whatever happens to the process.

mod recreated;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use end_to_end::{
    Load, Record, World, dead_letters, ends, healthy, messages, metric, publish, publish_more, red, user,
};
use testbed::{Service, wait_for};
use uuid::Uuid;

const PARTITIONS: i32 = 3;
const SOON: Duration = Duration::from_secs(60);
const HEADER: [&str; 6] = ["id", "first_name", "last_name", "partition", "offset", "picture"];
const ROUTE: &str = r#"
topic = "TOPIC"
table = "shop.users"
[columns]
id = "id"
first_name = "first_name"
last_name = "last_name"
partition = { meta = "partition" }
offset = { meta = "offset" }
picture = "picture"
"#;

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", PARTITIONS);
    world.write_route("users", &ROUTE.replace("TOPIC", &topic));
    (world, topic)
}

fn spawn(world: &World) -> Service {
    world.spawn("consumer", &[("CONSUMER__SINK", "csv"), ("CONSUMER__CSV_SYNC_EVERY", "3s")])
}

fn consumer(world: &World) -> Service {
    let consumer = spawn(world);
    healthy(&consumer);
    consumer
}

fn file(world: &World, partition: i32) -> PathBuf {
    file_of(world, &world.topic("users_created"), partition)
}

fn file_of(world: &World, topic: &str, partition: i32) -> PathBuf {
    world.folder.path().join("csv").join(format!("shop.users@{topic}-{partition}.csv"))
}

fn checkpoint(world: &World, partition: i32) -> serde_json::Value {
    let path = file(world, partition).with_extension("csv.checkpoint");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

// Up to where each partition is read and safe.
fn checkpoints(world: &World) -> BTreeMap<i32, i64> {
    let next = |partition| (partition, checkpoint(world, partition)["next_offset"].as_i64().unwrap());
    (0..PARTITIONS).map(next).collect()
}

// Whether the file has rows that its checkpoint does not cover.
fn tail(world: &World, partition: i32) -> bool {
    let safe_bytes = checkpoint(world, partition)["bytes"].as_u64().unwrap();
    file(world, partition).metadata().unwrap().len() > safe_bytes
}

fn complete(world: &World, topic: &str, consumer: &Service) {
    let ends = ends(&world.brokers, topic);
    wait_for("checkpoints at the topic's end", SOON, || {
        assert!(consumer.is_running(), "ended early:\n{}", consumer.log());
        (checkpoints(world) == ends).then_some(())
    });
}

fn rows(world: &World, partition: i32) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().from_path(file(world, partition)).unwrap();
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), HEADER);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

// The files against the topic: each good message once, in the order of offsets, with its values.
fn files_equal_the_topic(world: &World, topic: &str) -> usize {
    let mut bad = 0;
    let mut expected: BTreeMap<i32, Vec<Vec<String>>> = BTreeMap::new();
    for message in messages(&world.brokers, topic) {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&message.value) else {
            bad += 1;
            continue;
        };
        let field = |name: &str| value[name].as_str().unwrap().to_owned();
        let (partition, offset) = (message.partition.to_string(), message.offset.to_string());
        let row = [field("id"), field("first_name"), field("last_name"), partition, offset, field("picture")];
        expected.entry(message.partition).or_default().push(row.into());
    }
    for partition in 0..PARTITIONS {
        let (rows, expected) = (rows(world, partition), expected.remove(&partition).unwrap_or_default());
        let first = rows.iter().zip(&expected).position(|(row, expected)| row != expected);
        assert_eq!(first, None, "{:?} is not {:?}", first.map(|at| &rows[at]), first.map(|at| &expected[at]));
        assert_eq!(rows.len(), expected.len(), "rows of partition {partition}");
    }
    bad
}

fn poison() -> Vec<Record> {
    (0..20).map(|number| Record::of(format!("no json {number}")).on(number % PARTITIONS)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_offset_is_one_row_across_three_kills() {
    let (world, topic) = scene("csv_kills").await;
    let load = Load::start(&world.brokers, &topic, 6_000);
    let mut consumer = consumer(&world);
    for _ in 0..3 {
        publish(&world.brokers, &topic, &poison()).await;
        publish_more(&load, rand::random_range(1_000..4_000));
        // The kill strikes while rows are in a file that its checkpoint does not cover.
        wait_for("rows behind a checkpoint", SOON, || {
            (0..PARTITIONS).any(|at| tail(&world, at)).then_some(())
        });
        consumer.kill();
        assert!((0..PARTITIONS).any(|partition| tail(&world, partition)), "a checkpoint came in between");
        consumer = self::consumer(&world);
    }
    publish_more(&load, 1_000);
    load.stop();
    complete(&world, &topic, &consumer);
    assert_eq!(files_equal_the_topic(&world, &topic), 60);
    // A bad message that was read twice is still one dead letter to its readers.
    assert_eq!(dead_letters(&world.brokers, &topic).len(), 60);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_every_shape_are_read_back_by_rfc_4180() {
    let (world, topic) = scene("csv_quoting").await;
    let names = [
        "plain",
        "a, b",
        "say \"hi\"",
        "two\r\nlines",
        "ünï 名 🦀",
        "",
        " spaced ",
        "tail\\",
        "'quoted'",
        ";",
    ];
    let record = |(number, name): (usize, &&str)| {
        Record::of(user(Uuid::from_u128(number as u128), name, &names.concat()))
    };
    let records: Vec<Record> = names.iter().enumerate().map(record).collect();
    publish(&world.brokers, &topic, &records).await;
    let mut consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    assert_eq!(files_equal_the_topic(&world, &topic), 0);
    let count: usize = (0..PARTITIONS).map(|partition| rows(&world, partition).len()).sum();
    assert_eq!(count, names.len());
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_the_csv_sink_are_counted_and_keep_their_bytes() {
    let (world, topic) = scene("csv_letters").await;
    let good = (0..5).map(|number| Record::of(user(Uuid::from_u128(number), "Ines", "Moreau")));
    let records: Vec<Record> = poison().into_iter().chain(good).collect();
    let places = publish(&world.brokers, &topic, &records).await;
    let consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    let outcome = |label| metric(&consumer, "tributary_messages_total", &[label]);
    assert_eq!(outcome(r#"outcome="dead_lettered""#), 20.0);
    assert_eq!(outcome(r#"outcome="stored""#), 5.0);
    assert_eq!(metric(&consumer, "tributary_messages_read_total", &[]), 25.0);
    let letters = dead_letters(&world.brokers, &topic);
    assert_eq!(letters.len(), 20);
    for (record, (partition, offset)) in records.iter().zip(&places).take(20) {
        let letter = &letters[&format!("{}/{topic}/{partition}/{offset}/shop.users", world.name)];
        assert_eq!(Some(&letter.value), record.value.as_ref());
        assert_eq!(letter.headers["class"], "json");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn second_consumer_of_a_folder_ends_and_says_why() {
    let (world, topic) = scene("csv_second").await;
    let first = consumer(&world);
    let mut second = spawn(&world);
    let code = second.wait(Duration::from_secs(30));
    let (log, folder) = (second.log(), world.folder.path().join("csv").display().to_string());
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(&folder) && log.contains("in use by another consumer"), "{log}");
    assert!(log.contains("consumer.csv_dir"), "{log}");
    // The first is not disturbed.
    publish(&world.brokers, &topic, &[Record::of(user(Uuid::from_u128(1), "Ines", "Moreau"))]).await;
    complete(&world, &topic, &first);
    assert_eq!(files_equal_the_topic(&world, &topic), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_topics_of_one_table_have_files_of_their_own_and_a_copied_route_is_refused() {
    let (world, topic) = scene("csv_two_topics").await;
    let other = world.create_topic("users_imported", 1);
    world.write_route("imported", &ROUTE.replace("TOPIC", &other));
    let someone = |number| Record::of(user(Uuid::from_u128(number), "Ines", "Moreau"));
    publish(&world.brokers, &topic, &[someone(1), someone(2)]).await;
    publish(&world.brokers, &other, &[someone(3)]).await;
    let mut consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    assert_eq!(files_equal_the_topic(&world, &topic), 0);
    wait_for("the other topic's row", SOON, || {
        let text = std::fs::read_to_string(file_of(&world, &other, 0)).unwrap();
        (text.lines().count() == 2).then_some(())
    });
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    world.write_route("users_copy", &ROUTE.replace("TOPIC", &topic));
    let mut consumer = spawn(&world);
    let code = consumer.wait(Duration::from_secs(30));
    let log = consumer.log();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("users_copy.toml:3:9: topic ") && log.contains("users.toml:3:9 already"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unsendable_dead_letter_holds_back_its_file_only_and_the_end_for_seconds_only() {
    let world = World::shared("csv_no_dlq").await;
    let topic = world.topic("users_created");
    testbed::Kafka::elsewhere(&world.brokers).create_topic(&topic, PARTITIONS, &[]).unwrap();
    world.write_route("users", &ROUTE.replace("TOPIC", &topic));
    let good = |partition| Record::of(user(Uuid::from_u128(1), "Ines", "Moreau")).on(partition);
    let records = [good(0), Record::of("no json").on(0), good(0), good(1), good(2)];
    publish(&world.brokers, &topic, &records).await;
    let mut consumer = spawn(&world);
    red(&consumer, &[&format!("{topic}.dlq"), "create it"], SOON);
    wait_for("the other files' checkpoints", SOON, || {
        let reached = checkpoints(&world);
        (reached[&1] == 1 && reached[&2] == 1).then_some(())
    });
    let stopped = Instant::now();
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    assert!(stopped.elapsed() < Duration::from_secs(10), "took {:?}", stopped.elapsed());
    let log = consumer.log();
    assert!(log.contains("dead letters not acknowledged"), "{log}");
    assert!(checkpoints(&world)[&0] <= 1, "the checkpoint passed a message without a dead letter");
    // Nothing is lost: with the topic there, the next start brings rows and letter.
    let compact = [("cleanup.policy", "compact"), ("max.message.bytes", "2097152")];
    testbed::Kafka::elsewhere(&world.brokers).create_topic(&format!("{topic}.dlq"), 1, &compact).unwrap();
    let consumer = self::consumer(&world);
    complete(&world, &topic, &consumer);
    assert_eq!(files_equal_the_topic(&world, &topic), 1);
    assert_eq!(dead_letters(&world.brokers, &topic).len(), 1);
}
