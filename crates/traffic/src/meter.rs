//! Counts what requests do: one shard a thread, no locks, summed by whoever reads.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

pub(crate) mod histogram;
mod reading;

use crate::elapsed::nanos_between;
use crate::sync::AtomicU64;
use crate::writers::Writers;
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
#[derive(Debug, Default)]
pub struct Meter {
    /// Those of writers that have gone, too: what they counted has happened.
    shards: Mutex<Vec<Arc<Counts>>>,
}

impl Meter {
    /// A shard for one more writer.
    pub fn shard(&self) -> Shard {
        let counts = Arc::<Counts>::default();
        self.shards.lock().push(Arc::clone(&counts));
        Shard { counts, one_thread: PhantomData }
    }

    /// All counts until now.
    pub fn read(&self, at: Timestamp) -> Reading {
        let mut reading = Reading::empty(at);
        for counts in &*self.shards.lock() {
            counts.add_to(&mut reading);
        }
        reading
    }
}

/// A shard is written by the thread that holds it.
const BY_ONE: Writers = Writers::One;

/// Where one thread counts. It may be moved to another, but not shared, so that no count is
/// written by two.
#[derive(Debug)]
pub struct Shard {
    counts: Arc<Counts>,
    one_thread: PhantomData<Cell<()>>,
}

impl Shard {
    /// A request has come in at `at`.
    #[inline]
    pub fn arrive(self: &Rc<Self>, at: Timestamp) -> Arrival {
        self.count_arrival();
        Arrival { shard: Rc::clone(self), at, ended: false }
    }

    /// The same without a handle: [`count_end`](Self::count_end) is called when the request ends. For
    /// whoever has many requests, and knows of each when it came.
    #[inline]
    pub fn count_arrival(&self) {
        BY_ONE.add(&self.counts.arrivals, 1);
    }

    /// A request that [`count_arrival`](Self::count_arrival) counted has ended, after so many
    /// nanoseconds.
    #[inline]
    pub fn count_end(&self, outcome: Outcome, latency_nanos: u64) {
        self.counts.count_ended(outcome, latency_nanos);
    }

    /// A request has been sent to a worker once more.
    pub fn count_retry(&self) {
        BY_ONE.add(&self.counts.retries, 1);
    }

    /// A request has begun to wait for a worker; balanced by [`leave_queue`](Self::leave_queue).
    pub fn enter_queue(&self) {
        BY_ONE.add(&self.counts.queue_entered, 1);
    }

    /// A request has stopped waiting after `wait`, whatever the reason.
    pub fn leave_queue(&self, wait: Duration) {
        BY_ONE.add(&self.counts.queue_left, 1);
        self.counts.queue_wait.record(BY_ONE, u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// One shard's counts, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts {
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

impl Counts {
    #[inline(always)]
    fn count_ended(&self, outcome: Outcome, latency_nanos: u64) {
        let add = |count: &AtomicU64| {
            BY_ONE.add(count, 1);
        };
        match outcome {
            Outcome::Answered(_) if outcome.is_completion() => add(&self.completions),
            Outcome::Answered(_) => add(&self.errors),
            Outcome::Broken => add(&self.broken),
            Outcome::Refused { reason, .. } => *self.refused.lock().entry(reason).or_default() += 1,
        }
        let class = outcome.status().and_then(|status| usize::from(status / 100).checked_sub(1));
        if let Some(count) = class.and_then(|class| self.statuses.get(class)) {
            add(count);
        }
        // A connection that changed protocol lives as long as its two ends like: that is no
        // latency of a request, and would drown those that are.
        if !matches!(outcome, Outcome::Answered(101)) {
            self.latency.record(BY_ONE, latency_nanos);
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
    shard: Rc<Shard>,
    at: Timestamp,
    ended: bool,
}

impl Arrival {
    /// When it came in.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Counts it as ended at `at`.
    #[inline]
    pub fn finish(mut self, at: Timestamp, outcome: Outcome) {
        self.ended = true;
        self.shard.counts.count_ended(outcome, nanos_between(self.at, at));
    }
}

impl Drop for Arrival {
    #[inline]
    fn drop(&mut self) {
        if !self.ended {
            BY_ONE.add(&self.shard.counts.cancelled, 1);
        }
    }
}
