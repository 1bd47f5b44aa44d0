//! The five datasets: what each upstream says -> typed records -> the JSON that goes to Kafka.
//!
//! A dataset is one module and one line of [`REGISTRY`]. It names the requests to make and parses the bodies that come
//! back, or it generates; whoever calls it does the fetching, the retrying and the sending. Deliberately absent here:
//! network, files, clock, environment and logging. What a dataset needs of these is handed to it as a value.

mod error;
mod instant;
mod message;
mod request;
mod settings;

pub mod companies;
pub mod faker;
pub mod random_user;
pub mod weather;
pub mod wikipedia;

use std::time::Duration;

use serde_json::Value;

pub use error::ParseError;
pub use message::{Event, Message, Parsed, Rejected};
pub use request::Request;
pub use settings::SettingsError;

/// Every dataset, in the order in which they are listed to people.
pub static REGISTRY: &[&Dataset] =
    &[&weather::DATASET, &faker::DATASET, &wikipedia::DATASET, &companies::DATASET, &random_user::DATASET];

/// One dataset: its names on the way from the upstream to the table, and how to read its upstream.
#[derive(Debug)]
pub struct Dataset {
    /// The name that people type: of the binary, the route and the fixtures.
    pub name: &'static str,
    /// The Kafka topic that its messages go to.
    pub topic: &'static str,
    /// The Cassandra table that its route fills, as `keyspace.table`.
    pub table: &'static str,
    /// One sentence on what it holds and where it comes from.
    pub about: &'static str,
    /// How its upstream is read.
    pub upstream: Upstream,
}

impl Dataset {
    /// Returns the name of its section in the configuration: `random-user` is configured under `random_user`.
    pub fn section(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// How an upstream is read. Each `new` takes the dataset's section of the configuration (null when there is none).
#[derive(Debug)]
pub enum Upstream {
    /// An HTTP API that is asked again and again.
    Polled {
        /// The real upstream, used unless the section's `base_url` says otherwise.
        base_url: &'static str,
        /// Checks the settings.
        new: fn(&Value) -> Result<Box<dyn Polled>, SettingsError>,
    },
    /// A server-sent event stream.
    Streamed {
        /// The real upstream, used unless the section's `base_url` says otherwise.
        base_url: &'static str,
        /// The path of the stream under the base URL.
        path: &'static str,
        /// Checks the settings.
        new: fn(&Value) -> Result<Box<dyn Streamed>, SettingsError>,
    },
    /// Records made here, with no upstream at all.
    Generated {
        /// Checks the settings. The entropy seeds the sequence when the settings give no seed.
        new: NewGenerated,
    },
}

/// Checks the settings of a generated dataset and seeds its sequence.
pub type NewGenerated = fn(&Value, entropy: u64) -> Result<Box<dyn Generated>, SettingsError>;

/// A dataset that is polled over HTTP.
pub trait Polled: Send + Sync {
    /// Returns the time from the start of one poll to the start of the next.
    fn poll_every(&self) -> Duration;

    /// Returns the budget that all requests of this dataset share; `None` when the upstream sets none.
    fn requests_per_minute(&self) -> Option<u32>;

    /// Returns which variable to set when the live upstream needs a credential and none is configured.
    fn missing_credential(&self) -> Option<&'static str> {
        None
    }

    /// Returns one poll: these GET requests, in this order.
    fn requests(&self) -> Vec<Request>;

    /// Returns the cheapest request that shows whether the upstream answers by its contract.
    fn probe(&self) -> Request;

    /// Parses the body that answered the request, whatever its HTTP status was.
    ///
    /// # Errors
    /// The body is the upstream's own refusal, or is not what the upstream's contract says.
    fn parse(&self, request: &Request, body: &[u8]) -> Result<Parsed, ParseError>;
}

/// A dataset that is read from a server-sent event stream.
pub trait Streamed: Send + Sync {
    /// Parses the `data` of one event.
    ///
    /// # Errors
    /// The event is not what the upstream's contract says; its neighbours are unaffected.
    fn parse(&self, data: &str) -> Result<Event, ParseError>;
}

/// A dataset that is generated.
pub trait Generated: Send {
    /// Returns the messages to make per second; 0 means as fast as it can.
    fn rate(&self) -> u32;

    /// Makes the next message: its key and its value, in buffers that the next call overwrites.
    fn next(&mut self) -> (&str, &[u8]);
}
