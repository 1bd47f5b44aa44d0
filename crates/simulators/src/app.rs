//! What all handlers share: settings, clock, faults, journal, budgets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::faults::Faults;
use crate::journal::Journal;
use crate::limits::{Budget, Limits};
use crate::recent_change::Switches;
use crate::{Clock, Settings};

/// The query of a request; the last of a repeated name counts.
pub(crate) type Query = HashMap<String, String>;

pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) switches: Switches,
    pub(crate) shutdown: CancellationToken,
    limits: Limits,
    calls: AtomicU64,
    streams: Mutex<HashMap<IpAddr, usize>>,
}

impl App {
    pub(crate) fn new(settings: Settings, clock: Clock, shutdown: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            settings,
            clock,
            faults: Faults::default(),
            journal: Journal::default(),
            switches: Switches::default(),
            shutdown,
            limits: Limits::default(),
            calls: AtomicU64::new(0),
            streams: Mutex::new(HashMap::new()),
        })
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    /// Dice for a call without a seed of its own: no two calls are alike, not even after a restart.
    pub(crate) fn unseeded(&self) -> Dice {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Dice::new(&[self.settings.seed, self.now().timestamp_millis().unsigned_abs(), call])
    }

    /// False when the provider would answer 429; always true while limits are off.
    pub(crate) fn within(&self, budget: Budget, key: String, amount: u64) -> bool {
        !self.settings.limits || self.limits.spend(budget, key, amount, self.now().timestamp_millis())
    }

    /// A place for one more stream of this address, given back when dropped.
    pub(crate) fn seat(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = streams.entry(address).or_default();
        if *taken >= self.settings.wikipedia_connections {
            return None;
        }
        *taken += 1;
        Some(Seat { app: Arc::clone(self), address })
    }
}

/// One concurrent stream of a client.
pub(crate) struct Seat {
    app: Arc<App>,
    address: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut streams = self.app.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = streams.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                streams.remove(&self.address);
            }
        }
    }
}
