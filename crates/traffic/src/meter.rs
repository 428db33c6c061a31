//! Counts what requests do: one shard a thread, no locks, summed by whoever reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

pub(crate) mod histogram;
mod reading;

use crate::sync::AtomicU64;
use histogram::Histogram;
pub use reading::{Distribution, Reading};

/// How a request ended. A request whose client went away first has no outcome: it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A worker answered, with this status, and the answer went through whole.
    Answered(u16),
    /// We answered in a worker's stead.
    Refused {
        /// With this status.
        status: u16,
        /// For this reason: one word of a fixed vocabulary.
        reason: &'static str,
    },
    /// The answer broke off after its head had gone out.
    Broken,
}

impl Outcome {
    /// Whether the request counts as completed: answered by a worker with a status below 500.
    pub fn is_completion(self) -> bool {
        matches!(self, Self::Answered(status) if status < 500)
    }

    /// The status that the client saw, if one was sent.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Answered(status) | Self::Refused { status, .. } => Some(status),
            Self::Broken => None,
        }
    }
}

/// All shards. Readers are independent of each other: each keeps its last [`Reading`] and takes
/// the difference.
#[derive(Debug)]
pub struct Meter {
    shards: Vec<Arc<Shard>>,
}

impl Meter {
    /// A meter for `threads` writers; at least one.
    pub fn new(threads: usize) -> Self {
        Self { shards: (0..threads.max(1)).map(|_| Arc::default()).collect() }
    }

    /// The shard of the `thread`-th writer. Writers beyond the number of shards share, which is
    /// slower but not wrong.
    pub fn shard(&self, thread: usize) -> Arc<Shard> {
        Arc::clone(&self.shards[thread % self.shards.len()])
    }

    /// All counts until now.
    pub fn read(&self, at: Timestamp) -> Reading {
        let mut reading = Reading::empty(at);
        for shard in &self.shards {
            shard.add_to(&mut reading);
        }
        reading
    }
}

/// One thread's counts, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    arrivals: AtomicU64,
    completions: AtomicU64,
    /// Answered by a worker with a status of 500 or more.
    errors: AtomicU64,
    broken: AtomicU64,
    /// By reason; a lock of the thread's own, off the path of requests that are answered.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    cancelled: AtomicU64,
    retries: AtomicU64,
    /// Requests that have entered and left the waiting queue; the difference waits now.
    queue_entered: AtomicU64,
    queue_left: AtomicU64,
    statuses: [AtomicU64; 5],
    latency: Histogram,
    queue_wait: Histogram,
}

impl Shard {
    /// A request has come in at `at`.
    pub fn arrive(self: &Arc<Self>, at: Timestamp) -> Arrival {
        self.arrivals.fetch_add(1, Relaxed);
        Arrival { shard: Arc::clone(self), at, ended: false }
    }

    /// A request has been sent to a worker once more.
    pub fn count_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A request has begun to wait for a worker; balanced by [`leave_queue`](Self::leave_queue).
    pub fn enter_queue(&self) {
        self.queue_entered.fetch_add(1, Relaxed);
    }

    /// A request has stopped waiting after `wait`, whatever the reason.
    pub fn leave_queue(&self, wait: Duration) {
        self.queue_left.fetch_add(1, Release);
        self.queue_wait.record(wait);
    }

    fn count_ended(&self, outcome: Outcome, latency: Duration) {
        let add = |count: &AtomicU64| {
            count.fetch_add(1, Release);
        };
        match outcome {
            Outcome::Answered(_) if outcome.is_completion() => add(&self.completions),
            Outcome::Answered(_) => add(&self.errors),
            Outcome::Broken => add(&self.broken),
            Outcome::Refused { reason, .. } => *self.refused.lock().entry(reason).or_default() += 1,
        }
        let class = outcome.status().and_then(|status| usize::from(status / 100).checked_sub(1));
        if let Some(count) = class.and_then(|class| self.statuses.get(class)) {
            count.fetch_add(1, Relaxed);
        }
        // A connection that changed protocol lives as long as its two ends like: that is no
        // latency of a request, and would drown those that are.
        if outcome != Outcome::Answered(101) {
            self.latency.record(latency);
        }
    }

    /// Counters are read in the opposite order to that in which a request moves them, and its last
    /// with what went before it, so that no request is seen to have ended before it came.
    fn add_to(&self, reading: &mut Reading) {
        let left = self.queue_left.load(Acquire);
        reading.completions += self.completions.load(Acquire);
        reading.errors += self.errors.load(Acquire);
        reading.broken += self.broken.load(Acquire);
        for (reason, count) in &*self.refused.lock() {
            *reading.refused.entry(reason).or_default() += count;
        }
        reading.cancelled += self.cancelled.load(Acquire);
        reading.retries += self.retries.load(Relaxed);
        for (sum, count) in reading.statuses.iter_mut().zip(&self.statuses) {
            *sum += count.load(Relaxed);
        }
        self.latency.add_to(&mut reading.latency);
        self.queue_wait.add_to(&mut reading.queue_wait);
        reading.queued += self.queue_entered.load(Relaxed).saturating_sub(left);
        reading.arrivals += self.arrivals.load(Relaxed);
    }
}

/// A request under way. Dropped without [`finish`](Arrival::finish) it counts as cancelled.
#[derive(Debug)]
pub struct Arrival {
    shard: Arc<Shard>,
    at: Timestamp,
    ended: bool,
}

impl Arrival {
    /// When it came in.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Counts it as ended at `at`.
    pub fn finish(mut self, at: Timestamp, outcome: Outcome) {
        self.ended = true;
        let latency = Duration::try_from(at.duration_since(self.at)).unwrap_or_default();
        self.shard.count_ended(outcome, latency);
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.ended {
            self.shard.cancelled.fetch_add(1, Release);
        }
    }
}
