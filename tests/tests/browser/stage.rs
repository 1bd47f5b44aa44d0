//! The whole pipeline as processes: simulators -> producers -> Kafka -> consumer -> Cassandra, and the dashboard before it.

use std::collections::BTreeMap;
use std::time::Duration;

use datasets::REGISTRY;
use end_to_end::{World, healthy};
use testbed::{Kafka, Options, Port, Service, shared};

/// What is started beside Kafka and Cassandra, by the names that the page has for them.
pub(crate) const SERVICES: [&str; 8] =
    ["upstreams", "weather", "faker", "wikipedia", "companies", "random-user", "consumer", "dashboard"];

const PARTITIONS: i32 = 3;
/// More than one round takes.
const ROUND: Duration = Duration::from_secs(60);

/// Services, each on a port that it keeps when it is killed and started again.
pub(crate) struct Stage {
    pub(crate) world: World,
    ports: BTreeMap<&'static str, Port>,
    /// Where the page is, beside the port for health that the dashboard has as any other.
    page: Port,
    running: BTreeMap<&'static str, Service>,
}

impl Stage {
    /// Topics, tables and routes of all datasets, without a service. The producers' topics have fixed names: the world needs a
    /// broker of its own.
    pub(crate) async fn on(world: World) -> Self {
        let broker = Kafka::elsewhere(&world.brokers);
        for dataset in REGISTRY {
            broker.create_topic(dataset.topic, PARTITIONS, &[]).unwrap();
            let letters = format!("{}.dlq", dataset.topic);
            broker.create_topic(&letters, 1, &[("cleanup.policy", "compact")]).unwrap();
            let (_, table) = dataset.table.split_once('.').unwrap();
            world.script(&format!("cassandra/tables/{table}.cql")).await;
            world.write_route(dataset.name, &world.routed(dataset.name));
        }
        let ports = SERVICES.map(|name| (name, Port::claim().unwrap()));
        Self { world, ports: ports.into(), page: Port::claim().unwrap(), running: BTreeMap::new() }
    }

    /// On the shared Cassandra, with a broker of its own.
    pub(crate) async fn with_a_broker(test: &str) -> (Kafka, Self) {
        let start = || (Kafka::start(Options::default().heap_mb(256)).unwrap(), &shared().cassandra);
        let (kafka, cassandra) = tokio::task::spawn_blocking(start).await.unwrap();
        let world = World::on(&kafka, cassandra, test).await;
        (kafka, Self::on(world).await)
    }

    /// Where the dashboard's page is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.page.address())
    }

    /// The table of a dataset in this world.
    pub(crate) fn table(&self, dataset: &str) -> String {
        let dataset = REGISTRY.iter().find(|known| known.name == dataset).unwrap();
        format!("{}.{}", self.world.name, dataset.table.split_once('.').unwrap().1)
    }

    pub(crate) fn service(&self, name: &str) -> &Service {
        &self.running[name]
    }

    /// Starts a service, and returns when its own health is green.
    pub(crate) fn start(&mut self, name: &'static str) {
        let service = self.world.spawn(binary(name), &borrowed(&self.settings(name)));
        healthy(&service);
        self.running.insert(name, service);
    }

    /// Has a producer run one round.
    pub(crate) fn once(&self, name: &'static str) {
        let mut producer = self.world.run(name, &["once"], &borrowed(&self.settings(name)));
        assert_eq!(producer.wait(ROUND), Some(0), "{}", producer.log());
    }

    pub(crate) fn kill(&mut self, name: &str) {
        self.running.remove(name).unwrap().kill();
    }

    fn settings(&self, name: &str) -> Vec<(&'static str, String)> {
        let address = |name: &str| self.ports[name].address();
        let watched = SERVICES.iter().filter(|name| self.running.contains_key(*name));
        match name {
            "upstreams" => vec![("SIMULATOR__BIND", address(name))],
            "consumer" => {
                vec![("HTTP__BIND", address(name)), ("CONSUMER__DURABLE_AFTER", "0s".to_owned())]
            }
            "dashboard" => {
                let services: Vec<String> = watched.map(|name| format!("{name}={}", address(name))).collect();
                vec![
                    ("HTTP__BIND", address(name)),
                    ("DASHBOARD__BIND", self.page.address()),
                    ("DASHBOARD__SERVICES", services.join(",")),
                ]
            }
            _ => vec![
                ("HTTP__BIND", address(name)),
                ("PRODUCER__UPSTREAMS", "simulated".to_owned()),
                ("PRODUCER__SIMULATOR", format!("http://{}", address("upstreams"))),
                ("WEATHER__API_KEY", "0123456789abcdef0123456789abcdef".to_owned()),
                ("WEATHER__EVERY", "5s".to_owned()),
                ("COMPANIES__EVERY", "5s".to_owned()),
                ("RANDOM_USER__EVERY", "5s".to_owned()),
            ],
        }
    }
}

fn binary(name: &'static str) -> &'static str {
    if name == "upstreams" { "simulators" } else { name }
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
}
