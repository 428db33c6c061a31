//! Arguments of `verify`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(subcommand)]
    pub(crate) command: VerifyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// Prove from a run file that no request was lost: the ledger must balance in every turn
    NoLoss(NoLossArgs),
}

/// Arguments of `verify no-loss`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale run --record run.db
  autoscale verify no-loss run.db            exit 0: every request is accounted for
  autoscale verify no-loss run.db -o json | jq '.[].verdict'

Exit codes: 0 it balances, 1 it does not (the first violation is named), 3 the file has no ledger.")]
pub(crate) struct NoLossArgs {
    /// The run file
    pub(crate) run: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
