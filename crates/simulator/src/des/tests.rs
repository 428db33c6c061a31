//! The engine against formulas: Erlang C, M/G/1 with processor sharing, Little; and against
//! the fluid engine.

use super::*;
use crate::fluid;
use crate::scenario::Size;
use crate::trace::{Hygiene, Kind, Trace};

/// A constant load, in workers at the SLO-safe utilisation, of which one is a whole worker.
fn load(workers: f64, length_s: u64, scenario: &Scenario) -> Load {
    let trace = Trace {
        name: "made_up".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(60),
        start: None,
        values: vec![Some(workers); usize::try_from(length_s / 60).unwrap()],
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    };
    Load::new(&trace, scenario).unwrap()
}

fn scenario() -> Scenario {
    Scenario {
        size: Size::WorkerRate(1.0),
        slo_utilisation: 1.0,
        service_time: Duration::from_millis(100),
        patience: Duration::from_secs(100_000),
        ..Scenario::default()
    }
}

fn run_static(rho: f64, workers: u32, hours: u64, des: &Des) -> Outcome {
    let scenario = scenario();
    let load = load(rho * f64::from(workers), hours * 3_600, &scenario);
    run(&load, &scenario, des, Driver::Static(workers), None).unwrap()
}

/// Mean wait over mean service time in M/M/c (Erlang C).
fn erlang_c_wait(rho: f64, workers: u32) -> f64 {
    let offered = rho * f64::from(workers);
    let (mut term, mut sum) = (1.0, 0.0);
    for served in 0..workers {
        sum += term;
        term *= offered / f64::from(served + 1);
    }
    let waits = term / (1.0 - rho) / (sum + term / (1.0 - rho));
    waits / (f64::from(workers) * (1.0 - rho))
}

fn assert_erlang_c(hours: u64, within: f64) {
    let des = Des { in_flight_max: Some(1), ..Des::default() };
    let requests = run_static(0.8, 5, hours, &des).requests;
    let wait = requests.wait_s / requests.completed as f64 / 0.1;
    let expected = erlang_c_wait(0.8, 5);
    assert!((wait / expected - 1.0).abs() < within, "{wait} instead of {expected}");
}

fn assert_insensitive(hours: u64, within: f64) {
    for law in [Law::Constant, Law::Exponential, Law::Lognormal(1.5)] {
        let des = Des { in_flight_max: None, service: law.clone(), ..Des::default() };
        let requests = run_static(0.7, 1, hours, &des).requests;
        let mean = requests.response_s / requests.completed as f64;
        let expected = 0.1 / (1.0 - 0.7);
        assert!((mean / expected - 1.0).abs() < within, "{law:?}: {mean} instead of {expected}");
    }
}

#[test]
fn one_at_a_time_from_one_line_is_erlang_c() {
    assert_erlang_c(4, 0.03);
}

#[test]
fn shared_processors_do_not_mind_the_law_of_service() {
    assert_insensitive(8, 0.05);
}

#[test]
#[ignore = "27 million requests: a minute even when optimised less than fully"]
fn the_formulas_hold_within_one_percent() {
    assert_erlang_c(120, 0.01);
    assert_insensitive(120, 0.01);
}

#[test]
fn littles_law_holds_and_nobody_is_lost() {
    let requests = run_static(0.8, 5, 4, &Des::default()).requests;
    let little = requests.present_s / requests.response_s;
    assert!((little - 1.0).abs() < 1e-3, "{little}");
    assert!(requests.arrived.abs_diff(requests.completed) < 100, "{requests:?}");
    assert_eq!((requests.dropped, requests.failed), (0, 0));
}

/// Overload at a fixed number of workers: what leaves is what does not fit, in both engines.
#[test]
fn the_fluid_engine_drops_as_many() {
    let scenario = Scenario { patience: Duration::from_secs(2), ..scenario() };
    for (rho, workers) in [(0.9, 8), (1.1, 5), (1.3, 5), (1.6, 20)] {
        let load = load(rho * f64::from(workers), 3_600, &scenario);
        let exact = run(&load, &scenario, &Des::default(), Driver::Static(workers), None).unwrap();
        let exact = exact.requests.dropped as f64 / exact.requests.arrived as f64;
        let fluid = fluid::run(&load, &scenario, Driver::Static(workers), None);
        let fluid = fluid.dropped / fluid.load;
        assert!((exact - fluid).abs() < 0.005, "{rho}: {exact} and {fluid}");
    }
}

