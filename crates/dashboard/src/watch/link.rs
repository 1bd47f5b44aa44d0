//! The answers of one server -> whether it answers, why not, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use service::health::State;
use tokio::time::Instant;

/// Silence that is no trouble yet: a question may take a while, and the next is asked a second later.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What is known of a connection. Reads no clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    /// The last answer; before the first, when it was asked for.
    heard_at: Instant,
    error: Option<String>,
    /// Since when it has answered, or not; `None` while neither is known.
    since: Option<DateTime<Utc>>,
    answers: bool,
}

impl Link {
    /// It is asked from now on.
    pub(crate) fn new(at: Instant) -> Self {
        Self { heard_at: at, error: None, since: None, answers: false }
    }

    /// It answered.
    pub(crate) fn answered(&mut self, at: Instant, now: DateTime<Utc>) {
        self.heard_at = at;
        self.error = None;
        if !self.answers {
            self.answers = true;
            self.since = Some(now);
        }
    }

    /// It did not, or said no.
    pub(crate) fn failed(&mut self, error: String) {
        self.error = Some(error);
    }

    /// How it does now, why, and since when; `None` while that is not known yet.
    pub(crate) fn state(
        &mut self,
        at: Instant,
        now: DateTime<Utc>,
    ) -> Option<(State, String, DateTime<Utc>)> {
        let silence = at.saturating_duration_since(self.heard_at);
        if silence > SILENCE_MAX && (self.answers || self.since.is_none()) {
            self.answers = false;
            self.since = Some(now - chrono::Duration::from_std(silence).unwrap_or_default());
        }
        let since = self.since?;
        if self.answers {
            return Some((State::Green, String::new(), since));
        }
        Some((State::Red, self.error.clone().unwrap_or_else(|| "no answer".to_owned()), since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: (Instant, DateTime<Utc>), seconds: u64) -> (Instant, DateTime<Utc>) {
        (start.0 + Duration::from_secs(seconds), start.1 + Duration::from_secs(seconds))
    }

    fn state(link: &mut Link, start: (Instant, DateTime<Utc>), second: u64) -> Option<(State, String, i64)> {
        let (at, now) = after(start, second);
        let state = link.state(at, now);
        state.map(|(state, reason, since)| (state, reason, (since - start.1).num_seconds()))
    }

    #[test]
    fn an_outage_begins_with_the_last_answer_and_its_last_error_explains_it() {
        let start = (Instant::now(), Utc::now());
        let mut link = Link::new(start.0);
        let (at, now) = after(start, 1);
        link.answered(at, now);
        assert_eq!(state(&mut link, start, 1), Some((State::Green, String::new(), 1)));
        link.failed("connection refused".to_owned());
        assert_eq!(state(&mut link, start, 4), Some((State::Green, String::new(), 1)), "one may be lost");
        link.failed("no route to host".to_owned());
        assert_eq!(state(&mut link, start, 5), Some((State::Red, "no route to host".to_owned(), 1)));
        assert_eq!(state(&mut link, start, 60), Some((State::Red, "no route to host".to_owned(), 1)));
        let (at, now) = after(start, 61);
        link.answered(at, now);
        assert_eq!(state(&mut link, start, 61), Some((State::Green, String::new(), 61)));
    }

    #[test]
    fn nothing_is_said_before_the_first_answer_could_be_there() {
        let start = (Instant::now(), Utc::now());
        let mut link = Link::new(start.0);
        assert_eq!(state(&mut link, start, 3), None);
        assert_eq!(state(&mut link, start, 4), Some((State::Red, "no answer".to_owned(), 0)));
    }
}
