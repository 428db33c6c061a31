//! Virtual time of the fluid engine: advances load, backlog and books together.

use control::virtual_pool::flow::Flow;

use crate::load::Load;
use crate::number::{count, index, seconds, workers_for};
use crate::scenario::Scenario;
use crate::tally::{Stretch, Tally};

/// What could be measured over one step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
    /// Part of it without a gap.
    pub(super) length_ms: u64,
    /// The same in seconds; 0: all of it is a gap.
    pub(super) length_s: f64,
    /// Busy time of a worker that was ready throughout, in seconds.
    pub(super) busy_s: f64,
    /// Load that came in, in worker-seconds.
    pub(super) load: f64,
    pub(super) dropped: f64,
    /// Load at its end, in workers.
    pub(super) rate: f64,
    /// Mean response at its end, in seconds.
    pub(super) response_s: f64,
    /// Wait of one who came at its end, in seconds.
    pub(super) wait_s: f64,
    pub(super) backlog: f64,
}

/// The load's side of a simulation.
pub(super) struct World<'a> {
    load: &'a Load,
    flow: Flow,
    pub(super) tally: Tally,
    pub(super) now_ms: u64,
    /// Busy time so far of a worker that was ready all the time, in seconds.
    pub(super) busy_s: f64,
    /// Requests in a worker-second of load at the SLO-safe utilisation.
    pub(super) requests_per_load: f64,
    /// Fewest workers that demand is taken for.
    demand_min: f64,
    /// Load of the present bucket, what it demands, and when it ends.
    rate: f64,
    demand: f64,
    bucket_end_ms: u64,
    scoring: bool,
    /// The step that runs, or ended last.
    reading: Reading,
    /// `busy_s` when it began.
    busy_before_s: f64,
}

impl<'a> World<'a> {
    pub(super) fn new(load: &'a Load, scenario: &Scenario) -> Self {
        let service_s = scenario.service_time.as_secs_f64();
        Self {
            load,
            flow: Flow::new(scenario.slo_utilisation, scenario.patience.as_secs_f64(), service_s),
            tally: Tally::of(load, scenario),
            now_ms: 0,
            busy_s: 0.0,
            requests_per_load: scenario.slo_utilisation / service_s,
            demand_min: f64::from(scenario.min.max(1)),
            rate: 0.0,
            demand: 0.0,
            bucket_end_ms: 0,
            scoring: false,
            reading: Reading::default(),
            busy_before_s: 0.0,
        }
    }

    /// A step begins: the last reading is over.
    pub(super) fn begin_step(&mut self, step: usize) {
        self.scoring = step >= self.load.scored_from();
        self.reading = Reading { from_ms: self.now_ms, ..Reading::default() };
        self.busy_before_s = self.busy_s;
    }

    /// A step ends with this many workers ready.
    #[inline]
    pub(super) fn end_step(&mut self, ready: u32) {
        let reading = &mut self.reading;
        reading.until_ms = self.now_ms;
        reading.busy_s = self.busy_s - self.busy_before_s;
        reading.backlog = self.flow.backlog;
        if !self.scoring {
            return;
        }
        if reading.length_s > 0.0 {
            let demand = f64::from(workers_for(reading.load / reading.length_s)).max(self.demand_min);
            self.tally.step(demand, f64::from(ready));
        } else {
            self.tally.break_off();
        }
    }

    /// What the step that just ended looked like; `None` if it lies in a gap.
    pub(super) fn reading(&self) -> Option<&Reading> {
        Some(&self.reading).filter(|reading| reading.length_s > 0.0)
    }

    /// Lets time pass with these workers.
    pub(super) fn flow_until(&mut self, until_ms: u64, ready: u32, existing: u32) {
        let (ready, existing) = (f64::from(ready), f64::from(existing));
        while self.now_ms < until_ms {
            if self.now_ms >= self.bucket_end_ms {
                self.next_bucket();
            }
            let end_ms = self.bucket_end_ms.min(until_ms);
            let length_ms = end_ms - self.now_ms;
            let length_s = seconds(length_ms);
            let from_ms = std::mem::replace(&mut self.now_ms, end_ms);
            if self.rate.is_nan() {
                // Nobody knows what came in; what waited is served.
                self.flow.run(0.0, ready, length_s);
                if self.scoring {
                    self.tally.break_off();
                }
                continue;
            }
            let served = self.flow.run(self.rate, ready, length_s);
            self.busy_s += served.busy_s;
            self.reading.length_ms += length_ms;
            self.reading.length_s += length_s;
            self.reading.load += self.rate * length_s;
            self.reading.dropped += served.dropped;
            self.reading.rate = self.rate;
            self.reading.response_s = served.response_s;
            self.reading.wait_s = self.flow.wait_s(ready);
            if self.scoring {
                let (load, demand) = (self.rate, self.demand);
                let stretch = Stretch { from_ms, length_s, load, demand, ready, existing };
                self.tally.supply(&stretch);
                self.tally.served(&stretch, &served);
            }
        }
    }

    fn next_bucket(&mut self) {
        let place = index(self.now_ms / self.load.bucket_ms());
        self.rate = self.load.bucket(place);
        self.demand =
            if self.rate.is_nan() { 0.0 } else { f64::from(workers_for(self.rate)).max(self.demand_min) };
        self.bucket_end_ms = self.load.bucket_ms() * (place as u64 + 1);
    }

    /// Adds start-up that is paid for although no pool keeps it.
    pub(super) fn bill_start(&mut self, workers: u32, paid_s: f64) {
        let paid = f64::from(workers) * paid_s;
        self.tally.bill_at(self.now_ms, paid);
    }

    pub(super) fn finish(mut self) -> Tally {
        self.tally.break_off();
        // The books keep requests by load; people read them as requests.
        debug_assert!(count(self.tally.scored_s) <= count(self.load.scored_s()) + 1);
        self.tally
    }
}
