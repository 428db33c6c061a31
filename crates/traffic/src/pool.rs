//! The ready set as one snapshot without locks, and leases on its backends.

mod snapshot;

use std::num::NonZeroU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::adaptive::Limits;
use crate::backend::Shared;
use crate::balance::{Balancer, Draw};
use crate::elapsed::nanos_between;
use crate::health::{Ejection, TargetHealth};
use crate::hedge::Hedging;
use crate::writers::Writers;
use crate::{Backend, BackendSample, Handed, Outcome, Route, Version, WorkerId, WorkerLedger};
pub use snapshot::Snapshot;
use snapshot::Split;

/// How often one `lease` looks again because the backends have changed under its hands: they change
/// as workers come and go, so that twice in a row is rare already.
const LOOKS_MAX: u32 = 8;

/// How many drained backends are remembered, so that a worker put back in rotation while its
/// drain notice was under way is the same backend with the same counts. Slots are few; more than
/// this cannot be between notice and end at once.
const DRAINED_MAX: usize = 16;

/// Told what a request path may be waiting for. At most one per pool.
pub trait Watcher: Send + Sync {
    /// A lease ended while requests were waiting, in a pool with a limit per backend. May lease,
    /// but must not drop a lease under a lock that it takes itself: that drop calls it again.
    fn vacated(&self);

    /// The retired `id` has no request left. Once per retirement, and never after a
    /// [`Pool::replace`] that revived it has returned. Called with the pool's writers locked out:
    /// must neither block nor call the pool.
    fn drained(&self, id: WorkerId);
}

/// Which backends there are, and which of them are ready.
#[derive(Debug)]
pub struct Pool {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Mutex<Limits>,
    pub(crate) hedging: Mutex<Hedging>,
    roster: Mutex<Roster>,
    watcher: OnceLock<Weak<dyn Watcher>>,
    this: Weak<Pool>,
}

/// What writers know; no request takes its lock unless it is the last of a retired backend.
#[derive(Debug, Default)]
struct Roster {
    routed: Vec<Arc<Backend>>,
    /// Retired, with requests left.
    draining: Vec<Arc<Backend>>,
    /// Retired and empty; the latest last.
    drained: Vec<Arc<Backend>>,
    /// What those were handed that are remembered no more.
    gone: Handed,
}

impl Roster {
    /// Takes the backend of `id` out of whichever list it is in.
    fn take(&mut self, id: WorkerId) -> Option<Arc<Backend>> {
        [&mut self.routed, &mut self.draining, &mut self.drained].into_iter().find_map(|list| {
            let index = list.iter().position(|backend| backend.id() == id)?;
            Some(list.remove(index))
        })
    }
}

impl Pool {
    /// An empty pool. `in_flight_max` limits each backend's requests; `None` sets no limit.
    pub fn new(balancer: Box<dyn Balancer>, in_flight_max: Option<NonZeroU32>) -> Arc<Self> {
        Self::with_ejection(balancer, in_flight_max, Ejection::default())
    }

    /// The same with another rule of ejection.
    pub fn with_ejection(
        balancer: Box<dyn Balancer>,
        in_flight_max: Option<NonZeroU32>,
        ejection: Ejection,
    ) -> Arc<Self> {
        Self::build(balancer, in_flight_max, ejection, Writers::Many)
    }

    /// The same for one thread, which alone leases and ends leases: as in a simulation, where
    /// counting so that others may count too would be a quarter of a request's cost.
    pub fn for_one_thread(balancer: Box<dyn Balancer>, in_flight_max: Option<NonZeroU32>) -> Arc<Self> {
        Self::build(balancer, in_flight_max, Ejection::default(), Writers::One)
    }

