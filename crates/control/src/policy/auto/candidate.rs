//! One way to decide, with its virtual pool and what that has cost of late.

use jiff::{SignedDuration, Timestamp};

use super::pool::Pool;
use crate::decision::Text;
use crate::policy::choice::{Chooser, Prices};
use crate::policy::outlook::{Ahead, Needs};
use crate::policy::reactive::{Reactive, USUAL_TARGET, USUAL_WINDOW_S};

/// Utilisations that reactive candidates aim at, and their windows before scaling in.
const TARGETS: [f64; 5] = [0.5, 0.6, USUAL_TARGET, 0.8, 0.85];
const WINDOWS_S: [i64; 4] = [0, 60, USUAL_WINDOW_S, 900];
/// Factors on κ with which planners buy: the fractile of the forecast that they prepare for.
const BOLDNESS: [f64; 4] = [0.4, 1.0, 2.5, 6.25];
/// Targets of the reactive floors that planners may have.
const FLOORS: [f64; 2] = [USUAL_TARGET, 0.85];

/// What a candidate may know at one turn.
pub(super) struct Moment<'a> {
    pub(super) at: Timestamp,
    /// Workers at 100 % that the load needs.
    pub(super) busy: f64,
    /// Loads of the slot that ended, equally likely, in workers at the SLO-safe utilisation.
    pub(super) loads: &'a [f64],
    pub(super) start_up_s: f64,
    pub(super) kappa: f64,
    pub(super) bounds: (u32, u32),
    /// What lies ahead, and the needs by each model, once all know enough.
    pub(super) ahead: Option<(&'a Ahead, &'a [Needs])>,
}

/// How a candidate decides.
#[derive(Debug)]
enum Way {
    /// In proportion to the load.
    Reactive(Reactive),
    /// The cheapest plan by one of the models, with κ times a factor, and perhaps never fewer than
    /// a reactive floor.
    Plan { model: usize, boldness: f64, floor: Option<Reactive> },
}

/// A way with its pool.
#[derive(Debug)]
pub(super) struct Candidate {
    /// As people call it.
    pub(super) label: Text,
    /// The reason while it leads, and while it could.
    pub(super) sentence: Text,
    pub(super) instead: Text,
    way: Way,
    /// Reactive while there is no forecast.
    cold: Reactive,
    pool: Option<Pool>,
    last: Option<Timestamp>,
    /// Worker-seconds of late, and κ times those that were missing; fading.
    pub(super) cost: f64,
    /// What a unit of load is believed to cost before anything was measured.
    pub(super) prior: f64,
}

/// All candidates; the first is the one to begin with.
pub(super) fn candidates(models: &[&'static str]) -> Vec<Candidate> {
    let mut all = vec![Candidate::reactive(USUAL_TARGET, USUAL_WINDOW_S)];
    for target in TARGETS {
        let others = WINDOWS_S
            .iter()
            .filter(|window_s| (target - USUAL_TARGET).abs() > 1e-9 || **window_s != USUAL_WINDOW_S);
        all.extend(others.map(|window_s| Candidate::reactive(target, *window_s)));
    }
    for (model, name) in models.iter().enumerate() {
        all.extend(BOLDNESS.map(|boldness| Candidate::plan(model, name, boldness, None)));
        all.extend(FLOORS.map(|floor| Candidate::plan(model, name, 1.0, Some(floor))));
    }
    all
}

impl Candidate {
    fn new(label: String, way: Way, prior: f64) -> Self {
        let cold = Reactive::default();
        let sentence =
            format!("{label} leads ({{cost}} worker-seconds of late): load {{load}} → {{replicas}}");
        let instead = format!("if {label} led ({{other}} worker-seconds of late, not {{cost}})");
        let (label, sentence, instead) = (label.into(), sentence.into(), instead.into());
        Self { label, sentence, instead, way, cold, pool: None, last: None, cost: 0.0, prior }
    }

    fn reactive(target: f64, window_s: i64) -> Self {
        let label = format!("reactive at {:.0} %, {window_s} s before scaling in", 100.0 * target);
        Self::new(label, Way::Reactive(Reactive::new(target, window_s)), PRIOR_REACTIVE)
    }

    fn plan(model: usize, name: &str, boldness: f64, floor: Option<f64>) -> Self {
        let plain = model == 0 && (boldness - 1.0).abs() < 1e-9 && floor.is_none();
        let mut label = format!("plan by {name}");
        if (boldness - 1.0).abs() > 1e-9 {
            label += &format!(", missing capacity × {boldness}");
        }
        if let Some(floor) = floor {
            label += &format!(", never above {:.0} %", 100.0 * floor);
        }
        let floor = floor.map(|target| Reactive::new(target, 0));
        Self::new(label, Way::Plan { model, boldness, floor }, if plain { 1.0 } else { PRIOR_PLAN })
    }

    /// How many it wants.
    pub(super) fn desired(&self) -> u32 {
        self.pool.as_ref().map_or(0, Pool::existing)
    }

    /// Lets the time since the last turn pass, and pays for the slot that ends now. What an outage of
    /// the metrics before it would have cost nobody measured, so nobody pays for it.
    pub(super) fn pass(&mut self, moment: &Moment, keep: f64) {
        if let (Some(pool), Some(last)) = (&mut self.pool, self.last) {
            let slot = SignedDuration::from_secs_f64(moment.ahead.map_or(0.0, |(ahead, _)| ahead.interval_s));
            let from = moment.at.saturating_sub(slot).map_or(last, |began| began.max(last));
            pool.pass(last, from, &[], 0.0);
            self.cost = keep * self.cost + pool.pass(from, moment.at, moment.loads, moment.kappa);
        }
        self.last = Some(moment.at);
    }

    /// Says how many there should be, and orders them; the first pool is the real one.
    pub(super) fn decide(&mut self, moment: &Moment, chooser: &mut Chooser, current: u32) {
        let pool = self.pool.get_or_insert_with(|| Pool::new(current));
        let before = pool.existing();
        let (at, busy) = (moment.at, moment.busy);
        let cold = self.cold.wish(at, busy, before);
        let wanted = match (&mut self.way, moment.ahead) {
            (Way::Reactive(reactive), _) => reactive.wish(at, busy, before),
            (Way::Plan { model, boldness, floor }, Some((ahead, needs))) => {
                let prices = Prices { kappa: *boldness * moment.kappa };
                let planned = chooser.choose(before, ahead, &needs[*model], prices);
                planned.max(floor.as_mut().map_or(0, |floor| floor.wish(at, busy, before)))
            }
            (Way::Plan { .. }, None) => cold,
        };
        let (min, max) = moment.bounds;
        pool.order(at, wanted.clamp(min, max.max(min)), moment.start_up_s);
    }
}

/// Before anything was measured, planning with the first model is believed to be the cheapest, as it
/// was on public traces; a few hours of costs outweigh that.
const PRIOR_PLAN: f64 = 1.06;
const PRIOR_REACTIVE: f64 = 1.2;
