//! The two addresses of a pool, and what happens when another program has one.

use std::net::TcpListener;
use std::sync::Arc;

use admin::{AdminConfig, Ports};
use clock::Clock;
use proxy::Sockets;
use tokio_util::sync::CancellationToken;
use traffic::Pool;

use super::Taken;
use crate::config::{Balancer, Config};
use crate::failure::{FAILED, Hint, coded};

/// Ports tried beyond the one asked for.
const PORTS_TRIED: u16 = 100;

/// The pool that the balancer gives requests out of, without backends yet.
pub(crate) fn pool(settings: &Balancer) -> anyhow::Result<Arc<Pool>> {
    let balancer = traffic::balance::build(&settings.algorithm).hint("see `autoscale run --help`")?;
    let pool = Pool::with_ejection(balancer, settings.max_in_flight, settings.ejection);
    pool.set_adaptive_limit(settings.adaptive.as_ref());
    pool.set_circuit_breaker(settings.circuit_breaker);
    pool.set_hedge_after(settings.hedge_after);
    pool.set_slow_start(settings.slow_start);
    pool.set_split(&settings.split);
    Ok(pool)
}

/// Listens where `settings` say, or on the next free port, which they say then.
pub(super) fn sockets(
    settings: &mut proxy::Config,
    taken: Taken,
    notices: &mut Vec<String>,
) -> anyhow::Result<Sockets> {
    let asked = settings.listen;
    for _ in 0..PORTS_TRIED {
        match Sockets::bind(settings) {
            Ok(sockets) => {
                if settings.listen != asked {
                    notices.push(format!("port {} is taken: balancing on {}", asked.port(), settings.listen));
                }
                return Ok(sockets);
            }
            Err(proxy::StartError::Listen { cause, .. })
                if taken == Taken::Next && cause.kind() == std::io::ErrorKind::AddrInUse =>
            {
                settings.listen.set_port(settings.listen.port().wrapping_add(1));
            }
            Err(error) => {
                let advice = "choose another address with --listen; port 0 takes any free one";
                return Err(coded(error.into(), advice, FAILED));
            }
        }
    }
    Err(coded(anyhow::anyhow!("no free port from {asked} on"), "choose one with --listen", FAILED))
}

pub(super) async fn admin_api(
    config: &Config,
    ports: Arc<Ports>,
    clock: Clock,
    stop: &CancellationToken,
    (taken, mut socket): (Taken, Option<TcpListener>),
    notices: &mut Vec<String>,
) -> anyhow::Result<admin::Handle> {
    let asked = config.admin.listen;
    let mut listen = asked;
    for _ in 0..PORTS_TRIED {
        let settings = AdminConfig { listen, token: config.admin.token.clone(), hosts: Vec::new() };
        let served = match socket.take() {
            Some(socket) => admin::serve_on(socket, settings, Arc::clone(&ports), clock, stop.clone()),
            None => admin::serve(settings, Arc::clone(&ports), clock, stop.clone()).await,
        };
        match served {
            Ok(server) => {
                if listen != asked {
                    notices.push(format!("port {} is taken: admin API on {listen}", asked.port()));
                }
                return Ok(server);
            }
            Err(admin::ServeError::Bind { source, .. })
                if taken == Taken::Next && source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                listen.set_port(listen.port().wrapping_add(1));
            }
            Err(error) => {
                let advice = error.hint();
                return Err(coded(error.into(), advice, FAILED));
            }
        }
    }
    Err(coded(anyhow::anyhow!("no free port from {asked} on"), "choose one with --admin", FAILED))
}