    fn build(
        balancer: Box<dyn Balancer>,
        in_flight_max: Option<NonZeroU32>,
        ejection: Ejection,
        writers: Writers,
    ) -> Arc<Self> {
        let max = in_flight_max.map_or(u32::MAX, NonZeroU32::get);
        let shared = Arc::new(Shared::new(writers, balancer.reads_latency(), max, ejection));
        let snapshot = Snapshot { ready: Arc::default(), balancer: balancer.into(), split: None };
        Arc::new_cyclic(|this| Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            shared,
            limits: Mutex::new(Limits::by_hand(in_flight_max)),
            hedging: Mutex::default(),
            roster: Mutex::default(),
            watcher: OnceLock::new(),
            this: this.clone(),
        })
    }

    /// Names who is told of drained backends and of room for waiting requests.
    ///
    /// # Errors
    /// When the pool has a watcher already.
    pub fn watch(&self, watcher: Weak<dyn Watcher>) -> Result<(), AlreadyWatched> {
        self.watcher.set(watcher).map_err(|_| AlreadyWatched)
    }

    /// Makes `routes` the whole ready set, and returns the backends that it no longer holds. When
    /// this returns, none of those can be leased any more; one without requests has already been
    /// reported as drained. A worker that had been retired and is routed again is the same
    /// backend, with its requests and counts.
    ///
    /// # Panics
    /// When two routes share an id, or a worker's address has changed: both are a new process
    /// under an old name.
    pub fn replace(&self, routes: &[Route]) -> Vec<Arc<Backend>> {
        let mut roster = self.roster.lock();
        let mut next: Vec<Arc<Backend>> = Vec::with_capacity(routes.len());
        for route in routes {
            assert!(next.iter().all(|backend| backend.id() != route.id), "two routes to worker {}", route.id);
            let backend = match roster.take(route.id) {
                Some(known) => {
                    known.update(route);
                    known.set_retired(false);
                    known.set_given_up(false);
                    known
                }
                None => Arc::new(Backend::new(route, Arc::clone(&self.shared), self.this.clone())),
            };
            next.push(backend);
        }
        self.change(&mut roster, |snapshot| snapshot.ready = Arc::new(next.clone()));
        let retired = std::mem::replace(&mut roster.routed, next);
        for backend in &retired {
            backend.set_retired(true);
            roster.draining.push(Arc::clone(backend));
        }
        for backend in &retired {
            self.settle_locked(&mut roster, backend.id());
        }
        retired
    }

    /// Changes the algorithm; leases taken stay as they are.
    pub fn set_balancer(&self, balancer: Box<dyn Balancer>) {
        self.shared.learns_latency.store(balancer.reads_latency(), Relaxed);
        self.change(&mut self.roster.lock(), |snapshot| snapshot.balancer = balancer.into());
    }

    /// Has all later leases see it; the lock is that of writers.
    fn change(&self, _: &mut Roster, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.snapshot.load());
        change(&mut next);
        self.snapshot.store(Arc::new(next));
    }

    /// Whether the algorithm wants clients to remember their backend.
    pub fn is_sticky(&self) -> bool {
        self.snapshot.load().balancer.is_sticky()
    }

    /// Changes when a backend's own answers take it out of service.
    pub fn set_ejection(&self, ejection: Ejection) {
        self.shared.judged_over_micros.store(ejection.judged_over_micros(), Relaxed);
        self.shared.ejection.store(Arc::new(ejection));
    }

    /// Says that these retired backends are not expected to answer the requests that they still
    /// have, so that those that may be repeated go elsewhere. A backend that is routed is not given
    /// up: whoever routes it believes in it.
    pub fn give_up(&self, ids: &[WorkerId]) {
        let roster = self.roster.lock();
        let given_up = roster.draining.iter().filter(|backend| ids.contains(&backend.id()));
        given_up.for_each(|backend| backend.set_given_up(true));
    }

    /// A backend that is routed or still drains.
    pub fn backend(&self, id: WorkerId) -> Option<Arc<Backend>> {
        let roster = self.roster.lock();
        let mut all = roster.routed.iter().chain(&roster.draining);
        all.find(|backend| backend.id() == id).map(Arc::clone)
    }

    /// How long after its first request a backend takes less than its share; zero for not at all.
    pub fn set_slow_start(&self, length: Duration) {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.shared.slow_start_micros.store(micros, Relaxed);
    }

    /// Shares requests out among versions in these proportions; a version that is not named gets
    /// none, and one without a free backend leaves its share to the others. Empty: no split.
    pub fn set_split(&self, shares: &[(Version, u32)]) {
        let split = Split::new(shares).map(Arc::new);
        self.change(&mut self.roster.lock(), |snapshot| snapshot.split = split);
    }

    /// Gives the next request a backend other than `avoid`; `None` when none is ready or all are
    /// full. Where all are out of service, all are tried.
    pub fn lease(&self, draw: Draw, avoid: Option<WorkerId>) -> Option<Lease> {
        for _ in 0..LOOKS_MAX {
            let snapshot = self.snapshot.load();
            let lease = snapshot.lease(&draw, avoid);
            // What was retired since it was read may have been all there was, and not be any more.
            if lease.is_some() || Arc::ptr_eq(&snapshot, &self.snapshot.load()) {
                return lease;
            }
        }
        None
    }

    /// What leases are taken from now, for whoever takes many and knows when the pool changes.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Takes a backend out of service for a while, unless that left fewer than half of them in it,
    /// or most of the others fail too: then it is not the backend.
    pub(crate) fn eject(&self, backend: &Backend, at: Timestamp) {
        let roster = self.roster.lock();
        let others = || roster.routed.iter().filter(|other| other.id() != backend.id());
        let left = others().filter(|other| other.is_in_service(at)).count();
        let sound = others().filter(|other| other.is_in_service(at) && !other.health().is_failing()).count();
        if left * 2 >= roster.routed.len() && sound * 2 >= left && left > 0 {
            backend.health().eject(at, &self.shared.ejection.load());
        }
    }

    /// Each routed or draining backend's health, in order of id.
    pub fn target_health(&self, at: Timestamp) -> Vec<TargetHealth> {
        let roster = self.roster.lock();
        let all = roster.routed.iter().chain(&roster.draining);
        let mut list: Vec<TargetHealth> = all.map(|backend| backend.target_health(at)).collect();
        list.sort_unstable_by_key(|target| target.id);
        list
    }

    /// The ready backends now.
    pub fn ready(&self) -> Arc<Vec<Arc<Backend>>> {
        Arc::clone(&self.snapshot.load().ready)
    }

    /// The routed and the still draining backends' figures, in order of id.
    pub fn backends(&self) -> Vec<BackendSample> {
        let roster = self.roster.lock();
        let mut samples: Vec<BackendSample> =
            roster.routed.iter().chain(&roster.draining).map(|backend| backend.sample()).collect();
        samples.sort_unstable_by_key(|sample| sample.id);
        samples
    }

    /// Each routed or draining backend's page of the ledger, in order of id, and all that have left
    /// together.
    pub(crate) fn handed(&self) -> (Vec<WorkerLedger>, Handed) {
        let roster = self.roster.lock();
        let page = |backend: &Arc<Backend>| WorkerLedger { id: backend.id(), handed: backend.handed() };
        let mut pages: Vec<WorkerLedger> = roster.routed.iter().chain(&roster.draining).map(page).collect();
        pages.sort_unstable_by_key(|page| page.id);
        let mut gone = roster.gone;
        roster.drained.iter().for_each(|backend| gone.add(&backend.handed()));
        (pages, gone)
    }

    /// Says how many requests wait for a lease. Set it before the last attempt to lease that
    /// precedes waiting: then either that attempt sees the room, or whoever makes room sees the
    /// request waiting.
    pub fn set_waiting(&self, requests: u32) {
        self.shared.waiting.store(requests, SeqCst);
    }

    /// Requests that wait for a lease now.
    pub fn waiting(&self) -> u32 {
        self.shared.waiting.load(SeqCst)
    }

    /// Whether a backend has a limit of requests, so that a lease that ends can help a waiting one.
    pub fn is_limited(&self) -> bool {
        self.shared.in_flight_max.load(Relaxed) != u32::MAX
    }

    /// Reports `id` as drained if it is retired and empty.
    pub(crate) fn settle(&self, id: WorkerId) {
        self.settle_locked(&mut self.roster.lock(), id);
    }

    fn settle_locked(&self, roster: &mut Roster, id: WorkerId) {
        let empty = |backend: &Arc<Backend>| backend.id() == id && backend.in_flight() == 0;
        let Some(index) = roster.draining.iter().position(empty) else { return };
        if roster.drained.len() == DRAINED_MAX {
            let forgotten = roster.drained.remove(0);
            roster.gone.add(&forgotten.handed());
        }
        let backend = roster.draining.remove(index);
        roster.drained.push(backend);
        if let Some(watcher) = self.watcher() {
            watcher.drained(id);
        }
    }

    pub(crate) fn vacated(&self) {
        if let Some(watcher) = self.watcher() {
            watcher.vacated();
        }
    }

    fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        self.watcher.get().and_then(Weak::upgrade)
    }
}

/// The pool has a watcher already: it belongs to another proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyWatched;

impl std::fmt::Display for AlreadyWatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the pool already serves another proxy")
    }
}

impl std::error::Error for AlreadyWatched {}

/// One request's place at a backend. Dropped without [`finish`](Lease::finish) it counts as
/// cancelled: the place is free again, nothing else is counted.
#[derive(Debug)]
pub struct Lease {
    backend: Arc<Backend>,
    leased_at: Timestamp,
    ended: bool,
}

impl Lease {
    /// The backend that takes the request.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Ends it at `at`, counting the request as one that the backend has ended, well or badly.
    #[inline]
    pub fn finish(mut self, at: Timestamp, outcome: Outcome) {
        self.ended = true;
        self.backend.count_ended(at, nanos_between(self.leased_at, at), outcome);
    }

    /// Ends it at `at`: the backend could not be connected to, and never knew of the request.
    pub fn unreached(mut self, at: Timestamp) {
        self.ended = true;
        self.backend.count_unreached(at, nanos_between(self.leased_at, at));
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        if !self.ended {
            self.backend.count_cancelled();
        }
        self.backend.leave();
    }
}
