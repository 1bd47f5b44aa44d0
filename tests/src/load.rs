//! A load with a memory: publishes users at a rate and remembers what Kafka acknowledged.
//!
//! One message in five updates an earlier id. What the table must hold in the end is, per id, the acknowledged
//! message with the greatest WRITETIME, which is computed here from (timestamp, offset) independently. Both are read
//! from the topic: a broker that already had a message acknowledges it without its offset, which librdkafka then
//! counts up from -1 through the batch.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use uuid::Uuid;

use crate::topics::messages;
use crate::world::user;

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

/// The acknowledged messages' final rows.
pub type Expected = BTreeMap<Uuid, Row>;

/// A running load.
pub struct Load {
    brokers: String,
    topic: String,
    acknowledged: Arc<Acknowledged>,
    steering: Arc<Steering>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Steering {
    held: AtomicBool,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Acknowledged {
    versions: Mutex<Vec<Version>>,
    users: Mutex<HashSet<Uuid>>,
    latest: Mutex<Vec<Uuid>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Version {
    id: Uuid,
    number: String,
}

struct Context(Arc<Acknowledged>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<(Uuid, String)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let (id, number) = *opaque;
        if let Err((error, _)) = result {
            panic!("a message without a time limit failed: {error}");
        }
        self.0.versions.lock().unwrap().push(Version { id, number });
        self.0.users.lock().unwrap().insert(id);
        self.0.latest.lock().unwrap().push(id);
    }
}

impl Load {
    /// Publishes `per_s` messages a second to the topic until [`Load::stop`].
    pub fn start(brokers: &str, topic: &str, per_s: u32) -> Self {
        let acknowledged = Arc::new(Acknowledged::default());
        let steering = Arc::new(Steering::default());
        let producer: ThreadedProducer<Context> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "2")
            .create_with_context(Context(Arc::clone(&acknowledged)))
            .unwrap();
        let (target, steered) = (topic.to_owned(), Arc::clone(&steering));
        let thread = std::thread::spawn(move || publish(&producer, &target, per_s, &steered));
        Self { brokers: brokers.to_owned(), topic: topic.to_owned(), acknowledged, steering, thread }
    }

    /// Distinct users that Kafka has acknowledged.
    pub fn users(&self) -> usize {
        self.acknowledged.users.lock().unwrap().len()
    }

    /// The ids that were acknowledged last, youngest last.
    pub fn latest(&self, count: usize) -> Vec<Uuid> {
        let mut latest = self.acknowledged.latest.lock().unwrap();
        let surplus = latest.len().saturating_sub(10_000);
        latest.drain(..surplus);
        latest[latest.len().saturating_sub(count)..].to_vec()
    }

    /// Publishes nothing more, or goes on at the same pace.
    pub fn hold(&self, held: bool) {
        self.steering.held.store(held, Ordering::Relaxed);
    }

    /// Stops publishing, waits for every acknowledgement and returns what the table must hold.
    pub fn stop(self) -> Expected {
        self.steering.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let versions = std::mem::take(&mut *self.acknowledged.versions.lock().unwrap());
        let places = places(&self.brokers, &self.topic);
        let mut expected = Expected::new();
        for version in versions {
            let writetime = *places.get(&version).expect("an acknowledged message is on its topic");
            let Version { id, number } = version;
            if expected.get(&id).is_none_or(|row| row.writetime < writetime) {
                expected.insert(id, Row { first_name: number, last_name: format!("of {id}"), writetime });
            }
        }
        expected
    }
}

// The WRITETIME of each message on the topic.
fn places(brokers: &str, topic: &str) -> HashMap<Version, i64> {
    let mut places = HashMap::new();
    for message in messages(brokers, topic) {
        // What a test put among the load, to be refused.
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(&message.value) else { continue };
        let id = value["id"].as_str().unwrap().parse().unwrap();
        let number = value["first_name"].as_str().unwrap().to_owned();
        let writetime = message.timestamp_ms * 1000 + message.offset % 1000;
        let twice = places.insert(Version { id, number }, writetime);
        assert_eq!(twice, None, "{id} is on the topic twice in one version");
    }
    places
}

fn publish(producer: &ThreadedProducer<Context>, topic: &str, per_s: u32, steering: &Steering) {
    let mut next = Instant::now();
    let mut known: Vec<Uuid> = Vec::new();
    let mut sent: u32 = 0;
    while !steering.stopped.load(Ordering::Relaxed) {
        let now = Instant::now();
        if steering.held.load(Ordering::Relaxed) {
            next = now;
        }
        if now <= next {
            // The pace of the load, not a wait for something to happen.
            std::thread::park_timeout(Duration::from_millis(1));
            continue;
        }
        let id = match sent % 5 {
            0 if !known.is_empty() => known[rand::random_range(0..known.len())],
            _ => Uuid::from_u128(rand::random()),
        };
        known.push(id);
        let version = sent.to_string();
        let value = user(id, &version, &format!("of {id}"));
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let mut record = BaseRecord::with_opaque_to(topic, Box::new((id, version)))
            .key(id.as_bytes())
            .payload(&value)
            .timestamp(i64::try_from(now_ms).unwrap());
        // A full queue is back-pressure: the same record again.
        while let Err((_, refused)) = producer.send(record) {
            record = refused;
            std::thread::park_timeout(Duration::from_millis(5));
        }
        sent += 1;
        next += Duration::from_secs(1) / per_s;
    }
    producer.flush(Duration::from_secs(120)).unwrap();
}
