//! `tributary doctor`: settings, servers, routes, clocks and this machine -> what is wrong, and what mends it.
//!
//! Each module looks at one thing (`observe`) and judges what was seen (`judge`): a judgement is a function from values
//! to findings. Every look has a limit, and what hangs keeps no other from being told.

mod address;
mod cassandra;
mod clocks;
mod dashboard;
mod finding;
mod kafka;
mod machine;
mod ports;
mod routes;
mod screen;
mod server;
mod settings;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consumer::check::{Report, compare};
use consumer::settings::Consumer;
use consumer::topic::Topics;
use consumer::{Settings, Sink};
use service::telemetry;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::level_filters::LevelFilter;

use crate::print::output;
use address::Address;
use finding::Finding;
use settings::Usable;

const EXAMPLES: &str = "\
Examples:
  tributary doctor                                     what is wrong here, and what to do
  docker compose run --rm tributary doctor    the same, seen from the containers
  tributary doctor --json | tail -1                    the findings as one JSON object";

const EXIT_CODES: &str = "\
Exit codes:
  0    nothing is wrong; warnings are possible
  1    something is wrong
  2    wrong usage

Settings are those of the services: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.
Nothing is changed: no row, no dead letter, no offset. No consumer group is joined. It ends within 15 s.";

/// How long what reads files may take.
const FILES_LIMIT: Duration = Duration::from_secs(3);
/// How long everything may take that needs servers; a little is left for the end of the process.
const SERVERS_LIMIT: Duration = Duration::from_secs(11);

/// Arguments of `tributary doctor`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The folder of routes [default: as configured, else routes]
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// Print the findings as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

/// Looks, prints, and returns the exit code.
///
/// # Errors
/// Standard output is closed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::OFF);
    let findings = examine(arguments.routes).await;
    output(&screen::text(&findings), arguments.json, &screen::Json::of(&findings))?;
    Ok(screen::exit_code(&findings))
}

async fn examine(routes: Option<PathBuf>) -> Vec<Finding> {
    let hangs =
        |what: &str| Finding::not_checked(what, format!("reading files took more than {FILES_LIMIT:?}"));
    let Some((usable, mut findings)) = blocking(FILES_LIMIT, move || settings::read(routes)).await else {
        return vec![hangs("settings")];
    };
    let (servers, machine) = tokio::join!(examine_servers(&usable), {
        let csv_dir = usable.consumer.clone().unwrap_or_default().csv_dir;
        blocking(FILES_LIMIT, move || machine::observe(&[csv_dir, PathBuf::from(".")]))
    });
    findings.extend(servers);
    findings.extend(match machine {
        Some(machine) => machine.judge(servers_here(&usable)),
        None => vec![hangs("memory and disks")],
    });
    findings
}

async fn examine_servers(usable: &Usable) -> Vec<Finding> {
    let deadline = Instant::now() + SERVERS_LIMIT;
    let Usable { kafka, cassandra, consumer, dashboard } = usable;
    let tables = consumer.as_ref().is_none_or(|consumer| consumer.sink == Sink::Cassandra);
    let brokers = kafka.as_ref().map_or("", |kafka| &kafka.brokers);
    let cassandra = cassandra.as_ref().filter(|_| tables);
    let url = dashboard.as_deref().unwrap_or_default();
    let (kafka, cassandra, dashboard, ports) = tokio::join!(
        kafka::observe(kafka.as_ref()),
        cassandra::observe(cassandra),
        dashboard::observe(url),
        ports::observe(ports::of(brokers, url))
    );
    let unusable = "its settings cannot be used";
    let mut findings = match &kafka {
        Some(kafka) => kafka.judge(),
        None => vec![Finding::not_checked("kafka", unusable)],
    };
    findings.extend(match &cassandra {
        Some(cassandra) => cassandra.judge(consumer.as_ref()),
        None if tables => vec![Finding::not_checked("cassandra", unusable)],
        None => vec![Finding::not_checked("cassandra", "consumer.sink is csv: rows go into files")],
    });
    findings.extend(examine_routes(usable, kafka.as_ref(), cassandra.as_ref(), deadline).await);
    findings.extend(match url {
        "" => vec![Finding::not_checked("dashboard", unusable)],
        _ => dashboard.judge(),
    });
    let ports = ports.iter().filter(|(port, _)| !(port.is_of_the_dashboard() && dashboard.answers()));
    findings.extend(ports.map(|(port, reach)| ports::judge(*port, reach)));
    // Closing a client can hang while its broker is away: nobody waits for it.
    std::thread::spawn(move || drop(kafka));
    findings
}

// The routes against what the servers have, and the timestamps on their topics.
async fn examine_routes(
    usable: &Usable,
    kafka: Option<&kafka::Seen>,
    cassandra: Option<&cassandra::Seen>,
    deadline: Instant,
) -> Vec<Finding> {
    let Some(consumer) = &usable.consumer else {
        return vec![Finding::not_checked("routes", "section [consumer] cannot be used")];
    };
    let absent = || "it was not looked at".to_owned();
    let topics = kafka.map_or_else(|| Err(absent()), kafka::Seen::topics);
    let store = cassandra.map_or_else(|| Err(absent()), cassandra::Seen::store);
    let settings = together(usable, consumer);
    let said = cassandra.map(|seen| seen.settings().clone()).unwrap_or_default();
    let compared = compare(&settings, store.as_ref().copied(), &said, topics.as_ref().copied(), 0);
    let Ok(report) = timeout_at(deadline, compared).await else {
        return vec![Finding::not_checked(
            "routes",
            "comparing them took too long; tributary check has no limit",
        )];
    };
    let mut findings = routes::judge(&report);
    if let Ok(topics) = topics {
        findings.extend(newest(topics, &report, deadline).await);
    }
    findings
}

async fn newest(topics: &Arc<Topics>, report: &Report, deadline: Instant) -> Vec<Finding> {
    let (topics, names) = (Arc::clone(topics), routes::topics(report));
    let left = deadline.saturating_duration_since(Instant::now());
    let not_checked = |why: &str| vec![Finding::not_checked("kafka's newest messages", why)];
    match blocking(left, move || clocks::observe(&topics, &names)).await {
        Some(Ok(ahead)) => clocks::judge_newest(&ahead),
        Some(Err(why)) => not_checked(&why.to_string()),
        None => not_checked("asking for them took too long"),
    }
}

fn together(usable: &Usable, consumer: &Consumer) -> Settings {
    Settings {
        kafka: usable.kafka.clone().unwrap_or_default(),
        cassandra: usable.cassandra.clone().unwrap_or_default(),
        consumer: consumer.clone(),
        ..Settings::default()
    }
}

// Whether Kafka or Cassandra is sought on this machine.
fn servers_here(Usable { kafka, cassandra, .. }: &Usable) -> bool {
    let brokers = kafka.as_ref().map(|kafka| &kafka.brokers);
    let nodes = cassandra.as_ref().map(|cassandra| &cassandra.contact_points);
    let addresses = [brokers, nodes].into_iter().flatten().flat_map(|list| Address::all(list, 0));
    addresses.flatten().any(|address| address.is_here())
}

// `None` where it hangs: then its thread ends with the process.
async fn blocking<T: Send + 'static>(
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    timeout(limit, tokio::task::spawn_blocking(look)).await.ok()?.ok()
}

#[cfg(test)]
mod tests;
