//! Why a recorded run swings: each change of direction votes for what explains it, and the
//! smallest setting that ends it is found by running the load again.

mod fix;
mod turns;

use std::collections::BTreeMap;
use std::time::Duration;

use control::{ControllerConfig, Cycle, PolicyConfig};
use serde::Serialize;

use crate::contest::{Contest, ContestError, Contestant, ContestantKind, Engine};
use crate::des::{Des, Faults};
use crate::scenario::{Scenario, Size};
use crate::score::Score;
use crate::trace::{Measured, Trace};
use crate::tune::space::spelled;
pub use fix::Fix;
use turns::Turns;

/// A change of direction within this time is a flap, where twice the start-up is no longer.
const WITHIN: Duration = Duration::from_secs(300);
/// The load moved, as a share of its mean: what happened between needs no other explanation.
const LOAD_MOVED: f64 = 0.2;
/// A new worker that is this much busier than the others tells of its start, not of load.
const YOUNG_BUSIER: f64 = 1.3;
/// Workers whose shares of the work differ by this much of the mean are not balanced.
const SKEW: f64 = 0.5;
/// A fix has to leave no more of the swings than this.
const LEFT_MAX: f64 = 0.2;
/// And may add no more late requests than this, as a share of all.
const LATER_MAX: f64 = 0.005;

/// What makes a pool swing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// New workers are busy with their own start, which looks like load.
    StartUpCpu,
    /// Workers share the work unevenly: one is busy, another idle, and the mean says neither.
    SkewedBalancing,
    /// More are ordered while those ordered before still start: the sum is too many.
    CoolDownShorterThanStartUp,
    /// What is measured does not fall when workers are added.
    SignalThatDoesNotFall,
    /// The load itself goes up and down between two decisions.
    Noise,
    /// One worker more puts the signal below the lower line, one fewer above the upper.
    ThinHysteresis,
}

impl Cause {
    /// In words for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::StartUpCpu => {
                "start-up CPU: new workers are busy with their own start, which looks like load"
            }
            Self::SkewedBalancing => "skewed balancing: workers share the work unevenly",
            Self::CoolDownShorterThanStartUp => {
                "cool-down shorter than start-up: more are ordered while those ordered before still start"
            }
            Self::SignalThatDoesNotFall => "signal that does not fall: workers are added, and it stays",
            Self::Noise => "noise: the load itself goes up and down between two decisions",
            Self::ThinHysteresis => {
                "thin hysteresis: one worker more puts the signal below the lower line, one fewer above the upper"
            }
        }
    }
}

/// What a run's changes say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// Turns at which something was decided.
    pub turns: usize,
    /// Changes of the desired number.
    pub changes: usize,
    /// Changes of direction soon after another change.
    pub flaps: usize,
    /// The same per hour.
    pub flaps_per_hour: f64,
    /// Which cause explains how many of them.
    pub votes: BTreeMap<Cause, usize>,
    /// The one that explains most; `None` without flaps.
    pub cause: Option<Cause>,
    /// What was seen that speaks for it.
    pub evidence: String,
    #[serde(skip)]
    facts: Facts,
}

/// Numbers that a fix is made of.
#[derive(Clone, Debug, Default, PartialEq)]
struct Facts {
    /// Fewest ready workers at a flap.
    ready_min: u32,
    /// The lines at the last turn.
    up: Option<f64>,
    down: Option<f64>,
    start_up: Duration,
    interval: Duration,
    /// For how long new workers are busier, and at which share of their speed they work.
    warm_up: Option<(Duration, f64)>,
}

/// The same run with another setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// What was changed.
    pub fix: Fix,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a run of the recorded load comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Changes of direction an hour.
    pub flaps_per_hour: f64,
    /// Share of the requests beyond what the ready workers carry.
    pub late_request_share: f64,
    /// Paid for.
    pub worker_seconds: f64,
    /// Times the optimum.
    pub cost_ratio: f64,
}

