//! A load with a ledger: publishes users at a rate and notes on disk what it attempts and what Kafka acknowledges.
//!
//! Some messages are new versions of earlier users, some are late, some are ties: see [`Mix`].

mod mix;
mod publisher;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread::JoinHandle;

use uuid::Uuid;

pub use mix::Mix;

use crate::ledger::{Entries, Ledger};
use crate::published::{Published, Winner};
use publisher::{Publisher, State};

/// What a user's row must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Version of the user.
    pub first_name: String,
    /// The rest.
    pub last_name: String,
    /// From the message's timestamp and offset.
    pub writetime: i64,
}

/// Each user's final row.
pub type Expected = BTreeMap<Uuid, Row>;

/// A running load.
pub struct Load {
    brokers: String,
    topic: String,
    state: Arc<State>,
    thread: Option<JoinHandle<Ledger>>,
    // Removed at the end.
    _folder: tempfile::TempDir,
}

impl Load {
    /// Publishes `per_s` messages a second to the topic until [`Load::stop`].
    pub fn start(brokers: &str, topic: &str, per_s: u32) -> Self {
        Self::seeded(brokers, topic, per_s, Mix::default(), rand::random())
    }

    /// As [`Load::start`], with users and versions that follow from a seed.
    pub fn seeded(brokers: &str, topic: &str, per_s: u32, mix: Mix, seed: u64) -> Self {
        let state = Arc::new(State {
            pace: AtomicU32::new(per_s),
            hostile: AtomicU8::new(mix.hostile),
            ..State::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(&folder.path().join("ledger")).unwrap();
        let publisher = Publisher::new(brokers, topic, mix, seed, &state, ledger);
        let thread = std::thread::spawn(move || publisher.run());
        Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            state,
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// Distinct users that Kafka has acknowledged.
    pub fn users(&self) -> usize {
        self.state.users.lock().unwrap().len()
    }

    /// Messages that Kafka has acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.state.acknowledged.load(Ordering::Relaxed)
    }

    /// Messages of which nobody knows yet whether Kafka takes them.
    pub fn pending(&self) -> usize {
        let settled = self.acknowledged() + self.state.refused.load(Ordering::Relaxed);
        self.attempted().saturating_sub(settled)
    }

    /// Hostile messages that were handed to the client.
    pub fn hostile_sent(&self) -> usize {
        self.state.hostile_sent.load(Ordering::Relaxed)
    }

    /// Messages that were handed to the client.
    pub fn attempted(&self) -> usize {
        self.state.attempted.load(Ordering::Relaxed)
    }

    /// The ids that were acknowledged last, youngest last.
    pub fn latest(&self, count: usize) -> Vec<Uuid> {
        let mut latest = self.state.latest.lock().unwrap();
        let surplus = latest.len().saturating_sub(10_000);
        latest.drain(..surplus);
        latest[latest.len().saturating_sub(count)..].to_vec()
    }

    /// Publishes nothing more, or goes on at the same pace.
    pub fn hold(&self, held: bool) {
        self.state.held.store(held, Ordering::Relaxed);
    }

    /// From now on, so many messages a second.
    pub fn pace(&self, per_s: u32) {
        self.state.pace.store(per_s, Ordering::Relaxed);
    }

    /// From now on, timestamps are so many milliseconds ahead of the time, or behind it.
    pub fn skew(&self, ms: i64) {
        self.state.skew_ms.store(ms, Ordering::Relaxed);
    }

    /// From now on, so many hostile messages come beside a hundred others.
    pub fn hostile(&self, percent: u8) {
        self.state.hostile.store(percent, Ordering::Relaxed);
    }

    /// Stops publishing, waits two minutes at most for every acknowledgement and returns what the ledger holds.
    ///
    /// # Panics
    /// The second time.
    pub fn finish(&mut self) -> Entries {
        self.state.stopped.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a load ends once");
        thread.join().unwrap().entries().unwrap()
    }

    /// As [`Load::finish`], and returns what the table must hold.
    pub fn stop(mut self) -> Expected {
        let entries = self.finish();
        assert!(entries.refused.is_empty(), "Kafka has refused versions {:?}", entries.refused);
        assert_eq!(entries.pending(), 0, "versions of which nobody knows whether Kafka has them");
        let published = Published::of(&self.brokers, &self.topic);
        assert_eq!(published.twice, Vec::<u64>::new(), "versions that are on the topic twice");
        assert_eq!(
            published.lacks(&entries),
            Vec::<u64>::new(),
            "versions that were acknowledged and are not on the topic"
        );
        let row = |(id, winner): (Uuid, Winner)| {
            let (first_name, last_name) = (winner.version.to_string(), format!("of {id}"));
            (id, Row { first_name, last_name, writetime: winner.writetime })
        };
        published.winners.into_iter().map(row).collect()
    }
}

// A load that nobody finished must not go on in what comes next.
impl Drop for Load {
    fn drop(&mut self) {
        self.state.abandoned.store(true, Ordering::Relaxed);
        self.state.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it has to say of its end is of no use any more.
            let _ = thread.join();
        }
    }
}
