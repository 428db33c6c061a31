//! Pools, routes and a watcher that writes down what it is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use jiff::Timestamp;
use traffic::{Address, Draw, Pool, Route, Version, Watcher, WorkerId};

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

pub(crate) fn draw(seconds: u64) -> Draw {
    Draw { at: at(seconds), random: 0, key: 0, stick_to: None }
}

/// The first process in `slot`.
pub(crate) fn route(slot: u32) -> Route {
    let port = u16::try_from(5000 + slot).unwrap();
    let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    Route { id: WorkerId { slot, run: 1 }, address, weight: 1, version: Version::default() }
}

pub(crate) fn pool(algorithm: &str, in_flight_max: Option<NonZeroU32>) -> Arc<Pool> {
    Pool::new(traffic::balance::build(algorithm).unwrap(), in_flight_max)
}

/// Writes down what a pool says.
#[derive(Default)]
pub(crate) struct Notices {
    drained: Mutex<Vec<WorkerId>>,
    vacated: Mutex<u32>,
}

impl Notices {
    pub(crate) fn watch(pool: &Pool) -> Arc<Self> {
        let notices = Arc::new(Self::default());
        let watcher: Arc<dyn Watcher> = notices.clone();
        pool.watch(Weak::clone(&Arc::downgrade(&watcher))).unwrap();
        notices
    }

    pub(crate) fn drained(&self) -> Vec<WorkerId> {
        self.drained.lock().unwrap().clone()
    }

    pub(crate) fn vacated(&self) -> u32 {
        *self.vacated.lock().unwrap()
    }
}

impl Watcher for Notices {
    fn vacated(&self) {
        *self.vacated.lock().unwrap() += 1;
    }

    fn drained(&self, id: WorkerId) {
        self.drained.lock().unwrap().push(id);
    }
}
