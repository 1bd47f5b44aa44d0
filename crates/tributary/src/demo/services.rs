//! Settings -> the running simulators, producers, consumer and dashboard, and their orderly end.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use consumer::Sink;
use consumer::route::{self, Route};
use dashboard::{Address, Sources, Tables};
use datasets::{Dataset, REGISTRY};
use service::health::State;
use service::{Health, Service, http, kafka, telemetry};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::flow::{Pace, Snapshot};
use super::settings::Settings;

/// Above what a service grants itself.
const END_MAX: Duration = Duration::from_secs(15);

const SYNC_EVERY_MAX: Duration = Duration::from_secs(1);

/// The routes as shipped, so that the demo runs in any folder.
const ROUTES: &[(&str, &str)] = &[
    ("weather", include_str!("../../../../routes/weather.toml")),
    ("faker", include_str!("../../../../routes/faker.toml")),
    ("wikipedia", include_str!("../../../../routes/wikipedia.toml")),
    ("companies", include_str!("../../../../routes/companies.toml")),
    ("random-user", include_str!("../../../../routes/random-user.toml")),
];

type Outcome = anyhow::Result<()>;

/// Where the simulators and the page are served.
pub(super) struct Ports {
    pub(super) simulators: TcpListener,
    pub(super) page: TcpListener,
}

/// How a producer is held back.
struct PaceOf {
    paused: watch::Sender<bool>,
    /// It was paused here, and not by an operator.
    held: bool,
}

/// Everything that runs.
pub(super) struct Services {
    producers: JoinSet<(&'static str, Outcome)>,
    /// By index into the registry.
    paces: Vec<PaceOf>,
    consumer: Option<JoinHandle<Outcome>>,
    consumer_health: Health,
    stop_producers: CancellationToken,
    stop_consumer: CancellationToken,
}

impl Services {
    /// Starts all of them; the consumer has its files in `folder`.
    pub(super) async fn start(
        kafka: &kafka::Settings,
        ports: Ports,
        settings: Settings,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let Settings { producers: mut produce, consumer: mut consume, simulator, mut dashboard, .. } =
            settings;
        let routes = routes()?;
        produce.kafka = kafka.clone();
        produce.producer.simulator = format!("http://{}", ports.simulators.local_addr()?);
        consume.kafka = kafka.clone();
        consume.consumer.sink = Sink::Csv;
        consume.consumer.csv_dir = folder.to_owned();
        // What is not synced counts as unread, and holds the producers back.
        consume.consumer.csv_sync_every = consume.consumer.csv_sync_every.min(SYNC_EVERY_MAX);
        consume.consumer.check()?;

        // The simulators and the dashboard end with the process: they have nothing to lose.
        tokio::spawn(simulators::serve(ports.simulators, simulator, CancellationToken::new()));
        let (stop_producers, stop_consumer) = (CancellationToken::new(), CancellationToken::new());
        let mut producers = JoinSet::new();
        let mut paces = Vec::new();
        dashboard.services.clear();
        for &dataset in REGISTRY {
            let (paused, service) = service(&stop_producers);
            dashboard.services.push(served(dataset.name, &service).await?);
            paces.push(PaceOf { paused, held: false });
            let run = producers::run(dataset, produce.clone(), service);
            producers.spawn(async move { (dataset.name, run.await) });
        }
        let (_, service) = service(&stop_consumer);
        dashboard.services.push(served("consumer", &service).await?);
        let consumer_health = service.health.clone();
        let group = consume.consumer.group.clone();
        let consumer = Some(tokio::spawn(consumer::csv_sink::run(consume, routes, service)));
        let tables = Tables::Files(folder.to_owned());
        let sources = Sources { dashboard, kafka: kafka.clone(), group, tables };
        tokio::spawn(async move {
            if let Err(error) = dashboard::serve(ports.page, sources, CancellationToken::new()).await {
                tracing::warn!("the page is gone: {error:#}");
            }
        });
        Ok(Self { producers, paces, consumer, consumer_health, stop_producers, stop_consumer })
    }

