//! `tributary fetch`: one round of a producer in this process: its upstream is asked once, what comes is published.

use clap::builder::PossibleValuesParser;
use datasets::{Dataset, REGISTRY};
use producers::Settings;
use service::{Health, Service, config, telemetry};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use crate::life;

const EXAMPLES: &str = "\
Examples:
  tributary fetch weather                                     ask for all cities once, and publish what comes
  docker compose run --rm weather tributary fetch weather     the same, with the settings of that container";

const EXIT_CODES: &str = "\
Exit codes:
  0    records were published, and Kafka has acknowledged them
  1    none were, or not all: requests stayed unanswered, records were rejected, or it was stopped; the words say which
  2    wrong usage
  78   wrong configuration

Settings are the producer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS. It may run beside the producer: a
record that both fetch is one row.";

/// Arguments of `tributary fetch`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Whose upstream
    #[arg(value_parser = PossibleValuesParser::new(REGISTRY.iter().map(|dataset| dataset.name)))]
    dataset: String,
}

/// Fetches, and returns the exit code.
///
/// # Errors
/// The configuration cannot be used, or not all was published.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::WARN);
    let dataset = REGISTRY.iter().find(|dataset| dataset.name == arguments.dataset);
    let dataset = dataset.expect("the parser lets the registry's names pass alone");
    once(dataset, config::load()?, life::stop()).await?;
    Ok(0)
}

async fn once(
    dataset: &'static Dataset,
    settings: Settings,
    stop: tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    let (health, pause) = (Health::default(), watch::Sender::new(false));
    let service = Service { command: Some("once"), health, shutdown: stop, pause };
    producers::run(dataset, settings, service).await
}

#[cfg(test)]
mod tests {
    use producers::Upstreams;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::demo::broker::{Broker, Topics, partitions};

    fn published(topics: &Topics, dataset: &Dataset) -> i64 {
        (0..partitions(dataset)).map(|number| topics.watermarks(dataset, number).unwrap().1).sum()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_polled_upstream_is_asked_once_and_what_comes_is_on_its_topic() {
        let broker = Broker::start().unwrap();
        let topics = Topics::new(&broker.settings()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut settings = Settings { kafka: broker.settings(), ..Settings::default() };
        settings.producer.upstreams = Upstreams::Simulated;
        settings.producer.simulator = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(simulators::serve(listener, simulators::Settings::default(), CancellationToken::new()));
        for (dataset, records) in [
            (&datasets::weather::DATASET, 10),
            (&datasets::companies::DATASET, 10),
            (&datasets::random_user::DATASET, 10),
        ] {
            once(dataset, settings.clone(), CancellationToken::new()).await.unwrap();
            assert_eq!(published(&topics, dataset), records, "{}", dataset.name);
        }
    }
}
