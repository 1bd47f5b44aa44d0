//! Every dataset: simulated upstream -> producer -> topic -> consumer -> row, each field compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use end_to_end::{Message, World, all_committed, fits, healthy, messages, text};
use scylla::value::CqlValue;
use serde_json::Value;
use testbed::{Kafka, Options, shared};

type Row = BTreeMap<String, Option<CqlValue>>;

struct Flow<'a> {
    /// Route, binary and section have one name.
    name: &'static str,
    table: &'static str,
    key: &'static [&'static str],
    origin: &'static str,
    /// Variables of the producer's section.
    settings: &'a [(&'static str, &'a str)],
    at_least: usize,
}

// Producers have fixed topics: a broker of their own, so that nobody else's messages are there.
fn kafka() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(|| Kafka::start(Options::default().heap_mb(256)).unwrap())
}

async fn world(name: &str) -> World {
    let kafka = tokio::task::spawn_blocking(kafka).await.unwrap();
    let cassandra = tokio::task::spawn_blocking(|| &shared().cassandra).await.unwrap();
    World::on(kafka, cassandra, name).await
}

impl Flow<'_> {
    /// Runs the producer once, waits for the consumer, compares; returns the rows and the columns that no row fills.
    async fn run(&self) -> (World, Vec<Row>, BTreeSet<String>) {
        let world = world(&self.name.replace('-', "_")).await;
        let dataset = ::datasets::REGISTRY.iter().find(|dataset| dataset.name == self.name).unwrap();
        let broker = Kafka::elsewhere(&world.brokers);
        let partitions = if self.name == "wikipedia" { 1 } else { 6 };
        broker.create_topic(dataset.topic, partitions, &[]).unwrap();
        world.script(&format!("cassandra/tables/{}.cql", self.table)).await;
        world.write_route(self.name, &world.routed(self.name));

        let simulators = world.spawn("simulators", &[("SIMULATOR__WIKIPEDIA_PER_S", "500")]);
        healthy(&simulators);
        let simulator = format!("http://{}", simulators.http());
        let mut settings = vec![("PRODUCER__UPSTREAMS", "simulated"), ("PRODUCER__SIMULATOR", &simulator)];
        settings.extend(self.settings);
        let mut producer = world.run(self.name, &["once"], &settings);
        assert_eq!(producer.wait(Duration::from_secs(60)), Some(0), "{}", producer.log());

        let mut consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
        all_committed(&world, &world.name, dataset.topic, Duration::from_secs(60), &consumer);
        assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());

        let published = messages(&world.brokers, dataset.topic);
        let rows = rows(&world, self.table).await;
        assert!(published.len() >= self.at_least, "{} messages of {}", published.len(), self.name);
        assert_eq!(rows.len(), published.len(), "one row a message of {}", self.name);
        let unfilled = self.compare(&published, &rows);
        (world, rows, unfilled)
    }

    fn compare(&self, published: &[Message], rows: &[Row]) -> BTreeSet<String> {
        for message in published {
            assert_eq!(message.headers["origin"], self.origin);
            let value: Value = serde_json::from_slice(&message.value).unwrap();
            let ours = |row: &&Row| self.key.iter().all(|column| fits(column, &row[*column], &value));
            let found: Vec<&Row> = rows.iter().filter(ours).collect();
            assert_eq!(found.len(), 1, "rows of {value}");
            for (column, cell) in found[0] {
                assert!(fits(column, cell, &value), "column {column} holds {cell:?} of {value:#}");
            }
            for field in value.as_object().unwrap().keys() {
                assert!(found[0].contains_key(field), "field {field} has no column");
            }
            assert_eq!(message.key, value[if self.name == "weather" { "city" } else { "id" }]);
        }
        let columns = rows[0].keys().cloned();
        columns.filter(|column| rows.iter().all(|row| row[column].is_none())).collect()
    }
}

