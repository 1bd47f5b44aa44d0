//! Where the brokers say that they are, also where this side cannot follow them there.
//!
//! A question for the metadata may be put to a broker by its advertised address, and then ends without an answer just where
//! that address is what is wrong. What a client has learned at its first connection is in its statistics at once.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::{ClientContext, Statistics};
use service::kafka;

use super::Unread;

const EVERY: Duration = Duration::from_millis(100);

struct Learned {
    addresses: Sender<BTreeSet<String>>,
}

impl ClientContext for Learned {
    fn stats(&self, statistics: Statistics) {
        // Those that only the settings name have no number.
        let known = statistics.brokers.into_values().filter(|broker| broker.nodeid >= 0);
        // Nobody listens any more once the answer is there.
        let _ = self.addresses.send(known.map(|broker| broker.nodename).collect());
    }
}

impl ConsumerContext for Learned {}

/// Where the brokers say that they are, as `host:port`: clients go on to there, whatever they asked first. Nothing where no
/// broker tells within that time.
///
/// # Errors
/// There can be no client of these settings.
pub fn advertised(
    within: Duration,
    settings: &kafka::Settings,
    client_id: &str,
) -> Result<BTreeSet<String>, Unread> {
    let (addresses, learned): (_, Receiver<BTreeSet<String>>) = channel();
    let consumer: BaseConsumer<Learned> = settings
        .client(client_id)
        // librdkafka wants a name; nothing is stored under it.
        .set("group.id", client_id)
        .set("statistics.interval.ms", EVERY.as_millis().to_string())
        .create_with_context(Learned { addresses })
        .map_err(|error| Unread::new(format!("kafka at {}: {error}", settings.brokers)))?;
    let deadline = Instant::now() + within;
    let mut known = BTreeSet::new();
    while known.is_empty() && Instant::now() < deadline {
        drop(consumer.poll(EVERY));
        known = learned.try_iter().find(|known| !known.is_empty()).unwrap_or_default();
    }
    // Its end waits for whoever is asked for an address, which may take long just where that is what is wrong.
    std::thread::spawn(move || drop(consumer));
    Ok(known)
}
