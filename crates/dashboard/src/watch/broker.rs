//! Kafka -> the ends of all topics, once a second. On a thread of its own: its client blocks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consumer::topic::{Topics, Unread};
use service::kafka;
use tokio::sync::mpsc;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Less than the silence that is trouble: by then it is known why.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);
/// Topics and partitions that were added meanwhile are known after so long.
const KNOWN_FOR: Duration = Duration::from_secs(15);
const CLIENT: &str = "tributary-dashboard";

/// How many messages each topic ever had.
pub(crate) type Ends = BTreeMap<Arc<str>, u64>;

/// Looks until nobody listens any more.
pub(crate) fn watch(settings: &kafka::Settings, told: &mpsc::Sender<Result<Ends, String>>) {
    let mut known: Option<(Topics, Instant)> = None;
    loop {
        let began = Instant::now();
        if known.as_ref().is_none_or(|(_, since)| since.elapsed() > KNOWN_FOR) {
            known = None;
        }
        let looked = look(settings, &mut known);
        if looked.is_err() {
            // It may have come back at another address.
            known = None;
        }
        if told.blocking_send(looked.map_err(|error| error.to_string())).is_err() {
            return;
        }
        std::thread::sleep(LOOK_EVERY.saturating_sub(began.elapsed()));
    }
}

fn look(settings: &kafka::Settings, known: &mut Option<(Topics, Instant)>) -> Result<Ends, Unread> {
    let (topics, _) = match known {
        Some(known) => known,
        None => {
            let topics = Topics::connect_within(CONNECT_WITHIN, settings, CLIENT)?;
            known.insert((topics.within(ANSWER_WITHIN), Instant::now()))
        }
    };
    let sum = |ends: &BTreeMap<i32, i64>| ends.values().filter_map(|end| u64::try_from(*end).ok()).sum();
    Ok(topics.all_ends()?.iter().map(|(topic, ends)| (Arc::from(*topic), sum(ends))).collect())
}
