//! Every answered request -> counts per path and status, and the last requests with their times.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::faults::{Fault, RECENT_CHANGE, WEATHER};

const RECENT_MAX: usize = 10_000;
const PATHS_MAX: usize = 64;

/// What was asked and answered since the start or the last clearing.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    book: Mutex<Book>,
    pub(crate) events: AtomicU64,
    pub(crate) faults: AtomicU64,
    requests: [AtomicU64; 5],
}

#[derive(Debug, Default)]
struct Book {
    paths: BTreeMap<String, BTreeMap<String, u64>>,
    recent: VecDeque<Entry>,
}

/// One request: all that tells how often, and how soon after a fault, a client comes.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    /// When it came, to the millisecond, as RFC 3339.
    at: String,
    path: String,
    query: String,
    /// 0 for a request that is never answered.
    status: u16,
    /// Absent for a good answer. What strikes an open stream is no request of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

/// The body of `GET /requests`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Answers by path and status.
    paths: BTreeMap<String, BTreeMap<String, u64>>,
    /// Events of all streams, those that a fault cut not among them.
    events: u64,
    /// The last 10,000 requests of all paths, in the order of their answers.
    recent: Vec<Entry>,
}

/// Requests by upstream, and what else the log tells, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Of weather, random-user, companies, wikipedia, and of nobody.
    pub(crate) requests: [u64; 5],
    pub(crate) events: u64,
    pub(crate) faults: u64,
}

impl Journal {
    /// Notes one answer. The query is kept without its credential.
    pub(crate) fn note(&self, at: DateTime<Utc>, path: &str, query: &str, status: u16, fault: Option<Fault>) {
        self.requests[upstream(path)].fetch_add(1, Ordering::Relaxed);
        let mut book = self.lock();
        // A scanner must not grow the map without end.
        let known = book.paths.len() < PATHS_MAX || book.paths.contains_key(path);
        let name = if known { path } else { "(other)" };
        *book.paths.entry(name.to_owned()).or_default().entry(status.to_string()).or_default() += 1;
        if book.recent.len() == RECENT_MAX {
            book.recent.pop_front();
        }
        let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        book.recent.push_back(Entry { at, path: path.to_owned(), query: redacted(query), status, fault });
    }

    pub(crate) fn report(&self) -> Report {
        let book = self.lock();
        Report {
            paths: book.paths.clone(),
            events: self.events.load(Ordering::Relaxed),
            recent: book.recent.iter().cloned().collect(),
        }
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Book::default();
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            requests: std::array::from_fn(|place| self.requests[place].load(Ordering::Relaxed)),
            events: self.events.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Its place in `Totals::requests`.
fn upstream(path: &str) -> usize {
    match path.strip_prefix("/api/").map(|rest| rest.trim_end_matches('/').split('/').count()) {
        _ if path == WEATHER => 0,
        Some(1) => 1,
        Some(2) => 2,
        _ if path == RECENT_CHANGE => 3,
        _ => 4,
    }
}

fn redacted(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some(("appid", _)) => "appid=***",
        _ => part,
    });
    parts.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_upstream() {
        let journal = Journal::default();
        let paths = [WEATHER, "/api/1.4/", "/api/1.4", "/api/v2/companies", RECENT_CHANGE, "/favicon.ico"];
        paths.iter().for_each(|path| journal.note(DateTime::UNIX_EPOCH, path, "", 200, None));
        assert_eq!(journal.totals().requests, [1, 2, 1, 1, 1]);
    }

    #[test]
    fn journal_is_bounded_and_forgets_the_key() {
        let journal = Journal::default();
        for n in 0..RECENT_MAX + 10 {
            journal.note(DateTime::UNIX_EPOCH, &format!("/{}", n % 200), "q=Oslo&appid=secret", 200, None);
        }
        let report = journal.report();
        assert_eq!(report.recent.len(), RECENT_MAX);
        assert!(report.paths.len() <= PATHS_MAX + 1, "{}", report.paths.len());
        assert_eq!(report.recent[0].query, "q=Oslo&appid=***");
    }
}
