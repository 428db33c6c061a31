//! Workers for the load that is expected when they will be ready, once the forecast has earned it;
//! never fewer than the last reading needs, and the reactive number (`fallback`) while trust is low.
//!
//! Two forecasts compete: the policy's own model, learnt within it, and the latest that came from
//! beside the loop (`SlowInputs`). Each is scored when its time comes, against the naive forecast.

mod fallback;
mod settings;
mod trust;

use jiff::SignedDuration;

use self::fallback::{Fallback, Reactive};
use self::settings::{Buffer, MaxBehavior, Mode, Settings};
use self::trust::{Evidence, Gate};
use super::choice::{Chooser, Prices};
use super::outlook::{Ahead, Needs, Outlook, Seer, Terms, seasons};
use super::reactive::Highest;
use super::selection::Moment;
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Foresight, Measured, Planned, Standing, Trust};
use crate::limits::Meets;
use crate::number;
use crate::observation::Observation;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "predictive",
    about: "workers for the load expected when they are ready, while forecasts beat the naive one",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        Ok(Built::bare(Predictive::new(own)))
    },
};

/// An idle worker is kept for a day at most, whatever a start-up is said to take.
const IDLE_MAX_S: f64 = 86_400.0;
/// Load up to this quantile is met in any case: a rise is met before it comes rather than after it,
/// and noise starts and stops fewer workers than it would around the median.
const LIKELY: f64 = 0.75;
/// The place of the naive forecast among the outlook's models; the policy's own is the first.
const NAIVE: usize = 1;

struct Predictive {
    outlook: Outlook,
    chooser: Chooser,
    fallback: Fallback,
    /// Keeps idle workers for as long as it takes to start them: what was likely a moment ago still is.
    idle: Highest,
    own_gate: Gate,
    heard_gate: Gate,
    min: u32,
    max: u32,
    own: Settings,
}

/// A forecast that may be used, and how far.
struct Chosen<'a> {
    model: &'a str,
    trust: Trust,
    seer: &'a Seer,
    /// Why it is trusted more or less now, if it is.
    changed: Option<Because>,
}

impl Predictive {
    fn new(own: Settings) -> Self {
        let terms = Terms {
            models: super::outlook::model(&own.model).into_iter().chain(["naive"]).collect(),
            slo_utilisation: own.slo_utilisation,
            start_up: own.start_up,
            seasons: seasons(own.season),
        };
        Self {
            outlook: Outlook::new(terms),
            chooser: Chooser::default(),
            fallback: Fallback::new(number::whole(own.stabilization_window.as_secs_f64()), own.kappa),
            idle: Highest::within(SignedDuration::ZERO),
            own_gate: Gate::new(),
            heard_gate: Gate::new(),
            min: 0,
            max: u32::MAX,
            own,
        }
    }

    /// What the forecast alone would have.
    fn planned(&mut self, seen: &Observation, ahead: &Ahead, needs: &Needs, heard: bool) -> u32 {
        let seer = self.seer(heard);
        let at = |stage: usize| {
            let middle = seer.at(stage, 0.5).unwrap_or(0.0) * ahead.scale;
            match self.own.buffer {
                Buffer::Quantile => seer.at(stage, self.own.quantile).unwrap_or(0.0) * ahead.scale,
                Buffer::Fixed => middle * (1.0 + self.own.margin),
                Buffer::ErrorProportional => middle + self.own.errors * seer.score.error() * ahead.scale,
                Buffer::OneSpare => middle + 1.0,
                // What is likely to be needed is there before it is, also where a small part of a
                // worker could be done without for its price.
                Buffer::ExpectedCost => seer.at(stage, LIKELY).unwrap_or(0.0) * ahead.scale,
            }
        };
        // On the way down nothing that is needed before a start-up is over may go; what is needed
        // later has time.
        let most = (1..=ahead.lead_stage()).map(at).fold(ahead.load, f64::max);
        let idle_s = (self.own.idle_start_ups * ahead.start_up_s).min(IDLE_MAX_S);
        self.idle.keep_for(SignedDuration::from_secs_f64(idle_s));
        let least = self.idle.of(seen.at, number::count_up(most.max(0.0)));
        if self.own.buffer != Buffer::ExpectedCost {
            return least;
        }
        self.chooser.choose(seen.fleet.desired, ahead, needs, Prices { kappa: self.own.kappa }).max(least)
    }

    fn seer(&self, heard: bool) -> &Seer {
        let heard = self.outlook.heard().filter(|_| heard).map(|(_, seer)| seer);
        heard.unwrap_or(&self.outlook.seers()[0])
    }

