//! Many policies decide in shadow, each for a virtual pool of its own; the one whose pool was
//! cheapest of late acts.
//!
//! Every slot each candidate's pool is charged for its workers and, κ times, for the load that they
//! could not have carried. Costs fade with a half-life of a day. Once an hour, sooner at first, the
//! cheapest takes over if it is cheaper by more than the hysteresis. The first leader is reactive:
//! whoever forecasts must earn it.

mod candidate;
mod pool;

use std::time::Duration;

use serde::Deserialize;

use self::candidate::{Candidate, Moment, candidates};
use super::choice::Chooser;
use super::outlook::{Ahead, Needs, Outlook, Terms, seasons};
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
        Ok(Built::bare(Auto::new(own)))
    },
};

/// Models that candidates plan with, the one to begin with first.
const MODELS: [&str; 2] = ["autoregressive", "naive"];
/// Share by which another must be cheaper to take over.
const HYSTERESIS: f64 = 0.02;
/// Time in which a past cost loses half its weight.
const HALF_LIFE_S: f64 = 86_400.0;
/// Time between two looks at the costs, at most.
const LOOK_S: f64 = 3_600.0;
/// The same as a share of the time that was compared, while that is short.
const LOOK_SHARE: f64 = 0.125;
/// Slots compared before the first look.
const SLOTS_MIN: u32 = 8;
/// Time for which the prior beliefs about candidates count.
const PRIOR_S: f64 = 3_600.0;

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
    own: Settings,
    bounds: (u32, u32),
    outlook: Outlook,
    chooser: Chooser,
    candidates: Vec<Candidate>,
    leader: usize,
    /// Slots and seconds in which all could be compared, and the load of that time, fading.
    compared: u32,
    compared_s: f64,
    load_s: f64,
    /// `compared_s` at the last look.
    looked_s: f64,
    measured: Option<f64>,
}

impl Auto {
    fn new(own: Settings) -> Self {
        let terms = Terms {
            models: MODELS.to_vec(),
            slo_utilisation: own.slo_utilisation,
            start_up: own.start_up,
            seasons: seasons(own.season),
        };
        Self {
            bounds: (0, u32::MAX),
            outlook: Outlook::new(terms),
            chooser: Chooser::default(),
            candidates: candidates(&MODELS),
            leader: 0,
            compared: 0,
            compared_s: 0.0,
            load_s: 0.0,
            looked_s: 0.0,
            measured: None,
            own,
        }
    }

    /// Lets every candidate's pool go on to this turn.
    fn turn(&mut self, seen: &Observation, load: f64, ahead: Option<&Ahead>, needs: &[Needs]) {
        let ahead = ahead.filter(|_| !needs.is_empty());
        let loads: Vec<f64> = ahead
            .map_or_else(|| vec![load], |ahead| ahead.factors.iter().map(|factor| factor * load).collect());
        let moment = Moment {
            at: seen.at,
            busy: load * self.own.slo_utilisation,
            loads: &loads,
            start_up_s: self.outlook.start_up_s(),
            kappa: self.own.kappa,
            bounds: self.bounds,
            ahead: ahead.map(|ahead| (ahead, needs)),
        };
        let interval_s = ahead.map_or(0.0, |ahead| ahead.interval_s);
        let keep = 0.5_f64.powf(interval_s / HALF_LIFE_S);
        for candidate in &mut self.candidates {
            candidate.pass(&moment, keep);
            candidate.decide(&moment, &mut self.chooser, seen.fleet.desired);
        }
        if ahead.is_some() {
            self.compared += 1;
            self.compared_s += interval_s;
            self.load_s = keep * self.load_s + load * interval_s;
        }
    }

    /// Once in a while the cheapest takes over; the one before it, if it was another.
    fn look(&mut self) -> Option<usize> {
        let due_s = (LOOK_SHARE * self.compared_s).min(LOOK_S);
        if self.compared < SLOTS_MIN || self.compared_s - self.looked_s < due_s {
            return None;
        }
        self.looked_s = self.compared_s;
        let best = (0..self.candidates.len()).min_by(|a, b| self.cost(*a).total_cmp(&self.cost(*b)))?;
        let better = self.cost(best) < (1.0 - HYSTERESIS) * self.cost(self.leader);
        better.then(|| std::mem::replace(&mut self.leader, best))
    }

    /// What a candidate cost of late, beside what it was believed to cost.
    fn cost(&self, index: usize) -> f64 {
        // Costs fade, so in the long run as much time counts as a half-life over ln 2.
        let counted_s = self.compared_s.clamp(1.0, HALF_LIFE_S / std::f64::consts::LN_2);
        let candidate = &self.candidates[index];
        candidate.cost + candidate.prior * PRIOR_S * self.load_s / counted_s
    }

    fn explain(&self, before: Option<usize>, load: f64) -> Recommendation {
        let leader = &self.candidates[self.leader];
        let numbers = [
            ("load", load),
            ("replicas", f64::from(leader.desired())),
            ("cost", self.cost(self.leader)),
            ("before", before.map_or(f64::NAN, |before| self.cost(before))),
        ];
        let (rule, sentence) = match before {
            Some(before) => {
                let sentence = format!(
                    "{} takes over: {{cost}} worker-seconds of late against {{before}} by {}; load {{load}} → {{replicas}}",
                    &*leader.label, &*self.candidates[before].label
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
        let wanted = self.candidates[self.leader].desired();
        let others = (0..self.candidates.len()).filter(|index| self.candidates[*index].desired() != wanted);
        let other = others.min_by(|a, b| self.cost(*a).total_cmp(&self.cost(*b)))?;
        let numbers = [("other", self.cost(other)), ("cost", self.cost(self.leader))];
        let candidate = &self.candidates[other];
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
        self.turn(seen, load, ahead.as_ref(), &needs);
        let before = self.look();
        self.explain(before, load)
    }

    fn bounds(&mut self, min: u32, max: u32) {
        self.bounds = (min, max);
    }

    fn measured(&self) -> Option<Measured> {
        Some(super::outlook::measured(self.measured))
    }
}

#[cfg(test)]
#[path = "auto/tests.rs"]
mod tests;
