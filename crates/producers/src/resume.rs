//! Where a stream was left, and what comes first after that -> gaps and duplicates. Reads no clock.
//!
//! An upstream resumes by time and repeats a little; beyond its retention it starts at the present without a word. So
//! the first change after each connection is compared with the last one before it.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A first change later than this after the last one means that some are missing between them.
const GAP: Duration = Duration::from_secs(60);
/// Keys remembered to tell repeated changes: minutes of the busiest stream.
pub(crate) const RECENT_MAX: usize = 10_000;

/// The last change that is safely on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// What `Last-Event-ID` says to continue here.
    pub(crate) id: String,
    /// When the change happened.
    pub(crate) at: DateTime<Utc>,
}

/// Why changes may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Nothing tells where the stream was left.
    NoPlace,
    /// The first change is this much later than the last one before.
    Late(Duration),
    /// The upstream did not accept the place: all changes since then are missing, for this long.
    Forgotten(Duration),
}

/// What to think of a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) gap: Option<Gap>,
    /// It has been published already.
    pub(crate) duplicate: bool,
}

/// The place in one stream.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    place: Option<Place>,
    recent: HashSet<String>,
    order: VecDeque<String>,
    first_after_connect: bool,
    /// The time of the place that had to be forgotten, until the next change tells the gap.
    forgotten: Option<DateTime<Utc>>,
}

impl Cursor {
    /// Continues from what an earlier process has published: its last place, and the keys of its last changes.
    pub(crate) fn from(place: Option<Place>, keys: impl IntoIterator<Item = String>) -> Self {
        let mut cursor = Self { place, ..Self::default() };
        for key in keys {
            cursor.remember(key);
        }
        cursor
    }

    /// Returns what to send as `Last-Event-ID`.
    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.id.as_str())
    }

    /// The stream has been opened: the next change is the first.
    pub(crate) fn connected(&mut self) {
        self.first_after_connect = true;
    }

    /// The upstream does not accept the place: the stream begins at the present. Returns what is forgotten.
    pub(crate) fn forget_place(&mut self) -> Option<Place> {
        let place = self.place.take()?;
        self.forgotten = Some(place.at);
        Some(place)
    }

    /// Judges a change before it is published.
    pub(crate) fn judge(&mut self, key: &str, at: DateTime<Utc>) -> Verdict {
        Verdict { gap: self.gap_before(at), duplicate: self.recent.contains(key) }
    }

    fn gap_before(&mut self, at: DateTime<Utc>) -> Option<Gap> {
        let since_place = self.place.as_ref().map(|place| at - place.at);
        // A datacentre that rests since a switch is resumed at its own time, and repeats a change from long before the
        // place: that tells nothing of what came after it.
        let long_before = since_place.is_some_and(|since| (-since).to_std().is_ok_and(|early| early > GAP));
        if !self.first_after_connect || long_before {
            return None;
        }
        self.first_after_connect = false;
        match since_place {
            None => Some(match self.forgotten.take() {
                Some(left) => Gap::Forgotten((at - left).to_std().unwrap_or_default()),
                None => Gap::NoPlace,
            }),
            Some(since) => since.to_std().ok().filter(|late| *late > GAP).map(Gap::Late),
        }
    }

    /// Moves on: the change has been handed over.
    pub(crate) fn advance(&mut self, key: &str, id: Option<&str>, at: DateTime<Utc>) {
        self.remember(key.to_owned());
        let Some(id) = id.filter(|id| !id.is_empty()) else { return };
        // History is not in order of time; the latest time seen decides about gaps.
        let at = self.place.as_ref().map_or(at, |place| place.at.max(at));
        self.place = Some(Place { id: id.to_owned(), at });
    }

    fn remember(&mut self, key: String) {
        if !self.recent.insert(key.clone()) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }
}

