//! The consumer: Kafka topics -> Cassandra tables (or CSV files), by routes.
//!
//! A message's way: [`receive`] polls it into a chunk, [`decode`] turns its bytes into a row's cells by the [`plan`]
//! of its [`route`], [`batch`] collects rows, [`mod@write`] hands them to the [`store`], the [`ledger`] follows what is
//! written, the [`horizon`] says what is durable, and only that is committed. What can never become a row goes to
//! [`dead_letter`]. The [`engine`] owns these parts and their order. The [`csv_sink`] is the same way into files.

pub mod audit;
pub mod backoff;
pub mod batch;
pub mod check;
pub mod codec;
pub mod command;
pub mod csv_sink;
pub mod dead_letter;
pub mod decode;
pub mod engine;
pub mod explain;
pub mod horizon;
pub mod hosts;
pub mod json;
pub mod key;
pub mod ledger;
pub mod marker;
pub mod message;
pub mod path;
pub mod plan;
pub mod progress;
pub mod receive;
pub mod replay;
pub mod replicas;
pub mod route;
pub mod routes;
pub mod rows;
pub mod schema;
pub mod server_size;
pub mod settings;
pub mod store;
pub mod suspects;
pub mod topic;
pub mod window;
pub mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

use service::Service;

pub use settings::{Settings, Sink};

/// Consumes until the service is told to stop.
///
/// # Errors
/// Something that only an operator can mend, in words.
pub async fn run(settings: Settings, service: Service) -> anyhow::Result<()> {
    settings.kafka.check()?;
    settings.consumer.check()?;
    let routes = route::load(&settings.consumer.routes)
        .map_err(|problems| anyhow::anyhow!(route::listed(&problems)))?;
    match settings.consumer.sink {
        Sink::Cassandra => engine::run(settings, routes, service).await,
        Sink::Csv => csv_sink::run(settings, routes, service).await,
    }
}

// Whoever panicked with the lock is told of by its own thread; the others go on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
