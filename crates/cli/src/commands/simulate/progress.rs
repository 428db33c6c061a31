//! How far a simulation is, on stderr where somebody looks at it.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clock::Clock;
use jiff::Timestamp;

/// Time before anything is shown: short simulations just end.
const QUIET: Duration = Duration::from_millis(500);

/// Counts runs and says how long the rest may take.
pub(crate) struct Progress {
    clock: Clock,
    begun: Timestamp,
    all: usize,
    done: AtomicUsize,
    shown: bool,
}

impl Progress {
    /// Of `all` runs, none is done.
    pub(crate) fn new(all: usize, quiet: bool) -> Self {
        let clock = Clock::start();
        let begun = clock.now();
        Self {
            clock,
            begun,
            all,
            done: AtomicUsize::new(0),
            shown: !quiet && std::io::stderr().is_terminal(),
        }
    }

    /// One more run is done.
    pub(crate) fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let passed = self.clock.now().duration_since(self.begun).as_secs_f64();
        if !self.shown || passed < QUIET.as_secs_f64() {
            return;
        }
        let left = passed / done as f64 * (self.all - done.min(self.all)) as f64;
        let _ = write!(std::io::stderr().lock(), "\r{done} of {} runs, about {left:.0} s left ", self.all);
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r{:50}\r", "");
        }
    }
}
