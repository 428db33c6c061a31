//! `autoscale policy`: what can be chosen, and what is in force and from where.

use crate::args::{PolicyArgs, PolicyCommand};
use crate::config::resolve;
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &PolicyArgs) -> anyhow::Result<()> {
    match &args.command {
        PolicyCommand::List => {
            for entry in control::POLICIES {
                output::line(&format!("{:16} {}", entry.name, entry.about));
            }
            for preset in control::PRESETS {
                output::line(&format!("{:16} preset: {}", preset.name, preset.about));
            }
        }
        PolicyCommand::Show(args) => {
            for (key, value, origin) in resolve(args)?.origins {
                output::line(&format!("{key:24} {value:24} {origin}"));
            }
        }
    }
    Ok(())
}
