//! Arguments of every command that balances: `run`, `demo` and `balance` take the same ones. What
//! is left out comes from the configuration file or the defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use control::span;
use serde::Deserialize;

use super::{OverloadArgs, TransportArgs, parse};

/// Where it all is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DoorArgs {
    /// Address of the balancer; port 0 takes any free one [default: 127.0.0.1:8000]
    #[arg(long, value_parser = parse::address, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of the admin API [default: 127.0.0.1:9900]
    #[arg(long, value_parser = parse::address, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Token that the admin API asks for; needed off loopback
    #[arg(long, env = "AUTOSCALE_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) admin_token: Option<String>,
    /// Configuration file; flags go before it
    #[arg(long, env = "AUTOSCALE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// How requests are given out, kept waiting and refused.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Balancer")]
pub(crate) struct BalancerArgs {
    /// Who takes the next request [default: least_connections]
    #[arg(long, value_name = "NAME")]
    pub(crate) algorithm: Option<String>,
    /// Share of requests by version of the app, as in 1=90,2=10 [default: no split]
    #[arg(long, value_name = "V=N,…")]
    pub(crate) split: Option<String>,
    /// How long a worker that is new takes less than its share [default: 0s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) slow_start: Option<Duration>,
    /// Threads that serve [default: one a core, at most 4]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,
    /// Requests at one worker at most; more wait [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) max_in_flight: Option<u32>,
    /// Requests that wait at most [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) queue: Option<u32>,
    /// How long a request waits for a worker before 503 [default: 5s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) queue_timeout: Option<Duration>,
    /// How long a request may take until its answer begins, before 504 [default: no limit]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) request_timeout: Option<Duration>,
    /// How long a worker may take to begin its answer, before 504 [default: 1m]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) first_byte_timeout: Option<Duration>,
    /// How long connecting to a worker may take [default: 1s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) connect_timeout: Option<Duration>,
    /// Client connections at once; idle ones give way to new ones, then 503 [default: 8192]
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<u32>,
    /// How long a request's head may take, before 408 [default: 10s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) header_timeout: Option<Duration>,
    /// How long a client's connection may lie idle [default: 1m]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) idle_timeout: Option<Duration>,
    /// How long a client may take nothing of its answer [default: 1m]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) send_timeout: Option<Duration>,
    /// Longest head of a request in bytes, before 431 [default: 65536]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_header: Option<u32>,
    /// Longest body of a request in bytes, before 413 [default: no limit]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body: Option<u64>,
    /// Requests a second that one address may send, before 429 [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<f64>,
    /// Requests that one address may send at once [default: twice the rate]
    #[arg(long, value_name = "N")]
    pub(crate) rate_burst: Option<f64>,
    /// Who may ask, as in 10.0.0.0/8; others get 403; may be repeated [default: everybody]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) allow: Vec<proxy::Network>,
    /// Whose X-Forwarded-* fields are believed, as in 10.0.0.0/8; may be repeated
    /// [default: nobody's]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) trusted_proxy: Vec<proxy::Network>,
    /// Whether answers say in Server-Timing how long they took [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) server_timing: Option<bool>,
    #[command(flatten)]
    pub(crate) transport: TransportArgs,
    /// Write each request down here; - is stdout [default: nowhere]
    #[arg(long, value_name = "FILE|-")]
    pub(crate) access_log: Option<String>,
    /// How: Apache's combined format with our times behind it, or JSON [default: combined]
    #[arg(long, value_name = "combined|json", value_enum, hide_possible_values = true)]
    pub(crate) access_log_format: Option<LogFormatArg>,
    #[command(flatten)]
    pub(crate) health: HealthArgs,
    #[command(flatten)]
    pub(crate) ejection: EjectionArgs,
    #[command(flatten)]
    pub(crate) overload: OverloadArgs,
}

/// How workers are probed; the words are those of an ALB's target group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthPreset {
    /// Every second; anything but a server error will do
    #[default]
    Local,
    /// As an AWS Application Load Balancer: every 30 s, 200 only
    Alb,
    /// Not at all: only their own answers count (`balance` alone)
    Off,
}

impl std::fmt::Display for HealthPreset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Alb => "alb",
            Self::Off => "off",
        })
    }
}

/// How lines of the access log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormatArg {
    #[default]
    Combined,
    Json,
}

impl std::fmt::Display for LogFormatArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Json { "json" } else { "combined" })
    }
}

/// Active probes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Health")]
pub(crate) struct HealthArgs {
    /// How workers are probed: every second, as an AWS load balancer (every 30 s, 200 only), or not
    /// at all, which `balance` alone can [default: local]
    #[arg(
        id = "health-check",
        long = "health-check",
        value_enum,
        hide_possible_values = true,
        value_name = "local|alb|off"
    )]
    pub(crate) preset: Option<HealthPreset>,
    /// Path that probes ask for [default: that of the preset: /healthz, or / as an ALB]
    #[arg(id = "health-path", long = "health-path", value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Port that probes ask at [default: the worker's own]
    #[arg(id = "health-port", long = "health-port", value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Time between two probes of a worker
    #[arg(id = "health-interval", long = "health-interval", value_parser = span::parse, value_name = "TIME")]
    pub(crate) interval: Option<Duration>,
    /// Time that a probe may take
    #[arg(id = "health-timeout", long = "health-timeout", value_parser = span::parse, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// Probes in a row that bring a worker back
    #[arg(long, value_name = "N")]
    pub(crate) healthy_threshold: Option<u32>,
    /// Probes in a row that take a worker out
    #[arg(long, value_name = "N")]
    pub(crate) unhealthy_threshold: Option<u32>,
    /// Statuses that pass a probe, as in 200-299,302
    #[arg(long, value_name = "STATUSES")]
    pub(crate) matcher: Option<proxy::Matcher>,
    /// Time after its start in which a worker's failed probes do not count [default: 0s]
    #[arg(id = "health-grace-period", long = "health-grace-period", value_parser = span::parse, value_name = "TIME")]
    pub(crate) grace_period: Option<Duration>,
}

/// When a worker's own answers take it out of service.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Ejection")]
pub(crate) struct EjectionArgs {
    /// Failures in a row that take a worker out for a while; 0: never [default: 5]
    #[arg(id = "eject-after", long = "eject-after", value_name = "N")]
    pub(crate) consecutive: Option<u32>,
    /// Share of failed requests that does, as in 0.5 or 50% [default: 50%]
    #[arg(id = "eject-ratio", long = "eject-ratio", value_parser = parse::share, value_name = "SHARE")]
    pub(crate) failure_ratio: Option<f64>,
    /// Requests that there must be for that within 10 s [default: 20]
    #[arg(id = "eject-volume", long = "eject-volume", value_name = "N")]
    pub(crate) volume_min: Option<u32>,
    /// How long the first time; each further one is twice as long [default: 1s]
    #[arg(id = "eject-base", long = "eject-base", value_parser = span::parse, value_name = "TIME")]
    pub(crate) base: Option<Duration>,
    /// How long at the most [default: 1m]
    #[arg(id = "eject-longest", long = "eject-longest", value_parser = span::parse, value_name = "TIME")]
    pub(crate) longest: Option<Duration>,
}