async fn rows(world: &World, table: &str) -> Vec<Row> {
    let question = format!(
        "SELECT column_name FROM system_schema.columns WHERE keyspace_name = '{}' AND table_name = '{table}'",
        world.name
    );
    let columns: Vec<String> = world.rows(&question).await.into_iter().map(|row| text(&row[0])).collect();
    let question = format!("SELECT {} FROM {}.{table}", columns.join(", "), world.name);
    let cells = world.rows(&question).await;
    cells.into_iter().map(|row| columns.iter().cloned().zip(row).collect()).collect()
}

// Rows of a route with a TTL live that long, less the minutes that they are old.
async fn lives(world: &World, question: &str, days: i32) {
    let rows = world.rows(question).await;
    assert!(!rows.is_empty());
    for row in rows {
        let ttl_s = row[0].as_ref().and_then(CqlValue::as_int).unwrap();
        assert!((days * 86_400 - 600..=days * 86_400).contains(&ttl_s), "{ttl_s} s");
    }
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

// So many that even rare weather is among them.
fn cities() -> String {
    let grid = (-7..=7).flat_map(|lat| (-6..6).map(move |lon| format!("{}.25,{}.5", lat * 10, lon * 29)));
    grid.chain(["Amsterdam,NL".to_owned(), "Oslo,NO".to_owned()]).collect::<Vec<_>>().join(";")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_the_weather_arrives_in_its_column() {
    let cities = cities();
    let flow = Flow {
        name: "weather",
        table: "weatherreport",
        key: &["city", "month", "observed_at"],
        origin: "simulated",
        settings: &[
            ("WEATHER__CITIES", &cities),
            ("WEATHER__API_KEY", "0123456789abcdef0123456789abcdef"),
            ("WEATHER__REQUESTS_PER_MINUTE", "3000"),
        ],
        at_least: 170,
    };
    let (world, rows, unfilled) = flow.run().await;
    assert_eq!(rows.iter().filter(|row| text(&row["city"]) == "Amsterdam,NL").count(), 1);
    assert!(
        unfilled.is_subset(&names(["snow_3h_mm"])),
        "columns that this test does not prove: {unfilled:?}"
    );
    lives(&world, &format!("SELECT ttl(longitude) FROM {}.weatherreport", world.name), 90).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_generated_person_arrives_in_its_column() {
    let flow = Flow {
        name: "faker",
        table: "fakerdata",
        key: &["id"],
        origin: "generated",
        settings: &[("FAKER__RATE", "200")],
        at_least: 50,
    };
    let (_, rows, unfilled) = flow.run().await;
    assert_eq!((rows[0].len(), unfilled), (13, names([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_wiki_change_arrives_in_its_column() {
    let flow = Flow {
        name: "wikipedia",
        table: "wikipediadata",
        key: &["wiki", "hour", "dt", "id"],
        origin: "simulated",
        settings: &[],
        at_least: 100,
    };
    let (world, _, unfilled) = flow.run().await;
    assert_eq!(unfilled, names([]), "columns that this test does not prove");
    lives(&world, &format!("SELECT ttl(domain) FROM {}.wikipediadata", world.name), 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_company_arrives_in_its_column() {
    let flow = Flow {
        name: "companies",
        table: "companies_created",
        key: &["id"],
        origin: "simulated",
        settings: &[("COMPANIES__QUANTITY", "40")],
        at_least: 40,
    };
    let (_, rows, unfilled) = flow.run().await;
    assert_eq!(unfilled, names([]));
    let addresses = rows.iter().filter_map(|row| row["addresses"].as_ref()?.as_list());
    assert!(addresses.map(Vec::len).max() > Some(1), "some company has several addresses");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_random_user_arrives_in_its_column() {
    let flow = Flow {
        name: "random-user",
        table: "created_users",
        key: &["id"],
        origin: "simulated",
        settings: &[("RANDOM_USER__RESULTS", "40")],
        at_least: 40,
    };
    let (_, rows, unfilled) = flow.run().await;
    assert_eq!((rows[0].len(), unfilled), (11, names([])));
}
