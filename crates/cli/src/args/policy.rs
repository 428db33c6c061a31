//! Arguments of `policy`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use control::span;

use super::{Output, RunArgs};

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// The policies there are
    List,
    /// The settings that these arguments and files amount to, and where each comes from
    Show(Box<ShowArgs>),
    /// Read a policy or a file with one, say what was understood, or what is wrong and where
    Check(CheckArgs),
    /// What is unwise about a policy, with the arithmetic and how to mend it
    Lint(Box<LintArgs>),
    /// Assert bounds on what policies do to recorded load, as a file says
    Test(super::PolicyTestArgs),
}

/// Arguments of `policy show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale policy show --effective --config autoscale.toml
  autoscale policy show --max 8 -o json")]
pub(crate) struct ShowArgs {
    /// Everything that would be in force; what is shown in any case
    #[arg(long)]
    pub(crate) effective: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Arguments of `policy check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale policy check hpa.yaml
  autoscale policy check autoscale.toml
  autoscale policy check hpa:target=80,tolerance=0.05

Exit code 2 if it cannot be used; nothing is started, no cluster is asked.")]
pub(crate) struct CheckArgs {
    /// A policy with settings, a file with a policy or manifest, or an autoscale.toml
    #[arg(value_name = "NAME|FILE")]
    pub(crate) policy: String,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Arguments of `policy lint`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale policy lint --policy threshold --up 35 --down 20
  autoscale policy lint --policy hpa.yaml --start-up 90s
  autoscale policy lint --config autoscale.toml --trace requests.csv --worker-rate 50
  autoscale policy lint --rules

Exit code 99 with --strict if anything worse than a note was found.")]
pub(crate) struct LintArgs {
    /// From launch to ready
    #[arg(long, default_value = "2s", value_parser = span::parse, value_name = "TIME")]
    pub(crate) start_up: Duration,
    /// Recorded load that the pool must carry
    #[arg(long, value_name = "FILE", requires = "worker_rate")]
    pub(crate) trace: Option<PathBuf>,
    /// Requests a second that a busy worker serves
    #[arg(long, value_name = "RATE")]
    pub(crate) worker_rate: Option<f64>,
    /// List every rule there is
    #[arg(long)]
    pub(crate) rules: bool,
    /// Fail if anything worse than a note was found
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}
