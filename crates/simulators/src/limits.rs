//! The providers' request budgets: fixed windows of the simulators' clock, a key each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A budget: so much in each window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) window_ms: i64,
    pub(crate) allowed: u64,
}

/// OpenWeatherMap, free plan: 60 calls a minute.
pub(crate) const WEATHER: Budget = Budget { window_ms: 60_000, allowed: 60 };
/// randomuser.me counts users, not calls, and forgets every 5 minutes.
pub(crate) const RANDOM_USER: Budget = Budget { window_ms: 300_000, allowed: 20_000 };
/// fakerapi.it: 30 calls a minute, address and path.
pub(crate) const FAKER_API: Budget = Budget { window_ms: 60_000, allowed: 30 };

const KEYS_MAX: usize = 10_000;

/// What has been spent of each budget in the current window.
#[derive(Debug, Default)]
pub(crate) struct Limits(Mutex<HashMap<String, (i64, u64)>>);

impl Limits {
    /// Spends `amount` for `key`; false when the budget of this window was used up before.
    pub(crate) fn spend(&self, budget: Budget, key: String, amount: u64, now_ms: i64) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = now_ms.div_euclid(budget.window_ms);
        if spent.len() >= KEYS_MAX && !spent.contains_key(&key) {
            spent.clear();
        }
        let entry = spent.entry(key).or_insert((window, 0));
        if entry.0 != window {
            *entry = (window, 0);
        }
        if entry.1 >= budget.allowed {
            return false;
        }
        entry.1 += amount;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_refused_when_spent_and_renewed_with_the_window() {
        let limits = Limits::default();
        let spend = |at| limits.spend(WEATHER, "key".to_owned(), 20, at);
        assert_eq!([spend(0), spend(1), spend(59_999)], [true, true, true]);
        assert!(!spend(59_999));
        assert!(limits.spend(WEATHER, "another key".to_owned(), 1, 59_999));
        assert!(spend(60_000));
    }
}
