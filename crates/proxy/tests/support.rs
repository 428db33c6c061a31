//! A balancer in front of scripted workers, and the conditions that tests wait for.

pub(crate) mod client;
pub(crate) mod worker;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use proxy::{Config, Proxy, Router};
use traffic::{Address, Meter, Pool, Reading, Route, Version, WorkerId};

pub(crate) use client::{Answer, Client};
pub(crate) use worker::{Conversation, Worker};

/// Far more than anything here takes on the slowest machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; fails when it does not within [`DEADLINE`].
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    let watch = async {
        while !condition() {
            pace.tick().await;
        }
    };
    assert!(Clock::start().timeout(DEADLINE, watch).await.is_ok(), "never came to pass: {what}");
}

/// The result of `work`, which must come within [`DEADLINE`].
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    Clock::start().timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("never ended: {what}"))
}

/// Lets `length` pass: only for checks that something does *not* happen.
pub(crate) async fn pass(length: Duration) {
    Clock::start().sleep(length).await;
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn id(slot: u32) -> WorkerId {
    WorkerId { slot, run: 1 }
}

/// The first process in `slot`, listening on `address`.
pub(crate) fn route(slot: u32, address: SocketAddr) -> Route {
    Route { id: id(slot), address: Address::Tcp(address), weight: 1, version: Version::default() }
}

/// What may be chosen about a balancer under test.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) algorithm: &'static str,
    pub(crate) in_flight_max: Option<u32>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { config: Config::new(loopback()), algorithm: traffic::balance::DEFAULT, in_flight_max: None }
    }
}

impl Setup {
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut setup = Self::default();
        change(&mut setup.config);
        setup
    }

    pub(crate) fn start(self) -> Balancer {
        let balancer = traffic::balance::build(self.algorithm).unwrap();
        let pool = Pool::new(balancer, self.in_flight_max.and_then(NonZeroU32::new));
        let meter = Meter::default();
        let clock = Clock::start();
        let drained = Arc::new(Mutex::new(Vec::new()));
        let on_drained = {
            let drained = Arc::clone(&drained);
            Arc::new(move |id| drained.lock().unwrap().push(id))
        };
        let proxy = Proxy::start(self.config, pool, &meter, clock, on_drained).unwrap();
        let router = proxy.router();
        Balancer { proxy, router, meter, clock, drained }
    }
}

/// A running balancer and all that can be seen of it.
pub(crate) struct Balancer {
    pub(crate) proxy: Proxy,
    pub(crate) router: Router,
    pub(crate) meter: Meter,
    pub(crate) clock: Clock,
    drained: Arc<Mutex<Vec<WorkerId>>>,
}

impl Balancer {
    /// One with defaults, in front of `workers` in slots 1, 2, ….
    pub(crate) fn before(workers: &[&Worker]) -> Self {
        Setup::default().before(workers)
    }

    /// Makes `workers` the ready set, in slots 1, 2, ….
    pub(crate) fn route(&self, workers: &[&Worker]) {
        let routes: Vec<Route> =
            (1..).zip(workers).map(|(slot, worker)| route(slot, worker.address)).collect();
        self.router.replace(&routes);
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.proxy.local_addr()).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.connect().await.get(path).await
    }

    pub(crate) fn drained(&self) -> Vec<WorkerId> {
        self.drained.lock().unwrap().clone()
    }

    pub(crate) fn reading(&self) -> Reading {
        self.meter.read(self.clock.now())
    }

    /// Requests at all workers now.
    pub(crate) fn in_flight(&self) -> u32 {
        self.router.pool().backends().iter().map(|backend| backend.in_flight).sum()
    }
}

impl Setup {
    pub(crate) fn before(self, workers: &[&Worker]) -> Balancer {
        let balancer = self.start();
        balancer.route(workers);
        balancer
    }
}
