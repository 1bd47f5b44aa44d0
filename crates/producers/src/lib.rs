//! The producers: an upstream (HTTP, SSE or a generator) -> records of a dataset -> its Kafka topic.
//!
//! The runtime owns the loop: when to ask, how long to wait after a failure, how to deliver, when to stop. A dataset
//! only says what to ask and parses what comes. The way of a record: `poll`, `stream` or `generate` obtains it,
//! `Publisher` hands it to librdkafka and waits while its queue is full, and nothing is dropped on the way: what Kafka
//! refuses comes back and is sent again.
//!
//! Deliberately absent: a state store. Where a stream was left is read from the topic itself (`resume`).

mod backoff;
mod breaker;
mod budget;
mod counts;
mod deliveries;
mod fetch;
pub mod framing;
mod generate;
mod http;
mod monitor;
mod once;
mod pacer;
mod poll;
mod publish;
mod resume;
mod retry_after;
mod runtime;
mod scan;
mod settings;
mod stream;
mod summary;
mod transport;
mod upstream;
mod utf8;

use std::process::ExitCode;

use datasets::Dataset;
use service::Service;

pub use settings::{Producer, Settings, Upstreams};

const COMMANDS: &[service::Command] = &[service::Command {
    name: "once",
    about: "one round, then exit: polled upstreams are asked once, streams and generators run for one second; \
            waits for Kafka's acknowledgements and prints one line",
}];

/// A producer's binary, from arguments to exit code.
pub fn main(dataset: &'static Dataset) -> ExitCode {
    service::main(dataset.name, dataset.about, COMMANDS, |settings, service| run(dataset, settings, service))
}

/// Checks the settings as [`run`] does before it waits for anything.
///
/// # Errors
/// What cannot be used, a missing key for instance.
pub fn check(dataset: &Dataset, settings: &Settings) -> anyhow::Result<()> {
    runtime::check(dataset, settings)
}

/// Produces until the service's shutdown: everything handed to Kafka is acknowledged when this returns `Ok`.
///
/// # Errors
/// The settings cannot be used, Kafka failed for good, or records stayed unacknowledged at the end; in `once` also where
/// requests stayed unanswered, records were rejected, or it was stopped.
pub async fn run(dataset: &'static Dataset, settings: Settings, service: Service) -> anyhow::Result<()> {
    runtime::run(dataset, settings, service).await
}
