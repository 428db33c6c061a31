//! One way to decide, with its virtual pool and what that has cost of late.

use jiff::{SignedDuration, Timestamp};

use super::pool::Pool;
use crate::decision::Text;
use crate::policy::choice::{Chooser, Prices};
use crate::policy::outlook::{Ahead, Needs, Outlook};
use crate::policy::reactive::Reactive;

/// What a candidate may know at one turn.
pub(crate) struct Moment<'a> {
    pub(crate) at: Timestamp,
    /// Load of the slot that ended, in workers at the SLO-safe utilisation.
    pub(crate) load: f64,
    /// That utilisation, 0 to 1.
    pub(crate) slo_utilisation: f64,
    /// From order to ready.
    pub(crate) start_up_s: f64,
    /// What lies ahead, and the needs by each model, once all know enough.
    pub(crate) ahead: Option<(&'a Ahead, &'a [Needs])>,
}

/// What is at stake, the same for all and at every turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stakes {
    /// Price of a worker-second of missing capacity, in worker-seconds.
    pub(super) kappa: f64,
    /// Minimum and maximum.
    pub(super) bounds: (u32, u32),
}

impl<'a> Moment<'a> {
    /// What `outlook` knows at `at`, with this load.
    pub(crate) fn of(
        outlook: &Outlook,
        at: Timestamp,
        load: f64,
        ahead: Option<(&'a Ahead, &'a [Needs])>,
    ) -> Self {
        let (slo_utilisation, start_up_s) = (outlook.slo_utilisation(), outlook.start_up_s());
        Self { at, load, slo_utilisation, start_up_s, ahead }
    }

    /// Workers at 100 % that the load needs.
    fn busy(&self) -> f64 {
        self.load * self.slo_utilisation
    }

    /// Factors on the load of the slot that ended, equally likely.
    fn factors(&self) -> &[f64] {
        self.ahead.map_or(&[1.0], |(ahead, _)| &ahead.factors)
    }
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
pub(crate) struct Candidate {
    /// As people call it.
    pub(crate) label: Text,
    /// The reason while it leads, and while it could.
    pub(crate) sentence: Text,
    pub(crate) instead: Text,
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

impl Candidate {
    fn new(label: String, way: Way, prior: f64) -> Self {
        let cold = Reactive::default();
        let sentence =
            format!("{label} leads ({{cost}} worker-seconds of late): load {{load}} → {{replicas}}");
        let instead = format!("if {label} led ({{other}} worker-seconds of late, not {{cost}})");
        let (label, sentence, instead) = (label.into(), sentence.into(), instead.into());
        Self { label, sentence, instead, way, cold, pool: None, last: None, cost: 0.0, prior }
    }

    /// In proportion to the load, aiming at `target` of a worker, with so long a window before scaling in.
    pub(crate) fn reactive(target: f64, window_s: i64) -> Self {
        let label = format!("reactive at {:.0} %, {window_s} s before scaling in", 100.0 * target);
        Self::new(label, Way::Reactive(Reactive::new(target, window_s)), PRIOR_REACTIVE)
    }

    /// The cheapest plan by the model at this place, called `name`; missing capacity counts `boldness`
    /// times its price, and `floor` is what utilisation is never above.
    pub(crate) fn plan(model: usize, name: &str, boldness: f64, floor: Option<f64>) -> Self {
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

    /// The same, believed to cost so much a unit of load before anything was measured.
    pub(crate) fn believed(self, prior: f64) -> Self {
        Self { prior, ..self }
    }

    /// How many it wants.
    pub(crate) fn desired(&self) -> u32 {
        self.pool.as_ref().map_or(0, Pool::existing)
    }

    /// Lets the time since the last turn pass, and pays for the slot that ends now. What an outage of
    /// the metrics before it would have cost nobody measured, so nobody pays for it.
    pub(super) fn pass(&mut self, moment: &Moment, stakes: Stakes, keep: f64) {
        if let (Some(pool), Some(last)) = (&mut self.pool, self.last) {
            let slot = SignedDuration::from_secs_f64(moment.ahead.map_or(0.0, |(ahead, _)| ahead.interval_s));
            let from = moment.at.saturating_sub(slot).map_or(last, |began| began.max(last));
            pool.pass(last, from, 0.0, &[1.0], 0.0);
            let paid = pool.pass(from, moment.at, moment.load, moment.factors(), stakes.kappa);
            self.cost = keep * self.cost + paid;
        }
        self.last = Some(moment.at);
    }

    /// Says how many there should be, and orders them; the first pool is the real one.
    pub(super) fn decide(&mut self, moment: &Moment, stakes: Stakes, chooser: &mut Chooser, current: u32) {
        let pool = self.pool.get_or_insert_with(|| Pool::new(current));
        let before = pool.existing();
        let (at, busy) = (moment.at, moment.busy());
        let cold = self.cold.wish(at, busy, before);
        let wanted = match (&mut self.way, moment.ahead) {
            (Way::Reactive(reactive), _) => reactive.wish(at, busy, before),
            (Way::Plan { model, boldness, floor }, Some((ahead, needs))) => {
                let prices = Prices { kappa: *boldness * stakes.kappa };
                let planned = chooser.choose(before, ahead, &needs[*model], prices);
                planned.max(floor.as_mut().map_or(0, |floor| floor.wish(at, busy, before)))
            }
            (Way::Plan { .. }, None) => cold,
        };
        let (min, max) = stakes.bounds;
        pool.order(at, wanted.clamp(min, max.max(min)), moment.start_up_s);
    }
}

/// Before anything was measured, planning with the first model is believed to be the cheapest, as it
/// was on public traces; a few hours of costs outweigh that.
const PRIOR_PLAN: f64 = 1.06;
const PRIOR_REACTIVE: f64 = 1.2;
