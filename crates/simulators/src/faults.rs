//! POST /faults -> a queue of scripted misbehaviour per path -> the next answers of that path.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// The path of the OpenWeatherMap simulator.
pub const WEATHER: &str = "/data/2.5/weather";
/// The path of the randomuser.me simulator.
pub const RANDOM_USER: &str = "/api/1.4/";
/// The path of the Wikimedia stream.
pub const RECENT_CHANGE: &str = "/v2/stream/recentchange";

const FAKER_API: [&str; 4] = ["/api/v1/companies", "/api/v2/companies", "/api/v1/persons", "/api/v2/persons"];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 429 in the provider's words, with `Retry-After` when the script names one.
    RateLimited,
    /// 500 (502 on the stream) in the provider's words.
    ServerError,
    /// The connection is lost half-way through a body, or inside an event of an open stream.
    Truncated,
    /// HTTP is complete and the JSON is cut.
    Malformed,
    /// An open stream ends cleanly inside an event.
    MidEventEof,
    /// 401 for weather, 403 for the stream.
    RefusedKey,
    /// 200 with a page of HTML, as a captive portal answers.
    ProxyPage,
    /// The request is never answered; an open stream falls silent.
    Stalled,
    /// A body, or the next event of an open stream, comes one byte every 50 ms.
    Slow,
    /// 200 with a gigabyte of blanks where JSON is expected, of a length not told before.
    HugeBody,
    /// 302 to the address at which clouds tell their machines' credentials: <http://169.254.169.254/>.
    Redirected,
    /// An open stream goes on with a line that never ends.
    EndlessLine,
    /// An open stream asks for a reconnect without a wait, by `retry: 0`, and ends cleanly after some events.
    RetryZero,
    /// The other datacentre takes the edits from now on: an open stream continues under the other topic, the ids of its
    /// events have times of both, and a resume repeats the last event of each. A restarted simulator has forgotten it.
    Switched,
}

impl Fault {
    /// Whether it strikes a stream that is already open rather than a request.
    fn strikes_stream(self, path: &str) -> bool {
        path == RECENT_CHANGE
            && matches!(
                self,
                Self::Truncated
                    | Self::MidEventEof
                    | Self::Stalled
                    | Self::Slow
                    | Self::EndlessLine
                    | Self::RetryZero
                    | Self::Switched
            )
    }

    fn is_possible_on(self, path: &str) -> bool {
        let stream = path == RECENT_CHANGE;
        match self {
            Self::MidEventEof | Self::EndlessLine | Self::RetryZero | Self::Switched => stream,
            Self::Malformed | Self::HugeBody => !stream,
            Self::RefusedKey => stream || path == WEATHER,
            _ => true,
        }
    }
}

/// A fault with its target: the body of `POST /faults` and an item of `GET /faults`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// One of the simulated paths, such as `/api/1.4/`.
    pub path: String,
    /// What goes wrong.
    pub fault: Fault,
    /// How many answers still misbehave.
    #[serde(default = "once")]
    pub count: u64,
    /// Seconds for the header `Retry-After` of `rate_limited` and `server_error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

fn once() -> u64 {
    1
}

/// The faults that are still to strike, in the order they were scripted.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Script>>);

impl Faults {
    /// Adds a script after those of the same path.
    ///
    /// # Errors
    /// In words: the path is not simulated, or the fault cannot happen there.
    pub fn add(&self, mut script: Script) -> Result<(), String> {
        let Some(path) = canonical(&script.path) else {
            let known = [WEATHER, RANDOM_USER, RECENT_CHANGE].iter().chain(&FAKER_API);
            let known: Vec<&str> = known.copied().collect();
            return Err(format!("path {:?} is not simulated; these are: {}", script.path, known.join(", ")));
        };
        script.path = path.to_owned();
        if !script.fault.is_possible_on(path) {
            return Err(format!("fault {:?} cannot happen on {path}", script.fault));
        }
        if script.count == 0 {
            return Err("count is 0: the fault would never strike".to_owned());
        }
        self.lock().push(script);
        Ok(())
    }

