//! Requests and failures in a window of time, counted by many threads without a lock.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;

use crate::sync::AtomicU64;
use crate::writers::Writers;

/// A window that begins with the first request after the end of the one before. A count lost to a
/// race shifts a verdict by one request.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    from_micros: AtomicI64,
    requests: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    /// Counts one request; how many there were in the window of this length, and how many failed.
    #[inline]
    pub(crate) fn count(
        &self,
        writers: Writers,
        failed: bool,
        at: Timestamp,
        window_micros: u64,
    ) -> (u64, u64) {
        let now = at.as_microsecond();
        let length = i64::try_from(window_micros).unwrap_or(i64::MAX);
        if now.saturating_sub(self.from_micros.load(Relaxed)) >= length {
            self.from_micros.store(now, Relaxed);
            self.requests.store(0, Relaxed);
            self.failures.store(0, Relaxed);
        }
        let requests = writers.add(&self.requests, 1);
        let failures = if failed { writers.add(&self.failures, 1) } else { self.failures.load(Relaxed) };
        (requests, failures)
    }

    /// Has the next request begin another window: this one has had its effect.
    pub(crate) fn forget(&self) {
        self.from_micros.store(i64::MIN, Relaxed);
    }
}
