//! What makes a process a good service: configuration, telemetry, health, a graceful end, Kafka settings.
//!
//! Every binary hands its `run` to [`main`], which loads the configuration, serves `/health` and `/metrics`,
//! turns SIGTERM into a cancelled token and the outcome into an exit code.

pub mod config;
pub mod health;
pub mod http;
pub mod kafka;
mod process;
pub mod shutdown;
pub mod telemetry;
pub mod words;

pub use health::Health;
pub use process::{Command, Configured, MISCONFIGURED, Service, UNAVAILABLE, exit_code, main};

/// For librdkafka too. It allocates each message on one thread and frees it on another, which glibc's allocator pays for
/// with locks: about a fifth of a service's CPU time (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
