//! Arguments of `tls`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;

#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    #[command(subcommand)]
    pub(crate) command: TlsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TlsCommand {
    /// Make a development CA and a certificate of it; the CA that is there stays
    Init(TlsInitArgs),
}

/// Arguments of `tls init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale tls init                      for localhost, 127.0.0.1 and ::1
  autoscale tls init --name shop.test     for another name
  autoscale tls init --dir certs          elsewhere than in the state directory")]
pub(crate) struct TlsInitArgs {
    /// Name or address that the certificate is for; may be repeated
    #[arg(long = "name", value_name = "NAME", default_values_t = ["localhost", "127.0.0.1", "::1"].map(str::to_owned))]
    pub(crate) names: Vec<String>,
    /// Where to put the files [default: tls in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How to print where they are
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}
