//! A worker as the proxy sees it: where it listens, and the requests at it.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use jiff::Timestamp;

use crate::{Address, BackendSample, Outcome, Pool, Route, Version, WorkerId};

/// `first_request_at` of a backend that has not been given a request yet.
const NEVER: i64 = i64::MIN;

/// One worker in a [`Pool`]. It outlives its route: requests in flight and counts survive every
/// change of membership, until the worker has been retired and has drained.
#[derive(Debug)]
pub struct Backend {
    id: WorkerId,
    address: Address,
    version: Version,
    weight: AtomicU32,
    in_flight_max: u32,
    in_flight: CachePadded<AtomicU32>,
    retired: AtomicBool,
    requests: AtomicU64,
    failures: AtomicU64,
    service_nanos: AtomicU64,
    first_request_at_micros: AtomicI64,
    /// Requests waiting for a lease in the whole pool; shared, so that a lease that ends asks it
    /// without going through the pool.
    waiting: Arc<CachePadded<AtomicU32>>,
    pool: Weak<Pool>,
}

impl Backend {
    pub(crate) fn new(
        route: &Route,
        in_flight_max: u32,
        waiting: Arc<CachePadded<AtomicU32>>,
        pool: Weak<Pool>,
    ) -> Self {
        Self {
            id: route.id,
            address: route.address.clone(),
            version: route.version,
            weight: AtomicU32::new(route.weight),
            in_flight_max,
            in_flight: CachePadded::new(AtomicU32::new(0)),
            retired: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            service_nanos: AtomicU64::new(0),
            first_request_at_micros: AtomicI64::new(NEVER),
            waiting,
            pool,
        }
    }

    /// The worker behind it.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Where it listens; fixed for a worker's life.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The app version it runs.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its share under weighted balancing, relative to the others.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// Requests at it now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(SeqCst)
    }

    /// Whether it has as many requests as it may have.
    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.in_flight_max
    }

    /// Whether it has been taken out of the routes: it gets no new request.
    pub fn is_retired(&self) -> bool {
        self.retired.load(SeqCst)
    }

    /// Requests it has ended since it was first routed, well or badly; cancelled ones do not count.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// How many of those it answered with a 5xx or broke off.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Time that requests spent at it, summed.
    pub fn service_time(&self) -> Duration {
        Duration::from_nanos(self.service_nanos.load(Relaxed))
    }

    /// Its share of a [`Sample`](crate::Sample).
    pub fn sample(&self) -> BackendSample {
        let micros = self.first_request_at_micros.load(Relaxed);
        BackendSample {
            id: self.id,
            in_flight: self.in_flight(),
            requests: self.requests(),
            first_request_at: Timestamp::from_microsecond(micros).ok(),
        }
    }

    /// Takes up what a route may change during a worker's life.
    pub(crate) fn update(&self, route: &Route) {
        assert!(
            self.address == route.address,
            "worker {} moved from {} to {}: a new process is a new run of its slot",
            self.id,
            self.address,
            route.address
        );
        self.weight.store(route.weight, Relaxed);
    }

    pub(crate) fn set_retired(&self, retired: bool) {
        self.retired.store(retired, SeqCst);
    }

    /// Counts one more request in, unless the backend is full or retired.
    ///
    /// Increment first, look at `retired` second: whoever retires the backend sets the flag first
    /// and looks at the count second, so one of the two always sees the other.
    pub(crate) fn try_enter(&self, at: Timestamp) -> bool {
        if !self.try_increment() {
            return false;
        }
        if self.is_retired() {
            self.decrement();
            return false;
        }
        if self.first_request_at_micros.load(Relaxed) == NEVER {
            // Losing the race means that another request was first.
            let _ =
                self.first_request_at_micros.compare_exchange(NEVER, at.as_microsecond(), Relaxed, Relaxed);
        }
        true
    }

    /// Never overshoots, not even for a moment: another thread that took the overshoot for a full
    /// backend would wait for room that nobody then announces.
    fn try_increment(&self) -> bool {
        if self.in_flight_max == u32::MAX {
            self.in_flight.fetch_add(1, SeqCst);
            return true;
        }
        let below_max = |now: u32| (now < self.in_flight_max).then(|| now + 1);
        self.in_flight.fetch_update(SeqCst, SeqCst, below_max).is_ok()
    }

    /// Counts one request out, and has the pool report the backend if that was a retired one's
    /// last.
    fn decrement(&self) {
        let before = self.in_flight.fetch_sub(1, SeqCst);
        assert!(before > 0, "a lease of worker {} ended twice", self.id);
        if before == 1
            && self.is_retired()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.settle(self.id);
        }
    }

    /// Ends a lease: counts the request out, and has the pool tell those who wait for room.
    pub(crate) fn leave(&self) {
        self.decrement();
        if self.in_flight_max != u32::MAX
            && self.waiting.load(SeqCst) > 0
            && let Some(pool) = self.pool.upgrade()
        {
            pool.vacated();
        }
    }

    pub(crate) fn count_ended(&self, service_time: Duration, outcome: Outcome) {
        self.requests.fetch_add(1, Relaxed);
        if !outcome.is_completion() {
            self.failures.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(service_time.as_nanos()).unwrap_or(u64::MAX);
        self.service_nanos.fetch_add(nanos, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread may have picked the backend from an older snapshot, just before it was retired.
    #[test]
    fn a_retired_backend_lets_nobody_in() {
        let pool = Pool::new(Box::<crate::balance::RoundRobin>::default(), None);
        let route = Route {
            id: WorkerId { slot: 1, run: 1 },
            address: Address::Unix("/a".into()),
            weight: 1,
            version: Version::default(),
        };
        pool.replace(&[route]);
        let picked = pool.ready()[0].clone();
        pool.replace(&[]);
        assert!(!picked.try_enter(Timestamp::UNIX_EPOCH));
        assert_eq!((picked.in_flight(), picked.sample().first_request_at), (0, None));
    }
}
