//! What has become of the messages: counters for `/metrics`, and one log line every ten seconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use metrics::{Counter, counter, gauge};
use tracing::{info, warn};

use crate::decode::Class;
use crate::message::Partition;

const SUMMARY_EVERY: Duration = Duration::from_secs(10);

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
}

impl Progress {
    /// Nothing so far, of these topics.
    pub fn new(topics: impl IntoIterator<Item = String>) -> Self {
        let topic = |name: String| Topic {
            read: counter!("tributary_messages_read_total", "topic" => name.clone()),
            stored: counter!("tributary_messages_total", "topic" => name.clone(), "outcome" => "stored"),
            expired: counter!("tributary_messages_total", "topic" => name.clone(), "outcome" => "expired"),
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

    /// Rows were acknowledged.
    pub fn stored(&mut self, partition: Partition, rows: usize) {
        self.totals.stored += rows as u64;
        self.topics[partition.topic].stored.increment(rows as u64);
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
        let (written_lag, durable_lag) = lags(watermarks, ends);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        {
            gauge!("tributary_lag_records", "kind" => "written").set(written_lag as f64);
            gauge!("tributary_lag_records", "kind" => "durable").set(durable_lag as f64);
        }
        let elapsed = self.told_at.elapsed();
        if elapsed < SUMMARY_EVERY {
            return;
        }
        let Totals { read, stored, dead_lettered, expired, .. } = self.totals;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rows_per_s = (stored - self.told.stored) as f64 / elapsed.as_secs_f64();
        let rows_per_s = format!("{rows_per_s:.1}");
        info!(read, stored, dead_lettered, expired, rows_per_s, written_lag, durable_lag, "progress");
        if let Some(latest) = self.last_dead.take() {
            let new = dead_lettered - self.told.dead_lettered;
            warn!(new, latest, "records dead-lettered");
        }
        self.told = self.totals;
        self.told_at = Instant::now();
    }
}

// Messages that are not written, and those that are not durable yet, over all partitions.
fn lags(
    watermarks: impl Iterator<Item = (Partition, i64, i64)>,
    ends: &BTreeMap<Partition, i64>,
) -> (i64, i64) {
    watermarks.fold((0, 0), |(written_lag, durable_lag), (partition, written, durable)| {
        // The broker told its ends some seconds ago: they are never less than what is written.
        let end = ends.get(&partition).copied().unwrap_or(written).max(written);
        (written_lag + end - written, durable_lag + end - durable)
    })
}
