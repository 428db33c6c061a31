//! Arguments of `pause`, `boost` and `protect`: orders that stand beside the policy.

use std::time::Duration;

use clap::Args;
use control::span;

use super::SteerArgs;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale pause                            change nothing until `autoscale resume`
  autoscale pause --for 10m --at 3           hold three workers for ten minutes
  autoscale pause --scale-in-only --for 1h   more may come, none is taken away")]
pub(crate) struct PauseArgs {
    /// Resume by itself after this time
    #[arg(long = "for", value_parser = span::parse, value_name = "TIME")]
    pub(crate) length: Option<Duration>,
    /// Only nothing is taken away; more may come
    #[arg(long, visible_alias = "in-only", conflicts_with = "at")]
    pub(crate) scale_in_only: bool,
    /// Hold this many workers meanwhile
    #[arg(long, value_name = "N")]
    pub(crate) at: Option<u32>,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale boost --min 4 --for 10m          four or more for ten minutes; the policy goes on above that
  curl -d '{\"min\":4,\"for\":\"10m\"}' http://127.0.0.1:9900/api/v1/boost")]
pub(crate) struct BoostArgs {
    /// At least so many workers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) min: u32,
    /// For how long
    #[arg(long = "for", value_parser = span::parse, value_name = "TIME")]
    pub(crate) length: Duration,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale protect w2           w2 stays at every scale-in; the pool shrinks around it
  autoscale protect w2 --off     it may go again")]
pub(crate) struct ProtectArgs {
    /// Worker, as in w1 (see `autoscale ps`)
    pub(crate) id: String,
    /// End the protection
    #[arg(long)]
    pub(crate) off: bool,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}