/// What was found, and what helps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What the recorded run says.
    pub findings: Findings,
    /// The recorded load run again with the recorded policy.
    pub before: Option<Outcome>,
    /// The smallest change that ends the swings.
    pub fix: Option<Fix>,
    /// The policy with it, as it is typed.
    pub mended: Option<String>,
    /// What comes of it.
    pub after: Option<Outcome>,
    /// All that was tried, the smallest change first.
    pub tried: Vec<Tried>,
}

/// Looks for what makes this run swing; `within` is what counts as soon.
pub fn findings(cycles: &[Cycle], measured: &Measured, interval: Duration) -> Findings {
    let start_up = measured.start_up.unwrap_or_default();
    let within = WITHIN.max(start_up * 2);
    let turns = Turns::of(cycles);
    let flaps = turns.flaps(within);
    let skew = turns.skew();
    let stays = turns.signal_stays();
    let mut votes: BTreeMap<Cause, usize> = BTreeMap::new();
    let mut facts = Facts { ready_min: u32::MAX, start_up, interval, ..Facts::default() };
    for flap in &flaps {
        let cause = if flap.young_ratio.is_some_and(|ratio| ratio >= YOUNG_BUSIER) {
            Cause::StartUpCpu
        } else if skew.is_some_and(|skew| skew >= SKEW) {
            Cause::SkewedBalancing
        } else if flap.load_moved.is_some_and(|moved| moved >= LOAD_MOVED) {
            Cause::Noise
        } else if flap.ordered_while_starting {
            Cause::CoolDownShorterThanStartUp
        } else if stays {
            Cause::SignalThatDoesNotFall
        } else {
            Cause::ThinHysteresis
        };
        *votes.entry(cause).or_default() += 1;
        facts.ready_min = facts.ready_min.min(flap.ready);
    }
    (facts.up, facts.down) = turns.lines();
    facts.warm_up = turns.warm_up();
    let cause = votes.iter().max_by_key(|(cause, count)| (**count, std::cmp::Reverse(**cause)));
    let cause = cause.map(|(cause, _)| *cause);
    let hours = turns.length_s() / 3_600.0;
    Findings {
        turns: turns.len(),
        changes: turns.changes(),
        flaps: flaps.len(),
        flaps_per_hour: if hours > 0.0 { flaps.len() as f64 / hours } else { 0.0 },
        evidence: cause.map_or_else(String::new, |cause| evidence(cause, &flaps, skew, &facts)),
        votes,
        cause,
        facts,
    }
}

fn evidence(cause: Cause, flaps: &[turns::Flap], skew: Option<f64>, facts: &Facts) -> String {
    let mean = |of: fn(&turns::Flap) -> Option<f64>| {
        let known: Vec<f64> = flaps.iter().filter_map(of).collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    };
    let start_up_s = facts.start_up.as_secs_f64();
    match cause {
        Cause::StartUpCpu => {
            format!("new workers used {:.1} times the CPU of the others", mean(|flap| flap.young_ratio))
        }
        Cause::SkewedBalancing => format!(
            "the busiest worker had {:.0} % of the mean more work than the idlest, all the time",
            100.0 * skew.unwrap_or_default()
        ),
        Cause::CoolDownShorterThanStartUp => format!(
            "{} of {} were ordered while others still started, which takes {start_up_s:.1} s",
            flaps.iter().filter(|flap| flap.ordered_while_starting).count(),
            flaps.len()
        ),
        Cause::SignalThatDoesNotFall => {
            "with at least 15 % more workers and the same load it fell by less than a tenth".to_owned()
        }
        Cause::Noise => {
            format!("between the two changes the load moved by {:.0} %", 100.0 * mean(|flap| flap.load_moved))
        }
        Cause::ThinHysteresis => match (facts.up, facts.down) {
            (Some(up), Some(down)) => format!(
                "at the same load {ready} workers above {up} % are {more} at {after:.0} %, and the lower line is {down} %",
                ready = facts.ready_min,
                more = facts.ready_min + 1,
                after = up * f64::from(facts.ready_min) / f64::from(facts.ready_min + 1),
            ),
            _ => "the load stayed the same between the two changes".to_owned(),
        },
    }
}

