//! The fluid engine on small loads that can be worked out by hand, and against the optimum.

use std::ops::ControlFlow;
use std::time::Duration;

use control::PolicyConfig;
use proptest::prelude::*;

use super::*;
use crate::optimum;
use crate::scenario::Size;
use crate::trace::{Hygiene, Kind, Trace};

fn load(values: &[Option<f64>], bucket_s: u64, scenario: &Scenario) -> Load {
    let trace = Trace {
        name: "made_up".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(bucket_s),
        start: None,
        values: values.to_vec(),
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    };
    Load::new(&trace, scenario).unwrap()
}

fn scenario(start_up_s: u64) -> Scenario {
    Scenario {
        size: Size::WorkerRate(1.0 / 0.85),
        start_up: Duration::from_secs(start_up_s),
        ..Scenario::default()
    }
}

fn threshold(up: f64, down: f64) -> PolicyConfig {
    let settings = serde_json::json!({"up": up, "down": down, "cooldown_up": "0s", "cooldown_down": "0s"});
    PolicyConfig { name: "threshold".to_owned(), settings: settings.as_object().unwrap().clone() }
}

fn run_threshold(load: &Load, scenario: &Scenario, watch: Option<&mut Watch>) -> Tally {
    let controller = controller(threshold(60.0, 20.0), scenario).unwrap();
    run(load, scenario, Driver::Controller(Box::new(controller)), watch)
}

#[test]
fn a_step_is_seen_decided_and_met_after_the_start_up() {
    let scenario = scenario(30);
    // Scored from step 3 of 10; the load doubles to 1.7 at step 5.
    let values: Vec<Option<f64>> = (0..10).map(|at| Some(if at < 5 { 0.6 } else { 1.7 })).collect();
    let load = load(&values, 15, &scenario);
    let mut turns = Vec::new();
    let mut watch = |seen: &Observation, decision: &Decision| {
        let cpu = seen.workers[0].cpu_percent.map(|cpu| (cpu * 10.0).round() / 10.0);
        turns.push((seen.fleet.ready, decision.desired(), cpu));
        ControlFlow::Continue(())
    };
    let tally = run_threshold(&load, &scenario, Some(&mut watch));
    assert_eq!(turns[4], (1, 1, Some(51.0)), "0.6 × 85 %");
    assert_eq!(turns[5], (1, 2, Some(100.0)), "a worker cannot be busier");
    assert_eq!(turns[6], (1, 3, Some(100.0)), "still only one is ready");
    assert_eq!(turns[7], (2, 4, Some(100.0)), "the second came just now, the backlog is being served");
    assert!((tally.late - 0.7 * 45.0).abs() < 1e-9, "{}", tally.late);
    assert!((tally.violation_s - 45.0).abs() < 1e-9);
    assert_eq!((tally.scale_outs, tally.starts), (4, 4));
    assert!((tally.billed - 15.0 * f64::from(1 + 1 + 1 + 2 + 3 + 4 + 5)).abs() < 1e-9, "{}", tally.billed);
    let late = &tally.lateness;
    assert_eq!((late.episodes, late.detect_s, late.decide_s, late.start_s), (1, 15.0, 0.0, 30.0));
}

/// Whoever watches is told reasons; nobody else's decisions are others for that.
#[test]
fn the_books_are_the_same_with_and_without_a_watch() {
    let values: Vec<Option<f64>> = (0_u32..600)
        .map(|at| (at % 97 != 5).then(|| 9.0 + 8.0 * (f64::from(at) / 40.0).sin() + f64::from(at * 7 % 11)))
        .collect();
    for (start_up_s, bucket_s) in [(0, 15), (30, 15), (45, 7)] {
        let scenario = Scenario { drain: Duration::from_secs(20), ..scenario(start_up_s) };
        let load = load(&values, bucket_s, &scenario);
        for entry in control::POLICIES.iter().filter(|entry| entry.name != "exec") {
            let policy = PolicyConfig { name: entry.name.to_owned(), settings: serde_json::Map::new() };
            let driver = || Driver::Controller(Box::new(controller(policy.clone(), &scenario).unwrap()));
            let mut watch = |_: &Observation, _: &Decision| ControlFlow::Continue(());
            let watched = run(&load, &scenario, driver(), Some(&mut watch));
            let unwatched = run(&load, &scenario, driver(), None);
            assert_eq!(format!("{watched:?}"), format!("{unwatched:?}"), "{}", entry.name);
        }
    }
}

