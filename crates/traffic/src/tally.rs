//! Requests and failures in a window of time, counted by many threads without a lock.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU32};

use jiff::Timestamp;

/// A window that begins with the first request after the end of the one before. A count lost to a
/// race shifts a verdict by one request.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    from_micros: AtomicI64,
    requests: AtomicU32,
    failures: AtomicU32,
}

impl Tally {
    /// Counts one request; how many there were in the window of this length, and how many failed.
    pub(crate) fn count(&self, failed: bool, at: Timestamp, window_micros: u64) -> (u32, u32) {
        let now = at.as_microsecond();
        let length = i64::try_from(window_micros).unwrap_or(i64::MAX);
        if now.saturating_sub(self.from_micros.load(Relaxed)) >= length {
            self.from_micros.store(now, Relaxed);
            self.requests.store(0, Relaxed);
            self.failures.store(0, Relaxed);
        }
        let requests = self.requests.fetch_add(1, Relaxed).saturating_add(1);
        let failures = if failed {
            self.failures.fetch_add(1, Relaxed).saturating_add(1)
        } else {
            self.failures.load(Relaxed)
        };
        (requests, failures)
    }

    /// Has the next request begin another window: this one has had its effect.
    pub(crate) fn forget(&self) {
        self.from_micros.store(i64::MIN, Relaxed);
    }
}
