//! Routes down, drain notices up: the proxy's two wires to whoever runs the workers.

use std::sync::Arc;

use clock::Clock;
use tokio::sync::watch;
use traffic::pool::AlreadyWatched;
use traffic::{Backend, Pool, Route, Watcher, WorkerId};

use crate::Config;
use crate::places::Places;
use crate::refusal::Refusals;
use crate::retry::Hedges;
use crate::settings::Settings;
use crate::waiting::Waiting;

/// Called with each retired worker that has no request left: once a retirement, and not after it
/// was routed again. Called from the proxy's threads and from within [`Router::replace`], with
/// the pool's writers locked out: it must neither block nor call the router or the pool. Sending
/// into a channel is what it is for.
pub type DrainNotice = Arc<dyn Fn(WorkerId) + Send + Sync>;

/// Changes which workers get requests. Cheap to clone; outlives its [`Proxy`](crate::Proxy), so
/// that workers can be drained after the last request.
#[derive(Clone)]
pub struct Router {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Arc<Pool>,
    waiting: Arc<Waiting>,
    clock: Clock,
    on_drained: DrainNotice,
    /// Moves when workers were retired, so that each thread closes its idle connections to them.
    retirements: watch::Sender<()>,
    settings: watch::Sender<Arc<Settings>>,
    places: Arc<Places>,
    refusals: Arc<Refusals>,
    hedges: Arc<Hedges>,
}

impl Router {
    pub(crate) fn new(
        settings: Settings,
        pool: Arc<Pool>,
        waiting: Arc<Waiting>,
        clock: Clock,
        on_drained: DrainNotice,
    ) -> Result<Self, AlreadyWatched> {
        let places = Places::new(settings.connections_max, settings.threads.get());
        let (places, refusals, hedges) = (Arc::new(places), Arc::default(), Arc::default());
        let (retirements, settings) = (watch::Sender::new(()), watch::Sender::new(Arc::new(settings)));
        let shared = Arc::new(Shared {
            pool,
            waiting,
            clock,
            on_drained,
            retirements,
            settings,
            places,
            refusals,
            hedges,
        });
        let watcher: Arc<dyn Watcher> = shared.clone();
        shared.pool.watch(Arc::downgrade(&watcher))?;
        Ok(Self { shared })
    }

    /// Makes `routes` the whole ready set and returns the workers retired by that. Requests that
    /// wait are handed to the newly ready at once; retired workers without requests have been
    /// reported as drained when this returns.
    ///
    /// # Panics
    /// As [`Pool::replace`]: two routes with one id, or a worker that moved.
    pub fn replace(&self, routes: &[Route]) -> Vec<Arc<Backend>> {
        let retired = self.shared.pool.replace(routes);
        self.shared.vacated();
        if !retired.is_empty() {
            self.shared.retirements.send_replace(());
        }
        retired
    }

    /// Changes settings under load: requests that come in from now on, and what of those under way
    /// is still to be decided, go by the new ones. Where it listens, its threads and its seed stay.
    pub fn change(&self, change: impl FnOnce(&mut Config)) {
        self.shared.settings.send_modify(|settings| {
            let mut config = settings.config.clone();
            change(&mut config);
            self.shared.waiting.set_max(config.queue_max);
            self.shared.places.set_max(config.connections_max);
            *settings = Arc::new(settings.changed(config, self.shared.clock));
        });
        self.shared.vacated();
    }

    /// The settings in force.
    pub fn config(&self) -> Config {
        self.shared.settings.borrow().config.clone()
    }

    pub(crate) fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.shared.settings.subscribe()
    }

    /// Clients that were refused before they had asked anything that could be told, by reason; requests
    /// are counted by the meter.
    pub fn clients_refused(&self) -> Vec<(&'static str, u64)> {
        self.shared.refusals.by_reason()
    }

    /// Client connections now.
    pub fn connections(&self) -> usize {
        self.shared.places.taken()
    }

    pub(crate) fn refusals(&self) -> Arc<Refusals> {
        Arc::clone(&self.shared.refusals)
    }

    /// Second attempts beside first ones, and how many of them answered first.
    pub fn hedged(&self) -> (u64, u64) {
        self.shared.hedges.counts()
    }

    pub(crate) fn hedges(&self) -> Arc<Hedges> {
        Arc::clone(&self.shared.hedges)
    }

    pub(crate) fn places(&self) -> Arc<Places> {
        Arc::clone(&self.shared.places)
    }

    /// The pool behind it.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.shared.pool
    }

    pub(crate) fn retirements(&self) -> watch::Receiver<()> {
        self.shared.retirements.subscribe()
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("pool", &self.shared.pool).finish_non_exhaustive()
    }
}

impl Watcher for Shared {
    fn vacated(&self) {
        self.waiting.serve(&self.pool, self.clock.now());
    }

    fn drained(&self, id: WorkerId) {
        (self.on_drained)(id);
    }
}
