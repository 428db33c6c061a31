//! Runs that swing for a known reason.

use std::ops::ControlFlow;

use control::{Applied, Decision, Observation};
use serde_json::{Value, json};

use super::*;
use crate::des;
use crate::fluid::{self, Driver};
use crate::load::Load;
use crate::trace::{Hygiene, Kind};

/// A load in workers at the objective, a value every 15 s.
fn load(values: impl Iterator<Item = f64>) -> Trace {
    Trace {
        name: "made up".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(15),
        start: None,
        values: values.map(Some).collect(),
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    }
}

struct Made {
    cycles: Vec<Cycle>,
    control: ControllerConfig,
}

fn run(trace: &Trace, name: &str, settings: &Value, start_up_s: u64, des: Option<Des>) -> Made {
    let policy = PolicyConfig { name: name.to_owned(), settings: settings.as_object().unwrap().clone() };
    let scenario = Scenario {
        size: Size::WorkerRate(10.0 / 0.85),
        start_up: Duration::from_secs(start_up_s),
        service_time: Duration::from_millis(85),
        max: Some(30),
        ..Scenario::default()
    };
    let load = Load::new(trace, &scenario).unwrap();
    let controller = fluid::controller(policy, &scenario).unwrap();
    let control = controller.config().clone();
    let mut cycles = Vec::new();
    let mut watch = |seen: &Observation, decision: &Decision| {
        let (seen, decision) = (seen.clone(), decision.clone());
        cycles.push(Cycle::Decided { seen, decision, applied: Applied::Ordered, ledger: None });
        ControlFlow::Continue(())
    };
    let driver = Driver::Controller(Box::new(controller));
    match des {
        None => drop(fluid::run(&load, &scenario, driver, Some(&mut watch))),
        Some(des) => drop(des::run(&load, &scenario, &des, driver, Some(&mut watch)).unwrap()),
    }
    Made { cycles, control }
}

fn diagnosed(made: &Made) -> Diagnosis {
    let (trace, measured) = Trace::of_run("run", &made.cycles).unwrap();
    flap(&made.cycles, &trace, &measured, &made.control).unwrap()
}

/// The cause, that the swings come again when the load is run again, and that the fix ends them.
fn assert_mended(made: &Made, cause: Cause) -> Diagnosis {
    let diagnosis = diagnosed(made);
    assert_eq!(diagnosis.findings.cause, Some(cause), "{:#?}", diagnosis.findings);
    let (before, after) = (diagnosis.before.unwrap(), diagnosis.after);
    assert!(before.flaps_per_hour > 0.0, "{before:?}");
    let after = after.unwrap_or_else(|| panic!("nothing helped: {:#?}", diagnosis.tried));
    assert!(after.flaps_per_hour <= 0.2 * before.flaps_per_hour, "{before:?} {after:?}");
    diagnosis
}

#[test]
fn thin_hysteresis_is_widened_just_enough() {
    // 30 requests a second are 85 % of 3 workers and 64 % of 4.
    let trace = load(std::iter::repeat_n(30.0, 400));
    let made = run(&trace, "threshold", &json!({"up": 80, "down": 70, "cooldown_up": "0s"}), 0, None);
    let diagnosis = assert_mended(&made, Cause::ThinHysteresis);
    let fix = diagnosis.fix.unwrap();
    assert_eq!(fix.text, "down=57", "95 % of 80 × 3/4");
    assert!(
        diagnosis.findings.evidence.contains("3 workers above 80 % are 4 at 60 %"),
        "{:?}",
        diagnosis.findings
    );
}

#[test]
fn orders_on_top_of_orders_need_a_cool_down() {
    // Steps up and down an hour apart; a start takes two minutes, a decision 15 s.
    let trace = load((0..2_400).map(|at| if at / 240 % 2 == 0 { 30.0 } else { 60.0 }));
    let settings = json!({"up": 75, "down": 45, "cooldown_up": "0s", "cooldown_down": "0s", "step": 2});
    let made = run(&trace, "threshold", &settings, 120, None);
    let diagnosis = assert_mended(&made, Cause::CoolDownShorterThanStartUp);
    assert_eq!(diagnosis.fix.unwrap().settings.get("cooldown_up"), Some(&json!("136s")));
}

