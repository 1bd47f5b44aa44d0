//! The two datacentres, of which one takes the edits: each has a topic, and the id of an event tells the position in both.
//!
//! A topic that has brought nothing yet stands at offset -1, so that the id has one time before the first switch and two
//! from then on. A connection that resumes keeps both.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// By datacentre, as they stand in an id.
const TOPICS: [&str; 2] = ["eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange"];
/// The datacentre that takes the edits before the first switch.
const FIRST: usize = 1;

/// The times of the switches from one datacentre to the other, in ms since 1970.
#[derive(Debug, Default)]
pub(crate) struct Switches(Mutex<Vec<i64>>);

impl Switches {
    /// All that happens after `ms` comes from the other datacentre; what happened before stays as it was told.
    pub(super) fn switch(&self, ms: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ms);
    }

    /// The datacentre that takes the edits at `ms`.
    pub(super) fn active(&self, ms: i64) -> usize {
        let switches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (FIRST + switches.iter().filter(|at| **at < ms).count()) % TOPICS.len()
    }
}

/// The topic of a datacentre.
pub(super) fn topic(datacentre: usize) -> &'static str {
    TOPICS[datacentre]
}

/// One topic of the JSON array that is an event's id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    #[serde(default)]
    topic: String,
    #[serde(default)]
    partition: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<i64>,
}

/// Reads a `Last-Event-ID`; an empty one is none.
///
/// # Errors
/// In words: it is not an id of this stream.
pub(super) fn assignments(last_event_id: &str) -> Result<Vec<Assignment>, String> {
    if last_event_id.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(last_event_id)
        .map_err(|error| format!("Last-Event-ID is not an array of assignments: {error}"))
}

/// How far a connection has come in each topic.
#[derive(Debug, Default)]
pub(super) struct Positions([Option<i64>; 2]);

impl Positions {
    /// Those that a connection resumes from.
    pub(super) fn resumed(last_event_id: &[Assignment]) -> Self {
        let position = |topic| last_event_id.iter().find(|one| one.topic == topic)?.timestamp;
        Self(TOPICS.map(position))
    }

    /// The datacentre that rests since a switch, and the time of its last event.
    pub(super) fn resting(&self) -> Option<(usize, i64)> {
        let [Some(eqiad), Some(codfw)] = self.0 else { return None };
        Some(if eqiad < codfw { (0, eqiad) } else { (1, codfw) })
    }

    /// An event of the datacentre, at `ms`, goes out.
    pub(super) fn advance(&mut self, datacentre: usize, ms: i64) {
        self.0[datacentre] = Some(ms);
    }

    /// The id of the event that has just gone out.
    pub(super) fn id(&self) -> String {
        let assignment = |(topic, timestamp): (&str, Option<i64>)| Assignment {
            topic: topic.to_owned(),
            partition: 0,
            timestamp,
            offset: timestamp.is_none().then_some(-1),
        };
        let id: Vec<Assignment> = TOPICS.into_iter().zip(self.0).map(assignment).collect();
        serde_json::to_string(&id).expect("a struct of strings and numbers serialises")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switch_concerns_only_what_happens_after_it() {
        let switches = Switches::default();
        assert_eq!(switches.active(i64::MAX), 1);
        switches.switch(100);
        switches.switch(200);
        assert_eq!([99, 100, 101, 200, 201].map(|ms| switches.active(ms)), [1, 1, 0, 0, 1]);
    }

    #[test]
    fn id_has_two_times_after_a_switch_and_a_resume_keeps_them() {
        let mut positions = Positions::default();
        positions.advance(1, 5);
        positions.advance(0, 7);
        let id = positions.id();
        assert_eq!(
            id,
            r#"[{"topic":"eqiad.mediawiki.recentchange","partition":0,"timestamp":7},{"topic":"codfw.mediawiki.recentchange","partition":0,"timestamp":5}]"#
        );
        let resumed = Positions::resumed(&assignments(&id).unwrap());
        assert_eq!((resumed.id(), resumed.resting()), (id, Some((1, 5))));
    }

    #[test]
    fn id_that_is_none_is_refused_in_words() {
        assert!(assignments("42").unwrap_err().contains("Last-Event-ID"));
        assert!(assignments("").unwrap().is_empty());
    }
}
