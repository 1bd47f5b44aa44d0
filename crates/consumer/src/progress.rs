//! What has become of the messages: counters for `/metrics`, and one log line every ten seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
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
    /// Not a number while the lag is not known.
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
        let lag = |topic: &str, kind: &'static str| {
            let lag = gauge!("tributary_lag_records", "topic" => topic.to_owned(), "kind" => kind);
            lag.set(f64::NAN);
            lag
        };
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
    /// offset of each partition that has one, `ranges` the oldest offset and the end of each that is ours, as the broker told them
    /// last, or `None` if it did not. A topic of which others have all partitions has no lag here. While a lag is not known, as
    /// during a rebalance, its gauge is not a number: 0 would say that all is well.
    pub fn tick(
        &mut self,
        watermarks: impl Iterator<Item = (Partition, i64, i64)>,
        ranges: &BTreeMap<Partition, Option<Range<i64>>>,
    ) {
        let lags = lags(self.topics.len(), watermarks, ranges);
        for (topic, lag) in self.topics.iter().zip(&lags) {
            #[expect(clippy::cast_precision_loss, reason = "gauges")]
            {
                topic.written_lag.set(lag.map_or(f64::NAN, |lag| lag.written as f64));
                topic.durable_lag.set(lag.map_or(f64::NAN, |lag| lag.durable as f64));
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
        // Of the topics whose lag is known; left out while none is.
        let sum = |of: fn(&Lag) -> i64| lags.iter().flatten().map(of).reduce(|one, other| one + other);
        let (written_lag, durable_lag) = (sum(|lag| lag.written), sum(|lag| lag.durable));
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

// By topic, over its partitions; none where not enough is known of one of them, or where no partition of any topic is ours.
fn lags(
    topics: usize,
    watermarks: impl Iterator<Item = (Partition, i64, i64)>,
    ranges: &BTreeMap<Partition, Option<Range<i64>>>,
) -> Vec<Option<Lag>> {
    let mut lags = vec![Lag::default(); topics];
    let mut unknown: BTreeSet<usize> = BTreeSet::new();
    let mut read: BTreeSet<Partition> = BTreeSet::new();
    for (partition, written, durable) in watermarks {
        read.insert(partition);
        let Some(Some(range)) = ranges.get(&partition) else {
            unknown.insert(partition.topic);
            continue;
        };
        // The broker told its ends some seconds ago: they are never less than what is written.
        let end = range.end.max(written);
        lags[partition.topic].written += end - written;
        lags[partition.topic].durable += end - durable;
    }
    for (partition, range) in ranges.iter().filter(|(partition, _)| !read.contains(partition)) {
        // Nothing was read or committed of it: it is empty, or its first message is on the way.
        if range.as_ref().is_none_or(|range| !range.is_empty()) {
            unknown.insert(partition.topic);
        }
    }
    let has_none = read.is_empty() && ranges.is_empty();
    let known = |(topic, lag)| (!has_none && !unknown.contains(&topic)).then_some(lag);
    lags.into_iter().enumerate().map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_of_a_topic_and_never_negative() {
        let partition = |topic, number| Partition { topic, number };
        let ranges = BTreeMap::from([
            (partition(0, 0), Some(0..100)),
            (partition(0, 1), Some(0..50)),
            (partition(1, 0), Some(7..7)),
        ]);
        let watermarks = [(partition(0, 0), 90, 80), (partition(0, 1), 60, 40)];
        let lags = lags(3, watermarks.into_iter(), &ranges);
        // The second partition is ahead of the end that was told last; the second topic is empty; the third is another's.
        assert_eq!(
            lags,
            [Some(Lag { written: 10, durable: 40 }), Some(Lag::default()), Some(Lag::default())]
        );
    }

    #[test]
    fn a_lag_of_which_a_part_is_not_known_is_not_known() {
        let partition = |number| Partition { topic: 0, number };
        let lag = |watermarks: &[(i32, i64)], ranges: &[(i32, Option<Range<i64>>)]| {
            let watermarks = watermarks.iter().map(|(number, at)| (partition(*number), *at, *at));
            let ranges = ranges.iter().map(|(number, range)| (partition(*number), range.clone())).collect();
            lags(1, watermarks, &ranges)[0]
        };
        let told = (0, Some(0..9));
        let alone = [told.clone()];
        assert_eq!(lag(&[(0, 5)], &alone), Some(Lag { written: 4, durable: 4 }));
        assert_eq!(lag(&[(0, 5), (1, 5)], &alone), None, "an end was not told yet");
        assert_eq!(
            lag(&[(0, 5)], &[told.clone(), (1, None)]),
            None,
            "nothing was told of one, as without a leader"
        );
        assert_eq!(lag(&[(0, 5)], &[told, (1, Some(0..3))]), None, "one was not read yet");
        assert_eq!(lag(&[], &[]), None, "none is ours");
    }

    #[test]
    fn a_lag_that_is_not_known_is_no_number_for_prometheus() {
        let metrics = service::telemetry::metrics();
        let mut progress = Progress::new(["of-this-test".to_owned()], []);
        let partition = Partition { topic: 0, number: 0 };
        let mut told = vec![metrics.render()];
        progress.tick([(partition, 3, 2)].into_iter(), &BTreeMap::from([(partition, Some(0..5))]));
        told.push(metrics.render());
        progress.tick(std::iter::empty(), &BTreeMap::new());
        told.push(metrics.render());
        for (text, lag) in told.iter().zip(["NaN", "2", "NaN"]) {
            let line = format!("tributary_lag_records{{topic=\"of-this-test\",kind=\"written\"}} {lag}\n");
            assert!(text.contains(&line), "{lag}: {text}");
        }
    }
}
