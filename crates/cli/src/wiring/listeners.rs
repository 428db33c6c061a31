//! The two addresses of a pool, and what happens when another program has one.

use std::sync::Arc;

use admin::{AdminConfig, Ports};
use clock::Clock;
use proxy::Proxy;
use tokio_util::sync::CancellationToken;

use super::Taken;
use crate::config::Config;
use crate::failure::{FAILED, coded};

/// Ports tried beyond the one asked for.
const PORTS_TRIED: u16 = 100;

pub(super) fn balancer(
    config: &Config,
    seed: u64,
    taken: Taken,
    notices: &mut Vec<String>,
    start: impl Fn(proxy::Config) -> Result<Proxy, proxy::StartError>,
) -> anyhow::Result<Proxy> {
    let mut listen = config.listen;
    for _ in 0..PORTS_TRIED {
        let settings =
            proxy::Config { seed, queue_timeout: config.proxy.queue_timeout, ..proxy::Config::new(listen) };
        match start(settings) {
            Ok(proxy) => {
                if listen != config.listen {
                    notices.push(format!("port {} is taken: balancing on {listen}", config.listen.port()));
                }
                return Ok(proxy);
            }
            Err(proxy::StartError::Listen { cause, .. })
                if taken == Taken::Next && cause.kind() == std::io::ErrorKind::AddrInUse =>
            {
                listen.set_port(listen.port().wrapping_add(1));
            }
            Err(error) => {
                let advice = "choose another address with --listen; port 0 takes any free one";
                return Err(coded(error.into(), advice, FAILED));
            }
        }
    }
    Err(coded(anyhow::anyhow!("no free port from {} on", config.listen), "choose one with --listen", FAILED))
}

pub(super) async fn admin_api(
    config: &Config,
    ports: Arc<Ports>,
    clock: Clock,
    stop: &CancellationToken,
    taken: Taken,
    notices: &mut Vec<String>,
) -> anyhow::Result<admin::Handle> {
    let mut listen = config.admin;
    for _ in 0..PORTS_TRIED {
        let settings = AdminConfig { listen, token: config.admin_token.clone(), hosts: Vec::new() };
        match admin::serve(settings, Arc::clone(&ports), clock, stop.clone()).await {
            Ok(server) => {
                if listen != config.admin {
                    notices.push(format!("port {} is taken: admin API on {listen}", config.admin.port()));
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
    Err(coded(anyhow::anyhow!("no free port from {} on", config.admin), "choose one with --admin", FAILED))
}
