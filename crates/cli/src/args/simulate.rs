//! Arguments of `simulate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use control::span;
use simulator::des::{Credits, Law};

use super::parse;

/// Arguments of `simulate`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Policies are those of `autoscale policy list`, with settings (hpa:target=80), presets and
files; and as yardsticks:
  optimal       the best schedule that anyone could have had, knowing the future
  best_static   the constant number that turns out to be cheapest
  static:N      always N
  hpa_tuned     an HPA with the target and window that turn out to be cheapest

Examples:
  autoscale simulate --trace requests.csv --policies hpa,threshold,best_static,optimal
  autoscale simulate --trace access.log --policies hpa:target=60,hpa:target=80 --start-up 2s,30s,2m
  autoscale simulate --trace cloudwatch.json --policies hpa.yaml,optimal -o json
  autoscale simulate --trace requests.csv --policies hpa,threshold,optimal --html report.html
  autoscale simulate --trace requests.csv --policies hpa --watch --warp 1440x
  autoscale simulate --trace requests.csv --policies hpa,static:4 --costs examples/costs.toml"
)]
pub(crate) struct SimulateArgs {
    /// Load: CSV (time_s,value or time_s), JSON of CloudWatch or Prometheus, or an access log; several with commas
    #[arg(long, value_name = "FILE,…", required_unless_present_any = ["file", "chaos"], value_delimiter = ',')]
    pub(crate) trace: Vec<PathBuf>,
    /// A scenario file (TOML) in place of a trace: load, faults and policies, told turn by turn
    #[arg(long = "scenario", value_name = "FILE", conflicts_with = "trace")]
    pub(crate) file: Option<PathBuf>,
    /// A scenario made up from --seed: crashes, hangs, gaps; whatever happens, nothing may break
    #[arg(long, conflicts_with_all = ["trace", "file"])]
    pub(crate) chaos: bool,
    /// Write the run of the one policy as a run file, for `report`, `why --run` and `replay`
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Watch the first policy at work on the dashboard, in virtual time; the scores follow
    #[arg(long)]
    pub(crate) watch: bool,
    /// Recorded seconds in a second of watching, as in 1440x: a day in a minute [default: all of it in a minute]
    #[arg(long, allow_negative_numbers = true, value_parser = parse::times, value_name = "TIMES", requires = "watch")]
    pub(crate) warp: Option<f64>,
    /// Who decides, several with commas
    #[arg(
        long,
        visible_alias = "policy",
        value_name = "A,B,…",
        default_value = "hpa,threshold,best_static,optimal"
    )]
    pub(crate) policies: String,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Print,
    /// Also write one self-contained page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also in money: a cost file (TOML) with the price of a worker-hour and carbon intensity
    #[arg(long, value_name = "FILE")]
    pub(crate) costs: Option<PathBuf>,
    /// Also the lateness ledger: what each late scale-out waited for
    #[arg(long)]
    pub(crate) ledger: bool,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// How many threads [default: one a core]; the result is the same on any number
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// No progress on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
    // Last: what follows a heading stands under it.
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// What a simulation assumes beside the trace.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// Workers that the 99.9th percentile of the load needs; the load is scaled to that
    #[arg(
        long,
        allow_negative_numbers = true,
        default_value_t = 20.0,
        value_name = "N",
        conflicts_with = "worker_rate"
    )]
    pub(crate) peak_workers: f64,
    /// Requests a second that a busy worker serves, in place of --peak-workers: the load stays as it is
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    pub(crate) worker_rate: Option<f64>,
    /// Time between two decisions
    #[arg(long, default_value = "15s", value_parser = span::parse, value_name = "TIME")]
    pub(crate) decide_every: Duration,
    /// Highest utilisation that still meets the latency objective (0.85 or 85%)
    #[arg(long, allow_negative_numbers = true, default_value = "0.85", value_parser = parse::share, value_name = "SHARE")]
    pub(crate) slo_utilisation: f64,
    /// Price of a worker-second of missing capacity, in worker-seconds
    #[arg(long, allow_negative_numbers = true, default_value_t = 10.0, value_name = "PRICE")]
    pub(crate) kappa: f64,
    /// From launch to ready; several with commas
    #[arg(long, default_value = "30s", value_parser = span::parse, value_delimiter = ',', value_name = "TIME,…")]
    pub(crate) start_up: Vec<Duration>,
    /// Fewest workers
    #[arg(long, default_value_t = 1)]
    pub(crate) min: u32,
    /// Most workers [default: none; 10,000 are simulated at most]
    #[arg(long)]
    pub(crate) max: Option<u32>,
    /// Let the trace run this many times faster
    #[arg(long, allow_negative_numbers = true, default_value_t = 1.0, value_name = "TIMES")]
    pub(crate) compress: f64,
    /// CPU time of a request, for latencies
    #[arg(long, default_value = "100ms", value_parser = span::parse, value_name = "TIME")]
    pub(crate) service_time: Duration,
    /// A request that would wait longer leaves
    #[arg(long, default_value = "10s", value_parser = span::parse, value_name = "TIME")]
    pub(crate) patience: Duration,
    /// Age of a measurement when a policy gets it
    #[arg(long, default_value = "0s", value_parser = span::parse, value_name = "TIME")]
    pub(crate) metric_delay: Duration,
    /// From the order to stop until a worker is gone
    #[arg(long, default_value = "0s", value_parser = span::parse, value_name = "TIME")]
    pub(crate) drain: Duration,
    /// Length of a bucket of the trace [default: as its time stamps say]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) bucket: Option<Duration>,
    /// What the trace's values are [default: as the form says, else requests per bucket]
    #[arg(long, value_enum)]
    pub(crate) kind: Option<ValueKind>,
}

