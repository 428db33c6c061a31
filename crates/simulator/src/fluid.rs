//! The fast engine: load as a fluid, in closed form between the moments at which anything
//! changes, with the live system's controller deciding on virtual time.

mod plan;
mod world;

use std::ops::ControlFlow;
use std::time::Duration;

use control::virtual_pool::{VirtualPool, When, moment};
use control::{Controller, ControllerConfig, Decision, Observation, PolicyConfig};
use traffic::{Latency, Window};

use crate::load::Load;
use crate::number::{self, WORKERS_MAX, length, seconds};
use crate::optimum::Plan;
use crate::outage::Lens;
use crate::scenario::Scenario;
use crate::tally::Tally;
use world::{Reading, World};

/// Who says how many workers there are.
pub enum Driver<'a> {
    /// A policy, through the live system's controller.
    Controller(Box<Controller>),
    /// Always this many.
    Static(u32),
    /// A schedule that knows the future.
    Plan(&'a Plan),
    /// Somebody who is asked each turn, and shown the books so far.
    Agent(&'a mut Agent<'a>),
}

/// Says how many workers there should be.
pub type Agent<'a> = dyn FnMut(&Observation, &Tally) -> u32 + 'a;

/// Is shown each turn; all that it can change is where the run ends.
pub type Watch<'a> = dyn FnMut(&Observation, &Decision) -> ControlFlow<()> + 'a;

/// A controller for `policy` under this scenario's bounds and prices.
pub fn controller(policy: PolicyConfig, scenario: &Scenario) -> Result<Controller, control::ConfigError> {
    Controller::new(ControllerConfig {
        policy: policy.priced(scenario.kappa, scenario.slo_utilisation),
        min: scenario.min,
        max: scenario.max.unwrap_or(WORKERS_MAX),
        interval: scenario.decide_every,
        shadows: Vec::new(),
    })
}

/// Runs the whole load and returns the books of its scored part.
///
/// Without a `watch` nobody reads the reasons of a decision, and the controller is asked for the
/// number alone.
pub fn run(load: &Load, scenario: &Scenario, driver: Driver, watch: Option<&mut Watch>) -> Tally {
    match driver {
        Driver::Controller(mut controller) => match watch {
            Some(watch) => decide(load, scenario, true, |seen, _| {
                let decision = controller.decide(seen);
                watch(seen, &decision)?;
                ControlFlow::Continue(decision.desired())
            }),
            None => {
                let latency = controller.reads_latency();
                decide(load, scenario, latency, |seen, _| ControlFlow::Continue(controller.desired(seen)))
            }
        },
        Driver::Agent(agent) => {
            decide(load, scenario, true, |seen, tally| ControlFlow::Continue(agent(seen, tally)))
        }
        Driver::Static(workers) => plan::hold(load, scenario, workers),
        Driver::Plan(schedule) => plan::follow(load, scenario, schedule),
    }
}

/// Asks `mind` each turn; it is shown latencies and waits only where it asks for `latency`.
fn decide(
    load: &Load,
    scenario: &Scenario,
    latency: bool,
    mut mind: impl FnMut(&Observation, &Tally) -> ControlFlow<(), u32>,
) -> Tally {
    let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let (start_up_ms, drain_ms) = (millis(scenario.start_up), millis(scenario.drain));
    let mut world = World::new(load, scenario);
    let mut pool = VirtualPool::ready_from_start(load.first_workers(scenario));
    let mut delayed = Delayed::new(scenario);
    let mut lens = Lens::new(&scenario.outages);
    let mut seen = blank();
    for step in 0..load.steps() {
        let now_ms = world.now_ms;
        if step > 0 {
            let reading = world.reading();
            match &mut delayed {
                Some(delayed) => {
                    let earlier = delayed.pass(reading.copied());
                    observe(&mut seen, &world, &mut pool, earlier.as_ref(), latency);
                }
                None => observe(&mut seen, &world, &mut pool, reading, latency),
            }
            lens.bend(&mut seen);
            let ControlFlow::Continue(desired) = mind(&seen, &world.tally) else { break };
            std::mem::swap(&mut seen.workers, &mut pool.seen);
            let change = i64::from(desired) - i64::from(seen.fleet.desired);
            if change != 0 {
                let when = When {
                    now_ms,
                    ready_ms: now_ms.saturating_add(start_up_ms),
                    gone_ms: now_ms.saturating_add(drain_ms),
                    busy_s: world.busy_s,
                };
                pool.set_desired(desired.min(WORKERS_MAX), &when);
            }
            if step >= load.scored_from() {
                world.tally.decided(now_ms, change, start_up_ms);
            }
        }
        world.begin_step(step);
        let end_ms = load.begin_ms(step + 1);
        while world.now_ms < end_ms {
            let until_ms = pool.wake_at().map_or(end_ms, |wake| wake.clamp(world.now_ms, end_ms));
            world.flow_until(until_ms, pool.ready(), pool.existing());
            pool.wake(until_ms, world.busy_s);
        }
        world.end_step(pool.ready());
    }
    world.finish()
}