    /// Pauses the producers that are far ahead of the files, and lets those go on that no longer are.
    pub(super) fn hold_back(&mut self, now: &Snapshot) {
        for (dataset, pace) in self.paces.iter_mut().enumerate() {
            match now.pace(dataset) {
                Pace::Wait => pace.held |= !pace.paused.send_replace(true),
                Pace::Run if pace.held => {
                    pace.held = false;
                    pace.paused.send_replace(false);
                }
                Pace::Run | Pace::Keep => {}
            }
        }
    }

    /// Waits for a service that ends by itself; returns why.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        let consumer = async {
            match &mut self.consumer {
                Some(consumer) => flat(consumer.await),
                None => std::future::pending().await,
            }
        };
        let (name, outcome) = tokio::select! {
            Some(ended) = self.producers.join_next() => match ended {
                Ok((dataset, outcome)) => (format!("producer {dataset}"), outcome),
                Err(error) => ("a producer".to_owned(), Err(error.into())),
            },
            outcome = consumer => ("the consumer".to_owned(), outcome),
        };
        match outcome {
            Ok(()) => anyhow!("{name} ended by itself"),
            Err(error) => error.context(name),
        }
    }

    /// Ends the producers when Kafka has acknowledged all that they sent; returns what went wrong.
    pub(super) async fn stop_producers(&mut self) -> Vec<String> {
        self.stop_producers.cancel();
        let mut troubles = Vec::new();
        let all = async {
            while let Some(ended) = self.producers.join_next().await {
                match ended {
                    Ok((_, Ok(()))) => {}
                    Ok((dataset, Err(error))) => troubles.push(format!("producer {dataset}: {error:#}")),
                    Err(error) => troubles.push(format!("a producer: {error}")),
                }
            }
        };
        if tokio::time::timeout(END_MAX, all).await.is_err() {
            let left = self.producers.len();
            troubles.push(format!("{left} producers did not end within {} s", END_MAX.as_secs()));
        }
        troubles
    }

    /// Ends the consumer when its files are synced; returns what went wrong.
    pub(super) async fn stop_consumer(&mut self) -> Option<String> {
        self.stop_consumer.cancel();
        let consumer = self.consumer.take()?;
        match tokio::time::timeout(END_MAX, consumer).await {
            Ok(ended) => flat(ended).err().map(|error| format!("consumer: {error:#}")),
            Err(_) => Some(format!("the consumer did not end within {} s", END_MAX.as_secs())),
        }
    }

    /// Says what keeps the consumer from its work, as it reports it itself.
    pub(super) fn consumer_reasons(&self) -> String {
        let report = self.consumer_health.report();
        let red = report.parts.iter().filter(|(_, part)| part.state == State::Red);
        red.map(|(name, part)| format!("; {name}: {}", part.reason)).collect()
    }
}

fn service(stop: &CancellationToken) -> (watch::Sender<bool>, Service) {
    let pause = watch::Sender::new(false);
    let service =
        Service { command: None, health: Health::default(), shutdown: stop.clone(), pause: pause.clone() };
    (pause, service)
}

// As in a container: its health and metrics on a port of its own, where the dashboard asks for them.
async fn served(name: &str, service: &Service) -> anyhow::Result<Address> {
    let any_port = http::Settings { bind: ([127, 0, 0, 1], 0).into() };
    let (health, pause) = (service.health.clone(), service.pause.clone());
    let at = http::serve(&any_port, health, telemetry::metrics(), pause, CancellationToken::new()).await?;
    Ok(Address { name: name.to_owned(), at: at.to_string() })
}

fn flat(ended: Result<Outcome, JoinError>) -> Outcome {
    ended.context("it panicked")?
}

fn routes() -> anyhow::Result<Vec<Route>> {
    let parse = |dataset: &&'static Dataset| {
        let name = dataset.name;
        let (_, text) = ROUTES
            .iter()
            .find(|(known, _)| *known == name)
            .with_context(|| format!("dataset {name} has no route in the demo"))?;
        let file = format!("routes/{name}.toml");
        route::parse(Path::new(&file), (*text).to_owned())
            .map_err(|problems| anyhow!(route::listed(&problems)))
    };
    REGISTRY.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_has_a_route_from_its_topic_to_its_table() {
        let routes = routes().unwrap();
        for (dataset, route) in REGISTRY.iter().zip(routes) {
            assert_eq!(route.topics, [dataset.topic]);
            assert_eq!(route.table.get_ref(), dataset.table);
        }
    }
}
