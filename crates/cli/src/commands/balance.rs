//! `autoscale balance`: the balancer alone, in front of servers that it did not start.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use proxy::{Proxy, Sockets};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use traffic::Meter;

use crate::args::BalanceArgs;
use crate::config::resolve_balance;
use crate::failure::{FAILED, Hint, coded};
use crate::wiring::balancing::Desk;
use crate::wiring::fixed::Watch;
use crate::wiring::sockets;
use crate::wiring::upgrade::{self, HAND_OVER_GRACE, IDLE_GRACE, Offer, Upgrades};
use crate::{output, shutdown, wiring};

/// Time that requests in flight get at the end, before connections are cut.
const REQUESTS_GRACE: Duration = Duration::from_secs(30);

/// Serves until told to stop.
pub(crate) async fn run(args: &BalanceArgs) -> anyhow::Result<()> {
    let config = resolve_balance(args)?;
    if config.backends.is_empty() {
        return Err(anyhow::anyhow!("there is nothing to balance over"))
            .hint("name servers with --backend, or as proxy.backends in the file");
    }
    let handed = sockets::handed()?;
    let clock = Clock::start();
    let pool = wiring::pool(&config.balancer)?;
    let meter = Arc::new(Meter::default());
    let seed = clock.now().as_microsecond().unsigned_abs();
    let mut settings = proxy::Config { seed, ..config.balancer.proxy.clone() };
    let transport = config.balancer.transport.clone();
    let secure = wiring::tls::settle(&transport, &mut settings)?;
    settings.access_log = wiring::access_log::open(config.balancer.access_log.as_ref())?;
    let log = settings.access_log.clone();
    let listening = handed.proxy.map_or_else(|| Sockets::bind(&settings), Ok);
    let proxy = listening.and_then(|sockets| {
        Proxy::prepare(sockets, settings, Arc::clone(&pool), &meter, clock, Arc::new(|_| {}))
    });
    let proxy = proxy.map_err(|error| coded(error.into(), "choose another address with --listen", FAILED))?;
    let desk = Desk::of_servers(proxy.router(), clock, config.balancer, &config.backends);
    let balancing = Arc::new(desk);
    let reload = wiring::reload_balance(args.clone(), Arc::clone(&balancing));
    let (stop, asked) = (CancellationToken::new(), Arc::new(Notify::new()));
    let admin = wiring::fixed::start(wiring::fixed::Parts {
        admin: config.admin,
        pool,
        meter,
        clock,
        stop: stop.clone(),
        balancing,
        reload: Arc::clone(&reload),
        router: proxy.router(),
        socket: handed.admin,
        upgrade: Arc::clone(&asked),
    })
    .await?;
    shutdown::listen(stop.clone())?;
    listen_to_reload(reload)?;
    if let Some((secure, files)) = secure.zip(transport.tls.clone()) {
        wiring::tls::watch(secure, files, clock, stop.clone())?;
    }
    let scheme = wiring::tls::scheme(&transport);
    output::line(&format!("listening on {scheme}://{}", proxy.local_addr()));
    output::line(&format!("admin on http://{}", admin.server().local_addr));
    let offer = Offer::of_balancer(&proxy, admin.server())?;
    let upgrades = Upgrades::listen(offer, asked, clock, stop.clone())?;
    upgrade::begin(&proxy, handed.predecessor)?;
    stop.cancelled().await;
    let cut = leave(proxy, admin, upgrades.end().await).await;
    if let Some(log) = log {
        log.flush();
    }
    if cut > 0 {
        output::complain(&format!("warning: {cut} connections had not finished and were cut"));
    }
    Ok(())
}

/// Finishes what is under way; how many connections had to be cut.
async fn leave(proxy: Proxy, admin: Watch, handed_over: bool) -> usize {
    if handed_over {
        // A successor answers there now.
        admin.finish().await;
        return proxy.hand_over(IDLE_GRACE, HAND_OVER_GRACE).await.cut;
    }
    let cut = proxy.shutdown(REQUESTS_GRACE).await.cut;
    admin.finish().await;
    cut
}

/// HUP reads the file again.
fn listen_to_reload(reload: wiring::Reload) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("signals cannot be heard")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            output::complain(&match reload("signal HUP") {
                Ok(said) => format!("note: {said}"),
                Err(error) => format!("error: {error:#}"),
            });
        }
    });
    Ok(())
}
