//! The pipeline on real Kafka and real Cassandra: every claim that the README makes of it.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod audit;
mod check;
mod csv;
mod dashboard;
mod datasets;
mod dead_letters;
mod doctor;
mod errors;
mod explain;
mod faults;
mod first;
mod logs;
mod poison;
mod rebalance;
mod redelivery;
mod replay;
mod ring;
mod routes;
mod schema;
mod secure;
mod shutdown;
mod tail;
mod types;
