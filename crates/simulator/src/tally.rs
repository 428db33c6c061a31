//! Keeps the books of a simulation while it runs.

mod lateness;

use control::virtual_pool::flow::Served;

use crate::curve::Curve;
use crate::latency::Responses;
use crate::load::Load;
use crate::number::{ROUNDING, count};
use crate::price::Bill;
use crate::scenario::Scenario;
use lateness::Episode;
pub use lateness::{LateScaleOut, Lateness};

/// A change of direction within this time counts as a flap, where twice the start-up delay is
/// no longer.
const FLAP_WITHIN_MS: u64 = 300_000;

/// A stretch of scored time in which neither load nor workers changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) from_ms: u64,
    pub(crate) length_s: f64,
    pub(crate) load: f64,
    /// Smallest number of workers that carries the load.
    pub(crate) demand: f64,
    pub(crate) ready: f64,
    pub(crate) existing: f64,
}

/// Sums over scored time. Amounts of load and of workers' time are in worker-seconds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Scored time, in seconds.
    pub scored_s: f64,
    /// Load that came in.
    pub load: f64,
    /// Paid for: from launch to exit.
    pub billed: f64,
    /// Paid for before being ready, or while draining.
    pub churn: f64,
    /// Ready but beyond the load.
    pub waste: f64,
    /// Load beyond what the ready workers carry within the objective.
    pub late: f64,
    /// Load that left unserved.
    pub dropped: f64,
    /// Time in which the load was beyond that, in seconds.
    pub violation_s: f64,
    /// The longest such time without a break, in seconds.
    pub violation_longest_s: f64,
    /// Time with a backlog, in seconds.
    pub waiting_s: f64,
    /// Sum of the shares missing, over time.
    pub under: f64,
    /// Sum of the shares too much, over time.
    pub over: f64,
    /// Time with too few, in seconds.
    pub under_s: f64,
    /// Time with too many, in seconds.
    pub over_s: f64,
    /// Steps compared for instability.
    pub steps: u64,
    /// Of those, steps in which supply and demand did not move alike.
    pub unstable: u64,
    /// Decisions to have more.
    pub scale_outs: u64,
    /// Decisions to have fewer.
    pub scale_ins: u64,
    /// Workers launched.
    pub starts: u64,
    /// Changes of direction soon after another change.
    pub flaps: u64,
    /// What was late, part by part.
    pub lateness: Lateness,
    /// The run as a picture, where the load asks for one.
    pub curve: Option<Box<Curve>>,
    /// Money, where the scenario has prices.
    pub(crate) bill: Option<Box<Bill>>,
    pub(crate) responses: Responses,
    /// For so long a new worker is slow.
    pub(crate) warm_up_ms: u64,
    open: Option<Episode>,
    last_change: Option<(u64, bool)>,
    last_step: Option<(f64, f64)>,
}

impl Tally {
    /// Empty books of a run on `load`.
    pub(crate) fn of(load: &Load, scenario: &Scenario) -> Self {
        let curve = load.columns.map(|columns| Box::new(Curve::new(load, columns)));
        let bill = scenario.prices.as_ref().map(|prices| Box::new(Bill::new(prices)));
        Self { curve, bill, ..Self::default() }
    }

    /// Enters starts that are paid for although no pool keeps them, in worker-seconds.
    pub(crate) fn bill_at(&mut self, at_ms: u64, paid: f64) {
        self.billed += paid;
        self.churn += paid;
        if let Some(curve) = &mut self.curve {
            curve.bill(at_ms, paid);
        }
        if let Some(bill) = &mut self.bill {
            bill.enter_at(at_ms, paid);
        }
    }

    /// Enters supply and demand of a stretch of scored time.
    pub(crate) fn supply(&mut self, stretch: &Stretch) {
        let Stretch { from_ms, length_s, load, demand, ready, existing } = *stretch;
        self.scored_s += length_s;
        self.load += load * length_s;
        self.billed += existing * length_s;
        self.churn += (existing - ready) * length_s;
        if let Some(curve) = &mut self.curve {
            curve.enter(stretch);
        }
        if let Some(bill) = &mut self.bill {
            bill.enter(from_ms, from_ms + count(length_s * 1e3), existing);
        }
        let missing = load - ready;
        if missing > ROUNDING {
            self.late += missing * length_s;
            self.violation_s += length_s;
            self.violate(from_ms, from_ms + count(length_s * 1e3), missing * length_s);
        } else {
            self.waste -= missing * length_s;
            self.close();
        }
        if demand > ready {
            self.under += (demand - ready) / demand * length_s;
            self.under_s += length_s;
        } else if ready > demand {
            self.over += (ready - demand) / demand * length_s;
            self.over_s += length_s;
        }
    }

    /// Enters what became of the requests of a stretch of scored time.
    pub(crate) fn served(&mut self, stretch: &Stretch, served: &Served) {
        let Stretch { length_s, load, .. } = *stretch;
        self.dropped += served.dropped;
        self.waiting_s += served.waiting_s;
        if served.waiting_s > 0.0 {
            self.responses.waited(served.wait_s + served.response_s, load * served.waiting_s);
        }
        self.responses.shared(served.response_s, load * (length_s - served.waiting_s));
    }

    /// Compares how supply and demand moved since the last step.
    pub(crate) fn step(&mut self, demand: f64, ready: f64) {
        if let Some((demand_before, ready_before)) = self.last_step.replace((demand, ready)) {
            self.steps += 1;
            let sign = |change: f64| if change > 0.0 { 1 } else { -i32::from(change < 0.0) };
            self.unstable += u64::from(sign(demand - demand_before) != sign(ready - ready_before));
        }
    }

    /// Forgets the last step: what comes next follows a gap.
    pub(crate) fn break_off(&mut self) {
        self.last_step = None;
        self.close();
    }

    /// A decision was taken; `change` is how many workers more.
    pub(crate) fn decided(&mut self, at_ms: u64, change: i64, start_up_ms: u64) {
        if let Some(open) = &mut self.open {
            open.decided(at_ms, change, start_up_ms);
        }
        if change == 0 {
            return;
        }
        let out = change > 0;
        if out {
            self.scale_outs += 1;
            self.starts += change.unsigned_abs();
        } else {
            self.scale_ins += 1;
        }
        let within = FLAP_WITHIN_MS.max(start_up_ms.saturating_mul(2));
        if let Some((before_ms, before_out)) = self.last_change.replace((at_ms, out))
            && before_out != out
            && at_ms - before_ms <= within
        {
            self.flaps += 1;
        }
    }

    fn violate(&mut self, from_ms: u64, until_ms: u64, missing: f64) {
        let open = self.open.get_or_insert_with(|| Episode::begin(from_ms));
        self.violation_longest_s = self.violation_longest_s.max(open.go_on(until_ms, missing));
    }

    #[inline]
    fn close(&mut self) {
        if self.open.is_some() {
            self.enter_episode();
        }
    }

    #[inline(never)]
    fn enter_episode(&mut self) {
        if let Some(episode) = self.open.take() {
            self.lateness.enter(&episode, self.warm_up_ms);
        }
    }
}
