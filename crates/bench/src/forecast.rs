//! Forecasts and the policies that use them, on recorded load, beside goals and baselines.

mod accuracy;
mod adversary;
mod beside;
mod chance;
mod costs;
mod speed;
mod tell;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use simulator::Trace;
use simulator::trace::Told;

use crate::results;

/// The traces of the goals; where a folder has others, those count instead.
const USUAL: [&str; 8] = [
    "cpu_asg_misconfiguration_300s",
    "cpu_ec2_ac20cd_300s",
    "llm_azure_conversation_1s",
    "net_uk_academic_300s",
    "tweets_counts_60s",
    "web_elb_requests_300s",
    "web_nasa_ksc_1995_60s",
    "web_worldcup98_match_1s",
];
/// Traces that the repository brings.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../simulator/tests/traces");

/// Runs the command; with `--only` those parts alone, and the others stay as they were written last.
pub(crate) fn run(options: &[&str]) -> anyhow::Result<()> {
    let folder = options.iter().position(|option| *option == "--traces");
    let folder = folder.map_or(Ok(OWN), |at| options.get(at + 1).copied().context("a folder is missing"))?;
    let only = options.iter().position(|option| *option == "--only");
    let only = only.map(|at| options.get(at + 1).copied().context("--only errors,costs,bad,beside"));
    let only = only.transpose()?.map(|names| names.split(',').collect::<Vec<_>>());
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.contains(&name));
    let traces = read(Path::new(folder))?;
    let found = tell::Found {
        errors: wanted("errors").then(|| errors(&traces)).transpose()?,
        costs: wanted("costs").then(|| costs::measure(&traces)).transpose()?,
        worst: wanted("bad").then(|| adversary::measure(&traces)).transpose()?,
        beside: wanted("beside").then(|| beside::measure(&traces)).transpose()?,
        traces: traces.iter().map(|trace| trace.name.clone()).collect(),
    };
    let text = tell::text(&found, &results::read());
    println!("{text}");
    if !options.contains(&"--dry") {
        results::write(&text)?;
    }
    Ok(())
}

fn errors(traces: &[Trace]) -> anyhow::Result<tell::Errors> {
    let series = traces.iter().map(accuracy::series).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(tell::Errors {
        speed: speed::measure()?,
        refit: speed::refit(traces, &series)?,
        models: accuracy::measure(traces, &series)?,
    })
}

/// The traces of the goals in `folder`, or all that there are if none of them is there.
fn read(folder: &Path) -> anyhow::Result<Vec<Trace>> {
    let listed = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = listed.iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let usual = |path: &PathBuf| USUAL.contains(&name(path).as_str());
    if paths.iter().any(usual) {
        paths.retain(usual);
    }
    let one = |path: &PathBuf| -> anyhow::Result<Trace> {
        let text = fs_err::read_to_string(path)?;
        Trace::read(&name(path), &text, &Told::default()).with_context(|| path.display().to_string())
    };
    let traces = paths.iter().map(one).collect::<anyhow::Result<Vec<_>>>()?;
    anyhow::ensure!(!traces.is_empty(), "{}: no traces", folder.display());
    Ok(traces)
}

/// Start-ups of the goals.
const START_UPS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(30), Duration::from_secs(120)];
/// Prices of the goals.
const KAPPAS: [f64; 2] = [10.0, 100.0];
