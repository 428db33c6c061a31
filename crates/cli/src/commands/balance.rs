//! `autoscale balance`: the balancer alone, in front of servers that it did not start.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use proxy::Proxy;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use traffic::Meter;

use crate::args::BalanceArgs;
use crate::config::resolve_balance;
use crate::failure::{FAILED, Hint, coded};
use crate::wiring::balancing::Desk;
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
    let clock = Clock::start();
    let pool = wiring::pool(&config.balancer)?;
    let meter = Arc::new(Meter::new(config.balancer.proxy.threads.get()));
    let seed = clock.now().as_microsecond().unsigned_abs();
    let mut settings = proxy::Config { seed, ..config.balancer.proxy.clone() };
    let transport = config.balancer.transport.clone();
    let secure = wiring::tls::settle(&transport, &mut settings)?;
    settings.access_log = wiring::access_log::open(config.balancer.access_log.as_ref())?;
    let log = settings.access_log.clone();
    let proxy = Proxy::start(settings, Arc::clone(&pool), &meter, clock, Arc::new(|_| {}))
        .map_err(|error| coded(error.into(), "choose another address with --listen", FAILED))?;
    let desk = Desk::of_servers(proxy.router(), clock, config.balancer, &config.backends);
    let balancing = Arc::new(desk);
    let reload = wiring::reload_balance(args.clone(), Arc::clone(&balancing));
    let stop = CancellationToken::new();
    let admin = wiring::fixed::start(wiring::fixed::Parts {
        admin: config.admin,
        pool,
        meter,
        clock,
        stop: stop.clone(),
        balancing,
        reload: Arc::clone(&reload),
        router: proxy.router(),
    })
    .await?;
    shutdown::listen(stop.clone())?;
    listen_to_reload(reload)?;
    if let Some((secure, files)) = secure.zip(transport.tls.clone()) {
        wiring::tls::watch(secure, files, clock, stop.clone())?;
    }
    let scheme = wiring::tls::scheme(&transport);
    output::line(&format!("listening on {scheme}://{}", proxy.local_addr()));
    output::line(&format!("admin on http://{}", admin.local_addr));
    stop.cancelled().await;
    let cut = proxy.shutdown(REQUESTS_GRACE).await.cut;
    admin.finish().await;
    if let Some(log) = log {
        log.flush();
    }
    if cut > 0 {
        output::complain(&format!("warning: {cut} connections had not finished and were cut"));
    }
    Ok(())
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
