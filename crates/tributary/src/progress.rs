//! How far long work is, for whoever waits: on stderr, so that what a command prints stays as it is.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::print::aside;

/// On a terminal a line that is written over and over; elsewhere, in a log for instance, another line now and then.
pub(crate) struct ProgressLine {
    is_terminal: bool,
    told: Cell<Instant>,
    is_shown: Cell<bool>,
}

impl ProgressLine {
    const ON_TERMINAL: Duration = Duration::from_secs(1);
    const ELSEWHERE: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { is_terminal, told: Cell::new(Instant::now()), is_shown: Cell::new(false) }
    }

    /// Shows these words, if the last ones have been there for long enough.
    pub(crate) fn tell(&self, words: impl FnOnce() -> String) {
        let every = if self.is_terminal { Self::ON_TERMINAL } else { Self::ELSEWHERE };
        if self.told.get().elapsed() < every {
            return;
        }
        self.say(&words());
    }

    /// Shows these words in any case.
    pub(crate) fn say(&self, words: &str) {
        self.told.set(Instant::now());
        if self.is_terminal {
            self.is_shown.set(true);
            aside(&format!("\r\x1b[K{words}"));
        } else {
            aside(&format!("{words}\n"));
        }
    }

    /// Makes room for what is printed at the end.
    pub(crate) fn clear(&self) {
        if self.is_shown.get() {
            aside("\r\x1b[K");
        }
    }
}