#[test]
fn noise_needs_more_than_one_reading() {
    let mut state = 7_u64;
    let trace = load((0..2_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        30.0 * (0.5 + (state >> 40) as f64 / f64::from(1 << 24))
    }));
    let made = run(&trace, "threshold", &json!({"up": 70, "down": 45, "cooldown_up": "0s"}), 5, None);
    assert_mended(&made, Cause::Noise);
}

#[test]
fn start_up_cpu_is_left_out_for_a_while() {
    let trace = load((0..1_200).map(|at| if at / 120 % 2 == 0 { 34.0 } else { 40.0 }));
    let faults = Faults { warm_up: Duration::from_secs(45), warm_up_speed: 0.2, ..Faults::default() };
    let des = Des { faults, service: des::Law::Constant, ..Des::default() };
    let settings = json!({"up": 70, "down": 50, "warm_up": "0s", "cooldown_up": "0s"});
    let made = run(&trace, "threshold", &settings, 5, Some(des));
    let diagnosis = diagnosed(&made);
    assert_eq!(diagnosis.findings.cause, Some(Cause::StartUpCpu), "{:#?}", diagnosis.findings);
}

/// The turns of a run with their measurements changed.
fn altered(made: &mut Made, mut change: impl FnMut(&mut Observation, &mut Decision)) {
    for cycle in &mut made.cycles {
        if let Cycle::Decided { seen, decision, .. } = cycle {
            change(seen, decision);
        }
    }
}

#[test]
fn uneven_shares_are_the_balancers_fault() {
    let trace = load(std::iter::repeat_n(30.0, 400));
    let mut made = run(&trace, "threshold", &json!({"up": 80, "down": 70, "cooldown_up": "0s"}), 15, None);
    altered(&mut made, |seen, _| {
        for (place, worker) in seen.workers.iter_mut().enumerate() {
            worker.cpu_percent = worker.cpu_percent.map(|cpu| if place == 0 { cpu * 1.5 } else { cpu * 0.7 });
        }
    });
    let diagnosis = diagnosed(&made);
    assert_eq!(diagnosis.findings.cause, Some(Cause::SkewedBalancing));
    assert!(diagnosis.tried.iter().all(|tried| tried.fix.beside.is_some()));
}

#[test]
fn a_signal_that_stays_is_told() {
    let trace = load(std::iter::repeat_n(30.0, 400));
    let mut made = run(&trace, "threshold", &json!({"up": 80, "down": 70, "cooldown_up": "0s"}), 15, None);
    altered(&mut made, |_, decision| {
        if let Some(measured) = &mut decision.measured {
            measured.value = Some(90.0);
        }
    });
    let diagnosis = diagnosed(&made);
    assert_eq!(diagnosis.findings.cause, Some(Cause::SignalThatDoesNotFall), "{:#?}", diagnosis.findings);
}

#[test]
fn a_calm_run_has_no_cause() {
    let trace = load(std::iter::repeat_n(30.0, 400));
    let made = run(&trace, "hpa", &json!({}), 30, None);
    let diagnosis = diagnosed(&made);
    assert_eq!((diagnosis.findings.flaps, diagnosis.findings.cause, diagnosis.fix), (0, None, None));
}

#[test]
fn a_fix_leaves_other_limits_alone() {
    let settings = json!({"limits": {"flap_budget": {"starts": 5, "within": "5m"}}, "up": 70});
    let policy =
        PolicyConfig { name: "threshold".to_owned(), settings: settings.as_object().unwrap().clone() };
    let fix = &fix::ladder(Cause::SkewedBalancing, &policy, &Facts::default())[0];
    assert_eq!(fix.text, "limits.stabilization.down=30s");
    let changed = serde_json::to_value(fix.apply(&policy).settings).unwrap();
    let expected = json!({"limits": {"flap_budget": {"starts": 5, "within": "5m"},
        "stabilization": {"down": "30s"}}, "up": 70});
    assert_eq!(changed, expected);
}
