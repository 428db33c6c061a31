//! Arguments of `run`, shared by `demo`. All are optional here: what is left out comes from
//! the configuration file or the defaults.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use control::span;

use super::{BalancerArgs, DoorArgs, parse};

/// Arguments of `run`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  autoscale run                                        the demo app, 1 to 5 workers
  autoscale run --min 2 --max 4 --up 80 --down 20
  autoscale run -- python3 -m http.server '$PORT'      any app that listens on $PORT
  autoscale run --policy hpa --shadow threshold,kpa,aws  four policies on the same traffic, one acts
  autoscale run -- ./server --listen 127.0.0.1:{port}
  autoscale run -- gunicorn --bind unix:{socket} app:app
  autoscale run --config autoscale.toml --record run.db")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) door: DoorArgs,
    /// First port tried for workers [default: 5000]
    #[arg(short = 'p', long, value_name = "PORT", visible_alias = "port")]
    pub(crate) worker_port: Option<u16>,

    /// Fewest workers [default: 1]
    #[arg(long)]
    pub(crate) min: Option<u32>,
    /// Most workers [default: 5]
    #[arg(long)]
    pub(crate) max: Option<u32>,
    /// Scale out above this value of the signal [default: 35]
    #[arg(long, value_parser = parse::percent)]
    pub(crate) up: Option<f64>,
    /// Scale in below this value of the signal [default: 15]
    #[arg(long, value_parser = parse::percent)]
    pub(crate) down: Option<f64>,
    /// What is watched [default: worker_cpu]
    #[arg(long, value_name = "worker_cpu|host_cpu|rps|in_flight|latency_p95|queue_wait")]
    pub(crate) signal: Option<String>,
    /// Policy with settings (hpa:target=80), preset, or file, also a HorizontalPodAutoscaler
    /// [default: threshold]
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) policy: Option<String>,
    /// Policies that only watch, each on a virtual pool of its own; what they would have done
    /// stands beside the acting policy's decisions
    #[arg(long, value_name = "NAME,NAME:KEY=VALUE,FILE,…")]
    pub(crate) shadow: Vec<String>,
    /// Time between two decisions [default: 1s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) interval: Option<Duration>,
    /// Time after a scale-out without another [default: 3s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) cooldown_up: Option<Duration>,
    /// Time after any change without a scale-in [default: 5s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) cooldown_down: Option<Duration>,
    /// Time after becoming ready in which a worker's CPU does not count [default: 2s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) warm_up: Option<Duration>,

    /// Size of a worker in cores: its CPU percent is of this [default: 1; demo app: 0.25]
    #[arg(long, value_name = "CORES")]
    pub(crate) worker_cpus: Option<f64>,
    /// Time that a worker has to become ready [default: 30s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) start_up_deadline: Option<Duration>,
    /// Time that a worker taken out has for its requests [default: 30s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) drain_timeout: Option<Duration>,
    /// Time between TERM and KILL [default: 10s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) kill_deadline: Option<Duration>,
    /// Time that a worker may fail its probes before it is replaced [default: 10s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) liveness_timeout: Option<Duration>,

    /// Who goes at a scale-in; protected workers never do [default: newest]
    #[arg(long, value_name = "newest|oldest|idlest|most_memory|oldest_version")]
    pub(crate) victims: Option<String>,

    /// Write the run file here; an existing one is continued
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Model that forecasts the signal beside the loop, for /predict: a kind, champion:SUBJECT for one
    /// that was trained and promoted, or off [default: autoregressive]
    #[arg(long, value_name = "MODEL")]
    pub(crate) forecast: Option<String>,
    /// Seed of everything random [default: from the clock]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Decide and record, but change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Lines on stdout instead of the dashboard
    #[arg(long)]
    pub(crate) plain: bool,

    /// The app and its arguments; `$PORT` and `{port}` are replaced, and `{socket}` by the path of a
    /// Unix socket on which it is then spoken to: cheaper than a port
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,

    #[command(flatten)]
    pub(crate) balancer: BalancerArgs,
}
