use serde_json::json;

use super::*;
use crate::made_up::{config, run, wave};
use crate::policy::build;

fn auto() -> Box<dyn Policy> {
    build(&config("auto", json!({})).policy).unwrap().policy
}

#[test]
fn it_starts_reactive_and_every_change_of_leader_names_both_costs() {
    let mut policy = auto();
    let mut sentences = Vec::new();
    wave(1_500, |seen, _| {
        policy.observe(seen);
        let said = policy.recommend(seen);
        let because = said.step.because.to_string();
        if sentences.is_empty() || said.step.rule == "new_leader" {
            sentences.push(because);
        }
        said.step.replicas
    });
    assert!(sentences[0].starts_with("reactive at 70 %, 300 s before scaling in leads"), "{sentences:?}");
    assert!(sentences.len() > 1, "a wave is cheaper to plan for: {sentences:?}");
    assert!(sentences[1].starts_with("plan by autoregressive"), "{sentences:?}");
    assert!(sentences[1].contains("worker-seconds of late against"), "{sentences:?}");
}

#[test]
fn on_a_wave_it_is_cheaper_than_the_reactive_rule() {
    let cost = |policy: &mut Box<dyn Policy>| {
        let mut cost = 0.0;
        let mut second = 0;
        let load = |second: f64| 2.5 - 1.5 * (second / 60.0 * std::f64::consts::TAU).cos();
        run(1_800, load, |seen, _| {
            policy.observe(seen);
            second += 1;
            // The first minutes are for learning.
            if second > 600 {
                let missing = load(f64::from(second)) - f64::from(seen.fleet.ready);
                cost += f64::from(seen.fleet.desired) + 10.0 * missing.max(0.0);
            }
            policy.recommend(seen).step.replicas
        });
        cost
    };
    let mut reactive = build(&config("hpa", json!({})).policy).unwrap().policy;
    let (auto, reactive) = (cost(&mut auto()), cost(&mut reactive));
    assert!(auto < 0.95 * reactive, "{auto} against {reactive}");
}

/// In the outage the load rises from its least to its most.
#[test]
fn an_outage_of_the_metrics_is_charged_to_nobody() {
    let mut policy = auto();
    let mut second = 0_u32;
    let (mut before, mut after) = (f64::NAN, f64::NAN);
    let load = |second: f64| 2.5 - 1.5 * (second / 600.0 * std::f64::consts::TAU).cos();
    run(1_500, load, |seen, _| {
        second += 1;
        if (1_201..1_500).contains(&second) {
            return seen.fleet.desired;
        }
        policy.observe(seen);
        let said = policy.recommend(seen);
        let cost = said.step.because.numbers.iter().find(|(name, _)| name == "cost").map(|(_, cost)| *cost);
        match second {
            1_200 => before = cost.unwrap(),
            1_500 => after = cost.unwrap(),
            _ => {}
        }
        said.step.replicas
    });
    // The slot after it is paid for: at most five workers, and four missing at ten times the price.
    assert!(after - before <= 45.0, "{before} before the outage, {after} after it");
}

#[test]
fn prices_that_make_no_sense_are_refused() {
    for bad in [json!({"kappa": -1}), json!({"slo_utilisation": 0}), json!({"models": 3})] {
        assert!(build(&config("auto", bad.clone()).policy).is_err(), "{bad}");
    }
}
