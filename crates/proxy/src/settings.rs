//! The settings in force: changed under load by the router, taken up by each thread by itself.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use clock::Clock;
use parking_lot::Mutex;
use tokio::sync::watch;
use traffic::RateLimit;

use crate::Config;
use crate::serve::{Rates, Thread};

/// What every thread is to go by.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    /// Requests of each address; only where there is a limit.
    pub(crate) rates: Option<Arc<Rates>>,
}

impl Settings {
    pub(crate) fn new(config: Config, clock: Clock) -> Self {
        let rates = config
            .rate_limit
            .map(|rate| Arc::new(Mutex::new(RateLimit::new(rate.per_second, rate.burst, clock.now()))));
        Self { config, rates }
    }

    /// The same with another configuration. Who has used up a limit that stays has still done so.
    pub(crate) fn changed(&self, config: Config, clock: Clock) -> Self {
        if config.rate_limit == self.config.rate_limit {
            return Self { config, rates: self.rates.clone() };
        }
        Self::new(config, clock)
    }
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

/// A thread's own copy, so that no request touches what other threads touch.
pub(crate) struct InForce(RefCell<Rc<Settings>>);

impl InForce {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(RefCell::new(Rc::new(settings)))
    }

    pub(crate) fn get(&self) -> Rc<Settings> {
        Rc::clone(&self.0.borrow())
    }
}

/// Takes up changes until the router is gone.
pub(crate) async fn follow(thread: Rc<Thread>, mut changes: watch::Receiver<Arc<Settings>>) {
    while changes.changed().await.is_ok() {
        let settings = Settings::clone(&changes.borrow_and_update());
        *thread.in_force.0.borrow_mut() = Rc::new(settings);
    }
}
