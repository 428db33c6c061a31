//! A worker as the proxy sees it: where it listens, and the requests at it.

mod peak_latency;
mod shared;

use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;

use crate::balance::{Draw, spread};
#[cfg(all(test, loom))]
use crate::health::Ejection;
use crate::health::{Health, Probed, TargetHealth};
use crate::meter::Distribution;
use crate::meter::histogram::Histogram;
use crate::occupancy::{Occupancy, Shut, UNLIMITED};
use crate::sync::{AtomicU32, AtomicU64};
use crate::writers::Writers;
use crate::{Address, BackendSample, Handed, Outcome, Pool, Route, Version, WorkerId};
use peak_latency::PeakLatency;
pub(crate) use shared::Shared;

/// When it happened, of what has not happened yet.
const NEVER: i64 = i64::MIN;

/// A backend in slow start is given at least this share of the requests that it would be given.
const WARMTH_MIN: f64 = 0.1;
/// A weight that nobody has set by hand.
const NOT_BY_HAND: u32 = u32::MAX;

/// One worker in a [`Pool`]. It outlives its route: requests in flight and counts survive every
/// change of membership, until the worker has been retired and has drained.
#[derive(Debug)]
pub struct Backend {
    id: WorkerId,
    address: Address,
    version: Version,
    weight: AtomicU32,
    weight_by_hand: AtomicU32,
    health: Health,
    durations: Histogram,
    latency: PeakLatency,
    occupancy: Occupancy,
    given_up: AtomicBool,
    leased: AtomicU64,
    answered: AtomicU64,
    failures: AtomicU64,
    broken: AtomicU64,
    unreached: AtomicU64,
    cancelled: AtomicU64,
    first_request_at_micros: AtomicI64,
    writers: Writers,
    shared: Arc<Shared>,
    pool: Weak<Pool>,
}

impl Backend {
    pub(crate) fn new(route: &Route, shared: Arc<Shared>, pool: Weak<Pool>) -> Self {
        Self {
            id: route.id,
            address: route.address.clone(),
            version: route.version,
            weight: AtomicU32::new(route.weight),
            weight_by_hand: AtomicU32::new(NOT_BY_HAND),
            health: Health::default(),
            durations: Histogram::default(),
            latency: PeakLatency::default(),
            occupancy: Occupancy::default(),
            given_up: AtomicBool::new(false),
            leased: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            unreached: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            first_request_at_micros: AtomicI64::new(NEVER),
            writers: shared.writers,
            shared,
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

    /// Its share under weighted balancing, relative to the others; one with 0 gets no request.
    pub fn weight(&self) -> u32 {
        match self.weight_by_hand.load(Relaxed) {
            NOT_BY_HAND => self.weight.load(Relaxed),
            weight => weight,
        }
    }

    /// Sets its share, whatever its route says; `None` gives it back to the route.
    pub fn set_weight(&self, weight: Option<u32>) {
        self.weight_by_hand.store(weight.unwrap_or(NOT_BY_HAND), Relaxed);
    }

    /// How long requests take here, by recent ones: a slow answer counts at once, and is forgotten
    /// over time. Zero while nothing is known, as where the pool's balancer does not ask
    /// ([`Balancer::reads_latency`](crate::Balancer::reads_latency)).
    pub fn latency(&self, at: Timestamp) -> Duration {
        self.latency.estimate(at)
    }

    /// Whether neither probes nor its own answers have taken it out of service.
    pub fn is_in_service(&self, at: Timestamp) -> bool {
        self.health.is_in_service(at)
    }

    /// Whether it may be given a request now: in service, and if it is back on trial, without as many
    /// requests as that is done with.
    #[inline]
    pub(crate) fn takes_requests(&self, at: Timestamp) -> bool {
        self.health.takes_requests(at, || self.in_flight())
    }

    /// What probes say of it.
    pub fn probed(&self) -> Probed {
        self.health.probed()
    }

    /// Takes up what probes say of it.
    pub fn set_probed(&self, probed: Probed) {
        self.health.set_probed(probed);
    }

    /// Its line in a listing of target health.
    pub fn target_health(&self, at: Timestamp) -> TargetHealth {
        let (state, reason) = self.health.describe(at, self.is_retired());
        TargetHealth { id: self.id, address: self.address.clone(), state, reason }
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether it takes this request though it may still be warming up: for a while after its
    /// first one it takes a growing share of those that fall to it.
    #[inline]
    pub(crate) fn is_warm_for(&self, draw: &Draw) -> bool {
        let slow_start = self.shared.slow_start_micros.load(Relaxed);
        if slow_start == 0 {
            return true;
        }
        let first = self.first_request_at_micros.load(Relaxed);
        if first == NEVER {
            return true;
        }
        let elapsed = u64::try_from(draw.at.as_microsecond().saturating_sub(first)).unwrap_or(0);
        if elapsed >= slow_start {
            return true;
        }
        let warmth = (elapsed as f64 / slow_start as f64).max(WARMTH_MIN);
        let lot = spread(draw.random ^ u64::from(self.id.slot)) >> 11;
        (lot as f64) < warmth * (1_u64 << 53) as f64
    }

    /// Requests at it now.
    pub fn in_flight(&self) -> u32 {
        self.occupancy.in_flight()
    }

    /// Whether it has as many requests as it may have.
    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.in_flight_max()
    }

    #[inline]
    fn in_flight_max(&self) -> u32 {
        self.shared.in_flight_max.load(Relaxed)
    }

    /// Whether it is neither full nor taken out of the routes.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.occupancy.has_room(self.in_flight_max())
    }

    /// Whether it has been taken out of the routes: it gets no new request.
    pub fn is_retired(&self) -> bool {
        self.occupancy.is_retired()
    }

    /// Whether it is not expected to answer the requests that it still has: it hangs, or is gone.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed) || self.health.probed().is_silent()
    }

