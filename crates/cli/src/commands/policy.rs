//! `autoscale policy`: what can be chosen, what is in force and from where, what is wrong and what
//! is unwise.

mod assertions;

use std::path::Path;

use control::lint::{self, Need, RULES, Report, Severity};
use serde_json::json;
use simulator::{Load, Scenario, Size};

use super::simulate;
use crate::args::{CheckArgs, LintArgs, Output, PolicyArgs, PolicyCommand, RunArgs};
use crate::config::{self, Origin, resolve};
use crate::failure::{BREACHED, Hint, coded};
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
            Ok(())
        }
        PolicyCommand::Show(args) => show(&resolve(&args.run)?.origins, args.output),
        PolicyCommand::Check(args) => check(args),
        PolicyCommand::Test(args) => assertions::run(args),
        PolicyCommand::Lint(args) => examine(args),
    }
}

fn show(origins: &[(String, String, Origin)], how: Output) -> anyhow::Result<()> {
    if how != Output::Table {
        let row = |(key, value, origin): &(String, String, Origin)| json!({"key": key, "value": value, "origin": origin.to_string()});
        let rows: Vec<_> = origins.iter().map(row).collect();
        return output::value(&rows, how == Output::Yaml);
    }
    let widest = origins.iter().map(|(key, ..)| key.len()).max().unwrap_or_default();
    for (key, value, origin) in origins {
        output::line(&format!("{key:widest$} {value:24} {origin}"));
    }
    Ok(())
}

/// Reads it as `run` would, and prints what was understood.
fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let path = Path::new(&args.policy);
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    if is_toml && !config::policy_file::is_policy(path) {
        let mut run = RunArgs::default();
        run.door.config = Some(path.to_owned());
        return show(&resolve(&run)?.origins, args.output);
    }
    let config = config::policy(&args.policy)?;
    let settings = control::policy::in_force(&config.policy).map_err(config::refused)?;
    if args.output != Output::Table {
        let understood = json!({"policy": config.policy.name, "min": config.min, "max": config.max,
                                "configured": config.policy.settings, "in_force": settings});
        return output::value(&understood, args.output == Output::Yaml);
    }
    output::line(&format!("policy   {}, {} to {} replicas", config.policy.name, config.min, config.max));
    for (key, value) in &settings {
        let origin = if config.policy.settings.contains_key(key) { "" } else { "  (default)" };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::line(&format!("  {key:26} {value}{origin}"));
    }
    Ok(())
}

fn examine(args: &LintArgs) -> anyhow::Result<()> {
    if args.rules {
        for rule in RULES {
            output::line(&format!("{:24} {}", rule.name, rule.about));
        }
        return Ok(());
    }
    let config = resolve(&args.run)?.config.control;
    let need =
        args.trace.as_deref().zip(args.worker_rate).map(|(path, rate)| need(path, rate)).transpose()?;
    let report = lint::lint(&config, args.start_up, need.flatten()).map_err(config::refused)?;
    match args.output {
        Output::Table => table(&report),
        other => output::value(&report, other == Output::Yaml)?,
    }
    let serious = report.findings.iter().filter(|finding| finding.severity > Severity::Note).count();
    if args.strict && serious > 0 {
        return Err(coded(
            anyhow::anyhow!("{serious} findings are worse than a note"),
            "each one says how to mend it",
            BREACHED,
        ));
    }
    Ok(())
}

/// What recorded load needs of workers that serve `rate` requests a second.
fn need(path: &Path, rate: f64) -> anyhow::Result<Option<Need>> {
    let trace = simulate::read_as(path, None, None, true)?;
    let scenario = Scenario { size: Size::WorkerRate(rate), ..Scenario::default() };
    let load = Load::new(&trace, &scenario).hint("check --worker-rate and the trace")?;
    Ok(load.needs().map(|(least, most)| Need { most, least }))
}

fn table(report: &Report) {
    if report.findings.is_empty() {
        output::line("nothing unwise was found");
    }
    for finding in &report.findings {
        output::line(&format!("{:8} {}: {}", finding.severity.name(), finding.rule, finding.what));
        output::line(&format!("         {}", finding.arithmetic));
        output::line(&format!("         mend: {}", finding.mend));
    }
    if !report.margins.is_empty() {
        output::line("\nflap margin, points left before the other line:");
        for margin in &report.margins {
            output::line(&format!(
                "  {:>3} → {:<3} out {:+.1}, back {:+.1}",
                margin.from, margin.to, margin.out, margin.back
            ));
        }
    }
}
