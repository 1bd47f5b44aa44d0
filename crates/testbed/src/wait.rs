//! Waiting for a condition: a probe, asked again until it answers or the time is up.
//!
//! The one pause of the whole test suite is here: tests state what they wait for and never how long to sleep.

use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` until it returns a value, at once and then every 20 ms, and returns that value.
///
/// # Panics
/// After `timeout`, naming `what`, the time and the caller. The last probe may end later than `timeout`.
#[track_caller]
pub fn wait_for<T>(what: &str, timeout: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match poll(timeout, probe) {
        Some(value) => value,
        None => panic!("waited {timeout:?} in vain for {what} (at {})", Location::caller()),
    }
}

pub(crate) fn poll<T>(timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic;

    #[test]
    fn a_wait_returns_the_first_value_of_its_probe() {
        let mut calls = 0;
        let value = wait_for("the third call", Duration::from_secs(5), || {
            calls += 1;
            (calls == 3).then_some(calls * 10)
        });
        assert_eq!((value, calls), (30, 3));
    }

    #[test]
    fn a_wait_in_vain_names_the_condition_the_time_and_the_caller() {
        let line = line!() + 2;
        let panicked = panic::catch_unwind(|| {
            wait_for("the row of Amsterdam", Duration::from_millis(30), || None::<()>);
        });
        let payload = panicked.unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        let expected = format!("waited 30ms in vain for the row of Amsterdam (at {}:{line}:13)", file!());
        assert_eq!(message, &expected);
    }
}
