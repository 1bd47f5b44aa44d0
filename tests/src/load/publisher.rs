//! The thread of a load: what is due -> the ledger -> the client, and what Kafka has answered -> the ledger.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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

use super::mix::{Kind, Mix};
use crate::hostile::{HOSTILE, hostile};
use crate::ledger::Ledger;
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

/// What the load and its thread tell each other.
#[derive(Default)]
pub(super) struct State {
    /// Messages a second.
    pub(super) pace: AtomicU32,
    /// Milliseconds that the clock is ahead.
    pub(super) skew_ms: AtomicI64,
    pub(super) held: AtomicBool,
    /// Of a hundred messages, how many hostile ones come beside.
    pub(super) hostile: AtomicU8,
    pub(super) stopped: AtomicBool,
    /// Nobody waits for what is still on its way.
    pub(super) abandoned: AtomicBool,
    /// Versions that Kafka has taken or not, and the ledger does not know it yet.
    pub(super) delivered: Mutex<Vec<(u64, bool)>>,
    pub(super) attempted: AtomicUsize,
    pub(super) acknowledged: AtomicUsize,
    pub(super) refused: AtomicUsize,
    pub(super) hostile_sent: AtomicUsize,
    pub(super) users: Mutex<HashSet<Uuid>>,
    pub(super) latest: Mutex<Vec<Uuid>>,
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

/// See the module.
pub(super) struct Publisher {
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
    /// Publishes nothing before it runs.
    pub(super) fn new(
        brokers: &str,
        topic: &str,
        mix: Mix,
        seed: u64,
        state: &Arc<State>,
        ledger: Ledger,
    ) -> Self {
        let per_s = state.pace.load(Ordering::Relaxed);
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            // As the services have them.
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "2000")
            .set("broker.address.ttl", "5000")
            .set("socket.timeout.ms", "20000")
            .set("socket.connection.setup.timeout.ms", "10000")
            .create_with_context(Context(Arc::clone(state)))
            .unwrap();
        Self {
            producer,
            topic: topic.to_owned(),
            recent: RECENT_S * usize::try_from(per_s).unwrap(),
            mix,
            state: Arc::clone(state),
            ledger,
            random: Random::from(seed),
            versions: Vec::new(),
            timestamp_ms: 0,
            hostile: 0,
            stopped_at: None,
        }
    }

    /// Until the load is stopped; returns the ledger.
    pub(super) fn run(mut self) -> Ledger {
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
