//! The balancer in a process of its own, so that its CPU time can be read: this binary again.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Context;
use clock::Clock;
use proxy::{Config, HealthCheck, Proxy};
use traffic::{Address, Meter, Pool, Route, Version, WorkerId};

/// As many as the peers have processes or threads.
pub(crate) const THREADS: usize = 2;

/// `serve LISTEN BACKEND…`, until it is killed. All that is on by default is on, probes included.
pub(crate) fn run(words: &[&str]) -> anyhow::Result<()> {
    let (listen, backends) = words.split_first().context("serve LISTEN BACKEND…")?;
    let clock = Clock::start();
    let mut config = Config::new(listen.parse()?);
    config.threads = NonZeroUsize::new(THREADS).context("no threads")?;
    config.health_check = Some(HealthCheck::local());
    let pool = Pool::new(traffic::balance::build("round_robin")?, None);
    let meter = Meter::new(THREADS);
    let proxy = Proxy::start(config, pool, &meter, clock, Arc::new(|_| {}))?;
    let route = |(slot, text): (u32, &&str)| -> anyhow::Result<Route> {
        let address = match text.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp(text.parse()?),
        };
        Ok(Route { id: WorkerId { slot, run: 1 }, address, weight: 1, version: Version::default() })
    };
    let routes: anyhow::Result<Vec<Route>> = (1..).zip(backends).map(route).collect();
    proxy.router().replace(&routes?);
    loop {
        std::thread::park();
    }
}
