//! Finds a policy's settings for a load: the least workers that meet an objective, searched on
//! the load's beginning and judged on the rest, which the search has not seen.
//!
//! The search is by tree-structured Parzen estimators (Bergstra et al. 2011), one for each
//! setting, as the crate `tpe` has them.

pub(crate) mod hindsight;
mod knob;
pub mod space;

use control::PolicyConfig;
use serde::Serialize;

use crate::bootstrap;
use crate::bound::Bound;
use crate::contest::{ContestError, spread};
use crate::curve::{Column, Curve};
use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::optimum;
use crate::scenario::{Scenario, ScenarioError};
use crate::score::{MadeFrom, Of, Score};
use crate::tally::Tally;
use crate::trace::Trace;
use knob::Knobs;
use space::Space;

/// Places tried at random before the search learns from them.
const RANDOM_FIRST: usize = 20;
/// Places tried side by side: the same on any number of threads, so that the result is too.
const BATCH: usize = 8;
/// Trials that the estimators learn from: beyond, each question would take longer than a run.
const LEARNT_MAX: usize = 1_000;
/// What breaking an objective by all of it costs, against the cost of all workers.
const PENALTY: f64 = 1e3;
/// Columns of the picture that says how sure a result is.
const COLUMNS: usize = 480;

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Tuning<'a> {
    /// The load.
    pub trace: &'a Trace,
    /// The policy's space.
    pub space: &'static Space,
    /// What must hold; may be empty.
    pub objective: &'a [Bound],
    /// What is least: the field of a score.
    pub least: Least,
    /// How many runs.
    pub evaluations: usize,
    /// Share of the scored time that the search sees.
    pub seen: f64,
    /// Seed of the search.
    pub seed: u64,
    /// All else.
    pub scenario: &'a Scenario,
}

/// What is to be as small as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Least {
    /// Worker-seconds plus κ times those missing.
    Cost,
    /// Worker-seconds alone; sensible under an objective only.
    WorkerSeconds,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Tuned {
    /// Name of the trace.
    pub trace: String,
    /// Name of the policy.
    pub policy: String,
    /// The policy as it is typed.
    pub spelled: String,
    /// Its settings.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Runs of the search.
    pub evaluations: usize,
    /// What was to be least.
    pub least: Least,
    /// On the part that the search saw.
    pub seen: Score,
    /// On the part that it did not.
    pub held_out: Score,
    /// The same of the policy with its own defaults.
    pub held_out_default: Score,
    /// Each objective on the held-out part.
    pub objective: Vec<Verdict>,
}

/// One objective on the held-out part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// As it was written.
    pub bound: String,
    /// The value; `None` where there was none.
    pub value: Option<f64>,
    /// Whether it holds.
    pub holds: bool,
    /// Share of redrawn held-out parts in which it holds; `None` for values that are no sums
    /// over time.
    pub sure: Option<f64>,
}

/// A part of the load with what all runs on it are compared with.
struct Ground {
    load: Load,
    optimal_cost: f64,
    constant: Tally,
    optimum_curve: Option<Box<Curve>>,
    trace_hash: String,
}

impl Tuning<'_> {
    /// Searches on `threads` threads; `done` is told after each run.
    ///
    /// # Errors
    /// When the scenario does not fit the trace.
    pub fn run(&self, threads: usize, done: &(dyn Fn() + Sync)) -> Result<Tuned, ContestError> {
        let mut load = Load::new(self.trace, self.scenario)?;
        let hash = self.trace.fingerprint();
        if !(self.seen > 0.0 && self.seen < 1.0) {
            return Err(ScenarioError::new(format!(
                "the part to search in must be above 0 and below 1, not {}",
                self.seen
            ))
            .into());
        }
        load.columns = Some(COLUMNS);
        let seen = Ground::new(load.until(self.seen), self.scenario, hash.clone());
        let rest = load.scored_after(self.seen);
        let rest = Ground::new(rest, self.scenario, hash);
        let best = self.search(&seen, threads, done);
        let default = PolicyConfig { name: self.space.policy.to_owned(), settings: serde_json::Map::new() };
        let held_out = self.score(&rest, &best)?;
        let objective = self.objective.iter().map(|bound| verdict(bound, &held_out)).collect();
        Ok(Tuned {
            trace: self.trace.name.clone(),
            policy: self.space.policy.to_owned(),
            spelled: space::spelled(&best),
            evaluations: self.evaluations,
            least: self.least,
            seen: self.score(&seen, &best)?,
            held_out_default: self.score(&rest, &default)?,
            held_out,
            objective,
            settings: best.settings,
        })
    }

    fn search(&self, ground: &Ground, threads: usize, done: &(dyn Fn() + Sync)) -> PolicyConfig {
        let mut knobs = Knobs::new(self.space.knobs.len(), self.seed);
        let mut best: Option<(f64, Vec<f64>)> = None;
        let mut tried = 0;
        while tried < self.evaluations.max(1) {
            let batch = BATCH.min(self.evaluations.max(1) - tried);
            let places = knobs.ask(batch, tried < RANDOM_FIRST, threads);
            let losses = spread(&places, threads, |place| {
                let loss = self.loss(ground, place);
                done();
                loss
            });
            for (place, loss) in places.into_iter().zip(losses) {
                if tried < LEARNT_MAX {
                    knobs.tell(&place, loss);
                }
                if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                    best = Some((loss, place));
                }
                tried += 1;
            }
        }
        self.space.config(&best.map(|(_, place)| place).unwrap_or_default())
    }

    /// What the search makes small: cost, and far above it broken objectives.
    fn loss(&self, ground: &Ground, place: &[f64]) -> f64 {
        let Ok(tally) = run(ground, self.scenario, &self.space.config(place)) else { return f64::MAX };
        let kappa = match self.least {
            Least::Cost => self.scenario.kappa,
            Least::WorkerSeconds => 0.0,
        };
        let mut loss = tally.cost(kappa) / ground.optimal_cost.max(1e-9);
        if !self.objective.is_empty() {
            let score = ground.score(&tally, self.space.policy, self.scenario);
            let beyond = |bound: &Bound| cautious(bound, &score).map_or(0.0, |value| bound.excess(value));
            let excess: f64 = self.objective.iter().map(beyond).sum();
            if excess > 0.0 {
                loss += PENALTY * (1.0 + excess);
            }
        }
        if loss.is_finite() { loss } else { f64::MAX }
    }

    fn score(&self, ground: &Ground, config: &PolicyConfig) -> Result<Score, ContestError> {
        let tally = run(ground, self.scenario, config)?;
        Ok(ground.score(&tally, &space::spelled(config), self.scenario))
    }
}

