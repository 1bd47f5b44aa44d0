//! Kafka -> chunks: one thread that polls, so that nothing ever keeps the group waiting.
//!
//! Here is the engine's side of it: what the thread is asked, and what it yields. `polling` is the thread, `context` what
//! librdkafka calls back.
//!
//! Every chunk carries the epoch in which it was read. A revocation and a seek begin a new one: what is older is void.

mod context;
mod gaps;
mod lowered;
mod polling;

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::warn;

pub use context::{Committed, Control, Shared};
use polling::Polling;
#[cfg(test)]
pub(crate) use polling::seek_targets;

use crate::message::{Chunk, Partition};
use crate::settings::Settings;

/// Messages of one epoch.
#[derive(Debug)]
pub struct Delivery {
    /// When it was read; see [`Control`].
    pub epoch: u64,
    /// The messages.
    pub chunk: Chunk,
}

/// What the consumer asks of the thread.
#[derive(Debug)]
enum Command {
    Store(Vec<(Partition, i64)>),
    Seek(Vec<(Partition, i64)>),
    Stop,
}

/// How partitions are come by.
#[derive(Debug, Clone)]
pub enum Assignment {
    /// By the group, which also keeps the offsets.
    Group(String),
    /// These, from these offsets on.
    Fixed(Vec<(Partition, i64)>),
}

/// The polling thread.
#[derive(Debug)]
pub struct Receiver {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
    /// What librdkafka reports of the cluster and the partitions.
    pub shared: Arc<Shared>,
    /// Chunks, in order; bounded by the memory budget.
    pub chunks: UnboundedReceiver<Delivery>,
    /// Assignments, revocations, completed seeks, trouble.
    pub control: UnboundedReceiver<Control>,
}

impl Receiver {
    /// Starts to consume `topics`.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn start(
        settings: &Settings,
        topics: Vec<String>,
        assignment: &Assignment,
    ) -> Result<Self, KafkaError> {
        let (control_sender, control) = unbounded_channel();
        let (chunk_sender, chunks) = unbounded_channel();
        let (commands, command_receiver) = mpsc::channel();
        let shared = Arc::new(Shared::new(topics, control_sender));
        let consumer = polling::create(settings, assignment, Arc::clone(&shared))?;
        match assignment {
            Assignment::Group(_) => {
                let names: Vec<&str> = shared.topics.iter().map(String::as_str).collect();
                consumer.subscribe(&names)?;
            }
            Assignment::Fixed(offsets) => consumer.assign(&polling::list(&shared, offsets)?)?,
        }
        let polling = Polling::new(
            consumer,
            Arc::clone(&shared),
            command_receiver,
            chunk_sender,
            settings.consumer.buffer_bytes,
        );
        let thread =
            std::thread::Builder::new()
                .name("kafka-poll".to_owned())
                .spawn(move || polling.run())
                .map_err(|error| KafkaError::ClientCreation(format!("start the polling thread: {error}")))?;
        Ok(Self { commands, thread, shared, chunks, control })
    }

    /// Stores these offsets, which the next automatic commit sends.
    pub fn store(&self, offsets: Vec<(Partition, i64)>) {
        self.command(Command::Store(offsets));
    }

    /// Moves the fetch position; [`Control::Sought`] tells the epoch in which reading goes on.
    pub fn seek(&self, offsets: Vec<(Partition, i64)>) {
        self.command(Command::Seek(offsets));
    }

    /// Commits what is stored and leaves the group. Gives up after `patience`: closing can hang while the broker is
    /// gone (rust-rdkafka #453, #611), and the process ends anyway.
    pub async fn stop(self, patience: Duration) {
        self.command(Command::Stop);
        // Nobody answers a revocation any more: closing must not wait for that.
        drop(self.control);
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        if tokio::time::timeout(patience, joined).await.is_err() {
            warn!(patience_s = patience.as_secs(), "kafka consumer did not close in time, leaving it behind");
        }
    }

    fn command(&self, command: Command) {
        // The thread is gone only after Stop, or after it has reported why.
        let _ = self.commands.send(command);
    }
}
