//! The dashboard in a real Chromium, before real services on real Kafka and real Cassandra.
//!
//! Each test opens a page, which is judged when it is dropped: no error in the console, no request to another host.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod alone;
mod audit;
mod chromium;
mod hostile;
mod looks;
mod page;
mod restarts;
mod shown;
mod stage;
mod watch;