    /// Judges both forecasts; the one to go by, and whether it came from beside the loop.
    fn judge(&mut self, ahead: &Ahead) -> (bool, Option<Because>) {
        let (seers, lead) = (self.outlook.seers(), ahead.lead_stage().max(1));
        let own = self.own_gate.judge(&Evidence::of(&seers[0], &seers[NAIVE], lead));
        let Some((_, heard_seer)) = self.outlook.heard() else { return (false, own) };
        let heard = self.heard_gate.judge(&Evidence::of(heard_seer, &seers[NAIVE], lead));
        let loss = |seer: &Seer| seer.score.loss().map_or(f64::INFINITY, |(loss, _)| loss);
        let rank = |trust: Trust| match trust {
            Trust::Trusted => 2,
            Trust::Probation => 1,
            Trust::Reactive => 0,
        };
        let (mine, theirs) = (rank(self.own_gate.trust), rank(self.heard_gate.trust));
        let better = theirs > mine || (theirs == mine && theirs > 0 && loss(heard_seer) < loss(&seers[0]));
        (better, if better { heard } else { own })
    }

    fn chosen(&self, heard: bool, changed: Option<Because>) -> Chosen<'_> {
        let model = match self.outlook.heard() {
            Some((model, _)) if heard => model,
            _ => &self.own.model,
        };
        let gate = if heard { &self.heard_gate } else { &self.own_gate };
        Chosen { model, trust: gate.trust, seer: self.seer(heard), changed }
    }

    fn foresight(
        &self,
        chosen: &Chosen,
        ahead: &Ahead,
        numbers: (u32, u32),
        next: Option<Planned>,
    ) -> Foresight {
        let stage = ahead.lead_stage().max(1);
        let band = chosen.seer.band(stage).unwrap_or([f64::NAN; 3]).map(|rate| rate * ahead.scale);
        let naive = &self.outlook.seers()[NAIVE];
        Foresight {
            model: chosen.model.to_owned().into(),
            trust: chosen.trust,
            lead_s: ahead.start_up_s + ahead.interval_s,
            load: ahead.load,
            q10: band[0],
            q50: band[1],
            q90: band[2],
            coverage: chosen.seer.score.coverage().map(|(share, _)| share),
            loss_ratio: Evidence::ratio(chosen.seer, naive).map(|(ratio, _)| ratio),
            reactive: numbers.0,
            planned: numbers.1,
            next,
            standings: self.standings(),
        }
    }

    /// The policy's own model, and the one beside the loop if it has spoken.
    fn standings(&self) -> Vec<Standing> {
        let (seers, own) = (self.outlook.seers(), self.own.model.as_str());
        let standing = |model: &str, seer: &Seer, gate: &Gate| Standing {
            model: model.to_owned().into(),
            trust: gate.trust,
            scored: seer.score.loss().map_or(0, |(_, scored)| scored),
            loss_ratio: Evidence::ratio(seer, &seers[NAIVE]).map(|(ratio, _)| ratio),
            coverage: seer.score.coverage().map(|(share, _)| share),
        };
        let heard = self.outlook.heard().map(|(model, seer)| standing(model, seer, &self.heard_gate));
        std::iter::once(standing(own, &seers[0], &self.own_gate)).chain(heard).collect()
    }

    /// The number by the forecast, as far as it is trusted, and by the reactive rule.
    fn settle(&self, trust: Trust, reactive: u32, planned: u32, floor: u32) -> (u32, &'static str) {
        let (replicas, rule) = match (self.own.mode, trust) {
            (Mode::ForecastOnly, _) => (reactive, "forecast_only"),
            (_, Trust::Trusted) => (planned, "forecast"),
            (_, Trust::Probation) if planned > reactive => (planned, "forecast_on_probation"),
            (_, Trust::Probation) => (reactive, "reactive_on_probation"),
            (_, Trust::Reactive) => (reactive, "reactive"),
        };
        if replicas < floor { (floor, "floor") } else { (replicas, rule) }
    }

    /// The first bucket ahead whose load asks for another number, and when that is to be ordered.
    fn next(&self, ahead: &Ahead, needs: &Needs, replicas: u32) -> Option<Planned> {
        // A plan of what the limits forbid would be none.
        let bounded = |wanted: u32| match self.own.max_behavior {
            MaxBehavior::Honor => wanted.min(self.max).max(self.min),
            MaxBehavior::Exceed => wanted.max(self.min),
        };
        let wanted = |stage: usize| {
            let worth = |level: &usize| self.own.kappa * needs.of(stage, *level) > 1.0;
            bounded(u32::try_from((0..).take_while(worth).count()).unwrap_or(u32::MAX))
        };
        let replicas = bounded(replicas);
        let lead = ahead.lead_stage();
        let windows = ahead.stages.iter().zip(0_u32..);
        let (stage, window) =
            windows.filter(|(stage, _)| **stage > lead).find(|(stage, _)| wanted(**stage) != replicas)?;
        let needed_in_s = f64::from(window) * ahead.interval_s;
        let more = wanted(*stage) > replicas;
        Some(Planned {
            order_in_s: if more { (needed_in_s - ahead.start_up_s).max(0.0) } else { needed_in_s },
            replicas: wanted(*stage),
            needed_in_s,
            load: needs.expected(*stage),
        })
    }

    /// What decides without trust.
    fn fall_back(&mut self, seen: &Observation, load: f64, ahead: Option<&Ahead>, floor: u32) -> Reactive {
        let naive = &self.outlook.seers()[NAIVE];
        let needs = ahead.filter(|_| naive.is_ready()).map(|ahead| [naive.needs(ahead)]);
        let ahead = ahead.zip(needs.as_ref().map(|needs| needs.as_slice()));
        let moment = Moment::of(&self.outlook, seen.at, load, ahead);
        self.fallback.turn(&moment, seen.fleet.desired, floor)
    }

    fn without_forecast(&self, reactive: &Reactive, load: f64) -> Recommendation {
        let sentence =
            format!("load {{load}} workers, no forecast yet: {{reactive}} by {}", self.fallback.name());
        let numbers = [("load", load), ("reactive", f64::from(reactive.replicas))];
        Recommendation::hold(reactive.replicas, "no_forecast", Because::new(sentence, numbers))
    }
}

