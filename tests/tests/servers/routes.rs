//! What routes can say, on real servers: the README's own example, deletes, times from fields, topics and tables.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use end_to_end::{Record, World, all_committed, dead_letters, metric, publish, red, text};
use scylla::value::CqlValue;
use serde_json::json;
use testbed::Service;

const SOON: Duration = Duration::from_secs(60);
const AT_ONCE: &[(&str, &str)] = &[("CONSUMER__DURABLE_AFTER", "0s")];

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

// A message with a key; without a value it is a tombstone.
fn keyed(key: &str, value: Option<serde_json::Value>) -> Record {
    Record {
        key: Some(key.as_bytes().to_vec()),
        value: value.map(|value| value.to_string().into_bytes()),
        ..Record::default()
    }
}

fn stored(consumer: &Service) -> f64 {
    metric(consumer, "tributary_messages_total", &[r#"outcome="stored""#])
}

/// What is between two lines of the README's section on a topic of one's own.
fn readme(from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (_, section) = text.split_once("## Your own topic into your own table").unwrap();
    let (_, after) = section.split_once(from).unwrap_or_else(|| panic!("no {from} in the README"));
    after.split_once(to).unwrap_or_else(|| panic!("no {to} in the README")).0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_route_of_twelve_lines_fills_a_new_table() {
    let world = World::shared("readme_route").await;
    let route = readme("cat > routes/orders.toml <<'TOML'\n", "\nTOML\n");
    assert_eq!(route.lines().count(), 12, "{route}");
    let topic = world.create_topic("orders", 6);
    // The shop is this world's keyspace, which is there already; nobody has to be granted anything.
    for statement in readme("<<'CQL'\n", "\nCQL\n").split(";\n") {
        if statement.starts_with("CREATE TABLE") {
            world.cql(&statement.replace("shop.", &format!("{}.", world.name))).await;
        }
    }
    let ours = route
        .replace("topic = \"orders\"", &format!("topic = \"{topic}\""))
        .replace("shop.", &format!("{}.", world.name));
    world.write_route("orders", &ours);
    let consumer = world.consumer(AT_ONCE);
    let message = readme("echo '", "' |");
    let published_ms = now_ms();
    publish(&world.brokers, &topic, &[Record::of(message).at(published_ms)]).await;
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let question = format!(
        "SELECT customer, toUnixTimestamp(ordered_at), id, total, currency, items, toUnixTimestamp(received_at), \
         ttl(total) FROM {}.orders",
        world.name
    );
    let rows = world.rows(&question).await;
    assert_eq!(rows.len(), 1, "{}", consumer.log());
    let row = &rows[0];
    assert_eq!((text(&row[0]), text(&row[4])), ("Ines".to_owned(), "EUR".to_owned()));
    assert_eq!(row[1], Some(CqlValue::BigInt(1_767_225_600_000)));
    assert_eq!(row[2], Some(CqlValue::Uuid("0b7c1f1e-52c8-4c2b-9d5e-5d7d4a9c1a01".parse().unwrap())));
    assert_eq!(row[3], Some(CqlValue::Double(12.5)));
    let items = ["tea", "cup"].map(|item| CqlValue::Text(item.to_owned()));
    assert_eq!(row[5], Some(CqlValue::List(items.to_vec())));
    assert_eq!(row[6], Some(CqlValue::BigInt(published_ms)));
    let ttl_s = row[7].as_ref().and_then(CqlValue::as_int).unwrap();
    assert!((365 * 86_400 - 600..=365 * 86_400).contains(&ttl_s), "{ttl_s}");
}

async fn accounts(world: &World) -> BTreeMap<String, (String, String)> {
    let rows = world.rows(&format!("SELECT id, name, region FROM {}.accounts", world.name)).await;
    let word = |cell: &Option<CqlValue>| cell.as_ref().map(|_| text(cell)).unwrap_or_default();
    rows.iter().map(|row| (text(&row[0]), (word(&row[1]), word(&row[2])))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_value_deletes_its_row_and_a_null_its_cell() {
    let world = World::shared("deletes").await;
    let topic = world.create_topic("accounts", 2);
    world
        .cql(&format!("CREATE TABLE {}.accounts (id text PRIMARY KEY, name text, region text)", world.name))
        .await;
    let route = format!(
        "topic = \"{topic}\"\ntable = \"{}.accounts\"\ndeletes = [\"row\", \"cells\"]\n[columns]\n\
         name = \"name\"\nid = {{ key = \"account.id\" }}\nregion = \"region\"\n",
        world.name
    );
    world.write_route("accounts", &route);
    let base = now_ms() - 60_000;
    let key = |id: &str| json!({ "account": { "id": id } }).to_string();
    let put =
        |id: &str, at: i64| keyed(&key(id), Some(json!({"name": id, "region": "eu"}))).at(base + at).on(0);
    let tombstone = |id: &str, at: i64| keyed(&key(id), None).at(base + at).on(0);
    let mut records = vec![
        // The first offset of both partitions and the same time: one WRITETIME, which the delete wins.
        put("tie", 1_000),
        tombstone("tie", 1_000).on(1),
        put("kept", 1_000),
        put("gone", 1_000),
        tombstone("gone", 2_000),
        put("newer", 2_000),
        tombstone("newer", 1_000),
        tombstone("late", 2_000),
        put("late", 1_000),
        put("back", 1_000),
        tombstone("back", 2_000),
        put("back", 3_000),
        put("partly", 1_000),
        keyed(&key("partly"), Some(json!({"name": null}))).at(base + 2_000).on(0),
        tombstone("never there", 2_000),
        // Three that no row can be found by.
        Record { key: None, ..tombstone("", 1_000) },
        Record { key: Some(b"plain text".to_vec()), ..tombstone("", 1_000) },
        Record { key: Some(b"{}".to_vec()), ..tombstone("", 1_000) },
    ];
    // Enough of them for batches of both kinds.
    for number in 0..500 {
        records.push(put(&format!("many {number}"), 1_000));
    }
    for number in 0..499 {
        records.push(tombstone(&format!("many {number}"), 2_000));
    }
    publish(&world.brokers, &topic, &records).await;
    let consumer = world.consumer(AT_ONCE);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let whole = |id: &str| (id.to_owned(), (id.to_owned(), "eu".to_owned()));
    let mut expected: BTreeMap<_, _> = ["kept", "newer", "back", "many 499"].into_iter().map(whole).collect();
    expected.insert("partly".to_owned(), (String::new(), "eu".to_owned()));
    assert_eq!(accounts(&world).await, expected, "{}", consumer.log());
    assert_eq!(stored(&consumer), (records.len() - 3) as f64);
    let letters = dead_letters(&world.brokers, &topic);
    let mut classes: Vec<&str> = letters.values().map(|letter| letter.headers["class"].as_str()).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["json", "key", "key"]);
    let table = format!("{}.accounts", world.name);
    for letter in letters.values() {
        let reason = &letter.headers["reason"];
        assert!(reason.contains("column id: key account.id"), "{reason}");
        assert_eq!(letter.headers["table"], table);
    }
    // All of it again, by a group without offsets: nothing comes back, nothing else goes.
    let again = format!("{}_again", world.name);
    let second = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s"), ("CONSUMER__GROUP", &again)]);
    all_committed(&world, &again, &topic, SOON, &second);
    assert_eq!(accounts(&world).await, expected, "{}", second.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_tell_how_long_a_row_lives_and_when_it_was_written() {
    let world = World::shared("times").await;
    let topic = world.create_topic("sessions", 1);
    // The table's own default is what a message without the field gets.
    let table =
        "CREATE TABLE KEYSPACE.sessions (id text PRIMARY KEY, state text) WITH default_time_to_live = 5000";
    world.cql(&table.replace("KEYSPACE", &world.name)).await;
    let route = format!(
        "topic = \"{topic}\"\ntable = \"{}.sessions\"\nttl = {{ path = \"lives.minutes\", unit = \"m\" }}\n\
         writetime = {{ path = \"updated_at\", time = \"epoch_ms\" }}\nconsistency = \"all\"\n\
         [columns]\nid = \"id\"\nstate = \"state\"\n",
        world.name
    );
    world.write_route("sessions", &route);
    let now_ms = now_ms();
    let record = |id: &str, state: &str, updated_at: i64, minutes: serde_json::Value| {
        let value =
            json!({"id": id, "state": state, "updated_at": updated_at, "lives": {"minutes": minutes}});
        Record::of(value.to_string()).at(now_ms - 600_000)
    };
    let day = 1_440;
    let records = [
        record("a", "new", 2_000, json!(day)),
        record("a", "old, but published later", 1_999, json!(day)),
        record("b", "old", 1_000, json!(day)),
        record("b", "new", 1_001, json!(day)),
        record("table's default", "", 1_000, json!(null)),
        record("expired", "older, and would live longer", 1_000, json!(day)),
        record("expired", "", 1_001, json!(10)),
        record("zero", "", 1_000, json!(0)),
        record("long", "", 1_000, json!(20 * 366 * day)),
        record("text", "", 1_000, json!("soon")),
        record("future", "", now_ms + 7_200_000, json!(day)),
        Record::of(r#"{"id":"no time","lives":{"minutes":60}}"#),
        // More than the server's calendar has, with the settings that it ships with.
        record("after 2038", "", 1_000, json!(19 * 365 * day)),
    ];
    let places = publish(&world.brokers, &topic, &records).await;
    let consumer = world.consumer(AT_ONCE);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    let question = format!("SELECT id, state, writetime(state), ttl(state) FROM {}.sessions", world.name);
    let mut rows = BTreeMap::new();
    let deadline = Instant::now() + SOON;
    // What has expired already is written for a second, so that nothing older stays.
    while Instant::now() < deadline && (rows.is_empty() || rows.contains_key("expired")) {
        rows.clear();
        for row in world.rows(&question).await {
            let writetime = row[2].as_ref().and_then(CqlValue::as_bigint).unwrap();
            let ttl_s = row[3].as_ref().and_then(CqlValue::as_int);
            rows.insert(text(&row[0]), (text(&row[1]), writetime, ttl_s));
        }
    }
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["a", "b", "table's default"], "{}", consumer.log());
    assert_eq!((rows["a"].0.as_str(), rows["b"].0.as_str()), ("new", "new"));
    assert_eq!((rows["a"].1, rows["b"].1), (2_000_000 + places[0].1, 1_001_000 + places[3].1));
    // A day, less the ten minutes that the message is old.
    let lives = day * 60 - 600;
    assert!((lives - 600..=lives).contains(&rows["a"].2.unwrap()), "{rows:?}");
    assert!((4_400..=5_000).contains(&rows["table's default"].2.unwrap()), "{rows:?}");
    assert_eq!(metric(&consumer, "tributary_messages_total", &[r#"outcome="expired""#]), 0.0);
    let letters = dead_letters(&world.brokers, &topic);
    let mut letters: Vec<_> = letters.values().collect();
    letters.sort_by_key(|letter| letter.headers["offset"].parse::<i64>().unwrap());
    let classes: Vec<&str> = letters.iter().map(|letter| letter.headers["class"].as_str()).collect();
    assert_eq!(classes, ["value", "value", "value", "timestamp", "timestamp", "refused"], "{letters:?}");
    assert!(letters.iter().all(|letter| !letter.headers.contains_key("writetime")));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_fill_one_table_and_one_topic_many_tables() {
    let world = World::shared("many").await;
    let (eu, us) = (world.create_topic("orders-eu", 3), world.create_topic("orders-us", 2));
    world.cql(&format!("CREATE TABLE {}.orders (id int PRIMARY KEY, topic text)", world.name)).await;
    world
        .cql(&format!(
            "CREATE TABLE {}.by_customer (customer text, id int, PRIMARY KEY (customer, id))",
            world.name
        ))
        .await;
    world.write_route(
        "orders",
        &format!(
            "topic = [\"{eu}\", \"{us}\"]\ntable = \"{}.orders\"\n[columns]\nid = \"id\"\ntopic = {{ meta = \"topic\" }}\n",
            world.name
        ),
    );
    world.write_route(
        "by-customer",
        &format!(
            "topic = \"{eu}\"\ntable = \"{}.by_customer\"\n[columns]\ncustomer = \"customer\"\nid = \"id\"\n",
            world.name
        ),
    );
    let order = |id: usize| Record::of(json!({"id": id, "customer": format!("c{}", id % 7)}).to_string());
    let mut europe: Vec<Record> = (0..600).map(order).collect();
    // For one table there is all it needs.
    europe.push(Record::of(r#"{"id":600}"#));
    publish(&world.brokers, &eu, &europe).await;
    publish(&world.brokers, &us, &(1_000..1_400).map(order).collect::<Vec<_>>()).await;
    let mut consumer = world.consumer(AT_ONCE);
    for topic in [&eu, &us] {
        all_committed(&world, &world.name, topic, SOON, &consumer);
    }
    assert_eq!((world.count("orders").await, world.count("by_customer").await), (1_001, 600));
    let of_eu = format!("SELECT id FROM {}.orders WHERE topic = '{eu}' ALLOW FILTERING", world.name);
    assert_eq!(world.rows(&of_eu).await.len(), 601);
    // Each message of the one topic has two outcomes.
    let outcome = |topic: &str, outcome: &str| {
        let labels = [format!("topic=\"{topic}\""), format!("outcome=\"{outcome}\"")];
        metric(&consumer, "tributary_messages_total", &[&labels[0], &labels[1]])
    };
    assert_eq!((outcome(&eu, "stored"), outcome(&eu, "dead_lettered")), (1_201.0, 1.0));
    assert_eq!((outcome(&us, "stored"), outcome(&us, "dead_lettered")), (400.0, 0.0));
    let letters = dead_letters(&world.brokers, &eu);
    let letter = letters.values().next().unwrap();
    assert_eq!((letters.len(), &letter.headers["table"]), (1, &format!("{}.by_customer", world.name)));
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_consistency_is_what_the_server_is_asked_for() {
    let world = World::shared("consistency").await;
    let topic = world.create_topic("events", 1);
    world.cql(&format!("CREATE TABLE {}.events (id int PRIMARY KEY)", world.name)).await;
    world.write_route(
        "events",
        &format!(
            "topic = \"{topic}\"\ntable = \"{}.events\"\nconsistency = \"two\"\n[columns]\nid = \"id\"\n",
            world.name
        ),
    );
    // One alone and some in a batch: there is one replica only.
    for records in [
        vec![Record::of(r#"{"id":1}"#)],
        (2..9).map(|id| Record::of(json!({"id": id}).to_string())).collect(),
    ] {
        publish(&world.brokers, &topic, &records).await;
    }
    let consumer = world.spawn("consumer", AT_ONCE);
    red(&consumer, &["consistency", "nothing is skipped"], SOON);
    assert!(dead_letters(&world.brokers, &topic).is_empty());
    assert_eq!(world.count("events").await, 0);
}