#[test]
fn in_a_gap_nothing_is_seen_or_scored() {
    let scenario = scenario(0);
    let values = [Some(0.5), Some(0.5), Some(0.5), Some(0.5), None, None, Some(0.5), Some(0.5)];
    let load = load(&values, 15, &scenario);
    let mut readings = Vec::new();
    let mut watch = |seen: &Observation, _: &Decision| {
        readings.push(seen.traffic.is_some() && seen.workers[0].cpu_percent.is_some());
        ControlFlow::Continue(())
    };
    let tally = run_threshold(&load, &scenario, Some(&mut watch));
    assert_eq!(readings, [true, true, true, true, false, false, true]);
    assert!((tally.scored_s - 60.0).abs() < 1e-9, "8 steps less 2 of warm-up and 2 of gap");
    assert!((tally.billed - 60.0).abs() < 1e-9);
}

#[test]
fn a_delayed_reading_is_old_by_whole_turns() {
    let scenario = Scenario { metric_delay: Duration::from_secs(20), ..scenario(0) };
    let values: Vec<Option<f64>> = (1..=8).map(|at| Some(f64::from(at) / 10.0)).collect();
    let load = load(&values, 15, &scenario);
    let mut seen_cpu = Vec::new();
    let mut watch = |seen: &Observation, _: &Decision| {
        seen_cpu.push(seen.workers[0].cpu_percent.map(|cpu| (cpu / 8.5).round()));
        ControlFlow::Continue(())
    };
    run_threshold(&load, &scenario, Some(&mut watch));
    assert_eq!(seen_cpu[..5], [None, None, Some(1.0), Some(2.0), Some(3.0)]);
}

fn cost(tally: &Tally, scenario: &Scenario) -> f64 {
    tally.billed + scenario.kappa * tally.late
}

fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![9 => (0.0..6.0_f64).prop_map(Some), 1 => Just(None)];
    proptest::collection::vec(value, 4..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nobody_beats_the_optimum_and_its_plan_costs_what_it_says(
        values in values(),
        bucket_s in prop_oneof![Just(1_u64), Just(5), Just(15), Just(40), Just(60)],
        start_up_s in prop_oneof![Just(0_u64), Just(2), Just(15), Just(30), Just(47), Just(120)],
        kappa in prop_oneof![Just(2.0), Just(10.0), Just(100.0)],
        (up, down) in prop_oneof![Just((35.0, 15.0)), Just((60.0, 55.0)), Just((95.0, 80.0))],
    ) {
        prop_assume!(values.iter().any(Option::is_some));
        let scenario = Scenario { kappa, ..scenario(start_up_s) };
        let load = load(&values, bucket_s, &scenario);
        let optimum = optimum::solve(&load, &scenario, true);
        let slack = 1e-6 * (1.0 + optimum.cost);
        let followed = cost(&run(&load, &scenario, Driver::Plan(&optimum.plan), None), &scenario);
        prop_assert!((followed - optimum.cost).abs() < slack, "{followed} for {}", optimum.cost);
        let controller = controller(threshold(up, down), &scenario).unwrap();
        let tally = run(&load, &scenario, Driver::Controller(Box::new(controller)), None);
        prop_assert!(cost(&tally, &scenario) >= optimum.cost - slack, "threshold");
        let (workers, constant) = optimum::best_static(&load, &scenario);
        prop_assert!(constant >= optimum.cost - slack, "static");
        let held = cost(&run(&load, &scenario, Driver::Static(workers), None), &scenario);
        prop_assert!((held - constant).abs() < slack, "{held} for {constant}");
        let used = tally.load - tally.late;
        prop_assert!((used + tally.waste + tally.churn - tally.billed).abs() < slack, "the parts add up");
    }
}
