//! Scaling as a game: an observation, an action, a reward; so that any agent can learn it.
//!
//! Reward = −(worker-seconds paid for) − κ × (worker-seconds missing), since the last action.

use control::Observation;
use serde::Serialize;

use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::optimum;
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

/// A game that is over.
#[derive(Clone, Debug)]
pub struct Played {
    /// The books, kept from the first moment on: to a learner there is no warm-up.
    pub tally: Tally,
    /// What the last action brought, of which no turn tells.
    pub last_reward: f64,
}

/// The least that the whole load can cost.
pub fn optimal_cost(load: &Load, scenario: &Scenario) -> f64 {
    optimum::solve(&load.scored_whole(), scenario, false).cost
}

/// Plays the whole load; `agent` is shown each turn and answers with the number of workers.
pub fn play(load: &Load, scenario: &Scenario, agent: &mut dyn FnMut(&Observation, &Turn) -> u32) -> Played {
    let load = load.scored_whole();
    let (mut billed, mut late) = (0.0, 0.0);
    let (min, max) = (scenario.min, scenario.max.unwrap_or(crate::number::WORKERS_MAX));
    let mut mind = |seen: &Observation, tally: &Tally| {
        let cost = tally.billed - std::mem::replace(&mut billed, tally.billed);
        let penalty = scenario.kappa * (tally.late - std::mem::replace(&mut late, tally.late));
        agent(seen, &Turn::of(seen, cost, penalty)).clamp(min, max)
    };
    let tally = fluid::run(&load, scenario, Driver::Agent(&mut mind), None);
    let last_reward = (billed + scenario.kappa * late) - tally.cost(scenario.kappa);
    Played { tally, last_reward }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Told, Trace};

    #[test]
    fn the_rewards_are_the_cost_of_the_whole_game() {
        let rows: String = (0..200).map(|at| format!("{},{}\n", at * 60, 50 + at * 37 % 60)).collect();
        let trace = Trace::read("made_up", &format!("time_s,value\n{rows}"), &Told::default()).unwrap();
        let scenario = Scenario::default();
        let load = Load::new(&trace, &scenario).unwrap();
        let mut rewards = 0.0;
        let played = play(&load, &scenario, &mut |_, turn| {
            rewards += turn.reward;
            turn.ready + u32::from(turn.queued.is_some_and(|queued| queued > 0))
        });
        let cost = played.tally.cost(scenario.kappa);
        assert!((rewards + played.last_reward + cost).abs() < 1e-6 * cost, "{rewards} for {cost}");
        assert!(played.last_reward < 0.0, "somebody was paid in the last turn too");
        assert!(cost >= optimal_cost(&load, &scenario));
    }
}
