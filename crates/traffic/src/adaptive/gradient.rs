//! By the gradient of latency: what a request takes without company, over what it takes now.
//!
//! limit' = limit × base × 1.25 / latency + √limit, the factor within a half and two, as Envoy's
//! adaptive concurrency and Netflix's Gradient2 have it. With more requests than a worker does at once
//! latency grows in proportion, so that the limit comes to rest a little above what it does at once.
//!
//! The base is the least median seen. As a service may become slower for good, one that has stood for a
//! minute is measured again, like BBR's round-trip time: at half the limit, and for the first time at
//! one request, for the windows that this takes.

use std::time::Duration;

use jiff::Timestamp;

use super::{AdaptiveRule, Algorithm, Entry, INITIAL, LEAST, MOST, Seen, is_in_use};

pub(super) const ENTRY: Entry = Entry {
    name: "gradient",
    about: "Follows how much longer requests take than they would alone; needs no target.",
    build: |_: &AdaptiveRule| Box::new(Gradient { limit: INITIAL, base: None, again: None }),
};

/// Latency this far above the base is chance and not company.
const TOLERANCE: f64 = 1.25;
/// One window changes the limit by a factor of this at the most, or one over it.
const STEP_MAX: f64 = 2.0;
/// How long a base holds that has neither been undercut nor met by a lone request.
const BASE_HOLDS: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Gradient {
    /// To return to, while a lower one is in force.
    limit: f64,
    base: Option<Base>,
    again: Option<Again>,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    latency: Duration,
    at: Timestamp,
}

/// The base is being measured again.
#[derive(Clone, Copy, Debug)]
struct Again {
    /// The limit meanwhile.
    lowered: f64,
    /// Whether requests from before have left.
    settled: bool,
}

impl Gradient {
    /// Lowers the limit, so that a worker's requests keep each other company no longer.
    fn measure(&mut self, lowered: f64) -> f64 {
        let lowered = lowered.max(LEAST);
        self.again = Some(Again { lowered, settled: false });
        lowered
    }
}

impl Algorithm for Gradient {
    fn next(&mut self, at: Timestamp, seen: &Seen) -> f64 {
        let found = Base { latency: seen.latency, at };
        if let Some(again) = self.again {
            if !again.settled {
                self.again = Some(Again { settled: true, ..again });
                return again.lowered;
            }
            (self.again, self.base) = (None, Some(found));
            return self.limit;
        }
        // A lone request's latency is the base, whatever it was before.
        let is_alone = seen.in_flight < 1.0 || self.limit <= LEAST;
        let base = match self.base {
            Some(base) if !is_alone && base.latency < found.latency => base,
            None if !is_alone => return self.measure(LEAST),
            _ => found,
        };
        self.base = Some(base);
        let held_for = Duration::try_from(at.duration_since(base.at)).unwrap_or_default();
        if held_for >= BASE_HOLDS {
            return self.measure(self.limit / 2.0);
        }
        if is_in_use(self.limit, seen) {
            let ratio = base.latency.as_secs_f64() / seen.latency.as_secs_f64().max(1e-9);
            let factor = (ratio * TOLERANCE).clamp(1.0 / STEP_MAX, STEP_MAX);
            self.limit = (self.limit * factor + self.limit.sqrt()).clamp(LEAST, MOST);
        }
        self.limit
    }
}
