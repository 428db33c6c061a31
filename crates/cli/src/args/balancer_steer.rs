//! Arguments of `balancer` and `targets`: the balancer of a running pool.

use std::time::Duration;

use clap::{Args, Subcommand};
use control::span;

use super::{AskArgs, SteerArgs, parse};

/// Arguments of `balancer`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale balancer show
  autoscale balancer set --algorithm p2c_peak_ewma --max-in-flight 16
  autoscale balancer set --split 1=90,2=10       one request in ten to version 2
  autoscale balancer weight w2 3                 three times the share of a worker of weight 1
  autoscale balancer add 127.0.0.1:5003          with `balance` alone")]
pub(crate) struct BalancerCommandArgs {
    #[command(subcommand)]
    pub(crate) command: BalancerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BalancerCommand {
    /// The settings in force
    Show(AskArgs),
    /// Change settings without losing a request; what is left out stays
    Set(Box<SetArgs>),
    /// Give a worker another share: a number, or `own` for what its route says
    Weight(WeightArgs),
    /// Balance over one server more (`balance` alone)
    Add(AddArgs),
    /// Take a server out; its requests end first (`balance` alone)
    Remove(RemoveArgs),
}

/// Arguments of `request`.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Its x-request-id, as answers carry it
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Who takes the next request
    #[arg(long, value_name = "NAME")]
    pub(crate) algorithm: Option<String>,
    /// Share of requests by version, as in 1=90,2=10; empty: no split
    #[arg(long, value_name = "V=N,…")]
    pub(crate) split: Option<String>,
    /// How long a new worker takes less than its share
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) slow_start: Option<Duration>,
    /// Requests at one worker at most; 0: no limit
    #[arg(long, value_name = "N")]
    pub(crate) max_in_flight: Option<u32>,
    /// How that limit is learned, as in gradient or aimd; off: it is not
    #[arg(long, value_name = "NAME|off")]
    pub(crate) adaptive_limit: Option<String>,
    /// Median time at a worker that aimd takes for too slow
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) adaptive_latency: Option<Duration>,
    /// Share of failed requests at which none is sent for a while; 0: they always are
    #[arg(long, value_parser = parse::share, value_name = "SHARE")]
    pub(crate) circuit_breaker: Option<f64>,
    /// When a GET is tried at a second worker too, as in 50ms or p95; off: never
    #[arg(long, value_name = "TIME|p95|off")]
    pub(crate) hedge_after: Option<String>,
    /// Requests that wait at most
    #[arg(long, value_name = "N")]
    pub(crate) queue: Option<u32>,
    /// How long a request waits for a worker before 503
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) queue_timeout: Option<Duration>,
    /// How long a request may take until its answer begins; 0s: no limit
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) request_timeout: Option<Duration>,
    /// Client connections at once; idle ones give way, others get 503
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<u32>,
    /// Longest body of a request in bytes; 0: no limit
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body: Option<u64>,
    /// Requests a second of one address; 0: no limit
    #[arg(long, value_name = "N")]
    pub(crate) rate_limit: Option<f64>,
    /// Of those at once
    #[arg(long, value_name = "N")]
    pub(crate) rate_burst: Option<f64>,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WeightArgs {
    /// Worker, as in w1 (see `autoscale targets`)
    pub(crate) id: String,
    /// Relative to the others; 0: no new request; own: as its route says
    #[arg(value_name = "N|own")]
    pub(crate) weight: String,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// ADDR or unix:PATH, with ,weight=N and ,version=N
    #[arg(value_name = "ADDR")]
    pub(crate) backend: String,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Server, as in w1 (see `autoscale targets`)
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}
