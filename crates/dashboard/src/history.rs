//! Snapshots -> the last quarter of an hour in steps of 5 s, and half a day in steps of a minute, for the charts.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use datasets::REGISTRY;
use serde::{Deserialize, Serialize};

use crate::pipeline::OWN_MAX;
use crate::snapshot::{Snapshot, Stream};

/// All that are shown are drawn. Of each 900 points of 40 bytes are kept: 4 MB of all.
const STREAMS_MAX: usize = REGISTRY.len() + OWN_MAX;

/// How far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Range {
    /// A quarter of an hour.
    #[serde(rename = "15m")]
    Quarter,
    /// Half a day.
    #[serde(rename = "12h")]
    HalfDay,
}

/// The past of all streams, for charts.
#[derive(Debug, Serialize)]
pub(crate) struct History {
    step_s: i64,
    /// Of the last point; the others are a step apart before it.
    end: DateTime<Utc>,
    streams: BTreeMap<String, Series>,
}

/// The oldest first, all of one length; null where nothing was known.
#[derive(Debug, Default, Serialize)]
struct Series {
    published_per_s: Vec<Option<f32>>,
    stored_per_s: Vec<Option<f32>>,
    lag_written: Vec<Option<f32>>,
    latency_p50_ms: Vec<Option<f32>>,
    latency_p99_ms: Vec<Option<f32>>,
}

/// What is kept.
#[derive(Debug)]
pub(crate) struct Past {
    quarter: Steps,
    half_day: Steps,
}

impl Past {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { quarter: Steps::new(5, 180), half_day: Steps::new(60, 720) }
    }

    /// Takes in the next snapshot.
    pub(crate) fn push(&mut self, snapshot: &Snapshot) {
        self.quarter.push(snapshot);
        self.half_day.push(snapshot);
    }

    /// What is drawn of it.
    pub(crate) fn of(&self, range: Range) -> History {
        match range {
            Range::Quarter => self.quarter.history(),
            Range::HalfDay => self.half_day.history(),
        }
    }
}

const METRICS: usize = 5;

/// Sums and counts of what was known of each metric during a step.
#[derive(Debug, Clone, Copy, Default)]
struct Point([(f32, u32); METRICS]);

impl Point {
    fn add(&mut self, stream: &Stream) {
        let values = [
            stream.published_per_s,
            stream.stored_per_s,
            #[expect(clippy::cast_precision_loss, reason = "a point of a chart")]
            stream.lag_written.map(|lag| lag as f64),
            stream.latency_p50_ms,
            stream.latency_p99_ms,
        ];
        for ((sum, count), value) in self.0.iter_mut().zip(values) {
            if let Some(value) = value {
                #[expect(clippy::cast_possible_truncation, reason = "a point of a chart")]
                let value = value as f32;
                *sum += value;
                *count += 1;
            }
        }
    }

    fn mean(&self, metric: usize) -> Option<f32> {
        let (sum, count) = self.0[metric];
        #[expect(clippy::cast_precision_loss, reason = "snapshots of a minute")]
        (count > 0).then(|| (sum / count as f32 * 100.0).round() / 100.0)
    }
}

#[derive(Debug)]
struct Steps {
    step_s: i64,
    points_max: usize,
    /// The number of the last step, counted from 1970.
    last: i64,
    streams: BTreeMap<String, VecDeque<Point>>,
}

impl Steps {
    fn new(step_s: i64, points_max: usize) -> Self {
        Self { step_s, points_max, last: 0, streams: BTreeMap::new() }
    }

