//! What has become of the messages: counters for `/metrics`, and one log line every ten seconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tracing::{info, warn};

use crate::decode::Class;
use crate::message::Partition;
use crate::plan::Plan;

const SUMMARY_EVERY: Duration = Duration::from_secs(10);
/// As often as it is asked.
const TICK: Duration = Duration::from_secs(1);

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages read, those that were read again included.
    pub read: u64,
    /// Rows that the sink has acknowledged.
    pub stored: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages whose row would have expired already.
    pub expired: u64,
    /// Outcomes that were void, since their message was read again.
    pub void: u64,
}

/// The counters, by topic, and when they were last told.
pub struct Progress {
    topics: Vec<Topic>,
    totals: Totals,
    told: Totals,
    told_at: Instant,
    last_dead: Option<String>,
}

struct Topic {
    name: String,
    read: Counter,
    stored: Counter,
    expired: Counter,
    written_lag: Gauge,
    durable_lag: Gauge,
    /// The timestamp of the newest message that has a row.
    newest: Gauge,
    newest_ms: i64,
    /// From a message's timestamp to its row's acknowledgement.
    latency: Histogram,
}

/// Messages without an outcome, and those whose outcome is not durable yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lag {
    written: i64,
    durable: i64,
}

impl Progress {
    /// Nothing so far, of these topics, by these plans.
    pub fn new<'a>(
        topics: impl IntoIterator<Item = String>,
        plans: impl IntoIterator<Item = &'a Plan>,
    ) -> Self {
        for plan in plans {
            for topic in &plan.topics {
                let labels = [("topic", topic.clone()), ("table", plan.table.clone())];
                gauge!("tributary_route_info", &labels).set(1.0);
            }
        }
        let lag = |topic: &str, kind: &'static str| gauge!("tributary_lag_records", "topic" => topic.to_owned(), "kind" => kind);
        let topic = |name: String| Topic {
            read: counter!("tributary_messages_read_total", "topic" => name.clone()),
            stored: counter!("tributary_messages_total", "topic" => name.clone(), "outcome" => "stored"),
            expired: counter!("tributary_messages_total", "topic" => name.clone(), "outcome" => "expired"),
            written_lag: lag(&name, "written"),
            durable_lag: lag(&name, "durable"),
            newest: gauge!("tributary_newest_row_timestamp_seconds", "topic" => name.clone()),
            newest_ms: 0,
            latency: histogram!("tributary_end_to_end_seconds", "topic" => name.clone()),
            name,
        };
        Self {
            topics: topics.into_iter().map(topic).collect(),
            totals: Totals::default(),
            told: Totals::default(),
            told_at: Instant::now(),
            last_dead: None,
        }
    }

    /// Messages were read.
    pub fn read(&mut self, partition: Partition, messages: usize) {
        self.totals.read += messages as u64;
        self.topics[partition.topic].read.increment(messages as u64);
    }

    /// A row was acknowledged, at `now_ms` since 1970, of a message of that timestamp.
    pub fn stored(&mut self, partition: Partition, published_ms: Option<i64>, now_ms: i64) {
        self.totals.stored += 1;
        let topic = &mut self.topics[partition.topic];
        topic.stored.increment(1);
        if let Some(published_ms) = published_ms {
            topic.newest_ms = topic.newest_ms.max(published_ms);
            // Timestamps are whole milliseconds: less cannot be told. Nor has a row been there before its message, as a
            // clock ahead of ours would have it.
            let waited_ms = u64::try_from(now_ms - published_ms).unwrap_or(0).max(1);
            topic.latency.record(Duration::from_millis(waited_ms));
        }
    }

    /// A message's row would have expired already.
    pub fn expired(&mut self, partition: Partition) {
        self.totals.expired += 1;
        self.topics[partition.topic].expired.increment(1);
    }

    /// A message cannot become a row.
    pub fn dead(&mut self, partition: Partition, class: Class, offset: i64, reason: &str) {
        self.totals.dead_lettered += 1;
        let topic = &self.topics[partition.topic].name;
        counter!("tributary_messages_total", "topic" => topic.clone(), "outcome" => "dead_lettered")
            .increment(1);
        counter!("tributary_dead_letters_total", "topic" => topic.clone(), "reason" => class.name())
            .increment(1);
        self.last_dead = Some(format!("{topic}:{}:{offset}: {reason}", partition.number));
    }

    /// Messages will be read again: their outcomes do not count.
    pub fn void(&mut self, outcomes: u64) {
        self.totals.void += outcomes;
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Sets the lag gauges, and writes the summary when it is due. `watermarks` are the written and the durable
    /// offset of each partition, `ends` what the broker told last.
    pub fn tick(
        &mut self,
        watermarks: impl Iterator<Item = (Partition, i64, i64)>,
        ends: &BTreeMap<Partition, i64>,
    ) {
        let lags = lags(self.topics.len(), watermarks, ends);
        let (mut written_lag, mut durable_lag) = (0, 0);
        for (topic, lag) in self.topics.iter().zip(lags) {
            written_lag += lag.written;
            durable_lag += lag.durable;
            #[expect(clippy::cast_precision_loss, reason = "gauges")]
            {
                topic.written_lag.set(lag.written as f64);
                topic.durable_lag.set(lag.durable as f64);
                if topic.newest_ms > 0 {
                    topic.newest.set(topic.newest_ms as f64 / 1_000.0);
                }
            }
        }
        let elapsed = self.told_at.elapsed();
        // A tick may come a little early.
        if elapsed + TICK / 2 < SUMMARY_EVERY {
            return;
        }
        let Totals { read, stored, dead_lettered, expired, .. } = self.totals;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rows_per_s = (stored - self.told.stored) as f64 / elapsed.as_secs_f64();
        let rows_per_s = (rows_per_s * 10.0).round() / 10.0;
        info!(read, stored, dead_lettered, expired, rows_per_s, written_lag, durable_lag, "progress");
        if let Some(latest) = self.last_dead.take() {
            let new = dead_lettered - self.told.dead_lettered;
            warn!(new, latest, "records dead-lettered");
        }
        self.told = self.totals;
        self.told_at = Instant::now();
    }
}

// By topic, over its partitions.
fn lags(
    topics: usize,
    watermarks: impl Iterator<Item = (Partition, i64, i64)>,
    ends: &BTreeMap<Partition, i64>,
) -> Vec<Lag> {
    let mut lags = vec![Lag::default(); topics];
    for (partition, written, durable) in watermarks {
        // The broker told its ends some seconds ago: they are never less than what is written.
        let end = ends.get(&partition).copied().unwrap_or(written).max(written);
        lags[partition.topic].written += end - written;
        lags[partition.topic].durable += end - durable;
    }
    lags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_of_a_topic_and_never_negative() {
        let partition = |topic, number| Partition { topic, number };
        let ends = BTreeMap::from([(partition(0, 0), 100), (partition(0, 1), 50), (partition(1, 0), 7)]);
        let watermarks = [(partition(0, 0), 90, 80), (partition(0, 1), 60, 40), (partition(1, 1), 5, 5)];
        let lags = lags(3, watermarks.into_iter(), &ends);
        // The second partition is ahead of the end that was told last.
        let first = Lag { written: 10, durable: 40 };
        assert_eq!(lags, [first, Lag::default(), Lag::default()]);
    }
}
