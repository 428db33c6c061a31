//! Chaos: a seed decides load, faults, limits, balancer and policy; nothing may ever be broken.

use std::ops::ControlFlow;
use std::time::Duration;

use control::{Decision, Observation};

use super::chance::Chance;
use super::{Credits, Des, Faults, Law, Requests, run};
use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::number::{count, count_u32, index};
use crate::scenario::{Scenario, Size};
use crate::tally::Tally;
use crate::trace::{Hygiene, Kind, Trace};

/// What a seed's run came to.
#[derive(Clone, Debug)]
pub struct Survived {
    /// The policy that decided.
    pub policy: &'static str,
    /// The balancer.
    pub algorithm: &'static str,
    /// Turns taken.
    pub turns: u64,
    /// Workers that ended unasked.
    pub crashes: u64,
    /// Requests of the scored time.
    pub requests: Requests,
}

/// Runs the scenario that `seed` makes up. `Fleet` and `Pool` assert their own invariants on the
/// way, so that a broken one ends the program.
///
/// # Errors
/// What was broken, with the seed.
pub fn run_seed(seed: u64) -> Result<Survived, String> {
    let (scenario, des, load, policy) = made_up(seed)?;
    let controller = fluid::controller(
        control::PolicyConfig { name: policy.to_owned(), settings: serde_json::Map::new() },
        &scenario,
    );
    let controller = controller.map_err(|error| format!("seed {seed}: {error}"))?;
    let (mut turns, mut crashes, mut broken) = (0, 0, None);
    let most = scenario.max.unwrap_or(u32::MAX);
    let mut watch = |seen: &Observation, decision: &Decision| {
        turns += 1;
        crashes = seen.fleet.crashes;
        broken = broken.take().or_else(|| wrong(seen, decision, most));
        ControlFlow::Continue(())
    };
    let driver = Driver::Controller(Box::new(controller));
    let outcome = run(&load, &scenario, &des, driver, Some(&mut watch));
    let outcome = outcome.map_err(|error| format!("seed {seed}: {error}"))?;
    if let Some(broken) = broken {
        return Err(format!("seed {seed}: {broken}"));
    }
    let requests = outcome.requests;
    if turns <= 50 || requests.completed == 0 {
        return Err(format!("seed {seed}: {turns} turns, and nobody was answered: {requests:?}"));
    }
    if !requests.present_s.is_finite() || !balanced(&outcome.tally) {
        return Err(format!("seed {seed}: the books are wrong: {requests:?}"));
    }
    let algorithm = traffic::BALANCERS.iter().find(|row| row.name == des.algorithm);
    let algorithm = algorithm.map_or("", |row| row.name);
    Ok(Survived { policy, algorithm, turns, crashes, requests })
}

/// Whether the ready workers' time is what the load took of it and what it left. Where workers crash
/// all the time there may be less than one on average: one in backoff is not paid for.
fn balanced(tally: &Tally) -> bool {
    let (paid, used) = (tally.billed - tally.churn, tally.load - tally.late + tally.waste);
    (paid - used).abs() <= 1e-9 * (tally.billed + tally.load).max(1.0)
}

/// What must hold at every turn.
fn wrong(seen: &Observation, decision: &Decision, most: u32) -> Option<String> {
    let fleet = &seen.fleet;
    if !(1..=most).contains(&decision.desired()) {
        return Some(format!("{} desired, 1 to {most} allowed", decision.desired()));
    }
    if fleet.ready + fleet.starting + fleet.unhealthy + fleet.backoff > most {
        return Some(format!("more than {most} workers: {fleet:?}"));
    }
    let ready = seen.workers.iter().filter(|worker| worker.state == control::State::Ready).count();
    (ready != index(u64::from(fleet.ready))).then(|| format!("{ready} listed as ready: {fleet:?}"))
}

fn made_up(seed: u64) -> Result<(Scenario, Des, Load, &'static str), String> {
    let mut dice = Chance::new(seed, 99);
    let mut pick = |most: f64| dice.even() * most;
    let scenario = Scenario {
        start_up: Duration::from_secs_f64(pick(60.0)),
        drain: Duration::from_secs_f64(pick(5.0)),
        metric_delay: Duration::from_secs_f64(pick(40.0)),
        patience: Duration::from_secs_f64(0.1 + pick(20.0)),
        size: Size::WorkerRate(1.0),
        max: Some(3 + count_u32(pick(12.0))),
        ..Scenario::default()
    };
    let faults = Faults {
        crashes_per_hour: pick(200.0),
        hangs_per_hour: pick(60.0),
        metric_loss: pick(0.5),
        warm_up: Duration::from_secs_f64(pick(30.0)),
        warm_up_speed: 0.1 + pick(0.9),
        interruptions_per_hour: pick(20.0),
        notice: Duration::from_secs_f64(pick(120.0)),
        ..Faults::default()
    };
    let algorithms = traffic::BALANCERS;
    let algorithm = algorithms[index(count(pick(1e6))) % algorithms.len()].name;
    let des = Des {
        seed,
        start_up: Law::Lognormal(0.1 + pick(1.5)),
        service: Law::Lognormal(0.1 + pick(2.0)),
        in_flight_max: Some(1 + count_u32(pick(20.0))),
        threads: (pick(1.0) < 0.5).then_some(2),
        algorithm: algorithm.to_owned(),
        credits: (pick(1.0) < 0.2).then_some(Credits { baseline: 0.3, launch_s: 60.0 }),
        faults,
    };
    let middle = 0.5 + pick(8.0);
    let policy = if pick(1.0) < 0.5 { "hpa" } else { "threshold" };
    let value = |at: u32| Some(middle * (1.0 + 0.8 * (f64::from(at) / 20.0).sin()));
    let trace = Trace {
        name: "chaos".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(60),
        start: None,
        values: (0..20).map(value).collect(),
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    };
    let load = Load::new(&trace, &scenario).map_err(|error| format!("seed {seed}: {error}"))?;
    Ok((scenario, des, load, policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_survive(seeds: std::ops::Range<u64>) {
        let broken: Vec<String> = seeds.filter_map(|seed| run_seed(seed).err()).collect();
        assert!(broken.is_empty(), "autoscale simulate --chaos --seed N:\n{}", broken.join("\n"));
    }

    #[test]
    fn a_hundred_seeds_break_nothing() {
        all_survive(0..100);
    }

    #[test]
    #[ignore = "ten thousand seeds: minutes"]
    fn ten_thousand_seeds_break_nothing() {
        all_survive(0..10_000);
    }
}
