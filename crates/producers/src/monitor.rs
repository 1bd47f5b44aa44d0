//! How Kafka does -> the health's part `kafka`, and a second chance for refused records.
//!
//! librdkafka retries by itself for ever; this says so while it does, and tells the loops when to stop fetching.

use std::time::Duration;

use rand::random;
use service::Health;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::publish::Publisher;

const TICK: Duration = Duration::from_millis(500);
const STALLED_AFTER: Duration = Duration::from_secs(10);
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The health's part that tells of Kafka.
pub(crate) const PART: &str = "kafka";

/// Waits until Kafka answers and has the topic; a Kafka that is down is said, not an error.
///
/// # Errors
/// No attempt will succeed, and why.
pub(crate) async fn wait_until_ready(
    publisher: &Publisher,
    health: &Health,
    stop: &CancellationToken,
) -> Result<(), String> {
    let mut backoff = Backoff::new(RETRY_MIN, Duration::from_secs(10));
    loop {
        let answer = tokio::select! {
            answer = publisher.check_topic() => answer,
            () = stop.cancelled() => return Ok(()),
        };
        let reason = match answer {
            Ok(_) => {
                publisher.deliveries().cluster.works();
                health.green(PART);
                return Ok(());
            }
            Err(reason) => reason,
        };
        if let Some(reason) = publisher.deliveries().cluster.refused() {
            return Err(format!("kafka at {}: {reason}", publisher.brokers()));
        }
        let wait = backoff.next(random(), None);
        health.red(PART, format!("{reason}; next attempt in {:.1} s", wait.as_secs_f64()));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Watches until `done`; a client beyond repair cancels `stop`.
pub(crate) async fn run(
    publisher: Publisher,
    health: Health,
    acknowledged: impl Fn() -> u64,
    stop: CancellationToken,
    done: CancellationToken,
) {
    tokio::select! {
        () = watch(publisher, health, acknowledged, stop) => {}
        () = done.cancelled() => {}
    }
}

async fn watch(
    publisher: Publisher,
    health: Health,
    acknowledged: impl Fn() -> u64,
    stop: CancellationToken,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(acknowledged(), Instant::now());
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut resend_at = Instant::now();
    loop {
        ticks.tick().await;
        if let Some(reason) = publisher.deliveries().fatal() {
            health.red(PART, format!("the client for {} failed for good: {reason}", publisher.brokers()));
            return stop.cancel();
        }
        if publisher.deliveries().is_refusing() {
            if Instant::now() >= resend_at {
                resend_at = Instant::now() + backoff.next(random(), None);
                second_chance(&publisher, &health).await;
            }
            continue;
        }
        backoff.reset();
        let error = publisher.deliveries().cluster.error();
        let waiting = publisher.unacknowledged();
        if !watch.is_doubtful(acknowledged(), waiting, error.is_some(), Instant::now()) {
            publisher.set_stalled(false);
            publisher.deliveries().cluster.works();
            health.green(PART);
            continue;
        }
        // Doubt alone is no outage: an idle connection that the broker closed is reported as an error too.
        match publisher.check_topic().await {
            Ok(_) if waiting == 0 => publisher.deliveries().cluster.works(),
            Ok(_) => {
                let stalled_s = watch.stalled(Instant::now()).as_secs();
                if stalled_s >= STALLED_AFTER.as_secs() {
                    let brokers = publisher.brokers();
                    let text = format!(
                        "{brokers} answers, but acknowledged nothing for {stalled_s} s; {waiting} wait"
                    );
                    health.red(PART, text);
                }
            }
            Err(reason) => {
                publisher.set_stalled(true);
                health.red(PART, format!("{reason}; {waiting} records wait, tried again all the time"));
            }
        }
    }
}

async fn second_chance(publisher: &Publisher, health: &Health) {
    let deliveries = publisher.deliveries();
    let checked = publisher.check_topic().await;
    if let Err(reason) = &checked {
        deliveries.refuse(reason.clone());
    }
    let reason = deliveries.refusal().unwrap_or_default();
    let (topic, waiting) = (publisher.topic(), publisher.unacknowledged());
    let text = format!(
        "records for topic {topic} are refused by {}: {reason}; {waiting} wait, nothing is fetched, tried again within {} s",
        publisher.brokers(),
        RETRY_MAX.as_secs()
    );
    health.red(PART, text);
    if checked.is_ok() {
        publisher.resend().await;
        if publisher.unacknowledged() == 0 {
            deliveries.accept();
        }
    }
}

/// Sees from the counts whether acknowledgements come in. Reads no clock.
struct Watch {
    acknowledged: u64,
    progress_at: Instant,
}

impl Watch {
    fn new(acknowledged: u64, now: Instant) -> Self {
        Self { acknowledged, progress_at: now }
    }

    /// Returns whether Kafka needs to be asked how it is.
    fn is_doubtful(&mut self, acknowledged: u64, waiting: u64, error: bool, now: Instant) -> bool {
        if acknowledged != self.acknowledged {
            self.acknowledged = acknowledged;
            self.progress_at = now;
            return false;
        }
        if waiting == 0 {
            self.progress_at = now;
        }
        error || self.stalled(now) >= STALLED_AFTER
    }

    /// Returns how long records have waited without an acknowledgement of any.
    fn stalled(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.progress_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_doubtful_only_while_something_waits() {
        let start = Instant::now();
        let mut watch = Watch::new(0, start);
        assert!(!watch.is_doubtful(0, 0, false, start + 10 * STALLED_AFTER));
        assert!(!watch.is_doubtful(0, 5, false, start + 10 * STALLED_AFTER + STALLED_AFTER / 2));
        assert!(watch.is_doubtful(0, 5, false, start + 11 * STALLED_AFTER));
    }

    #[test]
    fn an_acknowledgement_ends_all_doubt() {
        let start = Instant::now();
        let mut watch = Watch::new(0, start);
        assert!(watch.is_doubtful(0, 5, true, start));
        assert!(!watch.is_doubtful(1, 5, true, start + 2 * STALLED_AFTER));
        assert!(watch.is_doubtful(1, 5, true, start + 2 * STALLED_AFTER));
    }
}
