//! The dashboard shows what the servers hold, and says who is away.

use std::time::{Duration, Instant};

use dashboard::Snapshot;
use end_to_end::{Record, World, healthy, publish, user};
use serde_json::Value;
use service::health::State;
use testbed::{Port, Service, get, wait_for};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);
/// How long a service may be away before the page says so.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

struct Page {
    service: Service,
    port: Port,
}

impl Page {
    fn open(world: &World, services: &str) -> Self {
        let port = Port::claim().unwrap();
        let more = [("DASHBOARD__BIND", port.address()), ("DASHBOARD__SERVICES", services.to_owned())];
        let more: Vec<(&str, &str)> = more.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let service = world.spawn("dashboard", &more);
        healthy(&service);
        Self { service, port }
    }

    fn get(&self, path: &str) -> Value {
        let (status, text) =
            get(&self.port.address(), path).unwrap_or_else(|| panic!("{}", self.service.log()));
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn snapshot(&self) -> Snapshot {
        serde_json::from_value(self.get("/api/snapshot")).unwrap()
    }

    fn state(&self, name: &str) -> Option<(State, String)> {
        let services = self.snapshot().services;
        services
            .into_iter()
            .find(|service| service.name == name)
            .map(|service| (service.state, service.reason))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_shows_what_the_servers_hold() {
    let world = World::shared("dashboard").await;
    let topic = world.create_topic("users_created", 3);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    let users = (0..50).map(|n| Record::of(user(Uuid::from_u128(n), &format!("Name{n}"), "Moreau")));
    let broken = Record::of("{\"id\": \"<img src=x onerror=alert(1)>\"}");
    let records: Vec<Record> = users.chain([broken]).collect();
    publish(&world.brokers, &topic, &records).await;

    let page = Page::open(&world, &format!("consumer={}", consumer.http()));
    let stream = wait_for("51 messages with an outcome on the page", SOON, || {
        let streams = page.snapshot().streams;
        let own = streams.into_iter().find(|stream| stream.topic == topic)?;
        let settled = (own.published, own.stored, own.dead_lettered) == (Some(51), Some(50), Some(1));
        (settled && own.lag_durable == Some(0) && own.state == State::Green).then_some(own)
    });
    let table = format!("{}.created_users", world.name);
    assert_eq!((stream.lag_written, stream.tables), (Some(0), vec![table.clone()]));
    assert!(stream.latency_p99_ms.is_some() && stream.newest_row_age_s.is_some());

    let topics = page.get("/api/topics");
    let own =
        topics["topics"].as_array().unwrap().iter().find(|found| found["name"] == topic.as_str()).unwrap();
    let ends =
        own["partitions"].as_array().unwrap().iter().map(|partition| partition["end"].as_i64().unwrap());
    assert_eq!(ends.sum::<i64>(), 51);
    assert!(own["partitions"].as_array().unwrap().iter().all(|partition| partition["lag"] == 0), "{own}");
    assert_eq!(topics["group"]["members"][0]["partitions"], 3, "{topics}");

    let found = page.get(&format!("/api/topics/{topic}/records?search=NAME49"));
    assert_eq!((found["searched"].as_u64(), found["records"].as_array().unwrap().len()), (Some(51), 1));
    assert!(found["records"][0]["value"].as_str().unwrap().contains("Name49"));

    let rows = page.get(&format!("/api/tables/{table}/rows?search=name7&limit=5"));
    assert_eq!((rows["searched"].as_u64(), rows["rows"].as_array().unwrap().len()), (Some(50), 1));
    assert_eq!((&rows["columns"][0]["name"], &rows["columns"][0]["key"]), (&"id".into(), &true.into()));

    let letters = page.get("/api/dead-letters");
    assert_eq!(letters["letters"], 1);
    let example = &letters["causes"][0]["examples"][0];
    assert!(example["value"].as_str().unwrap().contains("onerror"), "{letters}");

    let url = format!("http://{}", page.port.address());
    let mut status = world.run("tributary", &["status", "--json"], &[("DASHBOARD__URL", &url)]);
    assert_eq!(status.wait(SOON), Some(0), "{}", status.log());
    let object: Snapshot = serde_json::from_str(status.log().lines().last().unwrap()).unwrap();
    assert!(object.streams.iter().any(|stream| stream.topic == topic && stream.stored == Some(50)));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_consumer_is_told_and_comes_back_without_a_reload() {
    let world = World::shared("dashboard_kill").await;
    world.create_topic("users_created", 1);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    let port = Port::claim().unwrap();
    let address = port.address();
    let mut consumer = world.consumer(&[("HTTP__BIND", &address)]);
    let page = Page::open(&world, &format!("consumer={address}"));
    let is = |state| page.state("consumer").filter(|(is, _)| *is == state);
    wait_for("a green consumer on the page", SOON, || is(State::Green));

    consumer.kill();
    let killed_at = Instant::now();
    let (_, reason) = wait_for("a red consumer on the page", TOLD_WITHIN, || is(State::Red));
    assert!(reason.contains(&address), "{reason} after {:?}", killed_at.elapsed());
    let _again = world.consumer(&[("HTTP__BIND", &address)]);
    wait_for("a green consumer on the page again", TOLD_WITHIN, || is(State::Green));
}
