//! Real Kafka and real Cassandra for tests and benchmarks: tools found on this machine -> jars in the cache
//! (or official images) -> servers on free loopback ports -> addresses for whoever asked.
//!
//! The binaries under test are processes, or containers of the image that ships, with what docker-compose.yml lets them do.
//!
//! Every process is held by a small supervising shell whose standard input is a pipe of ours, so that it dies
//! with its owner however the owner ends, and with it the container that it is the client of. There is no driver and
//! no runtime here: what a server answers is read from a handful of protocol frames, which keeps the developers'
//! command quick to build.

mod binaries;
mod cache;
mod cassandra;
mod chromedriver;
mod cql;
mod docker;
mod http;
mod jars;
mod kafka;
mod kafka_wire;
mod options;
mod ports;
mod process;
mod server;
mod service;
mod shared;
mod supervised;
mod tools;
mod wait;

pub use binaries::{BINARIES_VARIABLE, SHIPPED, image};
pub use cache::cache;
pub use cassandra::Cassandra;
pub use chromedriver::{NoChromedriver, chromedriver};
pub use docker::docker_engine;
pub use http::get;
pub use jars::prepare;
pub use kafka::Kafka;
pub use kafka_wire::{Operation, Resource, TopicError};
pub use options::{Options, Secure};
pub use ports::Port;
pub use process::{cpu_s, peak_rss_mb};
pub use server::StartError;
pub use service::{Service, StillRunning};
pub use shared::{CASSANDRA_VARIABLE, KAFKA_VARIABLE, Shared, pair, shared, unique};
pub use tools::{BACKEND_VARIABLE, Missing, Tools, tools};
pub use wait::wait_for;
