//! `autoscale decide`: observations in, decisions out, one JSON object a line. No clock, no
//! network: the pure core at the command line.

use std::io::BufRead;

use anyhow::Context;
use control::decide::Decider;

use crate::args::DecideArgs;
use crate::config;
use crate::failure::Hint;
use crate::output;

/// Runs the command: reads standard input to its end.
pub(crate) fn run(args: &DecideArgs) -> anyhow::Result<()> {
    let mut config = config::policy(&args.policy)?;
    config.min = args.min.unwrap_or(config.min);
    config.max = args.max.unwrap_or(config.max);
    config.shadows = config::listed_shadows(&args.shadow.join(","))?;
    let mut decider = Decider::new(config).hint("`autoscale policy list` shows which there are")?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input cannot be read")?;
        if line.trim().is_empty() {
            continue;
        }
        let decision =
            decider.line(&line).hint("crates/control/schema/observation.schema.json describes a line")?;
        if !output::line(&serde_json::to_string(&decision)?) {
            break;
        }
    }
    Ok(())
}
