//! Arguments of `balance`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use control::span;
use traffic::Address;

use super::parse;

/// How backends are probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Every second; anything but a server error will do
    #[default]
    Local,
    /// As an AWS Application Load Balancer: every 30 s, 200 only
    Alb,
    /// Not at all: only their own answers count
    Off,
}

/// A server to balance over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendArg {
    pub(crate) address: Address,
    pub(crate) weight: u32,
}

/// Arguments of `balance`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale balance --listen 127.0.0.1:8000 --backend 127.0.0.1:5001 --backend 127.0.0.1:5002
  autoscale balance --backend 127.0.0.1:5001,weight=3 --backend unix:/run/app.sock --algorithm weighted_round_robin")]
pub(crate) struct BalanceArgs {
    /// Address to listen on (port 0: any free one, printed)
    #[arg(long, value_parser = parse::address, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    pub(crate) listen: SocketAddr,
    /// A server to balance over: ADDR or unix:PATH, with ,weight=N if it is to get another share
    #[arg(long = "backend", value_parser = backend, value_name = "ADDR", required = true)]
    pub(crate) backends: Vec<BackendArg>,
    /// Address of the admin API
    #[arg(long, value_parser = parse::address, value_name = "ADDR", default_value = "127.0.0.1:9900")]
    pub(crate) admin: SocketAddr,
    /// Token that the admin API asks for; needed off loopback
    #[arg(long, env = "AUTOSCALE_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) admin_token: Option<String>,
    /// Who takes the next request
    #[arg(long, value_name = "NAME", default_value = traffic::balance::DEFAULT)]
    pub(crate) algorithm: String,
    /// Threads that serve [default: one a core, at most 4]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
    /// Requests at one backend at most; more wait [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) max_in_flight: Option<u32>,
    /// Requests that wait at most [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) queue: Option<usize>,
    /// How long a request waits for a backend before 503
    #[arg(long, value_parser = span::parse, value_name = "TIME", default_value = "5s")]
    pub(crate) queue_timeout: Duration,
    /// How long a request may take until its answer begins, before 504 [default: no limit]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) request_timeout: Option<Duration>,
    /// Longest body of a request in bytes, before 413 [default: no limit]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body: Option<u64>,
    /// How long a backend that is new takes less than its share
    #[arg(long, value_parser = span::parse, value_name = "TIME", default_value = "0s")]
    pub(crate) slow_start: Duration,
    /// Requests a second that one address may send, before 429 [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<f64>,
    /// Requests that one address may send at once [default: twice the rate]
    #[arg(long, value_name = "N", requires = "rate_limit")]
    pub(crate) rate_burst: Option<f64>,
    /// Who may ask, as in 10.0.0.0/8; others get 403; may be repeated [default: everybody]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) allow: Vec<proxy::Network>,
    /// Whose X-Forwarded-* fields are believed, as in 10.0.0.0/8; may be repeated [default: nobody's]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) trusted_proxy: Vec<proxy::Network>,
    /// How backends are probed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) health_check: Preset,
    /// Path that probes ask for [default: that of the preset]
    #[arg(long, value_name = "PATH")]
    pub(crate) health_path: Option<String>,
    /// Port that probes ask at [default: that of the backend]
    #[arg(long, value_name = "PORT")]
    pub(crate) health_port: Option<u16>,
    /// Time between two probes of a backend
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) health_interval: Option<Duration>,
    /// Time that a probe may take
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) health_timeout: Option<Duration>,
    /// Probes in a row that bring a backend back
    #[arg(long, value_name = "N")]
    pub(crate) healthy_threshold: Option<u32>,
    /// Probes in a row that take a backend out
    #[arg(long, value_name = "N")]
    pub(crate) unhealthy_threshold: Option<u32>,
    /// Statuses that pass a probe, as in 200-299,302
    #[arg(long, value_name = "STATUSES")]
    pub(crate) matcher: Option<proxy::Matcher>,
}

/// `127.0.0.1:5001`, `:5001`, `unix:/path`, each with `,weight=3` or not.
fn backend(text: &str) -> Result<BackendArg, String> {
    let (address, weight) = match text.rsplit_once(",weight=") {
        Some((address, weight)) => {
            let weight = weight.parse().map_err(|_| format!("`{weight}` is no weight (try 1, 2, 3)"))?;
            (address, weight)
        }
        None => (text, 1),
    };
    let address = match address.strip_prefix("unix:") {
        Some(path) => Address::Unix(PathBuf::from(path)),
        None => Address::Tcp(parse::address(address)?),
    };
    Ok(BackendArg { address, weight })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_have_an_address_and_perhaps_a_weight() {
        let tcp = Address::Tcp(([127, 0, 0, 1], 5001).into());
        assert_eq!(backend("127.0.0.1:5001"), Ok(BackendArg { address: tcp.clone(), weight: 1 }));
        assert_eq!(backend(":5001,weight=3"), Ok(BackendArg { address: tcp, weight: 3 }));
        let unix = Address::Unix("/run/a.sock".into());
        assert_eq!(backend("unix:/run/a.sock"), Ok(BackendArg { address: unix, weight: 1 }));
        assert!(backend("nowhere").is_err() && backend(":5001,weight=x").is_err());
    }
}
