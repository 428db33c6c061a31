//! Changes of a running balancer: by order over the admin API, or by a reload of the file.

use std::num::NonZeroU32;
use std::sync::Arc;

use admin::{BackendOrder, BalancerOrder, BalancerSettings, Balancing, OrdersError, TargetSeen};
use clock::Clock;
use control::{State, WorkerSeen};
use parking_lot::Mutex;
use proxy::Router;
use supervisor::Steering;
use traffic::adaptive::TOO_SLOW;
use traffic::{Backend, Circuit, Route, WorkerId};

use super::orders::slot;
use crate::args::{self, BackendArg};
use crate::config::Balancer;

mod order;

/// Servers at most that `balance` is given over its API: far more than one machine feeds.
const BACKENDS_MAX: usize = 1_024;

/// Workers as whoever runs them sees them.
type Seen = Arc<dyn Fn() -> Vec<WorkerSeen> + Send + Sync>;

/// Changes one balancer. What it was last told is what is in force.
pub(crate) struct Desk {
    router: Router,
    clock: Clock,
    in_force: Mutex<Balancer>,
    /// `None` where the workers are started here and come and go by themselves.
    members: Option<Mutex<Members>>,
    workers: Seen,
}

/// Servers that somebody else runs. A name is never used for another server.
#[derive(Debug, Default)]
struct Members {
    routes: Vec<Route>,
    slots: u32,
}

impl Members {
    /// Makes these the whole set; one that stays is the same backend, with its counts.
    fn take_up(&mut self, backends: &[BackendArg]) {
        let mut before = std::mem::take(&mut self.routes);
        for backend in backends {
            let known = before.iter().position(|route| route.address == backend.address);
            match known.map(|index| before.remove(index)) {
                Some(route) => {
                    self.routes.push(Route { weight: backend.weight, version: backend.version, ..route })
                }
                None => drop(self.add(backend)),
            }
        }
    }

    fn add(&mut self, backend: &BackendArg) -> WorkerId {
        self.slots += 1;
        let id = WorkerId { slot: self.slots, run: 1 };
        let BackendArg { address, weight, version } = backend.clone();
        self.routes.push(Route { id, address, weight, version });
        id
    }
}

impl Desk {
    /// One for workers that are started here.
    pub(super) fn of_fleet(
        router: Router,
        clock: Clock,
        in_force: &Balancer,
        steering: &Steering,
    ) -> Arc<Self> {
        let steering = steering.clone();
        let workers: Seen = Arc::new(move || steering.seen().1);
        let in_force = Mutex::new(in_force.clone());
        Arc::new(Self { router, clock, in_force, members: None, workers })
    }

    /// One for servers that somebody else runs, which are routed at once.
    pub(crate) fn of_servers(
        router: Router,
        clock: Clock,
        in_force: Balancer,
        backends: &[BackendArg],
    ) -> Self {
        let members = Some(Mutex::default());
        let workers: Seen = Arc::new(Vec::new);
        let desk = Self { router, clock, in_force: Mutex::new(in_force), members, workers };
        desk.replace(backends);
        desk
    }

    /// What is steered.
    pub(super) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Makes `backends` the whole set of servers; says how many came and went.
    pub(crate) fn replace(&self, backends: &[BackendArg]) -> (usize, usize) {
        let Some(members) = &self.members else { return (0, 0) };
        let mut members = members.lock();
        let before: Vec<WorkerId> = members.routes.iter().map(|route| route.id).collect();
        members.take_up(backends);
        let come = members.routes.iter().filter(|route| !before.contains(&route.id)).count();
        let gone = self.router.replace(&members.routes).len();
        (come, gone)
    }

