//! The dashboard: what the services, Kafka and the store say of themselves -> one page, once a second.
//!
//! A task for each server keeps what was last seen of it ([`mod@watch`]); every second all of it becomes a snapshot
//! (`pipeline`), which is written as JSON once and sent to every browser that listens (`web`). What a person asks for
//! is read from Kafka and from the store at that moment (`browse`). Deliberately absent: writing. Pausing a producer is a
//! request to the producer.

mod browse;
pub mod client;
mod history;
mod http;
mod metrics;
mod pipeline;
mod rates;
mod settings;
mod snapshot;
mod state;
mod story;
mod watch;
mod web;

use std::net::SocketAddr;

use anyhow::Context;
use consumer::Sink;
use service::{Service, kafka};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use settings::{Address, Dashboard, Settings};
pub use snapshot::{Part, Role, Service as ServiceState, Snapshot, Stream};
pub use watch::store::Tables;

/// How many ports are tried behind one that is taken.
const PORTS_TRIED: u16 = 20;

/// What the dashboard looks at.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Section `[dashboard]`.
    pub dashboard: Dashboard,
    /// Kafka.
    pub kafka: kafka::Settings,
    /// The consumer's group.
    pub group: String,
    /// Where the rows are.
    pub tables: Tables,
}

/// The service: serves until it is told to stop.
///
/// # Errors
/// The settings cannot be used, or no port is free.
pub async fn run(settings: Settings, service: Service) -> anyhow::Result<()> {
    settings.dashboard.check()?;
    settings.kafka.check()?;
    settings.consumer.check()?;
    let Settings { dashboard, kafka, cassandra, consumer, .. } = settings;
    let tables = match consumer.sink {
        Sink::Cassandra => Tables::Cassandra(cassandra),
        Sink::Csv => Tables::Files(consumer.csv_dir),
    };
    let bind = dashboard.bind;
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("bind {bind}; dashboard.bind names another address"))?;
    info!(page = %format_args!("http://{}", listener.local_addr()?), "serving the page");
    service.health.green("page");
    serve(listener, Sources { dashboard, kafka, group: consumer.group, tables }, service.shutdown).await
}

/// Listens there; where the port is taken, on one of the next. Only for who tells the port: the operator's command, and the
/// token that it sends, go to the port that is configured.
///
/// # Errors
/// None of them is free, or the address is not this machine's.
pub async fn bind_near(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let last = address.port().saturating_add(if address.port() == 0 { 0 } else { PORTS_TRIED });
    for port in address.port()..=last {
        match TcpListener::bind((address.ip(), port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && port < last => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("bind {address}; dashboard.bind names another address"));
            }
        }
    }
    anyhow::bail!("no free port from {address} on")
}

/// Serves the page until `shutdown`.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    sources: Sources,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let shared = state::start(sources, &shutdown);
    web::serve(listener, shared, shutdown).await
}
