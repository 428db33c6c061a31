//! Additive increase, multiplicative decrease: one more while requests are quick enough, a tenth
//! less when they are not.
//!
//! Chiu and Jain (1989), as TCP does it; Netflix's concurrency-limits has it under this name. It needs
//! to be told what is too slow, and then depends on nothing that it has measured itself.

use std::time::Duration;

use jiff::Timestamp;

use super::{Algorithm, Entry, INITIAL, LEAST, MOST, Seen, is_in_use};

pub(super) const ENTRY: Entry = Entry {
    name: "aimd",
    about: "One request more while the median time is below what is too slow, a tenth less above it.",
    build: |rule| Box::new(Aimd { limit: INITIAL, too_slow: rule.too_slow }),
};

/// What is left of the limit after a window that was too slow.
const BACKOFF: f64 = 0.9;

#[derive(Debug)]
struct Aimd {
    limit: f64,
    too_slow: Duration,
}

impl Algorithm for Aimd {
    fn next(&mut self, _at: Timestamp, seen: &Seen) -> f64 {
        if seen.latency > self.too_slow {
            self.limit = (self.limit * BACKOFF).max(LEAST);
        } else if is_in_use(self.limit, seen) {
            self.limit = (self.limit + 1.0).min(MOST);
        }
        self.limit
    }
}
