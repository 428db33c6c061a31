//! Arguments of the commands that learn from a trace: `gym`, `train-rl`, `advise`.

use std::path::PathBuf;

use clap::Args;

use super::{Output, ScenarioArgs, parse};

/// Arguments of `gym`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "One JSON object a line. Out: an observation with the reward of the time before it,
  {\"at_s\":15.0,\"desired\":3,\"ready\":3,\"starting\":0,\"cpu_percent\":62.1,…,\"cost\":45.0,\"penalty\":0.0,\"reward\":-45.0}
in: an action,
  {\"replicas\":4}  or  {\"change\":1}
and at the end {\"done\":true,\"score\":{…}}. Reward = -cost -penalty: worker-seconds paid for, and κ times those missing.

Examples:
  autoscale gym --trace requests.csv                    by hand
  python3 examples/gym_agent.py --trace requests.csv    an agent in Python that starts it")]
pub(crate) struct GymArgs {
    /// Load, as for `simulate`
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: PathBuf,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
}

/// Arguments of `train-rl`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  autoscale train-rl --trace requests.csv --out rl.json
  autoscale simulate --trace other.csv --policies rl.json,hpa,optimal")]
pub(crate) struct TrainRlArgs {
    /// Load, as for `simulate`
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: PathBuf,
    /// Where to write the table, as a policy file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// How often it passes over the part that it learns from
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    pub(crate) episodes: u32,
    /// The seed of what it tries
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Share of the scored time that it learns from; it is judged on the rest
    #[arg(long, default_value = "70%", value_parser = parse::share, value_name = "SHARE")]
    pub(crate) seen: f64,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
}

/// Arguments of `advise`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  autoscale advise requests.csv
  autoscale advise requests.csv --start-up 2m --kappa 100 -o json")]
pub(crate) struct AdviseArgs {
    /// Load, as for `simulate`
    #[arg(value_name = "TRACE")]
    pub(crate) trace: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
}
