//! The answers of one server -> whether it answers, why not, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use service::health::State;
use tokio::time::Instant;

/// Silence that is no trouble yet: a question may take a while, and the next is asked a second later.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What is known of a connection. Reads no clock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    answered_at: Instant,
    error: Option<String>,
    /// Since when it has answered, or not.
    since: DateTime<Utc>,
    answers: bool,
}

impl Link {
    /// Nobody has asked yet.
    pub(crate) fn new(at: Instant, now: DateTime<Utc>) -> Self {
        Self { answered_at: at, error: None, since: now, answers: false }
    }

    /// It answered.
    pub(crate) fn answered(&mut self, at: Instant, now: DateTime<Utc>) {
        self.answered_at = at;
        self.error = None;
        self.turn(true, now);
    }

    /// It did not, or said no.
    pub(crate) fn failed(&mut self, error: String, now: DateTime<Utc>) {
        self.error = Some(error);
        self.turn(false, now);
    }

    /// How it does now, why, and since when. A question without an answer yet counts too.
    pub(crate) fn state(&mut self, at: Instant, now: DateTime<Utc>) -> (State, String, DateTime<Utc>) {
        let silence = at.saturating_duration_since(self.answered_at);
        if self.answers && silence > SILENCE_MAX {
            let began = now - chrono::Duration::from_std(silence).unwrap_or_default();
            self.turn(false, began);
        }
        if self.answers {
            return (State::Green, String::new(), self.since);
        }
        let reason = self.error.clone().unwrap_or_else(|| "no answer".to_owned());
        (State::Red, reason, self.since)
    }

    fn turn(&mut self, answers: bool, now: DateTime<Utc>) {
        if self.answers != answers {
            self.answers = answers;
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: (Instant, DateTime<Utc>), seconds: u64) -> (Instant, DateTime<Utc>) {
        (start.0 + Duration::from_secs(seconds), start.1 + Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_failure_dates_the_outage_and_the_last_one_explains_it() {
        let start = (Instant::now(), Utc::now());
        let mut link = Link::new(start.0, start.1);
        link.answered(start.0, start.1);
        assert_eq!(link.state(start.0, start.1).0, State::Green);
        link.failed("connection refused".to_owned(), after(start, 5).1);
        link.failed("no route to host".to_owned(), after(start, 9).1);
        let (at, now) = after(start, 10);
        assert_eq!(link.state(at, now), (State::Red, "no route to host".to_owned(), after(start, 5).1));
        link.answered(at, now);
        assert_eq!(link.state(at, now), (State::Green, String::new(), now));
    }

    #[test]
    fn silence_is_an_outage_that_began_with_the_last_answer() {
        let start = (Instant::now(), Utc::now());
        let mut link = Link::new(start.0, start.1);
        link.answered(start.0, start.1);
        let (at, now) = after(start, 3);
        assert_eq!(link.state(at, now).0, State::Green);
        let (at, now) = after(start, 4);
        assert_eq!(link.state(at, now), (State::Red, "no answer".to_owned(), start.1));
    }
}
