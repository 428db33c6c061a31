//! `autoscale diagnose`: what is wrong with a recorded run, and what mends it.

use std::path::Path;

use control::{ControllerConfig, Cycle};
use simulator::Trace;
use simulator::diagnose::{self, Diagnosis, Outcome};

use crate::args::{Complaint, DiagnoseArgs, Output};
use crate::commands::replay::open;
use crate::commands::simulate::refused;
use crate::failure::{FAILED, Hint};
use crate::output;
use crate::session::Recorded;

/// Runs the command.
pub(crate) fn run(args: &DiagnoseArgs) -> anyhow::Result<()> {
    let Complaint::Flap { run, output } = &args.complaint;
    let (control, cycles) = last_session(run)?;
    let name = run.file_stem().unwrap_or(run.as_os_str()).to_string_lossy();
    let (trace, measured) = Trace::of_run(&name, &cycles)
        .coded("record a longer run with `autoscale run --record FILE`", FAILED)?;
    let diagnosis = diagnose::flap(&cycles, &trace, &measured, &control).map_err(refused)?;
    match output {
        Output::Json => return output::value(&diagnosis, false),
        Output::Yaml => return output::value(&diagnosis, true),
        Output::Table => tell(&diagnosis, &control.policy.name),
    }
    Ok(())
}

/// The last session: it has one configuration.
fn last_session(path: &Path) -> anyhow::Result<(ControllerConfig, Vec<Cycle>)> {
    let reader = open(path)?;
    let session = reader.last_session()?.ok_or_else(|| anyhow::anyhow!("no session in it"));
    let session = session.coded("name a file written by `autoscale run --record FILE`", FAILED)?;
    let cycles: Result<Vec<Cycle>, _> =
        reader.cycles(session.id)?.map(|row| row.map(|row| row.cycle)).collect();
    let recorded: Recorded = serde_json::from_value(session.header.config)?;
    Ok((recorded.control, cycles?))
}

fn tell(diagnosis: &Diagnosis, policy: &str) {
    let findings = &diagnosis.findings;
    output::line(&format!(
        "{} changes in {} turns under {policy}, {} of them turned around soon: {:.1} an hour",
        findings.changes, findings.turns, findings.flaps, findings.flaps_per_hour
    ));
    let Some(cause) = findings.cause else {
        output::line("it does not swing");
        return;
    };
    output::line(&format!("cause     {}", cause.about()));
    output::line(&format!("seen      {}", findings.evidence));
    let others = findings.votes.iter().filter(|(other, _)| **other != cause);
    for (other, count) in others {
        output::line(&format!("          {count} of {} rather: {}", findings.flaps, other.about()));
    }
    let Some(before) = &diagnosis.before else {
        output::line("fix       not tried: the run has no CPU readings to size its workers by");
        return;
    };
    output::line("");
    output::line("its load run again:                        flaps/h  late req  worker-s  cost/opt");
    row("as it was", before);
    for tried in &diagnosis.tried {
        row(&tried.fix.text, &tried.outcome);
    }
    output::line("");
    output::line(&match &diagnosis.mended {
        Some(mended) => format!("fix       --policy {mended}"),
        None if before.flaps_per_hour <= 0.0 => {
            "fix       unknown: its load run again does not swing, so nothing can be tried on it".to_owned()
        }
        None => "fix       none of these ends it without more late requests".to_owned(),
    });
    if let Some(beside) = diagnosis.tried.first().and_then(|tried| tried.fix.beside) {
        output::line(&format!("          better: {beside}"));
    }
}

fn row(name: &str, outcome: &Outcome) {
    output::line(&format!(
        "  {name:39}  {:7.1}  {:7.2}%  {:8.0}  {:8.3}",
        outcome.flaps_per_hour,
        100.0 * outcome.late_request_share,
        outcome.worker_seconds,
        outcome.cost_ratio
    ));
}