impl Policy for Predictive {
    fn observe(&mut self, seen: &Observation) {
        self.outlook.observe(seen);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let (ahead, load) = match self.outlook.open(seen) {
            Ok(open) => open,
            Err(said) => return *said,
        };
        let floor = number::count_up(load * self.own.slo_utilisation);
        let reactive = self.fall_back(seen, load, ahead.as_ref(), floor);
        let mut said = match ahead {
            Some(ahead) => self.with(seen, &ahead, &reactive, floor),
            None => self.without_forecast(&reactive, load),
        };
        said.measured = self.measured();
        said
    }

    fn bounds(&mut self, min: u32, max: u32) {
        (self.min, self.max) = (min, max);
        self.fallback.bounds(min, max);
    }

    fn measured(&self) -> Option<Measured> {
        Some(super::outlook::measured(self.outlook.load()))
    }
}

impl Predictive {
    fn with(&mut self, seen: &Observation, ahead: &Ahead, reactive: &Reactive, floor: u32) -> Recommendation {
        let (heard, changed) = self.judge(ahead);
        if !self.seer(heard).is_ready() {
            return self.without_forecast(reactive, ahead.load);
        }
        let needs = self.seer(heard).needs(ahead);
        let planned = self.planned(seen, ahead, &needs, heard);
        let chosen = self.chosen(heard, changed);
        let (mut replicas, rule) = self.settle(chosen.trust, reactive.replicas, planned, floor);
        let mut meets = Meets::All;
        if self.own.max_behavior == MaxBehavior::Exceed && rule == "forecast" && replicas > self.max {
            let most = number::count(f64::from(self.max) * (1.0 + self.own.max_exceeded_by));
            (replicas, meets) = (replicas.min(most.max(self.max)), Meets::None);
        }
        let next = self.next(ahead, &needs, replicas);
        let foresight = self.foresight(&chosen, ahead, (reactive.replicas, planned), next);
        let mut said = Recommendation::hold(replicas, rule, because(&chosen, reactive, &foresight, replicas));
        said.meets = meets;
        said.foresight = Some(Box::new(foresight));
        said
    }
}

/// The numbers, what is to come, and why trust or the reactive rule is another now, if it is.
fn because(chosen: &Chosen, reactive: &Reactive, foresight: &Foresight, replicas: u32) -> Because {
    let next = foresight.next;
    let numbers = [
        ("load", foresight.load),
        ("middle", foresight.q50),
        ("high", foresight.q90),
        ("lead", foresight.lead_s),
        ("planned", f64::from(foresight.planned)),
        ("reactive", f64::from(foresight.reactive)),
        ("replicas", f64::from(replicas)),
        ("order", next.map_or(f64::NAN, |next| next.order_in_s)),
        ("then", next.map_or(f64::NAN, |next| f64::from(next.replicas))),
        ("due", next.map_or(f64::NAN, |next| next.needed_in_s)),
        ("coming", next.map_or(f64::NAN, |next| next.load)),
    ];
    let plain = if next.is_some() { EXPECTED_AND_NEXT } else { EXPECTED };
    let trust = chosen.changed.as_ref();
    let trust = trust.map(|changed| format!("{} is {} now: {changed}", chosen.model, chosen.trust.name()));
    let news: Vec<&str> = trust.iter().chain(&reactive.changed).map(String::as_str).collect();
    match news[..] {
        [] => Because::new(plain, numbers),
        _ => Because::new(format!("{}; {plain}", news.join("; ")), numbers),
    }
}

/// What is expected, in workers.
const EXPECTED: &str =
    "load {load}, {middle} expected in {lead} s (90 %: {high}): forecast {planned}, reactive {reactive}";
/// The same with the next change to come.
const EXPECTED_AND_NEXT: &str = "load {load}, {middle} expected in {lead} s (90 %: {high}): forecast {planned}, reactive {reactive}; at +{order} s {replicas} → {then}, because {coming} is expected at +{due} s";

#[cfg(test)]
#[path = "predictive/tests.rs"]
mod tests;
