//! Refusals that only a person can mend -> which requests rest, until when, and why.
//!
//! A refused key rests the whole dataset; a city that the upstream does not know rests alone. Reads no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The open circuits of one dataset.
#[derive(Debug)]
pub(crate) struct Breaker {
    wait: Duration,
    whole: Option<Open>,
    by_request: BTreeMap<String, Open>,
}

#[derive(Debug, Clone)]
struct Open {
    until: Instant,
    reason: String,
}

impl Breaker {
    /// Each refusal rests for `wait`.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, whole: None, by_request: BTreeMap::new() }
    }

    /// The upstream refuses whatever is asked: a wrong key, no permission.
    pub(crate) fn open(&mut self, reason: String, now: Instant) {
        self.whole = Some(Open { until: now + self.wait, reason });
    }

    /// The upstream refuses this request alone.
    pub(crate) fn open_request(&mut self, label: &str, reason: String, now: Instant) {
        self.by_request.insert(label.to_owned(), Open { until: now + self.wait, reason });
    }

    /// The request was answered: whatever was refused before works again.
    pub(crate) fn close(&mut self, label: &str) {
        self.whole = None;
        self.by_request.remove(label);
    }

    /// Returns how long the whole dataset rests.
    pub(crate) fn rests(&self, now: Instant) -> Option<Duration> {
        self.whole
            .as_ref()
            .map(|open| open.until.saturating_duration_since(now))
            .filter(|left| !left.is_zero())
    }

    /// Returns whether this request rests.
    pub(crate) fn request_rests(&self, label: &str, now: Instant) -> bool {
        self.by_request.get(label).is_some_and(|open| open.until > now)
    }

    /// Returns what is refused and why, for the health: whether all of the `requests` are, and the reason in words.
    pub(crate) fn verdict<'a>(&self, mut requests: impl Iterator<Item = &'a str>) -> Option<(bool, String)> {
        if let Some(open) = &self.whole {
            return Some((true, open.reason.clone()));
        }
        let (_, first) = self.by_request.first_key_value()?;
        let reason = match self.by_request.len() {
            1 => first.reason.clone(),
            more => format!("{} (and {} more)", first.reason, more - 1),
        };
        Some((requests.all(|label| self.by_request.contains_key(label)), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(300);

    #[test]
    fn refused_key_rests_everything_for_the_whole_wait() {
        let now = Instant::now();
        let mut breaker = Breaker::new(WAIT);
        breaker.open("invalid key".to_owned(), now);
        assert_eq!(breaker.rests(now), Some(WAIT));
        assert_eq!(breaker.rests(now + WAIT - Duration::from_secs(1)), Some(Duration::from_secs(1)));
        assert_eq!(breaker.rests(now + WAIT), None);
        assert_eq!(breaker.verdict(["Oslo"].into_iter()), Some((true, "invalid key".to_owned())));
    }

    #[test]
    fn unknown_city_rests_alone() {
        let now = Instant::now();
        let mut breaker = Breaker::new(WAIT);
        breaker.open_request("Nowhere", "city not found".to_owned(), now);
        assert!(breaker.request_rests("Nowhere", now) && !breaker.request_rests("Oslo", now));
        assert_eq!(breaker.rests(now), None);
        let verdict = breaker.verdict(["Nowhere", "Oslo"].into_iter());
        assert_eq!(verdict, Some((false, "city not found".to_owned())));
        assert!(!breaker.request_rests("Nowhere", now + WAIT));
    }

    #[test]
    fn all_requests_refused_are_the_whole_dataset() {
        let now = Instant::now();
        let mut breaker = Breaker::new(WAIT);
        breaker.open_request("A", "a".to_owned(), now);
        breaker.open_request("B", "b".to_owned(), now);
        assert_eq!(breaker.verdict(["A", "B"].into_iter()), Some((true, "a (and 1 more)".to_owned())));
    }

    #[test]
    fn an_answer_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(WAIT);
        breaker.open("key".to_owned(), now);
        breaker.open_request("Oslo", "gone".to_owned(), now);
        breaker.close("Oslo");
        assert_eq!(breaker.verdict(["Oslo"].into_iter()), None);
    }
}
