//! `tributary check`: what is wrong, before the consumer starts; and what the newest messages would become.

use std::time::Duration;

use end_to_end::{Record, World, all_committed, committed, ended, messages, publish, user};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use scylla::statement::batch::{Batch, BatchType};
use serde_json::{Value, json};
use testbed::Kafka;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 3);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    (world, topic)
}

// Exit code, what a person reads, and the object of the last line.
fn check(world: &World, arguments: &[&str], more: &[(&str, &str)]) -> (i32, String, Value) {
    let arguments = [&["check", "--json"], arguments].concat();
    let mut check = world.run("tributary", &arguments, more);
    ended(&mut check, SOON)
}

fn found<'a>(object: &'a Value, kind: &str, words: &[&str]) -> &'a Value {
    let all = object[kind].as_array().unwrap();
    let has = |finding: &&Value| words.iter().all(|word| finding["message"].as_str().unwrap().contains(word));
    all.iter().find(has).unwrap_or_else(|| panic!("none of the {kind} has {words:?}: {all:#?}"))
}

fn someone(number: u128) -> Record {
    Record::of(user(Uuid::from_u128(number), "Ines", "Moreau"))
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_fit_are_0_and_the_sample_tells_what_the_consumer_would_write() {
    let (world, topic) = scene("check_fits").await;
    let mut records: Vec<Record> = (0..300).map(someone).collect();
    records[17] = Record::of("no json");
    records[23] = Record::of(r#"{"id":"no uuid"}"#);
    records[24] = Record::of(r#"{"id":"no uuid"}"#);
    let places = publish(&world.brokers, &topic, &records).await;
    let (code, text, object) = check(&world, &[], &[]);
    assert_eq!((code, &object["ok"]), (0, &json!(true)), "{text}");
    let sampled = &object["routes"][0]["topics"][0];
    assert_eq!((&sampled["partitions"], &sampled["offsets"]), (&json!(3), &json!(300)), "{text}");
    let sample = &sampled["sample"];
    assert_eq!((&sample["messages"], &sample["rows"]), (&json!(300), &json!(297)), "{text}");
    let reasons = sample["reasons"].as_array().unwrap();
    assert_eq!((reasons.len(), &reasons[0]["count"], &reasons[1]["count"]), (2, &json!(2), &json!(1)));
    let example = (reasons[1]["partition"].as_i64().unwrap(), reasons[1]["offset"].as_i64().unwrap());
    assert_eq!(example, (i64::from(places[17].0), places[17].1), "{text}");
    found(&object, "warnings", &["3 of 300 sampled messages"]);
    assert_eq!((&sample["batch_rows"]["max"], &sample["null_cells"]["max"]), (&json!(64), &json!(0)));
    assert_eq!(object["thresholds"]["batch_size_warn"], json!(49 * 1024), "the testbed's: {text}");
    assert_eq!(object["thresholds"]["assumed"], json!(false), "{text}");
    // What a person reads has no log line in it.
    assert!(text.starts_with("cassandra ") && !text.contains("INFO") && !text.contains("WARN"), "{text}");

    let few = check(&world, &["--sample", "10"], &[]).2;
    assert_eq!(few["routes"][0]["topics"][0]["sample"]["messages"], json!(10));
    assert_eq!(check(&world, &["--sample", "0"], &[]).2["routes"][0]["topics"][0]["sample"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_reported_at_once_with_place_and_nearest_name() {
    let (world, topic) = scene("check_problems").await;
    world.create_topic("orders", 1);
    let keyspace = &world.name;
    world.cql(&format!("CREATE TABLE {keyspace}.orders (order_id uuid PRIMARY KEY, total int)")).await;
    let route = |name: &str, topic: &str, table: &str, columns: &str| {
        world.write_route(name, &format!("topic = \"{topic}\"\ntable = \"{table}\"\n[columns]\n{columns}"));
    };
    let fine = format!("{keyspace}.orders");
    route("a", &topic, &format!("{keyspace}.order"), "order_id = \"id\"\n");
    route(
        "b",
        &world.topic("ordrs"),
        &fine,
        "ordr_id = \"id\"\n  total = { path = \"t\", bucket = \"day\" }\n",
    );
    route("c", "a topic", &fine, "order_id = \"id\"\n");
    let (code, text, object) = check(&world, &[], &[]);
    assert_eq!((code, &object["exit_code"]), (1, &json!(1)), "{text}");
    let place = |words: &[&str]| {
        let finding = found(&object, "errors", words);
        let file = finding["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (file, finding["line"].as_u64().unwrap(), finding["column"].as_u64().unwrap())
    };
    assert_eq!(place(&[".order does not exist", "did you mean"]), ("a.toml".to_owned(), 2, 9));
    assert_eq!(place(&["no column ordr_id; did you mean order_id?"]), ("b.toml".to_owned(), 4, 1));
    assert_eq!(place(&["primary key column order_id"]), ("b.toml".to_owned(), 2, 9));
    assert_eq!(place(&["column total (int)"]), ("b.toml".to_owned(), 5, 3));
    assert_eq!(place(&["ordrs does not exist", "did you mean", ".orders?"]), ("b.toml".to_owned(), 1, 9));
    assert_eq!(place(&["ordrs.dlq does not exist"]), ("b.toml".to_owned(), 1, 9));
    assert_eq!(place(&["a topic's name"]), ("c.toml".to_owned(), 1, 9));
    assert_eq!(object["errors"].as_array().unwrap().len(), 7, "{text}");
    // The route that fits is sampled all the same, and --routes names another folder.
    assert!(text.contains("random-user.toml -> "), "{text}");
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(world.routes().join("random-user.toml"), other.path().join("users.toml")).unwrap();
    assert_eq!(check(&world, &["--routes", other.path().to_str().unwrap()], &[]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_endanger_the_rows_are_warnings_and_only_dead_letters_an_error() {
    let world = World::shared("check_topics").await;
    let topic = world.topic("users_created");
    let kafka = Kafka::elsewhere(&world.brokers);
    kafka.create_topic(&topic, 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
    kafka.create_topic(&format!("{topic}.dlq"), 1, &[("cleanup.policy", "delete")]).unwrap();
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let (code, text, object) = check(&world, &[], &[]);
    assert_eq!(code, 0, "{text}");
    let warning = found(&object, "warnings", &["LogAppendTime", "CreateTime"]);
    assert_eq!((&warning["line"], &warning["column"]), (&json!(2), &json!(9)), "{text}");
    found(&object, "warnings", &[".dlq is not compacted"]);
    found(&object, "warnings", &[".dlq has max.message.bytes="]);
    found(&object, "warnings", &[".dlq has delete.retention.ms=86400000", "604800000 or more"]);
    publish(&world.brokers, &topic, &[Record::of("[]"), Record::of("{}")]).await;
    let (code, text, object) = check(&world, &[], &[]);
    assert_eq!(code, 1, "{text}");
    found(&object, "errors", &["all 2 sampled messages", "for 2 reasons"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_moves_no_offset_writes_nothing_and_joins_no_group() {
    let (world, topic) = scene("check_quiet").await;
    publish(&world.brokers, &topic, &(0..50).map(someone).collect::<Vec<_>>()).await;
    let consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    publish(&world.brokers, &topic, &[Record::of("no json")]).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let before = committed(&world.brokers, &world.name, &topic);
    for _ in 0..3 {
        assert_eq!(check(&world, &[], &[]).0, 0);
    }
    assert_eq!(committed(&world.brokers, &world.name, &topic), before);
    assert_eq!(messages(&world.brokers, &format!("{topic}.dlq")).len(), 1, "the consumer's own");
    assert_eq!(world.count("created_users").await, 50);
    let assigned = consumer.log().matches("partitions assigned").count();
    assert_eq!((assigned, consumer.log().contains("revoked")), (1, false), "{}", consumer.log());
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", &world.brokers).set("group.id", "any").create().unwrap();
    let groups = client.fetch_group_list(None, Duration::from_secs(10)).unwrap();
    let names: Vec<&str> = groups.groups().iter().map(rdkafka::groups::GroupInfo::name).collect();
    assert!(names.contains(&world.name.as_str()) && !names.contains(&"tributary-check"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_scripts_what_to_do() {
    let (world, _) = scene("check_codes").await;
    let (code, text, object) = check(&world, &[], &[("KAFKA__BROKERS", "127.0.0.1:1")]);
    assert_eq!(code, 69, "{text}");
    assert!(object["kafka"]["error"].as_str().unwrap().contains("127.0.0.1:1"), "{text}");
    let (code, text, object) = check(&world, &[], &[("CASSANDRA__CONTACT_POINTS", "127.0.0.1:1")]);
    assert_eq!(code, 69, "{text}");
    assert!(object["cassandra"]["error"].as_str().unwrap().contains("127.0.0.1:1"), "{text}");
    let (code, text, _) = check(&world, &[], &[("CASSANDRA__PASSWORD", "not-the-password-7391")]);
    assert_eq!(code, 78, "{text}");
    assert!(text.contains("cassandra.password") && !text.contains("7391"), "{text}");
    assert_eq!(check(&world, &[], &[("CONSUMER__BATCH_ROWS", "0")]).0, 78);
    assert_eq!(check(&world, &[], &[("CONSUMER__SINK", "csv")]).0, 78);
    assert_eq!(check(&world, &["--sample", "many"], &[]).0, 2);
    let (code, _, object) = check(&world, &[], &[("CONSUMER__DURABLE_AFTER", "1s")]);
    assert_eq!(code, 0);
    found(&object, "warnings", &["consumer.durable_after is 1s", "16s"]);
    let (code, _, object) = check(&world, &[], &[("CONSUMER__ROW_BYTES_MAX", "9000000")]);
    assert_eq!(code, 0);
    found(&object, "warnings", &["consumer.row_bytes_max is 9000000", "16777216"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn predicted_size_of_a_batch_is_the_one_that_the_server_measures() {
    let (world, topic) = scene("check_size").await;
    let keyspace = &world.name;
    // Between the warning at 49 KiB, which tells the size, and the refusal at 50 KiB.
    let names: Vec<String> = (0..32).map(|_| "x".repeat(1_469)).collect();
    let value = |number: usize| json!({"id": Uuid::from_u128(number as u128), "first_name": names[number], "email": "e", "phone": null});
    let route = format!(
        "topic = \"{topic}\"\ntable = \"{keyspace}.created_users\"\nmissing = \"null\"\n[columns]\n\
         id = \"id\"\nfirst_name = \"first_name\"\nemail = \"email\"\nphone = \"phone\"\n"
    );
    world.write_route("random-user", &route);
    let records: Vec<Record> = (0..32).map(|number| Record::of(value(number).to_string()).on(0)).collect();
    publish(&world.brokers, &topic, &records).await;
    let (_, text, object) = check(&world, &[], &[("CONSUMER__BATCH_BYTES", "1000000")]);
    let sample = &object["routes"][0]["topics"][0]["sample"];
    assert_eq!(sample["batch_rows"]["max"], json!(32), "{text}");
    let predicted = sample["batch_server_bytes"]["max"].as_u64().unwrap();
    let statement = format!(
        "INSERT INTO {keyspace}.created_users (id, first_name, email, phone) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
    );
    let mut batch = Batch::new(BatchType::Unlogged);
    let mut cells = Vec::new();
    for (number, name) in names.iter().enumerate() {
        batch.append_statement(statement.as_str());
        cells.push((
            Uuid::from_u128(number as u128),
            name.as_str(),
            "e",
            None::<&str>,
            1_700_000_000_000_000_i64,
        ));
    }
    let answer = world.session.batch(&batch, &cells).await.unwrap();
    let warnings: Vec<String> = answer.warnings().map(str::to_owned).collect();
    let size = warnings.iter().find_map(|warning| {
        let (_, rest) = warning.split_once("is of size ")?;
        rest.split_once(',')?.0.parse::<u64>().ok()
    });
    let size = size.unwrap_or_else(|| panic!("predicted {predicted}, no size in {warnings:?}"));
    assert_eq!(predicted, size, "{warnings:?}");
}
