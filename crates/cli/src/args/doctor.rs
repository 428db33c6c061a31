//! Arguments of `doctor`.

use std::time::Duration;

use clap::{Args, Subcommand};
use control::span;

use super::AskArgs;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    pub(crate) command: DoctorCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DoctorCommand {
    /// Step the pool under constant load and say whether a signal falls when a worker is added
    Signal(DoctorSignalArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale run --min 1 --max 4                                   in one terminal
  autoscale load http://127.0.0.1:8000 --rate 30 -d 5m            in another: constant load
  autoscale doctor signal                                         the signal that the policy follows
  autoscale doctor signal --signal host_cpu --to 3 -o json")]
pub(crate) struct DoctorSignalArgs {
    /// Which signal, as in host_cpu or custom:NAME [default: the one that the policy follows]
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) signal: Option<String>,
    /// First number of workers [default: the pool's lower bound, at least 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) from: Option<u32>,
    /// Last number of workers [default: the pool's upper bound]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) to: Option<u32>,
    /// Time to settle after each step, before measuring
    #[arg(long, value_parser = span::parse, value_name = "TIME", default_value = "5s")]
    pub(crate) settle: Duration,
    /// Time to measure at each step
    #[arg(long, value_parser = span::parse, value_name = "TIME", default_value = "10s")]
    pub(crate) measure: Duration,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}