    /// What is still to strike.
    pub fn list(&self) -> Vec<Script> {
        self.lock().clone()
    }

    /// Forgets every script.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault that strikes this request now, counted down.
    pub(crate) fn take_for_request(&self, path: &str) -> Option<Script> {
        let path = canonical(path)?;
        self.take(|script| script.path == path && !script.fault.strikes_stream(path))
    }

    /// The fault that strikes the open stream now, counted down.
    pub(crate) fn take_for_stream(&self) -> Option<Script> {
        self.take(|script| script.path == RECENT_CHANGE && script.fault.strikes_stream(RECENT_CHANGE))
    }

    fn take(&self, strikes: impl Fn(&Script) -> bool) -> Option<Script> {
        let mut scripts = self.lock();
        let at = scripts.iter().position(strikes)?;
        scripts[at].count -= 1;
        let taken = scripts[at].clone();
        if taken.count == 0 {
            scripts.remove(at);
        }
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Script>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one spelling of a simulated path: trailing slashes do not matter.
pub(crate) fn canonical(path: &str) -> Option<&'static str> {
    let bare = path.trim_end_matches('/');
    let mut known = [WEATHER, RANDOM_USER, RECENT_CHANGE].into_iter().chain(FAKER_API);
    known.find(|known| known.trim_end_matches('/') == bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(path: &str, fault: Fault, count: u64) -> Script {
        Script { path: path.to_owned(), fault, count, retry_after: None }
    }

    #[test]
    fn scripts_strike_in_order_and_run_out() {
        let faults = Faults::default();
        faults.add(script("/api/1.4", Fault::RateLimited, 2)).unwrap();
        faults.add(script("/api/1.4/", Fault::ServerError, 1)).unwrap();
        let struck: Vec<Fault> =
            std::iter::from_fn(|| faults.take_for_request("/api/1.4/")).map(|script| script.fault).collect();
        assert_eq!(struck, [Fault::RateLimited, Fault::RateLimited, Fault::ServerError]);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn stream_faults_wait_for_an_open_stream() {
        for fault in [
            Fault::Truncated,
            Fault::MidEventEof,
            Fault::Stalled,
            Fault::Slow,
            Fault::EndlessLine,
            Fault::RetryZero,
            Fault::Switched,
        ] {
            let faults = Faults::default();
            faults.add(script(RECENT_CHANGE, fault, 1)).unwrap();
            assert_eq!(faults.take_for_request(RECENT_CHANGE), None);
            assert_eq!(faults.take_for_stream().map(|script| script.fault), Some(fault));
        }
    }

    #[test]
    fn redirect_strikes_a_request_on_the_stream_too() {
        let faults = Faults::default();
        faults.add(script(RECENT_CHANGE, Fault::Redirected, 1)).unwrap();
        assert_eq!(faults.take_for_stream(), None);
        assert!(faults.take_for_request(RECENT_CHANGE).is_some());
    }

    #[test]
    fn impossible_scripts_are_refused_in_words() {
        let faults = Faults::default();
        let unknown = faults.add(script("/nowhere", Fault::Stalled, 1)).unwrap_err();
        assert!(unknown.contains("/nowhere") && unknown.contains(WEATHER), "{unknown}");
        for (path, fault, name) in [
            (WEATHER, Fault::MidEventEof, "MidEventEof"),
            (WEATHER, Fault::EndlessLine, "EndlessLine"),
            (WEATHER, Fault::RetryZero, "RetryZero"),
            (WEATHER, Fault::Switched, "Switched"),
            (RECENT_CHANGE, Fault::HugeBody, "HugeBody"),
        ] {
            assert!(faults.add(script(path, fault, 1)).unwrap_err().contains(name), "{name} on {path}");
        }
        assert!(faults.add(script(WEATHER, Fault::Stalled, 0)).unwrap_err().contains("count"));
    }
}
