//! Simulations as run files, and run files as traces.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use control::{Applied, Controller, ControllerConfig, Cycle, Decision, Observation, PolicyConfig};
use jiff::Timestamp;
use journal::{Header, Kind, Writer};
use simulator::fluid::{self, Driver};
use simulator::trace::Measured;
use simulator::{Contestant, ContestantKind, Engine, Load, Scenario, Trace, des};

use super::refused;
use crate::commands::replay::open;
use crate::failure::{FAILED, Hint};
use crate::output;
use crate::session::Recorded;

/// How every SQLite file begins.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Whether this is a run file, by its first bytes.
pub(crate) fn is_run(path: &Path) -> bool {
    let mut first = [0; SQLITE.len()];
    fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == SQLITE
}

/// A run file's load, and what it says about its workers.
pub(crate) fn as_trace(path: &Path, name: &str) -> anyhow::Result<(Trace, Measured)> {
    let cycles = cycles(path)?;
    Trace::of_run(name, &cycles).coded("record a longer run with `autoscale run --record FILE`", FAILED)
}

/// Every turn of a run file, oldest first.
pub(crate) fn cycles(path: &Path) -> anyhow::Result<Vec<Cycle>> {
    let reader = open(path)?;
    let mut all = Vec::new();
    for session in reader.sessions()? {
        for cycle in reader.cycles(session.id)? {
            all.push(cycle?.cycle);
        }
    }
    Ok(all)
}

/// A run file holds one run, and what a yardstick does is no run.
pub(crate) fn only_one(contestants: &[Contestant], traces: &[Trace]) -> anyhow::Result<()> {
    if traces.len() != 1 || contestants.len() != 1 {
        return Err(anyhow::anyhow!("a run file holds one run of one policy"))
            .hint("as in --trace load.csv --policies hpa --record run.db");
    }
    of_policy(&contestants[0]).map(drop)
}

/// A yardstick knows the load: it takes no decisions that could be shown or kept.
fn of_policy(contestant: &Contestant) -> anyhow::Result<&PolicyConfig> {
    match &contestant.kind {
        ContestantKind::Policy(policy) => Ok(policy),
        _ => Err(anyhow::anyhow!(
            "`{}` is a yardstick: it takes no decisions that could be recorded or watched",
            contestant.name
        ))
        .hint("name a policy first, as in --policies hpa"),
    }
}

/// Runs the policy and writes each turn.
pub(crate) fn record(
    path: &Path,
    trace: &Trace,
    contestant: &Contestant,
    scenario: &Scenario,
    engine: &Engine,
) -> anyhow::Result<()> {
    let run = Run::new(trace, contestant, scenario, engine)?;
    if let Some(size_mb) = run.size_mb().filter(|size_mb| *size_mb >= TOLD_FROM_MB) {
        output::complain(&format!(
            "warning: about {size_mb:.0} MB will be written; `--decide-every` with a longer time takes less"
        ));
    }
    let seed = if let Engine::Des { des, .. } = engine { des.seed } else { 0 };
    let writer = begin(path, &run.control, &contestant.name, seed)?;
    let mut last = Timestamp::UNIX_EPOCH;
    run.turns(&mut |cycle| {
        last = cycle.at();
        writer.record_waiting(&cycle);
        ControlFlow::Continue(())
    })?;
    let health = writer.close(last);
    if let Some(error) = health.error {
        return Err(anyhow::anyhow!("{}: {error}", path.display()))
            .coded("name a file that can be written with --record", FAILED);
    }
    Ok(())
}

/// One policy on one load, ready to be run as often as wanted.
pub(crate) struct Run {
    load: Load,
    arrivals: Vec<f64>,
    scenario: Scenario,
    engine: Engine,
    control: ControllerConfig,
}

/// What a turn takes in a run file without its workers, and a worker in it, in bytes; as measured.
const TURN_BYTES: f64 = 2_150.0;
const WORKER_BYTES: f64 = 300.0;
/// Workers that a policy holds to those that the load needs: as `hpa` at 70 % against an objective
/// at 85 %.
const HELD: f64 = 1.2;
/// From this size on, a run file's is told before it is written, in MB.
const TOLD_FROM_MB: f64 = 300.0;

impl Run {
    /// How long its run file will about be, in MB; `None` on a load without a reading.
    fn size_mb(&self) -> Option<f64> {
        let workers = HELD * self.load.mean_need()?;
        let turns = self.load.length().as_secs_f64() / self.scenario.decide_every.as_secs_f64();
        Some(turns * (TURN_BYTES + WORKER_BYTES * workers) / 1e6)
    }

    /// Checks everything, so that only the engine can refuse.
    pub(crate) fn new(
        trace: &Trace,
        contestant: &Contestant,
        scenario: &Scenario,
        engine: &Engine,
    ) -> anyhow::Result<Self> {
        let policy = of_policy(contestant)?;
        let load = Load::new(trace, scenario).hint("`autoscale simulate --help` lists each setting")?;
        let controller =
            fluid::controller(policy.clone(), scenario).map_err(|error| refused(error.into()))?;
        Ok(Self {
            load,
            arrivals: trace.arrivals.clone(),
            scenario: scenario.clone(),
            engine: engine.clone(),
            control: controller.config().clone(),
        })
    }

    /// Time from beginning to end.
    pub(crate) fn length(&self) -> Duration {
        self.load.length()
    }

    /// Runs it, and shows each turn until that says to stop.
    pub(crate) fn turns(&self, show: &mut dyn FnMut(Cycle) -> ControlFlow<()>) -> anyhow::Result<()> {
        let (load, scenario) = (&self.load, &self.scenario);
        let controller = Controller::new(self.control.clone()).map_err(|error| refused(error.into()))?;
        let driver = Driver::Controller(Box::new(controller));
        let mut watch = |seen: &Observation, decision: &Decision| {
            let (seen, decision) = (seen.clone(), decision.clone());
            show(Cycle::Decided { seen, decision, applied: Applied::Ordered, ledger: None })
        };
        let outcome = match &self.engine {
            Engine::Fluid => {
                fluid::run(load, scenario, driver, Some(&mut watch));
                return Ok(());
            }
            Engine::Des { des, .. } if self.arrivals.is_empty() => {
                des::run(load, scenario, des, driver, Some(&mut watch))
            }
            Engine::Des { des, .. } => {
                des::replay(load, scenario, des, &self.arrivals, driver, Some(&mut watch))
            }
        };
        outcome.map(drop).map_err(|error| refused(error.into()))
    }
}

fn begin(path: &Path, control: &ControllerConfig, name: &str, seed: u64) -> anyhow::Result<Writer> {
    let recorded = Recorded {
        control: control.clone(),
        resumed_cycles: 0,
        command: vec!["simulate".to_owned(), name.to_owned()],
    };
    let header = Header {
        kind: Kind::Simulated,
        // Virtual time begins there, so that the same simulation gives the same file.
        started_at: Timestamp::UNIX_EPOCH,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        config: serde_json::to_value(recorded)?,
    };
    Writer::open(path, &header, None).coded("name a file that can be written with --record", FAILED)
}
