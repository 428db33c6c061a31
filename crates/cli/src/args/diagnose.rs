//! Arguments of `diagnose`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// What is wrong with it
    #[command(subcommand)]
    pub(crate) complaint: Complaint,
}

/// What can be wrong with a run.
#[derive(Debug, Subcommand)]
pub(crate) enum Complaint {
    /// It grows and shrinks again and again: the cause, and the smallest fix, tried on its load
    #[command(after_help = "Examples:
  autoscale run --record run.db
  autoscale diagnose flap run.db
  autoscale diagnose flap run.db -o json")]
    Flap {
        /// The run file
        run: PathBuf,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
}
