//! The control loop's turn: sample, observe, decide, order; the live loop's four lines.

use std::ops::ControlFlow;

use control::{Observation, State};
use traffic::{BackendSample, Reading, Sample};

use super::{Mind, Site, place};
use crate::fluid::Watch;
use crate::number::{self, WORKERS_MAX};
use crate::outage::Lens;
use crate::scenario::Scenario;

/// Measurements of one turn.
struct Measured {
    sample: Sample,
    /// Each slot's share of its last turn in which it was busy.
    busy: Vec<Option<f64>>,
}

/// What the loop remembers between two turns.
pub(super) struct Turns<'a> {
    earlier: Option<Reading>,
    /// Measurements on their way, where they take a while; `None` was lost.
    delayed: std::collections::VecDeque<Option<Measured>>,
    delay_turns: usize,
    lens: Lens<'a>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let turns = scenario.metric_delay.as_secs_f64() / scenario.decide_every.as_secs_f64();
        Self {
            earlier: None,
            delayed: std::collections::VecDeque::new(),
            delay_turns: number::index(number::count(turns.ceil())),
            lens: Lens::new(&scenario.outages),
        }
    }

    /// The turn that begins step `step`.
    pub(super) fn take(
        &mut self,
        site: &mut Site,
        step: usize,
        mind: &mut Mind,
        watch: &mut Option<&mut Watch>,
    ) -> ControlFlow<()> {
        site.books.end_step(step - 1, &site.fleet.status());
        let measured = self.measure(site, step - 1);
        self.delayed.push_back(measured);
        let arrived =
            (self.delayed.len() > self.delay_turns).then(|| self.delayed.pop_front()).flatten().flatten();
        let Mind::Controller(controller) = mind else { return ControlFlow::Continue(()) };
        let mut seen = observe(site, arrived);
        self.lens.bend(&mut seen);
        let desired = match watch {
            Some(watch) => {
                let decision = controller.decide(&seen);
                watch(&seen, &decision)?;
                decision.desired()
            }
            // Reasons that nobody reads are not given.
            None => controller.desired(&seen),
        };
        let desired = desired.min(WORKERS_MAX);
        if step >= site.load.scored_from() {
            let change = i64::from(desired) - i64::from(seen.fleet.desired);
            let start_up_ms = u64::try_from(site.scenario.start_up.as_millis()).unwrap_or(u64::MAX);
            site.books.tally.decided(site.load.begin_ms(step), change, start_up_ms);
        }
        if desired != seen.fleet.desired {
            site.order(desired);
        }
        ControlFlow::Continue(())
    }

    fn measure(&mut self, site: &mut Site, step: usize) -> Option<Measured> {
        let at = site.moment();
        let earlier = self.earlier.get_or_insert_with(|| Reading::empty(jiff::Timestamp::UNIX_EPOCH));
        let sample = Sample::take(&site.pool, &site.meter, earlier, at);
        let (from_ms, to_ms) = (site.load.begin_ms(step), site.load.begin_ms(step + 1));
        let (from_ns, now_ns) = (from_ms * 1_000_000, site.now_ns);
        let busy = site.stations.iter_mut().map(|seat| {
            let busy_s = seat.station.busy_s(now_ns);
            let share_s = busy_s - std::mem::replace(&mut seat.busy_before_s, busy_s);
            let ready_ns = seat.ready_ns?.max(from_ns);
            (ready_ns < now_ns).then(|| (share_s / ((now_ns - ready_ns) as f64 / 1e9)).min(1.0))
        });
        let busy = busy.collect();
        let in_gap = site.load.present_ms(to_ms) == site.load.present_ms(from_ms);
        let lost = site.des.faults.metric_loss > 0.0 && site.mishaps.even() < site.des.faults.metric_loss;
        (!in_gap && !lost).then_some(Measured { sample, busy })
    }
}

fn observe(site: &mut Site, measured: Option<Measured>) -> Observation {
    let mut workers = site.fleet.workers();
    for worker in &mut workers {
        let Some(measured) = &measured else { continue };
        if worker.state == State::Ready {
            worker.cpu_percent =
                measured.busy.get(place(worker.id)).copied().flatten().map(|share| 100.0 * share);
        }
        if let Some(backend) = backend(&measured.sample.backends, worker.id) {
            worker.in_flight = backend.in_flight;
            worker.requests = backend.requests;
            worker.first_request_at = backend.first_request_at;
        }
    }
    Observation {
        at: site.moment(),
        traffic: measured.map(|measured| measured.sample.window),
        fleet: site.fleet.status(),
        workers: workers.into(),
        signals: std::collections::BTreeMap::new(),
        transitions: site.fleet.take_transitions(),
        commands: Vec::new(),
        slow: control::SlowInputs::default(),
        history: None,
    }
}

fn backend(samples: &[BackendSample], id: traffic::WorkerId) -> Option<&BackendSample> {
    let place = samples.binary_search_by_key(&id, |sample| sample.id).ok()?;
    samples.get(place)
}
