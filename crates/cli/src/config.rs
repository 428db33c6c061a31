//! What the arguments, the file and the defaults amount to: no `Option` left, units checked.

mod file;
pub(crate) mod policy_file;
mod resolve;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use control::{ControllerConfig, Victims};
use proxy::HealthCheck;
use traffic::{AdaptiveRule, Ejection, HedgeAfter, Version};

use crate::args::BackendArg;

pub(crate) use resolve::{Origin, listed_shadows, policy, refused, reload, resolve, resolve_balance};

/// A run, settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) admin: Admin,
    /// What the controller decides by; recorded in the run file.
    pub(crate) control: ControllerConfig,
    pub(crate) pool: Pool,
    pub(crate) balancer: Balancer,
    /// Model that forecasts the signal; `None`: none does.
    pub(crate) forecast: Option<String>,
    pub(crate) record: Option<PathBuf>,
    /// `None`: from the clock.
    pub(crate) seed: Option<u64>,
    pub(crate) dry_run: bool,
    pub(crate) plain: bool,
}

impl Config {
    /// Whether lines are printed instead of a screen.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain || !std::io::stdout().is_terminal()
    }
}

/// The workers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pool {
    /// Empty: the demo worker.
    pub(crate) command: Vec<String>,
    pub(crate) worker_port: u16,
    /// In cores; a worker's CPU percent is of this.
    pub(crate) worker_cpus: f64,
    /// Startup, readiness and liveness: one probe, read with three kinds of patience.
    pub(crate) health: HealthCheck,
    pub(crate) start_up_deadline: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) kill_deadline: Duration,
    pub(crate) liveness_timeout: Duration,
    /// Who goes at a scale-in.
    pub(crate) victims: Victims,
}

/// The admin API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
    pub(crate) token: Option<String>,
}

/// The balancer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Balancer {
    pub(crate) proxy: proxy::Config,
    pub(crate) algorithm: String,
    /// Empty: no split.
    pub(crate) split: Vec<(Version, u32)>,
    pub(crate) slow_start: Duration,
    /// `None`: no limit.
    pub(crate) max_in_flight: Option<NonZeroU32>,
    /// Learns that limit; `None`: nothing does.
    pub(crate) adaptive: Option<AdaptiveRule>,
    /// Share of failed requests at which none is sent for a while; `None`: they always are.
    pub(crate) circuit_breaker: Option<f64>,
    /// When a second worker is asked too; `None`: never.
    pub(crate) hedge_after: Option<HedgeAfter>,
    pub(crate) ejection: Ejection,
    pub(crate) transport: Transport,
    pub(crate) access_log: Option<AccessLogTo>,
}

/// The connections of clients.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transport {
    /// `None`: plain HTTP.
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) redirect_from: Option<SocketAddr>,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where and how requests are written down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessLogTo {
    /// `-`: stdout.
    pub(crate) file: String,
    pub(crate) format: proxy::LogFormat,
}

/// The balancer alone, settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BalanceConfig {
    pub(crate) admin: Admin,
    pub(crate) balancer: Balancer,
    pub(crate) backends: Vec<BackendArg>,
}
