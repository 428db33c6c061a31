//! The same books as the fluid engine's: supply against load, and single requests beside it.

use control::FleetStatus;

use crate::load::Load;
use crate::number::{seconds, workers_for};
use crate::scenario::Scenario;
use crate::tally::{Stretch, Tally};

/// Who was there since when.
pub(super) struct Books<'a> {
    load: &'a Load,
    pub(super) tally: Tally,
    since_ms: u64,
    /// Workers ready, each as far as it is allowed to work.
    ready: f64,
    existing: u32,
    demand_min: f64,
}

impl<'a> Books<'a> {
    pub(super) fn new(load: &'a Load, scenario: &Scenario, warm_up_ms: u64) -> Self {
        let demand_min = f64::from(scenario.min.max(1));
        let mut tally = Tally::of(load, scenario);
        tally.warm_up_ms = warm_up_ms;
        Self { load, tally, since_ms: 0, ready: 0.0, existing: 0, demand_min }
    }

    /// From now on there are so many, and those ready carry as much as `ready` unthrottled ones.
    pub(super) fn supply(&mut self, now_ms: u64, status: &FleetStatus, ready: f64) {
        let existing = status.starting + status.ready + status.unhealthy + status.draining;
        if self.ready.total_cmp(&ready).is_ne() || self.existing != existing {
            self.bring_up_to(now_ms);
            (self.ready, self.existing) = (ready, existing);
        }
    }

    fn bring_up_to(&mut self, now_ms: u64) {
        let mut at_ms = self.since_ms.max(self.load.scored_from_ms());
        self.since_ms = self.since_ms.max(now_ms);
        let (ready, existing) = (self.ready, f64::from(self.existing));
        if at_ms >= now_ms {
            return;
        }
        for piece in self.load.pieces(at_ms, now_ms) {
            let (from_ms, length_s) = (at_ms, seconds(piece.length_ms));
            at_ms += piece.length_ms;
            if piece.workers.is_nan() {
                self.tally.break_off();
                continue;
            }
            let demand = f64::from(workers_for(piece.workers)).max(self.demand_min);
            let stretch = Stretch { from_ms, length_s, load: piece.workers, demand, ready, existing };
            self.tally.supply(&stretch);
        }
    }

    /// A step is over.
    pub(super) fn end_step(&mut self, step: usize, status: &FleetStatus) {
        let (begin_ms, end_ms) = (self.load.begin_ms(step), self.load.begin_ms(step + 1));
        self.bring_up_to(end_ms);
        if step < self.load.scored_from() {
            return;
        }
        let mut sum = 0.0;
        for piece in self.load.pieces(begin_ms, end_ms).filter(|piece| !piece.workers.is_nan()) {
            sum += piece.workers * seconds(piece.length_ms);
        }
        let present_s = seconds(self.load.present_ms(end_ms) - self.load.present_ms(begin_ms));
        if present_s > 0.0 {
            let demand = f64::from(workers_for(sum / present_s)).max(self.demand_min);
            self.tally.step(demand, f64::from(status.ready));
        }
    }

    /// A request was answered in the scored time.
    pub(super) fn answered(&mut self, response_s: f64) {
        self.tally.responses.waited(response_s, 1.0);
    }

    /// Load that gave up.
    pub(super) fn dropped(&mut self, load: f64) {
        self.tally.dropped += load;
    }

    pub(super) fn finish(mut self, now_ms: u64) -> Tally {
        self.bring_up_to(now_ms);
        self.tally.break_off();
        self.tally
    }
}
