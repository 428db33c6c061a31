//! `autoscale policy`: what can be chosen, and what is in force and from where.

use serde_json::json;

use crate::args::{Output, PolicyArgs, PolicyCommand};
use crate::config::{Origin, resolve};
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
            let origins = resolve(&args.run)?.origins;
            if args.output != Output::Table {
                let row = |(key, value, origin): &(String, String, Origin)| json!({"key": key, "value": value, "origin": origin.to_string()});
                let rows: Vec<_> = origins.iter().map(row).collect();
                return output::value(&rows, args.output == Output::Yaml);
            }
            let widest = origins.iter().map(|(key, ..)| key.len()).max().unwrap_or_default();
            for (key, value, origin) in origins {
                output::line(&format!("{key:widest$} {value:24} {origin}"));
            }
        }
    }
    Ok(())
}
