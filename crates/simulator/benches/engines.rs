//! How fast simulated time passes, on one core:
//! `cargo bench -p autoscale-simulator --bench engines`.

use std::ops::ControlFlow;
use std::time::Duration;

use control::{Decision, Observation, PolicyConfig};
use simulator::des::{self, Des};
use simulator::fluid::{self, Driver, Watch};
use simulator::trace::{Hygiene, Kind, Trace};
use simulator::{Load, Scenario, Size, Tally, optimum};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MINUTE: u32 = 60;
const DAY: u32 = 86_400;
const YEAR: u32 = 365 * DAY;

fn main() {
    divan::main();
}

/// A daily wave with noise and a burst now and then; `bucket_s` a value.
fn trace(length_s: u32, bucket_s: u32) -> Trace {
    let mut state = 1_u64;
    let values = (0..length_s / bucket_s).map(|at| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 40) as f64 / f64::from(1 << 24);
        let time_s = f64::from(at) * f64::from(bucket_s);
        let day = (time_s / f64::from(DAY) * std::f64::consts::TAU).sin();
        let burst = if state.is_multiple_of(997) { 2.0 } else { 1.0 };
        Some(100.0 * (1.2 + day) * (0.9 + 0.2 * noise) * burst)
    });
    Trace {
        name: "made_up".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(bucket_s.into()),
        start: None,
        values: values.collect(),
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    }
}

fn policy(name: &str) -> PolicyConfig {
    PolicyConfig { name: name.to_owned(), settings: serde_json::Map::new() }
}

fn run(load: &Load, scenario: &Scenario, name: &str) -> Tally {
    let controller = fluid::controller(policy(name), scenario).expect("the policy's defaults are valid");
    fluid::run(load, scenario, Driver::Controller(Box::new(controller)), None)
}

/// Items are simulated seconds: decisions every 15 s on buckets of a minute, 20 workers at peak.
#[divan::bench(args = ["threshold", "hpa"])]
fn fluid_week(bencher: divan::Bencher, name: &str) {
    let scenario = Scenario::default();
    let load = Load::new(&trace(7 * DAY, MINUTE), &scenario).expect("the load fits the scenario");
    bencher.counter(divan::counter::ItemsCount::new(7 * DAY)).bench(|| run(&load, &scenario, name));
}

/// A year at one-minute steps.
#[divan::bench(args = ["threshold", "hpa"], sample_count = 10)]
fn fluid_year_of_minutes(bencher: divan::Bencher, name: &str) {
    let scenario = Scenario { decide_every: Duration::from_secs(60), ..Scenario::default() };
    let load = Load::new(&trace(YEAR, MINUTE), &scenario).expect("the load fits the scenario");
    bencher.counter(divan::counter::ItemsCount::new(YEAR)).bench(|| run(&load, &scenario, name));
}

/// One evaluation of a tuning: a week at one-minute steps.
#[divan::bench(args = ["threshold", "hpa"])]
fn tuning_week_of_minutes(bencher: divan::Bencher, name: &str) {
    let scenario = Scenario { decide_every: Duration::from_secs(60), ..Scenario::default() };
    let load = Load::new(&trace(7 * DAY, MINUTE), &scenario).expect("the load fits the scenario");
    bencher.counter(divan::counter::ItemsCount::new(7 * DAY)).bench(|| run(&load, &scenario, name));
}

/// A year at one-minute steps with up to 100 workers.
#[divan::bench(sample_count = 10)]
fn optimum_year_of_minutes(bencher: divan::Bencher) {
    let scenario = Scenario {
        size: Size::PeakWorkers(99.0),
        max: Some(100),
        decide_every: Duration::from_secs(60),
        ..Scenario::default()
    };
    let load = Load::new(&trace(YEAR, MINUTE), &scenario).expect("the load fits the scenario");
    bencher.bench(|| optimum::solve(&load, &scenario, true));
}

/// Items are requests: a quarter of a day at up to 20 workers, about 130 requests a second.
#[divan::bench(sample_count = 5)]
fn des_requests(bencher: divan::Bencher) {
    let scenario = Scenario::default();
    let load = Load::new(&trace(DAY / 4, MINUTE), &scenario).expect("the load fits the scenario");
    let run = |watch: Option<&mut Watch>| {
        let controller = fluid::controller(policy("hpa"), &scenario).expect("the defaults are valid");
        let driver = Driver::Controller(Box::new(controller));
        des::run(&load, &scenario, &Des::default(), driver, watch)
            .expect("a policy can drive single requests")
    };
    let mut requests = 0;
    let mut count = |seen: &Observation, _: &Decision| {
        requests += seen.traffic.as_ref().map_or(0, |window| window.arrivals);
        ControlFlow::Continue(())
    };
    run(Some(&mut count));
    bencher.counter(divan::counter::ItemsCount::new(requests)).bench(|| run(None));
}
