//! What load the demo plays, and at what pace the pool answers it.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use control::span;
use loadgen::plan::{Pattern, PatternKind, Stages};
use loadgen::{Rate, Shape};

use super::waves::{SEASON, WAVES};
use crate::args::{DemoArgs, RunArgs};

/// A quiet start, a rise to three workers' worth, a while there, and quiet again until the pool is
/// back at its smallest.
const STAGES: &str = "4s:4,8s:150,14s:hold,3s:3";
/// The same, in a hurry.
const QUICK_STAGES: &str = "1s:4,2s:150,5s:hold,1s:3";
/// Longest demo of stages; a machine too slow for this is told so.
const LONGEST: Duration = Duration::from_secs(88);
/// Requests a second at the top of a wave: three and a half workers at 85 %.
const TOP_PER_SECOND: f64 = 150.0;
/// Policies that expect what was there a season ago, and what they are to know: that a day of this
/// demo is a wave, how long its workers take, and that five minutes are a week of it.
const PLANNING: [(&str, &str); 3] = [
    ("predictive", "predictive:season=40s,start_up=3s,stabilization_window=10s"),
    ("mpc", "mpc:season=40s,start_up=3s"),
    ("auto", "auto:season=40s,start_up=3s"),
];
/// Time that a worker of the waves takes to become ready, as an app with something to load does:
/// one that is there at once need not be foreseen.
const START_UP: &str = "3s";
/// Size of such a worker in cores: light enough that two cores have time for everything else too.
const WORKER_CPUS: f64 = 0.1;
/// What a request takes of it, in milliseconds: a worker can do 50 a second.
const CPU_MS: &str = "2";

/// The load of one demo.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) shape: Shape,
    /// When all of it has been played, the pool's way back not counted.
    pub(super) length: Duration,
    /// When the demo ends at the latest.
    pub(super) longest: Duration,
    /// It is waves, which are compared, and no single rise.
    pub(super) waves: bool,
}

impl Script {
    /// Waves for a policy that plans, a single rise for any other.
    pub(super) fn of(args: &DemoArgs) -> anyhow::Result<Self> {
        if is_planned(args) {
            let pattern = Pattern { period: Some(SEASON), ..Pattern::new(PatternKind::Sine) };
            let rate = Rate::per_second(TOP_PER_SECOND).unwrap_or(Rate::ZERO);
            let length = SEASON * WAVES;
            return Ok(Self {
                shape: Shape::Pattern { pattern, rate },
                length,
                longest: length,
                waves: true,
            });
        }
        let text = if args.quick { QUICK_STAGES } else { STAGES };
        let start = Rate::per_second(4.0).unwrap_or(Rate::ZERO);
        let shape = Shape::Stages { start, stages: Stages::from_str(text)? };
        Ok(Self { shape, length: length(text)?, longest: LONGEST, waves: false })
    }
}

fn is_planned(args: &DemoArgs) -> bool {
    let typed = args.run.policy.as_deref().unwrap_or_default();
    let name = typed.split(':').next().unwrap_or_default().trim();
    PLANNING.iter().any(|(planning, _)| *planning == name)
}

/// What the user gave, and the demo's own pace where nothing was given.
pub(super) fn settings(args: &DemoArgs) -> anyhow::Result<RunArgs> {
    let mut settings = args.run.clone();
    if is_planned(args) {
        settings.interval.get_or_insert(Duration::from_millis(500));
        if let Some(policy) = &mut settings.policy
            && let Some((_, whole)) = PLANNING.iter().find(|(name, _)| name == policy)
        {
            *policy = (*whole).to_owned();
        }
        if settings.command.is_empty() {
            let cpus = *settings.worker_cpus.get_or_insert(WORKER_CPUS);
            settings.command = slow_worker(cpus)?;
            settings.balancer.health.path.get_or_insert_with(|| "/readyz".to_owned());
        }
    } else if args.quick {
        settings.interval.get_or_insert(Duration::from_millis(500));
        settings.cooldown_up.get_or_insert(Duration::from_millis(500));
        settings.cooldown_down.get_or_insert(Duration::from_secs(1));
        settings.warm_up.get_or_insert(Duration::from_millis(500));
    }
    Ok(settings)
}

/// The demo worker, as slow to start as most apps are.
fn slow_worker(cpus: f64) -> anyhow::Result<Vec<String>> {
    let program = std::env::current_exe().context("our own binary cannot be found")?;
    let size = cpus.min(1.0).to_string();
    let words = ["worker", "--port", "{port}", "--cpus", &size, "--cpu-ms", CPU_MS, "--start-up", START_UP];
    let mut command = vec![program.to_string_lossy().into_owned()];
    command.extend(words.map(str::to_owned));
    Ok(command)
}

fn length(stages: &str) -> anyhow::Result<Duration> {
    let stages = stages.split(',').filter_map(|stage| stage.split_once(':'));
    stages.map(|(length, _)| span::parse(length).map_err(anyhow::Error::msg)).sum()
}
