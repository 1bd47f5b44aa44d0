//! What a producer has done -> the metrics of `/metrics` and the numbers of the summary line.
//!
//! Counted per record on hot paths, so each count is two atomic additions and nothing else.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::upstream::Origin;

/// What kind of trouble an error is: the label `kind` of `tributary_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No answer, or no end of it, in time.
    Timeout,
    /// No connection, or one that broke.
    Transport,
    /// 429, or the upstream's own words for it.
    Throttled,
    /// 5xx.
    Server,
    /// 400, 401, 403, 404 and their like.
    Refused,
    /// A redirect, which is not followed.
    Redirect,
    /// Not what the upstream's contract says.
    Malformed,
    /// More bytes than accepted.
    TooLarge,
    /// Kafka refused a record.
    Kafka,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Timeout,
        Self::Transport,
        Self::Throttled,
        Self::Server,
        Self::Refused,
        Self::Redirect,
        Self::Malformed,
        Self::TooLarge,
        Self::Kafka,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Throttled => "throttled",
            Self::Server => "server_error",
            Self::Refused => "refused",
            Self::Redirect => "redirect",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Kafka => "kafka",
        }
    }
}

/// A number that the summary reads and `/metrics` shows.
///
/// On a cache line of its own: one thread sends while another counts the acknowledgements.
#[repr(align(128))]
pub(crate) struct Count {
    value: AtomicU64,
    metric: Counter,
}

impl Count {
    fn new(metric: Counter) -> Self {
        metric.increment(0);
        Self { value: AtomicU64::new(0), metric }
    }

    pub(crate) fn add(&self, more: u64) {
        self.value.fetch_add(more, Ordering::Relaxed);
        self.metric.increment(more);
    }

    pub(crate) fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

/// All counts of one producer.
pub(crate) struct Counts {
    dataset: &'static str,
    /// Records that came out of the upstream's answers, its stream or the generator.
    pub(crate) fetched: Count,
    /// Records handed to librdkafka.
    pub(crate) sent: Count,
    /// Records that Kafka has acknowledged.
    pub(crate) acknowledged: Count,
    /// Items that broke the contract, and records too large for Kafka.
    pub(crate) rejected: Count,
    /// Times that changes of a stream may have been missed.
    pub(crate) gaps: Count,
    /// Changes that a stream delivered again and that were not published again.
    pub(crate) duplicates: Count,
    errors: [Count; Kind::ALL.len()],
    request_duration: Histogram,
    last_success: Gauge,
}

impl Counts {
    /// All zero.
    pub(crate) fn new(dataset: &'static str) -> Self {
        let count = |metric| Count::new(metric);
        Self {
            dataset,
            fetched: count(counter!("tributary_fetched_total", "dataset" => dataset)),
            sent: count(counter!("tributary_sent_total", "dataset" => dataset)),
            acknowledged: count(counter!("tributary_acknowledged_total", "dataset" => dataset)),
            rejected: count(counter!("tributary_rejected_total", "dataset" => dataset)),
            gaps: count(counter!("tributary_gaps_total", "dataset" => dataset)),
            duplicates: count(counter!("tributary_duplicates_total", "dataset" => dataset)),
            errors: Kind::ALL.map(|kind| {
                count(counter!("tributary_errors_total", "dataset" => dataset, "kind" => kind.as_str()))
            }),
            request_duration: histogram!("tributary_request_duration_seconds", "dataset" => dataset),
            last_success: gauge!("tributary_last_success_timestamp_seconds", "dataset" => dataset),
        }
    }

    /// Counts an error.
    pub(crate) fn error(&self, kind: Kind) {
        self.errors[kind as usize].add(1);
    }

    /// Returns the number of errors of all kinds.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.iter().map(Count::get).sum()
    }

    /// Notes how long an answer took, whatever it was.
    pub(crate) fn request_took(&self, duration: Duration) {
        self.request_duration.record(duration.as_secs_f64());
    }

    /// Notes that the upstream has just answered by its contract.
    pub(crate) fn succeeded(&self, now: SystemTime) {
        self.last_success.set(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    }

    /// Notes where the records come from now.
    pub(crate) fn origin(&self, now: Origin) {
        for origin in [Origin::Live, Origin::Simulated, Origin::Generated] {
            let metric: Gauge = gauge!(
                "tributary_origin", "dataset" => self.dataset, "origin" => origin.as_str());
            metric.set(if origin == now { 1.0 } else { 0.0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_is_counted_by_itself_and_in_the_sum() {
        let counts = Counts::new("test");
        for (times, kind) in Kind::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counts.error(kind));
        }
        assert_eq!(counts.errors(), 36);
        let by_kind: Vec<u64> = counts.errors.iter().map(Count::get).collect();
        assert_eq!(by_kind, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