    fn push(&mut self, snapshot: &Snapshot) {
        let step = snapshot.at.timestamp().div_euclid(self.step_s);
        // A clock that was set back has no past.
        if step < self.last {
            self.streams.clear();
        }
        let passed = usize::try_from(step.saturating_sub(self.last)).unwrap_or(0).min(self.points_max);
        self.last = step;
        for points in self.streams.values_mut() {
            points.extend(std::iter::repeat_n(Point::default(), passed));
            let over = points.len().saturating_sub(self.points_max);
            points.drain(..over);
        }
        for stream in &snapshot.streams {
            if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&stream.name) {
                self.forget_one(snapshot);
            }
            let points = self.streams.entry(stream.name.clone()).or_default();
            if points.is_empty() {
                points.push_back(Point::default());
            }
            if let Some(last) = points.back_mut() {
                last.add(stream);
            }
        }
    }

    // One that is not shown any more: there are more than can be.
    fn forget_one(&mut self, snapshot: &Snapshot) {
        let is_shown = |name: &str| snapshot.streams.iter().any(|stream| stream.name == name);
        let gone = self.streams.keys().find(|name| !is_shown(name)).cloned();
        if let Some(gone) = gone {
            self.streams.remove(&gone);
        }
    }

    fn history(&self) -> History {
        let end = DateTime::from_timestamp(self.last.max(0) * self.step_s, 0).unwrap_or_default();
        let length = self.streams.values().map(VecDeque::len).max().unwrap_or(0);
        let streams = self.streams.iter().map(|(name, points)| {
            let metric = |metric| {
                let unknown = std::iter::repeat_n(None, length - points.len());
                unknown.chain(points.iter().map(|point| point.mean(metric))).collect()
            };
            let series = Series {
                published_per_s: metric(0),
                stored_per_s: metric(1),
                lag_written: metric(2),
                latency_p50_ms: metric(3),
                latency_p99_ms: metric(4),
            };
            (name.clone(), series)
        });
        History { step_s: self.step_s, end, streams: streams.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::{snapshot, stream};

    #[test]
    fn a_step_is_the_mean_of_its_seconds_and_a_silence_is_null() {
        let mut past = Past::new();
        for (second, rate) in [(0, 10.0), (1, 20.0), (5, 7.0), (16, 1.0)] {
            past.push(&snapshot(second, vec![stream("weather", Some(rate))]));
        }
        let history = past.of(Range::Quarter);
        let rates = &history.streams["weather"].published_per_s;
        assert_eq!(rates, &[Some(15.0), Some(7.0), None, Some(1.0)]);
        assert_eq!(history.end.timestamp(), 15);
        assert_eq!(past.of(Range::HalfDay).streams["weather"].published_per_s, [Some(9.5)]);
    }

    #[test]
    fn the_past_is_bounded_and_all_streams_end_together() {
        let mut past = Past::new();
        for second in 0..3_600 {
            let late = (second >= 3_595).then(|| stream("late", Some(2.0)));
            past.push(&snapshot(
                second,
                [Some(stream("weather", Some(1.0))), late].into_iter().flatten().collect(),
            ));
        }
        let history = past.of(Range::Quarter);
        assert_eq!(history.streams["weather"].stored_per_s.len(), 180);
        let late = &history.streams["late"].published_per_s;
        assert_eq!((late.len(), late[178], late[179]), (180, None, Some(2.0)));
    }

    #[test]
    fn all_that_are_shown_are_drawn_and_one_that_is_gone_gives_its_place_to_a_new_one() {
        let mut past = Past::new();
        let named = |numbers: std::ops::Range<usize>| {
            numbers.map(|number| stream(&format!("own-{number}"), Some(1.0))).collect::<Vec<_>>()
        };
        past.push(&snapshot(0, named(0..STREAMS_MAX)));
        assert_eq!(past.of(Range::Quarter).streams.len(), STREAMS_MAX);
        past.push(&snapshot(5, named(3..STREAMS_MAX + 3)));
        let history = past.of(Range::Quarter);
        assert_eq!(history.streams.len(), STREAMS_MAX);
        assert!(named(3..STREAMS_MAX + 3).iter().all(|stream| history.streams.contains_key(&stream.name)));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew_and_one_far_ahead_costs_no_memory() {
        let mut past = Past::new();
        for second in [1_000, 1_005, 1_000_000_000] {
            past.push(&snapshot(second, vec![stream("weather", Some(1.0))]));
        }
        assert_eq!(past.of(Range::Quarter).streams["weather"].published_per_s.len(), 180);
        past.push(&snapshot(500, vec![stream("weather", Some(2.0))]));
        assert_eq!(past.of(Range::Quarter).streams["weather"].published_per_s, [Some(2.0)]);
    }
}
