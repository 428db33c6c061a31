//! Scaling as a game: an observation, an action, a reward; so that any agent can learn it.
//!
//! Reward = −(worker-seconds paid for) − κ × (worker-seconds missing), since the last action.

use control::Observation;
use serde::Serialize;

use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::scenario::Scenario;
use crate::tally::Tally;

/// What an agent is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// Seconds since the start of the load.
    pub at_s: f64,
    /// Workers that there should be.
    pub desired: u32,
    /// Workers that take requests.
    pub ready: u32,
    /// Workers that start.
    pub starting: u32,
    /// Mean CPU of the ready workers; `None` without a reading.
    pub cpu_percent: Option<f64>,
    /// Requests a second since the last turn.
    pub requests_per_second: Option<f64>,
    /// Requests that wait.
    pub queued: Option<u32>,
    /// 95 % of the answers took at most this long.
    pub p95_s: Option<f64>,
    /// Worker-seconds paid for since the last turn.
    pub cost: f64,
    /// κ times those missing.
    pub penalty: f64,
    /// −cost −penalty.
    pub reward: f64,
}

impl Turn {
    fn of(seen: &Observation, cost: f64, penalty: f64) -> Self {
        let known = seen.workers.iter().filter_map(|worker| worker.cpu_percent);
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), cpu| (sum + cpu, count + 1.0));
        let traffic = seen.traffic.as_ref();
        Self {
            at_s: seen.at.as_millisecond() as f64 / 1e3,
            desired: seen.fleet.desired,
            ready: seen.fleet.ready,
            starting: seen.fleet.starting,
            cpu_percent: (count > 0.0).then(|| sum / count),
            requests_per_second: traffic.map(traffic::Window::rate_per_second),
            queued: traffic.map(|window| window.queued),
            p95_s: traffic.and_then(|window| window.latency).map(|latency| latency.p95.as_secs_f64()),
            cost,
            penalty,
            reward: -cost - penalty,
        }
    }
}

/// Plays the whole load; `agent` is shown each turn and answers with the number of workers. The
/// books are kept from the first moment on: to a learner there is no warm-up.
pub fn play(load: &Load, scenario: &Scenario, agent: &mut dyn FnMut(&Observation, &Turn) -> u32) -> Tally {
    let load = load.scored_whole();
    let (mut billed, mut late) = (0.0, 0.0);
    let (min, max) = (scenario.min, scenario.max.unwrap_or(crate::number::WORKERS_MAX));
    let mut mind = |seen: &Observation, tally: &Tally| {
        let cost = tally.billed - std::mem::replace(&mut billed, tally.billed);
        let penalty = scenario.kappa * (tally.late - std::mem::replace(&mut late, tally.late));
        agent(seen, &Turn::of(seen, cost, penalty)).clamp(min, max)
    };
    fluid::run(&load, scenario, Driver::Agent(&mut mind), None)
}
