//! A load with a ledger: publishes users at a rate and notes on disk what it attempts and what Kafka acknowledges.
//!
//! Some messages are new versions of earlier users, some are late, some are ties: see [`Mix`].

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use uuid::Uuid;

use crate::hostile::{HOSTILE, hostile};
use crate::ledger::{Entries, Ledger};
use crate::published::{Published, Winner};
use crate::world::user;

/// How much older a late message is, at most.
const LATE_MS_MAX: i64 = 5_000;
/// A late message is of one of the users of the last seconds.
const RECENT_S: usize = 2;
const PAUSE: Duration = Duration::from_millis(2);
/// How far the load may be behind its pace.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// What the last messages of a load may take.
const FINISHES_WITHIN: Duration = Duration::from_secs(120);

/// Of a hundred messages, how many are not of a new user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// New versions of an earlier user.
    pub updates: u8,
    /// Updates with a timestamp that is older than that of a version before them.
    pub late: u8,
    /// Updates of the message before them, with its timestamp.
    pub ties: u8,
    /// Beside the hundred: messages that no producer should send.
    pub hostile: u8,
}

impl Default for Mix {
    fn default() -> Self {
        Self { updates: 20, late: 1, ties: 1, hostile: 0 }
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    New,
    Update,
    Late,
    Tie,
}

impl Mix {
    // Each hundred versions have the same kinds in the same order, spread.
    fn kind(self, version: usize) -> Kind {
        let place = u8::try_from(version % 100 * 37 % 100).unwrap();
        match place {
            // The first of all has nothing before it.
            0 => Kind::New,
            place if place <= self.ties => Kind::Tie,
            place if place <= self.ties + self.late => Kind::Late,
            place if place <= self.ties + self.late + self.updates => Kind::Update,
            _ => Kind::New,
        }
    }
}

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

#[derive(Default)]
struct State {
    /// Messages a second.
    pace: AtomicU32,
    /// Milliseconds that the clock is ahead.
    skew_ms: AtomicI64,
    held: AtomicBool,
    /// Of a hundred messages, how many hostile ones come beside.
    hostile: AtomicU8,
    stopped: AtomicBool,
    /// Nobody waits for what is still on its way.
    abandoned: AtomicBool,
    /// Versions that Kafka has taken or not, and the ledger does not know it yet.
    delivered: Mutex<Vec<(u64, bool)>>,
    attempted: AtomicUsize,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    hostile_sent: AtomicUsize,
    users: Mutex<HashSet<Uuid>>,
    latest: Mutex<Vec<Uuid>>,
}

struct Context(Arc<State>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    // `None` for a hostile message: it has no version.
    type DeliveryOpaque = Box<Option<u64>>;

    fn delivery(&self, result: &DeliveryResult<'_>, version: Self::DeliveryOpaque) {
        if let Some(version) = *version {
            self.0.delivered.lock().unwrap().push((version, result.is_ok()));
        }
    }
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
        let producer: ThreadedProducer<Context> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            // As the services have them.
            .set("broker.address.ttl", "5000")
            .set("socket.timeout.ms", "20000")
            .set("socket.connection.setup.timeout.ms", "10000")
            .create_with_context(Context(Arc::clone(&state)))
            .unwrap();
        let publisher = Publisher {
            producer,
            topic: topic.to_owned(),
            recent: RECENT_S * usize::try_from(per_s).unwrap(),
            mix,
            state: Arc::clone(&state),
            ledger: Ledger::create(&folder.path().join("ledger")).unwrap(),
            random: Random::from(seed),
            versions: Vec::new(),
            timestamp_ms: 0,
            hostile: 0,
            stopped_at: None,
        };
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

/// One source of chance for each purpose: how often one is asked depends on the time, and must not change the others.
struct Random {
    users: StdRng,
    times: StdRng,
    hostile: StdRng,
}

impl From<u64> for Random {
    fn from(seed: u64) -> Self {
        let of = |purpose| StdRng::seed_from_u64(seed.wrapping_add(purpose));
        Self { users: of(1), times: of(2), hostile: of(3) }
    }
}

struct Publisher {
    producer: ThreadedProducer<Context>,
    topic: String,
    /// A late message is of one of so many before it.
    recent: usize,
    mix: Mix,
    state: Arc<State>,
    ledger: Ledger,
    random: Random,
    /// Whose each version is.
    versions: Vec<Uuid>,
    /// Of the last message.
    timestamp_ms: i64,
    /// Hostile messages so far.
    hostile: usize,
    /// When a full queue kept messages back for the first time after the end.
    stopped_at: Option<Instant>,
}

impl Publisher {
    fn run(mut self) -> Ledger {
        let mut next = Instant::now();
        while !self.state.stopped.load(Ordering::Relaxed) {
            let now = Instant::now();
            let pace = self.state.pace.load(Ordering::Relaxed);
            let mut due = 0;
            if self.state.held.load(Ordering::Relaxed) {
                next = now;
            }
            // What a full queue kept back is not made up for.
            next = next.max(now.checked_sub(BEHIND_MAX).unwrap_or(now));
            while next < now && due < pace {
                next += Duration::from_secs(1) / pace;
                due += 1;
            }
            self.publish(due);
            // The pace of the load, not a wait for something to happen.
            std::thread::park_timeout(PAUSE);
        }
        if !self.state.abandoned.load(Ordering::Relaxed) {
            // What is not acknowledged by then is told by the ledger.
            let _ = self.producer.flush(FINISHES_WITHIN);
        }
        self.publish(0);
        self.ledger
    }

    // Notes what was acknowledged and that many attempts; they are on the disk before the messages are sent.
    fn publish(&mut self, due: u32) {
        let delivered = std::mem::take(&mut *self.state.delivered.lock().unwrap());
        for (version, taken) in &delivered {
            if *taken { self.ledger.acknowledge(*version) } else { self.ledger.refuse(*version) }
        }
        let first = self.versions.len();
        for _ in 0..due {
            let id = self.user();
            self.ledger.attempt(self.versions.len() as u64, id);
            self.versions.push(id);
        }
        self.ledger.sync().unwrap();
        let taken = delivered.iter().filter(|(_, taken)| *taken);
        let ids: Vec<Uuid> =
            taken.map(|(version, _)| self.versions[usize::try_from(*version).unwrap()]).collect();
        self.state.acknowledged.fetch_add(ids.len(), Ordering::Relaxed);
        self.state.refused.fetch_add(delivered.len() - ids.len(), Ordering::Relaxed);
        self.state.users.lock().unwrap().extend(&ids);
        self.state.latest.lock().unwrap().extend(ids);
        self.state.attempted.store(self.versions.len(), Ordering::Relaxed);
        for version in first..self.versions.len() {
            self.send(version);
        }
    }

    // Whose the next version is.
    fn user(&mut self) -> Uuid {
        let known = self.versions.len();
        match self.mix.kind(known) {
            Kind::New => Uuid::from_u128(self.random.users.random()),
            Kind::Update => self.versions[self.random.users.random_range(0..known)],
            Kind::Late => {
                let oldest = known.saturating_sub(self.recent);
                self.versions[self.random.users.random_range(oldest..known)]
            }
            Kind::Tie => self.versions[known - 1],
        }
    }

    fn send(&mut self, version: usize) {
        let id = self.versions[version];
        let value = user(id, &version.to_string(), &format!("of {id}"));
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let now_ms = i64::try_from(now_ms).unwrap() + self.state.skew_ms.load(Ordering::Relaxed);
        self.timestamp_ms = match self.mix.kind(version) {
            Kind::New | Kind::Update => now_ms,
            Kind::Late => now_ms - self.random.times.random_range(1..LATE_MS_MAX),
            Kind::Tie => self.timestamp_ms,
        };
        self.produce(id.as_bytes(), Some(value.as_bytes()), Some(version as u64), self.timestamp_ms);
        if self.random.hostile.random_ratio(u32::from(self.state.hostile.load(Ordering::Relaxed)), 100) {
            let value = hostile(&mut self.random.hostile, self.hostile);
            self.hostile += 1;
            self.state.hostile_sent.store(self.hostile, Ordering::Relaxed);
            self.produce(id.as_bytes(), value.as_deref(), None, now_ms);
        }
    }

    fn produce(&mut self, key: &[u8], value: Option<&[u8]>, version: Option<u64>, timestamp_ms: i64) {
        let mut record =
            BaseRecord::with_opaque_to(&self.topic, Box::new(version)).key(key).timestamp(timestamp_ms);
        if let Some(value) = value {
            record = record.payload(value);
        }
        if version.is_none() {
            let header = Header { key: HOSTILE, value: None::<&[u8]> };
            record = record.headers(OwnedHeaders::new().insert(header));
        }
        while let Err((error, refused)) = self.producer.send(record) {
            let is_full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            if self.state.stopped.load(Ordering::Relaxed) {
                self.stopped_at.get_or_insert_with(Instant::now);
            }
            let is_late = self.stopped_at.is_some_and(|at| at.elapsed() > FINISHES_WITHIN);
            if !is_full || is_late || self.state.abandoned.load(Ordering::Relaxed) {
                if let Some(version) = version {
                    self.state.delivered.lock().unwrap().push((version, false));
                }
                return;
            }
            // A full queue is back-pressure: the same record again.
            record = refused;
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_versions_have_as_many_of_each_kind_as_asked() {
        let mix = Mix { updates: 60, late: 20, ties: 10, hostile: 0 };
        assert_eq!(mix.kind(0), Kind::New);
        for first in [0, 700] {
            let count = |kind| (first..first + 100).filter(|version| mix.kind(*version) == kind).count();
            let counts = [Kind::New, Kind::Update, Kind::Late, Kind::Tie].map(count);
            assert_eq!(counts, [10, 60, 20, 10]);
        }
    }
}