    /// Goes by `next` from now on; says what of it needs a restart.
    ///
    /// # Errors
    /// When there is no such algorithm.
    pub(crate) fn apply(&self, next: Balancer) -> Result<Vec<&'static str>, OrdersError> {
        let mut in_force = self.in_force.lock();
        let pool = self.router.pool();
        if next.algorithm != in_force.algorithm {
            let balancer = traffic::balance::build(&next.algorithm);
            pool.set_balancer(balancer.map_err(|error| OrdersError::Bad(error.to_string()))?);
        }
        pool.set_slow_start(next.slow_start);
        pool.set_split(&next.split);
        pool.set_ejection(next.ejection);
        pool.set_adaptive_limit(next.adaptive.as_ref());
        pool.set_circuit_breaker(next.circuit_breaker);
        pool.set_hedge_after(next.hedge_after);
        let fixed = [
            ("proxy.listen", next.proxy.listen != in_force.proxy.listen),
            ("proxy.access_log", next.access_log != in_force.access_log),
            ("proxy.tls", next.transport != in_force.transport),
            ("proxy.threads", next.proxy.threads != in_force.proxy.threads),
        ];
        self.router.change(|config| {
            let before = config.clone();
            *config = proxy::Config {
                listen: before.listen,
                threads: before.threads,
                seed: before.seed,
                // Its files are watched by themselves.
                tls: before.tls,
                redirect_from: before.redirect_from,
                access_log: before.access_log,
                ..next.proxy.clone()
            };
        });
        pool.set_in_flight_max(next.max_in_flight);
        *in_force = next;
        Ok(fixed.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect())
    }

    fn backend(&self, worker: &str) -> Result<Arc<Backend>, OrdersError> {
        let unknown = || OrdersError::UnknownWorker(worker.to_owned());
        let asked = slot(worker).ok_or_else(unknown)?;
        let ready = self.router.pool().ready();
        ready.iter().find(|backend| backend.id().slot == asked).map(Arc::clone).ok_or_else(unknown)
    }

    fn members(&self) -> Result<&Mutex<Members>, OrdersError> {
        let refused = "workers are started here: `autoscale scale` changes how many there are";
        self.members.as_ref().ok_or_else(|| OrdersError::Refused(refused.to_owned()))
    }

    fn target(&self, seen: Option<&WorkerSeen>, backend: Option<&Backend>) -> Option<TargetSeen> {
        let now = self.clock.now();
        let health = backend.map(|backend| backend.target_health(now));
        let of_fleet = seen.and_then(|seen| judged(seen.state));
        let of_pool = || health.as_ref().map(|health| (health.state, health.reason));
        let (state, reason) =
            of_fleet.or_else(of_pool).or(Some(("initial", "Elb.RegistrationInProgress")))?;
        let (state, reason) = in_circuit((state, reason), self.router.pool().circuit(now));
        let address = backend.map(Backend::address).or(seen.and_then(|seen| seen.address.as_ref()));
        Some(TargetSeen {
            id: backend.map(Backend::id).or(seen.map(|seen| seen.id))?.to_string(),
            address: address.map(ToString::to_string),
            state: state.to_owned(),
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
            weight: backend.map_or(1, Backend::weight),
            version: backend.map(Backend::version).or(seen.map(|seen| seen.version)).unwrap_or_default().0,
            in_flight: backend.map_or(0, Backend::in_flight),
            limit: backend.and(self.router.pool().in_flight_max()),
            requests: backend.map_or(0, Backend::requests),
            failures: backend.map_or(0, Backend::failures),
        })
    }
}

/// What a worker's state means as a target; `None` where the balancer knows more.
fn judged(state: State) -> Option<(&'static str, &'static str)> {
    Some(match state {
        State::Ready => return None,
        State::Starting => ("initial", "Elb.InitialHealthChecking"),
        State::Unhealthy => ("unhealthy", "Target.FailedHealthChecks"),
        State::Draining => ("draining", "Target.DeregistrationInProgress"),
        State::Backoff => ("unused", "Target.NotRegistered"),
    })
}

/// What a healthy worker is while its pool's circuit is not closed.
fn in_circuit(seen: (&'static str, &'static str), circuit: Option<Circuit>) -> (&'static str, &'static str) {
    match (seen, circuit) {
        (("healthy", _), Some(Circuit::Open)) => ("unhealthy", "Pool.CircuitOpen"),
        (("healthy", _), Some(Circuit::HalfOpen)) => ("initial", "Pool.CircuitHalfOpen"),
        _ => seen,
    }
}