fn run(ground: &Ground, scenario: &Scenario, config: &PolicyConfig) -> Result<Tally, ContestError> {
    let controller = fluid::controller(config.clone(), scenario)?;
    Ok(fluid::run(&ground.load, scenario, Driver::Controller(Box::new(controller)), None))
}

impl Ground {
    fn new(load: Load, scenario: &Scenario, trace_hash: String) -> Self {
        let optimum = optimum::solve(&load, scenario, true);
        let optimal_cost = optimum.cost;
        let optimum_curve = fluid::run(&load, scenario, Driver::Plan(&optimum.plan), None).curve;
        let (workers, _) = optimum::best_static(&load, scenario);
        let constant = fluid::run(&load, scenario, Driver::Static(workers), None);
        Self { load, optimal_cost, constant, optimum_curve, trace_hash }
    }

    fn score(&self, tally: &Tally, policy: &str, scenario: &Scenario) -> Score {
        let of = Of {
            trace: &self.load.name,
            policy,
            engine: "fluid",
            optimal_cost: self.optimal_cost,
            constant: &self.constant,
            made_from: MadeFrom { trace_hash: self.trace_hash.clone(), ..MadeFrom::here(scenario, None) },
            chosen: None,
            optimum_curve: self.optimum_curve.as_deref(),
        };
        tally.score(of, scenario)
    }
}

/// The bounded value in redrawn blocks of the run, ascending; `None` for values that are no sums
/// over time, and without a picture of the run.
fn redrawn(bound: &Bound, score: &Score) -> Option<Vec<f64>> {
    let of: fn(&Column) -> (f64, f64) = match bound.field() {
        "late_request_share" => |column| (column.late, column.load),
        "violation_time_share" => |column| (column.violation_s, column.present_s),
        _ => return None,
    };
    let columns = &score.curve.as_deref()?.columns;
    let ratios = bootstrap::ratios(&bootstrap::blocks(columns.len(), |at| of(&columns[at])));
    (!ratios.is_empty()).then_some(ratios)
}

/// The value that the search goes by: one that 90 % of redrawn parts keep, where that can be
/// told. Settings chosen for just meeting an objective would break it every other time.
fn cautious(bound: &Bound, score: &Score) -> Option<f64> {
    let Some(ratios) = redrawn(bound, score) else { return bound.value(score) };
    let percent = if bound.is_upper() { 90 } else { 10 };
    ratios.get(ratios.len() * percent / 100).copied()
}

/// Whether a bound holds on the held-out part, and in how many redrawn ones.
fn verdict(bound: &Bound, score: &Score) -> Verdict {
    let sure = redrawn(bound, score).map(|ratios| {
        ratios.iter().filter(|ratio| bound.admits(**ratio)).count() as f64 / ratios.len() as f64
    });
    Verdict { bound: bound.text.clone(), value: bound.value(score), holds: bound.holds(score), sure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Told;

    fn wave() -> Trace {
        let value = |at: u32| 500.0 + 400.0 * (f64::from(at) / 40.0).sin();
        let rows: String = (0..600).map(|at| format!("{},{}\n", at * 60, value(at))).collect();
        Trace::read("wave", &format!("time_s,value\n{rows}"), &Told::default()).unwrap()
    }

    #[test]
    fn it_finds_better_settings_than_the_defaults_on_time_it_has_not_seen() {
        let (trace, scenario) = (wave(), Scenario::default());
        let objective = [Bound::parse("late<1%").unwrap(), Bound::parse("p99<20s").unwrap()];
        let tuning = Tuning {
            trace: &trace,
            space: Space::of("hpa").unwrap(),
            objective: &objective,
            least: Least::WorkerSeconds,
            evaluations: 60,
            seen: 0.7,
            seed: 1,
            scenario: &scenario,
        };
        let found = tuning.run(2, &|| ()).unwrap();
        assert!(found.held_out.worker_seconds < found.held_out_default.worker_seconds, "{found:#?}");
        assert!(found.objective[0].holds && found.objective[0].sure.unwrap() > 0.5, "{:?}", found.objective);
        assert_eq!(found.objective[1].sure, None);
        assert!(found.held_out.scored_s < 0.31 * found.seen.scored_s / 0.7 + 60.0);
        let again = tuning.run(1, &|| ()).unwrap();
        let text = |found: &Tuned| serde_json::to_string(found).unwrap();
        assert_eq!(text(&found), text(&again), "on one thread or several");
    }
}