/// Reads the time out of an event's id, a JSON array over the upstream's own topics, of which one has a timestamp.
pub(crate) fn time_of(id: &str) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    struct Assignment {
        timestamp: Option<i64>,
    }
    let assignments: Vec<Assignment> = serde_json::from_str(id).ok()?;
    let latest = assignments.iter().filter_map(|assignment| assignment.timestamp).max()?;
    DateTime::from_timestamp_millis(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_355_200 + seconds, 0).unwrap()
    }

    fn place(id: &str, seconds: i64) -> Option<Place> {
        Some(Place { id: id.to_owned(), at: at(seconds) })
    }

    #[test]
    fn stream_without_a_place_begins_with_a_gap_told_once() {
        let mut cursor = Cursor::from(None, []);
        assert_eq!(cursor.last_event_id(), None);
        cursor.connected();
        assert_eq!(cursor.judge("a", at(0)).gap, Some(Gap::NoPlace));
        cursor.advance("a", Some("1"), at(0));
        assert_eq!(cursor.judge("b", at(1)).gap, None);
    }

    #[test]
    fn first_change_more_than_a_minute_late_is_a_gap() {
        for (late, gap) in
            [(0, None), (60, None), (61, Some(Gap::Late(Duration::from_secs(61)))), (-30, None)]
        {
            let mut cursor = Cursor::from(place("1", 0), []);
            cursor.connected();
            assert_eq!(cursor.judge("a", at(late)).gap, gap, "{late} s late");
        }
    }

    #[test]
    fn forgotten_place_is_a_gap_however_short() {
        let mut cursor = Cursor::from(place("1", 0), []);
        assert_eq!(cursor.forget_place(), place("1", 0));
        assert_eq!(cursor.last_event_id(), None);
        cursor.connected();
        assert_eq!(cursor.judge("a", at(5)).gap, Some(Gap::Forgotten(Duration::from_secs(5))));
        cursor.advance("a", None, at(5));
        cursor.connected();
        assert_eq!(cursor.judge("b", at(6)).gap, Some(Gap::NoPlace), "told once");
    }

    #[test]
    fn change_that_a_resting_datacentre_repeats_first_hides_no_gap() {
        let mut cursor = Cursor::from(place("2", 3600), ["old".to_owned()]);
        cursor.connected();
        assert_eq!(cursor.judge("old", at(0)), Verdict { gap: None, duplicate: true });
        cursor.advance("old", Some("2"), at(0));
        assert_eq!(cursor.judge("new", at(3661)).gap, Some(Gap::Late(Duration::from_secs(61))));
        cursor.advance("new", Some("3"), at(3661));
        assert_eq!(cursor.judge("next", at(9999)).gap, None, "told once");
    }

    #[test]
    fn quiet_minutes_within_a_connection_are_no_gap() {
        let mut cursor = Cursor::from(place("1", 0), []);
        cursor.connected();
        cursor.judge("a", at(1));
        cursor.advance("a", Some("2"), at(1));
        assert_eq!(cursor.judge("b", at(900)).gap, None);
    }

    #[test]
    fn change_repeated_after_a_reconnect_is_a_duplicate_and_no_gap() {
        let mut cursor = Cursor::from(place("1", 0), ["a".to_owned()]);
        cursor.connected();
        assert_eq!(cursor.judge("a", at(0)), Verdict { gap: None, duplicate: true });
        assert_eq!(cursor.judge("b", at(1)), Verdict { gap: None, duplicate: false });
    }

    #[test]
    fn place_is_the_id_of_the_last_change_handed_over() {
        let mut cursor = Cursor::from(place("1", 0), []);
        cursor.advance("a", Some("2"), at(1));
        cursor.advance("b", None, at(2));
        cursor.advance("c", Some(""), at(2));
        assert_eq!(cursor.last_event_id(), Some("2"));
    }

    #[test]
    fn late_history_does_not_turn_the_time_back() {
        let mut cursor = Cursor::from(place("1", 100), []);
        cursor.advance("old", Some("2"), at(0));
        cursor.connected();
        assert_eq!(cursor.judge("next", at(101)).gap, None);
    }

    #[test]
    fn memory_of_keys_is_bounded() {
        let mut cursor = Cursor::default();
        for number in 0..RECENT_MAX * 3 {
            cursor.advance(&number.to_string(), None, at(0));
        }
        assert_eq!((cursor.recent.len(), cursor.order.len()), (RECENT_MAX, RECENT_MAX));
        assert!(!cursor.judge("0", at(0)).duplicate);
        assert!(cursor.judge(&(RECENT_MAX * 3 - 1).to_string(), at(0)).duplicate);
    }

    #[test]
    fn time_is_read_from_the_active_datacentre() {
        let id = r#"[{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":-1},
            {"topic":"codfw.mediawiki.recentchange","partition":0,"timestamp":1767355200123}]"#;
        assert_eq!(time_of(id).unwrap().timestamp_millis(), 1_767_355_200_123);
        for odd in ["", "17", "{}", "[]", r#"[{"offset":3}]"#, r#"[{"timestamp":9223372036854775807}]"#] {
            assert_eq!(time_of(odd), None, "{odd}");
        }
    }
}
