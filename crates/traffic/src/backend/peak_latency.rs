//! How long requests take at a backend, by recent ones: a slow answer counts at once, and is forgotten
//! over time (Finagle's peak EWMA).

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;

use super::NEVER;
use crate::sync::AtomicU64;

/// The estimate forgets half of what it knew in about 7 s, as Finagle's.
const DECAY: Duration = Duration::from_secs(10);

/// The estimate. Races lose an observation now and then: the next one follows.
#[derive(Debug)]
pub(super) struct PeakLatency {
    nanos: AtomicU64,
    at_micros: AtomicI64,
}

impl Default for PeakLatency {
    fn default() -> Self {
        Self { nanos: AtomicU64::new(0), at_micros: AtomicI64::new(NEVER) }
    }
}

impl PeakLatency {
    /// What it comes to at `at`; zero while nothing is known.
    pub(super) fn estimate(&self, at: Timestamp) -> Duration {
        let since = self.at_micros.load(Relaxed);
        if since == NEVER {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.nanos.load(Relaxed)).mul_f64(kept_since(since, at))
    }

    /// A request has taken so long.
    pub(super) fn learn(&self, at: Timestamp, service_time: Duration) {
        let since = self.at_micros.load(Relaxed);
        let before = Duration::from_nanos(self.nanos.load(Relaxed));
        let next = if since == NEVER || service_time >= before {
            service_time
        } else {
            service_time + (before - service_time).mul_f64(kept_since(since, at))
        };
        self.nanos.store(u64::try_from(next.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.at_micros.store(at.as_microsecond(), Relaxed);
    }
}

/// The share (0–1) of an estimate made at `since_micros` that still holds.
fn kept_since(since_micros: i64, at: Timestamp) -> f64 {
    let elapsed = u64::try_from(at.as_microsecond().saturating_sub(since_micros)).unwrap_or(0);
    (-Duration::from_micros(elapsed).as_secs_f64() / DECAY.as_secs_f64()).exp()
}
