//! Arguments of `tune` and of the tests of policies.

use std::path::PathBuf;

use clap::Args;

use super::{Output, ScenarioArgs, parse};

/// Arguments of `tune`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The first 70 % of the scored time are searched; the rest, which the search has not seen, says
what the settings are worth and, by redrawing its blocks of time, how sure each objective is.

Examples:
  autoscale tune --trace requests.csv --slo 'late<1%'
  autoscale tune --trace requests.csv --policy threshold --slo 'late<0.5%,p99<2s' --evaluations 1000
  autoscale tune --trace requests.csv --kappa 100 -o json"
)]
pub(crate) struct TuneArgs {
    /// Load, as for `simulate`; several with commas, each tuned by itself
    #[arg(long, value_name = "FILE,…", required = true, value_delimiter = ',')]
    pub(crate) trace: Vec<PathBuf>,
    /// Whose settings: hpa, threshold or target_tracking
    #[arg(long, default_value = "hpa", value_name = "NAME")]
    pub(crate) policy: String,
    /// What must hold, as in late<1%, violated<5%, dropped<0.1%, p99<2s or any number of `simulate -o json`;
    /// several with commas. Under it the fewest worker-seconds are searched; without, the least cost
    #[arg(long, value_name = "BOUND,…", value_delimiter = ',')]
    pub(crate) slo: Vec<String>,
    /// How many runs the search may take
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000), value_name = "N")]
    pub(crate) evaluations: u64,
    /// The seed of the search
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Share of the scored time that the search sees
    #[arg(long, default_value = "70%", value_parser = parse::share, value_name = "SHARE")]
    pub(crate) seen: f64,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// How many threads [default: one a core]; the result is the same on any number
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// No progress on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Arguments of `policy test`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "A file of tests:
  [[test]]
  trace = \"requests.csv\"                # beside this file
  policy = \"hpa:target=60\"
  start_up = \"30s\"                      # or kappa, peak_workers, worker_rate, decide_every, …
  expect = [\"late<1%\", \"cost_ratio<1.6\", \"longest<5m\", \"flaps_per_hour<2\"]

Exit code 99 if a bound is broken.")]
pub(crate) struct PolicyTestArgs {
    /// The file, TOML
    pub(crate) file: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
