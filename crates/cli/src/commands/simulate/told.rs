//! `simulate --scenario FILE` and `simulate --chaos`.

use std::path::Path;

use anyhow::Context;
use simulator::des::chaos;
use simulator::scenario::file::ScenarioFile;
use simulator::story;

use super::refused;
use crate::failure::{FAILED, Hint, coded, read_text};
use crate::output;

/// Runs a scenario file and tells it.
pub(super) fn file(path: &Path) -> anyhow::Result<()> {
    let text = read_text(path, "name a scenario file that can be read")?;
    let file: ScenarioFile = toml::from_str(&text)
        .with_context(|| path.display().to_string())
        .hint("crates/simulator/tests/scenarios shows such files")?;
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    output::line(story::tell(&name, &file).map_err(refused)?.trim_end());
    Ok(())
}

/// Runs so many made-up scenarios from `first` on.
pub(super) fn chaos(first: u64, seeds: u64) -> anyhow::Result<()> {
    for seed in first..first.saturating_add(seeds.max(1)) {
        let survived = chaos::run_seed(seed).map_err(|broken| {
            coded(anyhow::Error::msg(broken), format!("autoscale simulate --chaos --seed {seed}"), FAILED)
        })?;
        let requests = survived.requests;
        let open = output::line(&format!(
            "seed {seed}: {} turns of {} behind {}, {} crashes; {} requests, {} dropped, {} failed; nothing broken",
            survived.turns,
            survived.policy,
            survived.algorithm,
            survived.crashes,
            requests.arrived,
            requests.dropped,
            requests.failed
        ));
        if !open {
            break;
        }
    }
    Ok(())
}
