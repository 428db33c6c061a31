//! Many policies decide in shadow, each for a virtual pool of its own; the one whose pool was
//! cheapest of late acts (`selection`). The first leader is reactive: whoever forecasts must earn it.

use std::time::Duration;

use serde::Deserialize;

use super::outlook::{Needs, Outlook, Terms, seasons};
use super::reactive::{USUAL_TARGET, USUAL_WINDOW_S};
use super::selection::{Candidate, Moment, Selection};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Flip, Measured};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "auto",
    about: "reactive and planning policies in shadow; the one that was cheapest of late acts",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        Ok(Built::bare(Auto::new(&own)))
    },
};

/// Models that candidates plan with, the one to begin with first.
const MODELS: [&str; 2] = ["autoregressive", "naive"];
/// Utilisations that reactive candidates aim at, and their windows before scaling in.
const TARGETS: [f64; 5] = [0.5, 0.6, USUAL_TARGET, 0.8, 0.85];
const WINDOWS_S: [i64; 4] = [0, 60, USUAL_WINDOW_S, 900];
/// Factors on κ with which planners buy: the fractile of the forecast that they prepare for.
const BOLDNESS: [f64; 4] = [0.4, 1.0, 2.5, 6.25];
/// Targets of the reactive floors that planners may have.
const FLOORS: [f64; 2] = [USUAL_TARGET, 0.85];

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Price of a worker-second of missing capacity, in worker-seconds.
    kappa: f64,
    /// Highest utilisation that still meets the latency objective, 0 to 1.
    slo_utilisation: f64,
    /// From order to ready, until it was measured.
    #[serde(with = "span")]
    start_up: Duration,
    /// After what time the load repeats; 0 s: perhaps after an hour, a day, a week.
    #[serde(with = "span")]
    season: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { kappa: 10.0, slo_utilisation: 0.85, start_up: Duration::from_secs(30), season: Duration::ZERO }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        super::choice::check(self.kappa, self.slo_utilisation)
    }
}

struct Auto {
    outlook: Outlook,
    selection: Selection,
    measured: Option<f64>,
}

/// All candidates; the first is the one to begin with.
fn candidates() -> Vec<Candidate> {
    let mut all = vec![Candidate::reactive(USUAL_TARGET, USUAL_WINDOW_S)];
    for target in TARGETS {
        let others = WINDOWS_S
            .iter()
            .filter(|window_s| (target - USUAL_TARGET).abs() > 1e-9 || **window_s != USUAL_WINDOW_S);
        all.extend(others.map(|window_s| Candidate::reactive(target, *window_s)));
    }
    for (model, name) in MODELS.iter().enumerate() {
        all.extend(BOLDNESS.map(|boldness| Candidate::plan(model, name, boldness, None)));
        all.extend(FLOORS.map(|floor| Candidate::plan(model, name, 1.0, Some(floor))));
    }
    all
}

impl Auto {
    fn new(own: &Settings) -> Self {
        let terms = Terms {
            models: MODELS.to_vec(),
            slo_utilisation: own.slo_utilisation,
            start_up: own.start_up,
            seasons: seasons(own.season),
        };
        Self {
            outlook: Outlook::new(terms),
            selection: Selection::among(candidates(), own.kappa),
            measured: None,
        }
    }

    fn explain(&self, before: Option<usize>, load: f64) -> Recommendation {
        let index = self.selection.leader();
        let leader = &self.selection.candidates()[index];
        let cost = |index: usize| self.selection.cost(index);
        let numbers = [
            ("load", load),
            ("replicas", f64::from(leader.desired())),
            ("cost", cost(index)),
            ("before", before.map_or(f64::NAN, cost)),
        ];
        let (rule, sentence) = match before {
            Some(before) => {
                let sentence = format!(
                    "{} takes over: {{cost}} worker-seconds of late against {{before}} by {}; load {{load}} → {{replicas}}",
                    &*leader.label,
                    &*self.selection.candidates()[before].label
                );
                ("new_leader", sentence.into())
            }
            None => ("leader", leader.sentence.clone()),
        };
        let mut said = Recommendation::hold(leader.desired(), rule, Because::new(sentence, numbers));
        said.nearest_flip = self.runner_up();
        said.measured = self.measured();
        said
    }

    /// The cheapest of those that want another number.
    fn runner_up(&self) -> Option<Flip> {
        let (candidates, leader) = (self.selection.candidates(), self.selection.leader());
        let cost = |index: usize| self.selection.cost(index);
        let wanted = candidates[leader].desired();
        let others = (0..candidates.len()).filter(|index| candidates[*index].desired() != wanted);
        let other = others.min_by(|a, b| cost(*a).total_cmp(&cost(*b)))?;
        let numbers = [("other", cost(other)), ("cost", cost(leader))];
        let candidate = &candidates[other];
        Some(Flip {
            replicas: candidate.desired(),
            because: Because::new(candidate.instead.clone(), numbers),
        })
    }
}

impl Policy for Auto {
    fn observe(&mut self, seen: &Observation) {
        self.outlook.observe(seen);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        self.measured = None;
        let (ahead, load) = match self.outlook.open(seen) {
            Ok(open) => open,
            Err(said) => return *said,
        };
        self.measured = Some(load);
        let seers = self.outlook.seers();
        let needs: Vec<Needs> = match &ahead {
            Some(ahead) if seers.iter().all(|seer| seer.is_ready()) => {
                seers.iter().map(|seer| seer.needs(ahead)).collect()
            }
            _ => Vec::new(),
        };
        let ahead = ahead.as_ref().filter(|_| !needs.is_empty());
        let ahead = ahead.map(|ahead| (ahead, needs.as_slice()));
        let moment = Moment::of(&self.outlook, seen.at, load, ahead);
        let before = self.selection.turn(&moment, seen.fleet.desired);
        self.explain(before, load)
    }

    fn bounds(&mut self, min: u32, max: u32) {
        self.selection.bounds(min, max);
    }

    fn measured(&self) -> Option<Measured> {
        Some(super::outlook::measured(self.measured))
    }
}

#[cfg(test)]
#[path = "auto/tests.rs"]
mod tests;