/// What runs the load. Commands that learn or search run it often, always on the quick one.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    /// fluid: requests as a stream, for speed; des: every request by itself
    #[arg(id = "engine", long = "engine", value_enum, default_value_t)]
    pub(crate) name: EngineName,
    #[command(flatten)]
    pub(crate) des: DesArgs,
}

/// The engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    #[default]
    Fluid,
    Des,
}

/// Stands over what only `--engine des` knows, and tells it from the rest.
pub(super) const SINGLE_REQUESTS: &str = "Single requests (--engine des)";

/// What only `--engine des` knows.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = SINGLE_REQUESTS)]
pub(crate) struct DesArgs {
    /// How many runs, each with another seed; results are means with their spread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000), value_name = "N")]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How a request's CPU time varies: constant, exponential or lognormal:CV
    #[arg(long, default_value = "exponential", value_parser = law, value_name = "LAW")]
    pub(crate) service_law: Law,
    /// How the start-up delay varies
    #[arg(long, default_value = "constant", value_parser = law, value_name = "LAW")]
    pub(crate) start_up_law: Law,
    /// Who gets the next request
    #[arg(long, default_value = traffic::balance::DEFAULT, value_name = "NAME")]
    pub(crate) algorithm: String,
    /// Requests that a worker is given at most, others wait (0: no limit)
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub(crate) max_in_flight: u32,
    /// A worker's process ends by itself so many times an hour
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0, value_name = "PER HOUR")]
    pub(crate) crashes: f64,
    /// A worker stops answering so many times an hour
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0, value_name = "PER HOUR")]
    pub(crate) hangs: f64,
    /// Share of the measurements that are lost
    #[arg(long, allow_negative_numbers = true, default_value = "0", value_parser = parse::share, value_name = "SHARE")]
    pub(crate) metric_loss: f64,
    /// A worker is taken back by its provider so many times an hour, as spot instances are
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0, value_name = "PER HOUR")]
    pub(crate) interruptions: f64,
    /// So long before, that is announced: the worker gets no more requests, and its successor starts
    #[arg(long, default_value = "2m", value_parser = span::parse, value_name = "TIME")]
    pub(crate) notice: Duration,
    /// Regions that workers are spread over
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) regions: u32,
    /// When a region is lost with all its workers, after the start; several with commas
    #[arg(long, value_parser = span::parse, value_delimiter = ',', value_name = "TIME,…")]
    pub(crate) lose_region: Vec<Duration>,
    /// Burstable workers on CPU credits: steady, t3.micro, t3.small, … or credits:BASELINE,LAUNCH_SECONDS
    #[arg(long, default_value = "steady", value_name = "MODEL")]
    pub(crate) worker_model: WorkerModel,
    /// A new worker is slow for this long
    #[arg(long, default_value = "0s", value_parser = span::parse, value_name = "TIME")]
    pub(crate) warm_up: Duration,
    /// How slow: its share of the full speed
    #[arg(long, allow_negative_numbers = true, default_value = "0.5", value_parser = parse::share, value_name = "SHARE")]
    pub(crate) warm_up_speed: f64,
}

/// What workers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WorkerModel(pub(crate) Option<Credits>);

impl std::str::FromStr for WorkerModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "steady" {
            Ok(Self(None))
        } else {
            Credits::parse(text).map(|credits| Self(Some(credits)))
        }
    }
}

fn law(text: &str) -> Result<Law, String> {
    match text.split_once(':') {
        None if text == "constant" => Ok(Law::Constant),
        None if text == "exponential" => Ok(Law::Exponential),
        Some(("lognormal", variation)) => match variation.parse::<f64>() {
            Ok(variation) if variation.is_finite() && variation > 0.0 => Ok(Law::Lognormal(variation)),
            _ => Err(format!("`{variation}` is no coefficient of variation (try lognormal:1.5)")),
        },
        _ => Err(format!("`{text}` is no law (try constant, exponential or lognormal:1.5)")),
    }
}

/// What a trace's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ValueKind {
    /// Requests counted per bucket
    RequestsPerBucket,
    /// Requests a second
    Rate,
    /// CPU percent, taken as load
    CpuPercent,
    /// Anything else, taken as load
    Other,
}

/// How to print results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Print {
    #[default]
    Table,
    Json,
    Csv,
    /// One self-contained page with plots
    Html,
}