impl Balancing for Desk {
    fn settings(&self) -> BalancerSettings {
        let in_force = self.in_force.lock();
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let shares: Vec<String> =
            in_force.split.iter().map(|(version, share)| format!("{}={share}", version.0)).collect();
        let adaptive = in_force.adaptive.as_ref();
        let circuit = self.router.pool().circuit(self.clock.now());
        BalancerSettings {
            algorithm: in_force.algorithm.clone(),
            split: shares.join(","),
            slow_start_s: in_force.slow_start.as_secs_f64(),
            max_in_flight: in_force.max_in_flight.map(NonZeroU32::get),
            adaptive_limit: adaptive.map(|rule| rule.algorithm.clone()).unwrap_or_default(),
            adaptive_latency_s: adaptive.map_or(TOO_SLOW, |rule| rule.too_slow).as_secs_f64(),
            limit_now: self.router.pool().in_flight_max(),
            circuit_breaker: in_force.circuit_breaker,
            circuit: circuit.map(Circuit::name).unwrap_or_default().to_owned(),
            hedge_after: args::hedge_text(in_force.hedge_after),
            hedge_after_s: self.router.pool().hedge_after().map(|after| after.as_secs_f64()),
            queue: wide(in_force.proxy.queue_max),
            queue_timeout_s: in_force.proxy.queue_timeout.as_secs_f64(),
            request_timeout_s: in_force.proxy.request_timeout.map(|length| length.as_secs_f64()),
            max_connections: wide(in_force.proxy.connections_max),
            max_body: in_force.proxy.body_bytes_max,
            rate_limit: in_force.proxy.rate_limit.map(|rate| rate.per_second),
            rate_burst: in_force.proxy.rate_limit.map(|rate| rate.burst),
        }
    }

    fn change(&self, order: &BalancerOrder) -> Result<(), OrdersError> {
        let mut next = self.in_force.lock().clone();
        order::take(&mut next, order).map_err(OrdersError::Bad)?;
        self.apply(next).map(drop)
    }

    fn weigh(&self, worker: &str, weight: Option<u32>) -> Result<(), OrdersError> {
        if weight == Some(u32::MAX) {
            return Err(OrdersError::Bad(format!("{} is no weight (try 1, 2, 3)", u32::MAX)));
        }
        self.backend(worker)?.set_weight(weight);
        Ok(())
    }

    fn add(&self, order: &BackendOrder) -> Result<String, OrdersError> {
        let mut members = self.members()?.lock();
        let backend = args::backend(&order.backend).map_err(OrdersError::Bad)?;
        if members.routes.iter().any(|route| route.address == backend.address) {
            return Err(OrdersError::Refused(format!("{} is balanced over already", backend.address)));
        }
        if members.routes.len() >= BACKENDS_MAX {
            return Err(OrdersError::Refused(format!("there are {BACKENDS_MAX} backends already")));
        }
        let id = members.add(&backend);
        self.router.replace(&members.routes);
        Ok(id.to_string())
    }

    fn remove(&self, worker: &str) -> Result<(), OrdersError> {
        let mut members = self.members()?.lock();
        let asked = slot(worker);
        let index = members.routes.iter().position(|route| Some(route.id.slot) == asked);
        members.routes.remove(index.ok_or_else(|| OrdersError::UnknownWorker(worker.to_owned()))?);
        self.router.replace(&members.routes);
        Ok(())
    }

    fn requests(&self, id: &str) -> Option<Vec<serde_json::Value>> {
        let log = self.router.config().access_log?;
        // Entries are made of plain values: they always have a JSON form.
        Some(log.find(id).iter().filter_map(|entry| serde_json::to_value(entry.as_ref()).ok()).collect())
    }

    fn targets(&self) -> Vec<TargetSeen> {
        let pool = self.router.pool();
        let seen = (self.workers)();
        let in_pool: Vec<WorkerId> = pool.backends().iter().map(|sample| sample.id).collect();
        let strangers = in_pool.iter().filter(|id| seen.iter().all(|worker| worker.id != **id));
        let of_pool = strangers.filter_map(|id| self.target(None, Some(pool.backend(*id)?.as_ref())));
        let of_fleet = seen.iter().filter_map(|worker| {
            let backend = pool.backend(worker.id);
            self.target(Some(worker), backend.as_deref())
        });
        of_fleet.chain(of_pool).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_stay_keep_their_names_and_no_name_is_used_twice() {
        let servers = |ports: &[&str]| -> Vec<BackendArg> {
            ports.iter().map(|text| args::backend(text).unwrap()).collect()
        };
        let mut members = Members::default();
        let slots =
            |members: &Members| -> Vec<u32> { members.routes.iter().map(|route| route.id.slot).collect() };
        members.take_up(&servers(&[":1", ":2", ":3"]));
        members.take_up(&servers(&[":3,weight=5", ":4", ":1"]));
        assert_eq!(slots(&members), [3, 4, 1]);
        assert_eq!(members.routes[0].weight, 5);
        members.take_up(&servers(&[":2"]));
        assert_eq!(slots(&members), [5], "another stay of a server is another backend");
    }
}