/// Finds the cause, and the smallest change of the policy that ends the swings.
///
/// # Errors
/// When the policy or the load cannot be run.
pub fn flap(
    cycles: &[Cycle],
    trace: &Trace,
    measured: &Measured,
    control: &ControllerConfig,
) -> Result<Diagnosis, ContestError> {
    let findings = findings(cycles, measured, control.interval);
    let mut diagnosis =
        Diagnosis { findings, before: None, fix: None, mended: None, after: None, tried: Vec::new() };
    let (Some(cause), Some(rate)) = (diagnosis.findings.cause, measured.worker_rate) else {
        return Ok(diagnosis);
    };
    let stage = Stage::of(trace, control, measured, rate, cause, &diagnosis.findings.facts);
    let before = stage.run(&control.policy)?;
    diagnosis.before = Some(before);
    for fix in fix::ladder(cause, &control.policy, &diagnosis.findings.facts) {
        // What a policy refuses is no fix for it.
        let Ok(after) = stage.run(&fix.apply(&control.policy)) else { continue };
        let helps = after.flaps_per_hour <= LEFT_MAX * before.flaps_per_hour
            && after.late_request_share <= before.late_request_share + LATER_MAX;
        diagnosis.tried.push(Tried { fix: fix.clone(), outcome: after });
        if helps && before.flaps_per_hour > 0.0 {
            diagnosis.mended = Some(spelled(&fix.apply(&control.policy)));
            (diagnosis.fix, diagnosis.after) = (Some(fix), Some(after));
            break;
        }
    }
    Ok(diagnosis)
}

/// Where the recorded load is run again.
struct Stage<'a> {
    trace: &'a Trace,
    scenario: Scenario,
    engine: Engine,
}

impl<'a> Stage<'a> {
    fn of(
        trace: &'a Trace,
        control: &ControllerConfig,
        measured: &Measured,
        rate: f64,
        cause: Cause,
        facts: &Facts,
    ) -> Self {
        let scenario = Scenario {
            size: Size::WorkerRate(rate),
            // So that single requests come as often as they were recorded.
            service_time: Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::from_millis(100)),
            decide_every: control.interval,
            start_up: measured.start_up.unwrap_or_default(),
            min: control.min,
            max: Some(control.max),
            ..Scenario::default()
        };
        let engine = match facts.warm_up.filter(|_| cause == Cause::StartUpCpu) {
            None => Engine::Fluid,
            Some((warm_up, warm_up_speed)) => {
                let faults = Faults { warm_up, warm_up_speed, ..Faults::default() };
                Engine::Des { des: Des { faults, ..Des::default() }, seeds: 1 }
            }
        };
        Self { trace, scenario, engine }
    }

    fn run(&self, policy: &PolicyConfig) -> Result<Outcome, ContestError> {
        let contestants =
            [Contestant { name: policy.name.clone(), kind: ContestantKind::Policy(policy.clone()) }];
        let traces = std::slice::from_ref(self.trace);
        let contest = Contest { engine: &self.engine, ..Contest::of(traces, &contestants, &self.scenario) };
        let scores = contest.run(1, &|| ())?;
        let score = scores.into_iter().next().unwrap_or_else(Score::default);
        Ok(Outcome {
            flaps_per_hour: score.flaps_per_hour,
            late_request_share: score.late_request_share,
            worker_seconds: score.worker_seconds,
            cost_ratio: score.cost_ratio,
        })
    }
}

#[cfg(test)]
#[path = "diagnose/tests.rs"]
mod tests;
