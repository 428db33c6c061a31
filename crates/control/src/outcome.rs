//! What became of forecasts and of the decisions that rested on them, told from a run's cycles: each is
//! judged when its time has come, by what was measured then.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cycle::Cycle;
use crate::decision::Foresight;
use crate::policy::choice::NEGLIGIBLE;

/// A reading later than this many leads after its forecast's time is no outcome of it: there was a gap.
const LATE_LEADS: f64 = 1.0;

/// How one model's forecasts turned out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ForecastOutcome {
    /// The model.
    pub model: String,
    /// Forecasts whose time has come.
    pub scored: u64,
    /// Mean absolute error of the median, in workers.
    pub mae: f64,
    /// The same over that of the load at the time of the forecast; below 1 the model was better.
    pub relative_mae: Option<f64>,
    /// Share of outcomes at or below the 0.9 quantile.
    pub coverage_90: f64,
    /// Share of outcomes below the 0.1 quantile.
    pub below_10: f64,
}

/// How many decisions came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DecisionOutcomes {
    /// More workers, which were ready when they were needed.
    pub in_time: u64,
    /// More workers, after the load had already needed them.
    pub late: u64,
    /// More workers, which the load did not need within twice the lead.
    pub over: u64,
    /// Fewer workers, which were not missed.
    pub released: u64,
    /// Fewer workers, of which some were needed again within twice the lead.
    pub early: u64,
    /// Of all these, those during whose lead requests failed.
    pub broken: u64,
}

/// Both.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcomes {
    /// One a model, in order of their names.
    pub forecasts: Vec<ForecastOutcome>,
    /// Those of decisions that changed the number.
    pub decisions: DecisionOutcomes,
    /// From the first turn to the last, in seconds.
    pub over_s: f64,
}

/// A turn of a policy that plans.
struct Turn<'a> {
    at: Timestamp,
    load: f64,
    foresight: Option<&'a Foresight>,
    ready: u32,
    before: u32,
    after: u32,
    failures: u64,
}

#[derive(Default)]
struct Sums {
    scored: u64,
    error: f64,
    naive_error: f64,
    covered: u64,
    below: u64,
}

impl Outcomes {
    /// Judges the turns of `cycles`, oldest first. Turns whose policy does not tell the load in workers
    /// are passed over.
    pub fn of<'a>(cycles: impl IntoIterator<Item = &'a Cycle>) -> Self {
        let turns: Vec<Turn<'_>> = cycles.into_iter().filter_map(turn).collect();
        let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
        let mut decisions = DecisionOutcomes::default();
        for (place, now) in turns.iter().enumerate() {
            let Some(foresight) = now.foresight else { continue };
            if let Some(then) = outcome(&turns[place..], foresight.lead_s) {
                sums.entry(foresight.model.as_ref()).or_default().add(now, foresight, then);
            }
            decisions.judge(&turns[place..], foresight.lead_s);
        }
        let ends = turns.first().zip(turns.last());
        Self {
            forecasts: sums.iter().map(|(model, sums)| sums.outcome(model)).collect(),
            decisions,
            over_s: ends.map_or(0.0, |(first, last)| last.at.duration_since(first.at).as_secs_f64()),
        }
    }
}

fn turn(cycle: &Cycle) -> Option<Turn<'_>> {
    let Cycle::Decided { seen, decision, .. } = cycle else { return None };
    let measured = decision.measured.as_ref().filter(|measured| measured.unit == "workers")?;
    Some(Turn {
        at: seen.at,
        load: measured.value.filter(|load| load.is_finite())?,
        foresight: decision.foresight.as_deref().filter(|one| one.q50.is_finite() && one.lead_s > 0.0),
        ready: seen.fleet.ready,
        before: decision.current,
        after: decision.desired(),
        failures: seen.traffic.as_ref().map_or(0, |window| window.failures),
    })
}