    pub(crate) fn set_given_up(&self, given_up: bool) {
        self.given_up.store(given_up, Relaxed);
    }

    /// Requests it has ended since it was first routed, well or badly; cancelled ones do not count.
    pub fn requests(&self) -> u64 {
        self.answered.load(Relaxed) + self.broken.load(Relaxed)
    }

    /// How many of those it answered with a 5xx or broke off.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Its page of the ledger: ends first, so that none is seen without its beginning.
    pub(crate) fn handed(&self) -> Handed {
        let (unreached, cancelled) = (self.unreached.load(Acquire), self.cancelled.load(Acquire));
        let (failed, answered) = (self.broken.load(Acquire), self.answered.load(Acquire));
        let in_flight = u64::from(self.in_flight());
        Handed { leased: self.leased.load(Acquire), answered, failed, unreached, cancelled, in_flight }
    }

    /// Counts a lease that ended without an answer, for a reason that is not the worker's.
    pub(crate) fn count_cancelled(&self) {
        self.writers.add(&self.cancelled, 1);
    }

    /// Counts a lease that ended because the worker could not be connected to.
    pub(crate) fn count_unreached(&self, at: Timestamp, after_nanos: u64) {
        self.writers.add(&self.unreached, 1);
        self.judge(at, after_nanos, true);
    }

    /// How long requests have been at it, since it was first routed.
    pub fn durations(&self) -> Distribution {
        let mut durations = Distribution::default();
        self.durations.add_to(&mut durations);
        durations
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
        self.occupancy.set_retired(retired);
    }

    /// Counts one more request in, unless the backend is full or retired.
    #[inline]
    pub(crate) fn try_enter(&self, at: Timestamp) -> bool {
        if let Err(shut) = self.occupancy.enter(self.writers, self.in_flight_max()) {
            if shut == (Shut::Retired { last: true }) {
                self.settle();
            }
            return false;
        }
        self.writers.add(&self.leased, 1);
        if self.first_request_at_micros.load(Relaxed) == NEVER {
            // Losing the race means that another request was first.
            let _ =
                self.first_request_at_micros.compare_exchange(NEVER, at.as_microsecond(), Relaxed, Relaxed);
        }
        true
    }

    /// Has the pool report a retired backend whose last request is gone.
    fn settle(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.settle(self.id);
        }
    }

    /// Ends a lease: counts the request out, and has the pool tell those who wait for room.
    #[inline]
    pub(crate) fn leave(&self) {
        if self.occupancy.leave(self.writers) {
            self.settle();
        }
        if self.in_flight_max() != UNLIMITED
            && self.shared.waiting.load(SeqCst) > 0
            && let Some(pool) = self.pool.upgrade()
        {
            pool.vacated();
        }
    }

    /// Ends at `at` what [`Snapshot::admit`](crate::Snapshot::admit) began so many nanoseconds before.
    #[inline]
    pub fn end(&self, at: Timestamp, after_nanos: u64, outcome: Outcome) {
        self.count_ended(at, after_nanos, outcome);
        self.leave();
    }

    #[inline(always)]
    pub(crate) fn count_ended(&self, at: Timestamp, service_nanos: u64, outcome: Outcome) {
        let ended = if matches!(outcome, Outcome::Broken) { &self.broken } else { &self.answered };
        self.writers.add(ended, 1);
        let failed = !outcome.is_completion();
        if failed {
            self.writers.add(&self.failures, 1);
        }
        if !matches!(outcome, Outcome::Answered(101)) {
            self.durations.record(self.writers, service_nanos);
            if self.shared.learns_latency.load(Relaxed) {
                self.latency.learn(at, Duration::from_nanos(service_nanos));
            }
        }
        self.judge(at, service_nanos, failed);
    }

    /// Takes it into account for its health, and the pool's, that it has failed a request, sent so long
    /// before, or not.
    #[inline]
    fn judge(&self, at: Timestamp, after_nanos: u64, failed: bool) {
        if self.shared.breaker.is_on() {
            let sent_at = at.saturating_sub(Duration::from_nanos(after_nanos)).unwrap_or(at);
            self.shared.breaker.record(failed, sent_at, at, &self.shared.ejection.load());
        }
        if !failed {
            return self.health.answered(at, self.shared.judged_over_micros.load(Relaxed), self.writers);
        }
        if self.health.failed(at, &self.shared.ejection.load())
            && !self.health.is_ejected(at)
            && let Some(pool) = self.pool.upgrade()
        {
            pool.eject(self, at);
        }
    }
}

/// Backends without a pool, for the models.
#[cfg(all(test, loom))]
pub(crate) fn made_up(count: u32) -> Vec<Arc<Backend>> {
    let shared = Arc::new(Shared::new(Writers::Many, false, UNLIMITED, Ejection::default()));
    let backend = |slot| {
        let address = Address::Unix(format!("/{slot}").into());
        let id = WorkerId { slot, run: 1 };
        let route = Route { id, address, weight: 1, version: Version::default() };
        Arc::new(Backend::new(&route, Arc::clone(&shared), Weak::new()))
    };
    (1..=count).map(backend).collect()
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
