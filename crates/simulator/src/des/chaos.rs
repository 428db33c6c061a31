//! Chaos: a seed decides load, faults, limits and a policy; nothing may ever be broken.

use super::tests::wave;
use super::*;
use crate::fluid;
use crate::scenario::Size;

/// What must hold after any run. `Fleet` and `Pool` assert their own invariants on the way.
fn check(seed: u64) {
    let mut dice = chance::Chance::new(seed, 99);
    let mut pick = |most: f64| dice.even() * most;
    let scenario = Scenario {
        start_up: Duration::from_secs_f64(pick(60.0)),
        drain: Duration::from_secs_f64(pick(5.0)),
        metric_delay: Duration::from_secs_f64(pick(40.0)),
        patience: Duration::from_secs_f64(0.1 + pick(20.0)),
        size: Size::WorkerRate(1.0),
        max: Some(3 + crate::number::count_u32(pick(12.0))),
        ..Scenario::default()
    };
    let faults = Faults {
        crashes_per_hour: pick(200.0),
        hangs_per_hour: pick(60.0),
        metric_loss: pick(0.5),
        warm_up: Duration::from_secs_f64(pick(30.0)),
        warm_up_speed: 0.1 + pick(0.9),
    };
    let algorithms = traffic::BALANCERS;
    let algorithm = algorithms[crate::number::index(crate::number::count(pick(1e6))) % algorithms.len()].name;
    let des = Des {
        seed,
        start_up: Law::Lognormal(0.1 + pick(1.5)),
        service: Law::Lognormal(0.1 + pick(2.0)),
        in_flight_max: Some(1 + crate::number::count_u32(pick(20.0))),
        threads: (pick(1.0) < 0.5).then_some(2),
        algorithm: algorithm.to_owned(),
        faults,
    };
    let load = wave(0.5 + pick(8.0), 20, &scenario);
    let name = if pick(1.0) < 0.5 { "hpa" } else { "threshold" };
    let policy = control::PolicyConfig { name: name.to_owned(), settings: serde_json::Map::new() };
    let controller = fluid::controller(policy, &scenario).unwrap();
    let mut turns = 0;
    let most = scenario.max.unwrap_or(u32::MAX);
    let mut watch = |seen: &Observation, decision: &Decision| {
        turns += 1;
        let fleet = &seen.fleet;
        assert!((1..=most).contains(&decision.desired()), "seed {seed}: {}", decision.desired());
        assert!(
            fleet.ready + fleet.starting + fleet.unhealthy + fleet.backoff <= most,
            "seed {seed}: {fleet:?}"
        );
        let ready = seen.workers.iter().filter(|worker| worker.state == control::State::Ready).count();
        assert_eq!(ready, crate::number::index(u64::from(fleet.ready)), "seed {seed}");
    };
    let driver = Driver::Controller(Box::new(controller));
    let outcome = run(&load, &scenario, &des, driver, Some(&mut watch)).unwrap();
    assert!(turns > 50, "seed {seed}: {turns} turns");
    let requests = outcome.requests;
    assert!(requests.completed > 0, "seed {seed}: nobody was answered: {requests:?}");
    assert!(requests.present_s.is_finite() && outcome.tally.billed >= outcome.tally.scored_s, "seed {seed}");
}

#[test]
fn a_hundred_seeds_break_nothing() {
    (0..100).for_each(check);
}

#[test]
#[ignore = "ten thousand seeds: minutes"]
fn ten_thousand_seeds_break_nothing() {
    (0..10_000).for_each(check);
}