/// The first reading at or after the time that was forecast.
fn outcome(turns: &[Turn<'_>], lead_s: f64) -> Option<f64> {
    let made = turns.first()?.at;
    let due = made.checked_add(SignedDuration::try_from_secs_f64(lead_s).ok()?).ok()?;
    let then = turns.iter().find(|turn| turn.at >= due)?;
    let late_s = then.at.duration_since(due).as_secs_f64();
    (late_s <= LATE_LEADS * lead_s).then_some(then.load)
}

impl Sums {
    fn add(&mut self, now: &Turn<'_>, foresight: &Foresight, then: f64) {
        self.scored += 1;
        self.error += (then - foresight.q50).abs();
        self.naive_error += (then - now.load).abs();
        self.covered += u64::from(then <= foresight.q90);
        self.below += u64::from(then < foresight.q10);
    }

    fn outcome(&self, model: &str) -> ForecastOutcome {
        let count = self.scored.max(1) as f64;
        ForecastOutcome {
            model: model.to_owned(),
            scored: self.scored,
            mae: self.error / count,
            relative_mae: (self.naive_error > 0.0).then(|| self.error / self.naive_error),
            coverage_90: self.covered as f64 / count,
            below_10: self.below as f64 / count,
        }
    }
}

impl DecisionOutcomes {
    /// The decision at the first of `turns`, by those that follow; none whose time has not come.
    fn judge(&mut self, turns: &[Turn<'_>], lead_s: f64) {
        let Some(now) = turns.first().filter(|turn| turn.after != turn.before) else { return };
        let age = |turn: &Turn<'_>| turn.at.duration_since(now.at).as_secs_f64();
        if turns.last().is_none_or(|last| age(last) < 2.0 * lead_s) {
            return;
        }
        let within = |seconds: f64| turns.iter().take_while(move |turn| age(turn) <= seconds);
        let fewer = now.before.min(now.after);
        let needed = |turn: &Turn<'_>| turn.load > f64::from(fewer) + NEGLIGIBLE;
        if now.after > now.before {
            let late = within(lead_s).any(|turn| needed(turn) && turn.ready <= fewer);
            let used = within(2.0 * lead_s).any(needed);
            let kind = if late {
                &mut self.late
            } else if used {
                &mut self.in_time
            } else {
                &mut self.over
            };
            *kind += 1;
        } else {
            // Needed again, not: still needed for a part of a turn.
            let again = within(2.0 * lead_s).any(|turn| age(turn) > lead_s && needed(turn));
            let kind = if again { &mut self.early } else { &mut self.released };
            *kind += 1;
        }
        self.broken += u64::from(within(lead_s).any(|turn| turn.failures > 0));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::Controller;
    use crate::cycle::Applied;
    use crate::made_up::{config, wave};

    fn cycles(policy: &str, seconds: u32) -> Vec<Cycle> {
        let mut controller = Controller::new(config(policy, json!({}))).unwrap();
        let mut cycles = Vec::new();
        wave(seconds, |seen, _| {
            let decision = controller.decide(seen);
            let desired = decision.desired();
            cycles.push(Cycle::Decided {
                seen: seen.clone(),
                decision,
                applied: Applied::Ordered,
                ledger: None,
            });
            desired
        });
        cycles
    }

    #[test]
    fn on_a_wave_forecasts_come_true_and_decisions_in_time() {
        let cycles = cycles("predictive", 900);
        let outcomes = Outcomes::of(&cycles);
        let [model] = outcomes.forecasts.as_slice() else { panic!("{outcomes:?}") };
        assert!(model.scored > 700 && model.relative_mae.unwrap() < 0.5, "{model:?}");
        assert!((0.8..=1.0).contains(&model.coverage_90), "{model:?}");
        let DecisionOutcomes { in_time, late, .. } = outcomes.decisions;
        assert!(in_time > 10 && late < in_time, "{outcomes:?}");
    }

    #[test]
    fn policies_that_do_not_plan_have_none() {
        assert_eq!(Outcomes::of(&cycles("threshold", 100)), Outcomes::default());
    }
}
