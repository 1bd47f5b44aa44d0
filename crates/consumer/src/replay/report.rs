//! What became of the messages whose rows were to be written once more. Serialises to its JSON form.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use super::Topic;
use super::reach::Reach;
use crate::command::Ended;
use crate::decode::DataError;
use crate::message::Message;

/// Kinds of refusals that are told apart; the rest is counted as one.
const KINDS_MAX: usize = 50;
/// Messages that are named of each.
const NAMED: usize = 5;

/// See the module.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One a topic.
    pub topics: Vec<TopicReport>,
    /// Why messages are no rows, at most 51 kinds.
    pub refusals: Vec<Refusal>,
    /// How long it took.
    pub seconds: f64,
    /// Why it ended before all was done; `None`: all rows are written and durable.
    pub ended: Option<Ended>,
    /// Tables in which rows may be back that newer messages delete or let expire, because it ended early: until it is run to its
    /// end.
    pub reviving: Vec<String>,
    #[serde(skip)]
    known: BTreeMap<String, usize>,
}

/// Outcomes of a topic's messages, one for each of its routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopicReport {
    /// Its name.
    pub topic: String,
    /// Offsets that were to be read.
    pub offsets: u64,
    /// Of these, those that were passed; some may have no message any more, or never had.
    pub passed: u64,
    /// Messages that were read.
    pub messages: u64,
    /// Messages that were left out: they are of the time up to which messages were asked for, or later.
    pub later: u64,
    /// Rows that were written, also where the table has a newer one.
    pub written: u64,
    /// Rows that were deleted, by messages without a value.
    pub deleted: u64,
    /// Whose time to live has passed: nothing is written.
    pub expired: u64,
    /// That can never be rows.
    pub refused: u64,
    /// If it ended early, and the tables were seen to be the same still: by partition, one past the last offset whose row is
    /// durable, or where it began.
    pub positions: BTreeMap<i32, i64>,
    /// A time from which on a replay of this topic does what is left, if it ended early and there is one: RFC 3339.
    pub since: Option<String>,
}

/// Messages that are no rows for reasons of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// `keyspace.table`
    pub table: String,
    /// The kind of error.
    pub class: String,
    /// The reason of the first of them.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first of them, `topic:partition:offset`.
    pub first: Vec<String>,
}

impl Report {
    pub(super) fn of(topics: &[Topic]) -> Self {
        let of_topic = |topic: &Topic| TopicReport {
            topic: topic.name.clone(),
            offsets: topic
                .ranges
                .values()
                .map(|range| u64::try_from(range.end - range.start).unwrap_or(0))
                .sum(),
            ..TopicReport::default()
        };
        Self { topics: topics.iter().map(of_topic).collect(), ..Self::default() }
    }

    pub(super) fn end(mut self, ended: Option<Ended>, began: Instant) -> Self {
        self.seconds = began.elapsed().as_secs_f64();
        self.ended = ended;
        self
    }

    /// What is durable of each topic.
    pub(super) fn reached(&mut self, topics: &[Topic], reaches: &[Reach]) {
        for ((of_topic, topic), reach) in self.topics.iter_mut().zip(topics).zip(reaches) {
            let position = |(number, range): (&i32, &Range<i64>)| {
                (*number, reach.position(*number).unwrap_or(range.start))
            };
            of_topic.positions = topic.ranges.iter().map(position).collect();
            let is_left = |(number, position): &(&i32, &i64)| **position < topic.ranges[*number].end;
            let left = of_topic.positions.iter().filter(is_left).map(|(number, _)| *number);
            let time = reach.since_ms(left).and_then(DateTime::from_timestamp_millis);
            of_topic.since = time.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }

    /// Whether it wrote anything.
    pub(super) fn writes(&self) -> bool {
        self.topics.iter().any(|topic| topic.written + topic.deleted > 0)
    }

    pub(super) fn refuse(&mut self, topic: usize, table: &str, message: &Message<'_>, error: &DataError) {
        self.topics[topic].refused += 1;
        let mut identity = format!("{table}\0{}", error.kind());
        let mut more = "";
        if !self.known.contains_key(&identity) && self.known.len() >= KINDS_MAX {
            (identity, more) = (String::new(), "other reasons, such as: ");
        }
        let place = *self.known.entry(identity).or_insert_with(|| {
            self.refusals.push(Refusal {
                table: table.to_owned(),
                class: error.class.name().to_owned(),
                reason: format!("{more}{}", error.reason),
                count: 0,
                first: Vec::new(),
            });
            self.refusals.len() - 1
        });
        let refusal = &mut self.refusals[place];
        refusal.count += 1;
        if refusal.first.len() < NAMED {
            refusal.first.push(format!("{}:{}:{}", message.topic, message.partition, message.offset));
        }
    }

    /// 0: all rows are written. 1: some messages are no rows. Else as [`Ended::exit_code`] has it.
    pub fn exit_code(&self) -> i32 {
        match &self.ended {
            Some(ended) => ended.exit_code(),
            None => i32::from(!self.refusals.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use service::{MISCONFIGURED, UNAVAILABLE};

    use super::*;
    use crate::decode::Class;
    use crate::message::Headers;

    fn refuse(report: &mut Report, offset: i64, reason: &str) {
        let message = Message {
            topic: "orders",
            partition: 3,
            offset,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: Headers::NONE,
        };
        let error = DataError { class: Class::Value, reason: reason.to_owned() };
        report.refuse(0, "shop.orders", &message, &error);
    }

    #[test]
    fn refusals_of_one_kind_are_counted_and_the_first_are_named() {
        let mut report = Report { topics: vec![TopicReport::default()], ..Report::default() };
        assert_eq!(report.exit_code(), 0);
        (0..9).for_each(|offset| refuse(&mut report, offset, &format!("column n: {offset} is too much")));
        refuse(&mut report, 9, "column k: no value");
        assert_eq!((report.refusals.len(), report.topics[0].refused, report.exit_code()), (2, 10, 1));
        let Refusal { count, first, reason, .. } = &report.refusals[0];
        assert_eq!((*count, first.len(), first[4].as_str()), (9, NAMED, "orders:3:4"));
        assert_eq!(reason, "column n: 0 is too much");
    }

    #[test]
    fn kinds_of_refusals_do_not_grow_without_end() {
        let mut report = Report { topics: vec![TopicReport::default()], ..Report::default() };
        let word = |number: i64| "x".repeat(usize::try_from(number + 1).unwrap());
        (0..200).for_each(|number| refuse(&mut report, number, &word(number)));
        assert_eq!(report.refusals.len(), KINDS_MAX + 1);
        let rest = &report.refusals[KINDS_MAX];
        assert!(rest.count == 150 && rest.reason.starts_with("other reasons, such as: x"), "{rest:?}");
    }

    #[test]
    fn exit_code_tells_whether_it_helps_to_run_it_again() {
        let code = |ended| Report { ended, ..Report::default() }.exit_code();
        let why = || "why".to_owned();
        let ended = [Ended::Early, Ended::Mend, Ended::Refused].map(|ended| Some(ended(why())));
        assert_eq!((code(None), ended.map(code)), (0, [UNAVAILABLE, 1, MISCONFIGURED]));
    }
}