/// Hands readings on as late as the scenario says.
struct Delayed {
    /// More than 0.
    turns: usize,
    waiting: std::collections::VecDeque<Option<Reading>>,
}

impl Delayed {
    /// `None` where the scenario lets them come in time.
    fn new(scenario: &Scenario) -> Option<Self> {
        let turns = scenario.metric_delay.as_secs_f64() / scenario.decide_every.as_secs_f64();
        let turns = number::index(number::count(turns.ceil()));
        (turns > 0).then(|| Self { turns, waiting: std::collections::VecDeque::new() })
    }

    fn pass(&mut self, reading: Option<Reading>) -> Option<Reading> {
        self.waiting.push_back(reading);
        if self.waiting.len() > self.turns { self.waiting.pop_front().flatten() } else { None }
    }
}

fn blank() -> Observation {
    Observation {
        at: moment(0),
        traffic: None,
        fleet: control::FleetStatus::default(),
        workers: control::Workers::default(),
        signals: std::collections::BTreeMap::new(),
        transitions: Vec::new(),
        commands: Vec::new(),
        slow: control::SlowInputs::default(),
        history: None,
    }
}

/// Brings the one observation that is used again and again up to date. It borrows the pool's
/// workers, which must be given back: to copy them would cost more than the decision.
fn observe(
    seen: &mut Observation,
    world: &World,
    pool: &mut VirtualPool,
    reading: Option<&Reading>,
    latency: bool,
) {
    seen.at = moment(world.now_ms);
    seen.fleet = pool.status();
    std::mem::swap(&mut seen.workers, &mut pool.seen);
    seen.traffic = reading.map(|reading| window(world, reading, latency));
    let Some(reading) = reading else {
        seen.workers.read_cpu(None);
        return;
    };
    let delayed = reading.until_ms < world.now_ms;
    let percent = |share: f64| Some(100.0 * share.clamp(0.0, 1.0));
    let throughout = percent(reading.busy_s / reading.length_s);
    let throughout_until_ms = if delayed { reading.until_ms } else { reading.from_ms + 1 };
    if pool.were_ready_before(throughout_until_ms) {
        seen.workers.read_cpu(throughout);
        return;
    }
    let marks = pool.marks();
    seen.workers.read_each_cpu(|place| match marks[place] {
        mark if mark.ready_ms < throughout_until_ms => throughout,
        mark if mark.ready_ms < reading.until_ms => {
            percent((world.busy_s - mark.busy_s) / seconds(reading.until_ms - mark.ready_ms))
        }
        _ => None,
    });
}

/// What the data plane would have counted; latencies and waits only where they are wanted.
fn window(world: &World, reading: &Reading, latency: bool) -> Window {
    let requests = |load: f64| number::count(load * world.requests_per_load);
    let arrivals = requests(reading.load);
    let failures = requests(reading.dropped).min(arrivals);
    // An exponential time exceeds -ln(1 - q) means with probability 1 - q.
    let quantile = |minus_log: f64| length(reading.wait_s + reading.response_s * minus_log);
    Window {
        length: Duration::from_millis(reading.length_ms),
        arrivals,
        completions: arrivals - failures,
        failures,
        in_flight: number::count_u32(reading.rate * world.requests_per_load * reading.response_s),
        queued: number::count_u32(reading.backlog * world.requests_per_load),
        latency: (latency && arrivals > 0).then(|| Latency {
            p50: quantile(std::f64::consts::LN_2),
            p95: quantile(2.995_732_273_553_991),
            p99: quantile(4.605_170_185_988_091),
        }),
        queue_wait_max: if latency { length(reading.wait_s) } else { Duration::ZERO },
    }
}

#[cfg(test)]
#[path = "fluid/tests.rs"]
mod tests;
