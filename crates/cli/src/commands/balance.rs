//! `autoscale balance`: the balancer alone, in front of servers that it did not start.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use proxy::{HealthCheck, Proxy, Rate};
use tokio_util::sync::CancellationToken;
use traffic::{Meter, Pool, Route, Version, WorkerId};

use crate::args::{BackendArg, BalanceArgs, Preset};
use crate::failure::{FAILED, Hint, coded};
use crate::{output, shutdown, wiring};

/// Time that requests in flight get at the end, before connections are cut.
const REQUESTS_GRACE: Duration = Duration::from_secs(30);

/// Serves until told to stop.
pub(crate) async fn run(args: &BalanceArgs) -> anyhow::Result<()> {
    let clock = Clock::start();
    let balancer = traffic::balance::build(&args.algorithm).hint("see `autoscale balance --help`")?;
    let pool = Pool::new(balancer, args.max_in_flight.and_then(NonZeroU32::new));
    pool.set_slow_start(args.slow_start);
    let settings = settings(args, clock)?;
    let meter = Arc::new(Meter::new(settings.threads.get()));
    let proxy = Proxy::start(settings, Arc::clone(&pool), &meter, clock, Arc::new(|_| {}))
        .map_err(|error| coded(error.into(), "choose another address with --listen", FAILED))?;
    proxy.router().replace(&routes(args));
    let stop = CancellationToken::new();
    let admin = wiring::fixed::start(wiring::fixed::Parts {
        admin: args.admin,
        token: args.admin_token.clone(),
        pool,
        meter,
        clock,
        stop: stop.clone(),
    })
    .await?;
    shutdown::listen(stop.clone())?;
    output::line(&format!("listening on http://{}", proxy.local_addr()));
    output::line(&format!("admin on http://{}", admin.local_addr));
    stop.cancelled().await;
    let cut = proxy.shutdown(REQUESTS_GRACE).await.cut;
    admin.finish().await;
    if cut > 0 {
        output::complain(&format!("warning: {cut} connections had not finished and were cut"));
    }
    Ok(())
}

fn routes(args: &BalanceArgs) -> Vec<Route> {
    let route = |(slot, backend): (u32, &BackendArg)| Route {
        id: WorkerId { slot, run: 1 },
        address: backend.address.clone(),
        weight: backend.weight,
        version: Version::default(),
    };
    (1..).zip(&args.backends).map(route).collect()
}

fn settings(args: &BalanceArgs, clock: Clock) -> anyhow::Result<proxy::Config> {
    let defaults = proxy::Config::new(args.listen);
    let rate_limit = args.rate_limit.map(rate(args.rate_burst)).transpose()?;
    Ok(proxy::Config {
        threads: args.threads.unwrap_or(defaults.threads),
        seed: clock.now().as_microsecond().unsigned_abs(),
        queue_max: args.queue.unwrap_or(defaults.queue_max),
        queue_timeout: args.queue_timeout,
        request_timeout: args.request_timeout,
        body_bytes_max: args.max_body,
        allowed: args.allow.clone(),
        trusted_proxies: args.trusted_proxy.clone(),
        rate_limit,
        health_check: health_check(args)?,
        ..defaults
    })
}

fn rate(burst: Option<f64>) -> impl Fn(f64) -> anyhow::Result<Rate> {
    move |per_second| {
        if !per_second.is_finite() || per_second <= 0.0 {
            return Err(anyhow::anyhow!("--rate-limit {per_second} lets nobody in")).hint("try 100");
        }
        Ok(Rate { per_second, burst: burst.unwrap_or(per_second * 2.0) })
    }
}

fn health_check(args: &BalanceArgs) -> anyhow::Result<Option<HealthCheck>> {
    let mut preset = match args.health_check {
        Preset::Off => return Ok(None),
        Preset::Local => HealthCheck::local(),
        Preset::Alb => HealthCheck::alb(),
    };
    if let Some(path) = &args.health_path {
        preset.path = path.parse().hint("--health-path is a path, as in /healthz")?;
    }
    Ok(Some(HealthCheck {
        path: preset.path,
        port: args.health_port,
        interval: args.health_interval.unwrap_or(preset.interval),
        timeout: args.health_timeout.unwrap_or(preset.timeout),
        healthy_threshold: args.healthy_threshold.unwrap_or(preset.healthy_threshold),
        unhealthy_threshold: args.unhealthy_threshold.unwrap_or(preset.unhealthy_threshold),
        matcher: args.matcher.clone().unwrap_or(preset.matcher),
    }))
}