/// A load that goes up and down around `middle`, scaled as the scenario says.
pub(super) fn wave(middle: f64, minutes: u32, scenario: &Scenario) -> Load {
    let value = |at: u32| Some(middle * (1.0 + 0.8 * (f64::from(at) / 20.0).sin()));
    let trace = Trace {
        name: "wave".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(60),
        start: None,
        values: (0..minutes).map(value).collect(),
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    };
    Load::new(&trace, scenario).unwrap()
}

#[test]
fn policies_decide_alike_on_both_engines() {
    let scenario = Scenario { slo_utilisation: 0.85, ..Scenario::default() };
    let load = wave(6.0, 240, &scenario);
    let policy = control::PolicyConfig { name: "hpa".to_owned(), settings: serde_json::Map::new() };
    let driver = || Driver::Controller(Box::new(fluid::controller(policy.clone(), &scenario).unwrap()));
    let fluid = fluid::run(&load, &scenario, driver(), None);
    let exact = run(&load, &scenario, &Des::default(), driver(), None).unwrap();
    let (one, other) = (fluid.cost(10.0), exact.tally.cost(10.0));
    assert!((one / other - 1.0).abs() < 0.05, "{one} and {other}");
    assert!((fluid.scored_s - exact.tally.scored_s).abs() < 1e-6);
    assert!((fluid.load - exact.tally.load).abs() < 1e-6 * fluid.load);
}

#[test]
fn a_seed_means_the_same_run() {
    let faults =
        Faults { crashes_per_hour: 20.0, hangs_per_hour: 5.0, metric_loss: 0.1, ..Faults::default() };
    let des = Des { faults, start_up: Law::Lognormal(0.5), ..Des::default() };
    let of = |seed: u64| {
        let des = Des { seed, ..des.clone() };
        let outcome = run_static(0.7, 4, 1, &des);
        (outcome.requests, outcome.tally.cost(10.0).to_bits())
    };
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
}

#[test]
fn faults_that_make_no_sense_are_refused() {
    let scenario = scenario();
    let load = load(1.0, 3_600, &scenario);
    let none = Faults::default();
    let wrong = [
        (Faults { crashes_per_hour: f64::NAN, ..none.clone() }, "crashes must be 0 to 3600"),
        (Faults { hangs_per_hour: f64::INFINITY, ..none.clone() }, "hangs must be"),
        (Faults { interruptions_per_hour: -3.0, ..none.clone() }, "interruptions must be"),
        (Faults { metric_loss: 2.0, ..none.clone() }, "metric_loss must be a share"),
        (Faults { warm_up: Duration::from_secs(9), ..none.clone() }, "warm_up_speed must be above 0"),
        (Faults { regions: 4_000_000_000, ..none.clone() }, "4000000000 regions are more"),
        (Faults { region_losses: vec![Duration::from_secs(7_200)], ..none }, "a region is lost at 7200s"),
    ];
    for (faults, said) in wrong {
        let des = Des { faults, ..Des::default() };
        let refused = run(&load, &scenario, &des, Driver::Static(1), None).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
}

#[test]
fn more_workers_than_a_fleet_knows_are_refused() {
    let scenario = scenario();
    let load = load(1.0, 3_600, &scenario);
    let refused = run(&load, &scenario, &Des::default(), Driver::Static(1_025), None).unwrap_err();
    assert!(refused.to_string().starts_with("1025 workers are too many"), "{refused}");
    assert!(run(&load, &scenario, &Des::default(), Driver::Static(2), None).is_ok());
}

/// A worker that may use a fifth of a processor carries a fifth, and is paid for whole.
#[test]
fn throttled_workers_carry_what_they_are_allowed() {
    let scenario = scenario();
    let load = load(1.0, 36_000, &scenario);
    let des = Des { credits: Some(Credits { baseline: 0.2, launch_s: 0.0 }), ..Des::default() };
    let tally = run(&load, &scenario, &des, Driver::Static(3), None).unwrap().tally;
    assert!((tally.late / tally.load - 0.4).abs() < 0.01, "{} of {}", tally.late, tally.load);
    assert!((tally.billed - 3.0 * tally.scored_s).abs() < 1.0);
}
