use serde_json::json;

use super::*;
use crate::made_up::{config, run, wave};
use crate::observation::ForecastSeen;
use crate::policy::build;
use crate::policy::reactive::Reactive;

fn predictive(settings: serde_json::Value) -> Box<dyn Policy> {
    build(&config("predictive", settings).policy).unwrap().policy
}

fn draw(second: f64) -> f64 {
    let bits = number::count(second).wrapping_mul(2_654_435_769);
    f64::from((bits ^ (bits >> 15)).wrapping_mul(2_246_822_519) >> 8) / 16_777_216.0
}

#[test]
fn on_a_wave_the_forecast_earns_trust_and_every_change_of_it_is_explained() {
    let mut policy = predictive(json!({}));
    let (mut trusts, mut planned_ahead) = (Vec::new(), 0);
    wave(700, |seen, _| {
        policy.observe(seen);
        let said = policy.recommend(seen);
        if let Some(foresight) = &said.foresight {
            if trusts.last() != Some(&foresight.trust) {
                trusts.push(foresight.trust);
                let because = said.step.because.to_string();
                assert!(trusts.len() == 1 || because.contains(" now: its loss"), "{because}");
            }
            planned_ahead += u32::from(foresight.next.is_some_and(|next| next.order_in_s > 0.0));
        }
        said.step.replicas
    });
    assert_eq!(trusts[..3], [Trust::Reactive, Trust::Probation, Trust::Trusted]);
    assert!(planned_ahead > 50, "{planned_ahead}");
}

#[test]
fn on_white_noise_and_a_random_walk_it_stays_reactive() {
    let walk: Vec<f64> = (0..800_u32)
        .scan(3.0_f64, |level, second| {
            *level = (*level + 0.4 * (draw(f64::from(second)) - 0.5)).clamp(0.5, 9.0);
            Some(*level)
        })
        .collect();
    let loads: [Box<dyn Fn(f64) -> f64>; 2] = [
        Box::new(|second| 2.0 + draw(second)),
        Box::new(move |second| walk[number::index(number::count(second).into()).min(799)]),
    ];
    for load in loads {
        let mut policy = predictive(json!({}));
        let mut cost = [0.0, 0.0];
        run(780, &load, |seen, _| {
            policy.observe(seen);
            let said = policy.recommend(seen);
            if let Some(foresight) = &said.foresight {
                cost[0] += f64::from(said.step.replicas);
                cost[1] += f64::from(foresight.reactive);
            }
            said.step.replicas
        });
        assert!(cost[0] <= 1.02 * cost[1], "{cost:?}");
    }
}

#[test]
fn without_trust_the_cheaper_of_two_rules_on_the_last_reading_decides_and_the_change_is_told() {
    // The policy's own model is the naive one, which never earns trust against itself.
    let mut policy = predictive(json!({"model": "naive"}));
    let mut hpa = Reactive::default();
    let (mut told, mut numbers) = (Vec::new(), Vec::new());
    run(
        900,
        |second| 2.0 + draw(second),
        |seen, _| {
            policy.observe(seen);
            let said = policy.recommend(seen);
            let Some(load) = policy.measured().and_then(|measured| measured.value) else {
                return said.step.replicas;
            };
            let usual = hpa.wish(seen.at, 0.85 * load, seen.fleet.desired);
            let because = said.step.because.to_string();
            if because.contains("without trust it is the ") {
                told.push(because);
            }
            assert!(said.foresight.is_none_or(|foresight| foresight.trust == Trust::Reactive));
            numbers.push((said.step.replicas, usual, number::count_up(0.85 * load)));
            said.step.replicas
        },
    );
    assert!(numbers.iter().all(|(said, _, floor)| said >= floor), "never below what the last reading needs");
    assert!(numbers[..8].iter().all(|(said, usual, _)| said == usual), "Kubernetes' rule first: {numbers:?}");
    let sentence = told.first().expect("the plan is cheaper on this load");
    assert!(sentence.contains("the plan by naive now: "), "{sentence}");
    assert!(sentence.contains("worker-seconds of late against"), "{sentence}");
    let later = &numbers[600..];
    let paid = |of: fn(&(u32, u32, u32)) -> u32| later.iter().map(of).sum::<u32>();
    assert!(paid(|row| row.0) < paid(|row| row.1), "it buys less than 70 % busy workers");
}

/// Forecasts from beside the loop that are wrong in every way.
#[test]
fn a_bad_model_never_makes_the_pool_smaller_than_the_reactive_rule_would() {
    type Bend = fn(f64) -> f64;
    let bad: [(&str, Bend); 5] = [
        ("constant", |_| 1.0),
        ("ten times", |rate| 10.0 * rate),
        ("half", |rate| 0.5 * rate),
        ("no number", |_| f64::NAN),
        ("negative", |rate| -rate),
    ];
    for (name, bend) in bad {
        // The policy's own model is the naive one, which never earns trust against itself.
        let mut policy = predictive(json!({"model": "naive"}));
        let load = |second: f64| 3.0 + 2.0 * (second / 40.0).sin() + draw(second);
        run(500, load, |seen, _| {
            let mut seen = seen.clone();
            let rate = seen.traffic.as_ref().unwrap().rate_per_second();
            seen.slow.forecast = Some(Box::new(ForecastSeen {
                model: name.to_owned(),
                made_at: seen.at,
                step_s: 1.0,
                levels: vec![0.1, 0.5, 0.9],
                rates: vec![vec![bend(rate); 3]; 64],
            }));
            policy.observe(&seen);
            let said = policy.recommend(&seen);
            if let Some(foresight) = &said.foresight {
                assert!(said.step.replicas >= foresight.reactive, "{name}: {:?}", said.step);
                assert_ne!(foresight.trust, Trust::Trusted, "{name}");
            }
            said.step.replicas
        });
    }
}

#[test]
fn a_good_model_from_beside_the_loop_is_used_until_it_falls_silent() {
    let mut policy = predictive(json!({"model": "naive"}));
    let load = |second: f64| 2.5 - 1.5 * (second / 60.0 * std::f64::consts::TAU).cos();
    let mut second = 0.0;
    let mut used = Vec::new();
    run(600, load, |seen, _| {
        let mut seen = seen.clone();
        if second < 400.0 {
            // A request takes 10 ms, and a load of 1 is a worker at 85 %. Off by a little, as one is.
            let rates = |ahead: u32| {
                let rate = 85.0 * load(second + f64::from(ahead)) + 6.0 * (draw(second) - 0.5);
                vec![rate - 4.0, rate, rate + 4.0]
            };
            seen.slow.forecast = Some(Box::new(ForecastSeen {
                model: "oracle".to_owned(),
                made_at: seen.at,
                step_s: 1.0,
                levels: vec![0.1, 0.5, 0.9],
                rates: (1..=40).map(rates).collect(),
            }));
        }
        second += 1.0;
        policy.observe(&seen);
        let said = policy.recommend(&seen);
        if let Some(foresight) = &said.foresight {
            used.push((second, foresight.model.clone(), foresight.trust));
        }
        said.step.replicas
    });
    let at = |when: f64| used.iter().find(|(second, ..)| *second >= when).unwrap().clone();
    assert_eq!((at(390.0).1.as_ref(), at(390.0).2), ("oracle", Trust::Trusted));
    assert_eq!(at(590.0).2, Trust::Reactive, "its last word reaches 40 s");
}

#[test]
fn buffers_modes_and_the_maximum() {
    let number_for = |settings: serde_json::Value| {
        let most = if settings["max_behavior"] == "exceed" { u32::MAX } else { 3 };
        let mut policy = predictive(settings);
        policy.bounds(1, 3);
        let mut last = None;
        wave(690, |seen, _| {
            policy.observe(seen);
            let said = policy.recommend(seen);
            let next = said.foresight.as_ref().and_then(|foresight| foresight.next);
            assert!(
                next.is_none_or(|next| (1..=most).contains(&next.replicas)),
                "what the limits forbid is no plan: {next:?}"
            );
            let replicas = said.step.replicas;
            last = Some(said);
            replicas
        });
        last.unwrap()
    };
    // The wave is at its top, of 4 workers, at 690 s.
    let fixed = number_for(json!({"buffer": "fixed", "margin": 0.2, "start_up": "3s"}));
    assert!(fixed.step.replicas >= 4, "{:?}", fixed.step);
    let spare = number_for(json!({"buffer": "one_spare"}));
    assert!(spare.foresight.unwrap().planned >= 5);
    let only = number_for(json!({"mode": "forecast_only"}));
    assert_eq!((only.step.rule.as_ref(), only.meets), ("forecast_only", Meets::All));
    let exceed = number_for(json!({"buffer": "one_spare", "max_behavior": "exceed", "max_exceeded_by": 0.4}));
    assert_eq!((exceed.step.replicas, exceed.meets), (4, Meets::None), "3 and 40 % of it: {:?}", exceed.step);
    for bad in
        [json!({"quantile": 1}), json!({"margin": -1}), json!({"buffer": "hope"}), json!({"model": "x"})]
    {
        assert!(build(&config("predictive", bad.clone()).policy).is_err(), "{bad}");
    }
}

/// Moments from `from` seconds on at which the load without its `noise`, a share of it, came to need one
/// more worker than before, and those at which that worker was ready.
fn met_in_time(seconds: u32, from: f64, noise: f64, load: impl Fn(f64) -> f64) -> (u32, u32) {
    let mut policy = predictive(json!({"season": "200s", "start_up": "3s"}));
    let (mut second, mut before) = (0.0, f64::INFINITY);
    let (mut crossings, mut met) = (0, 0);
    let noisy = |second: f64| load(second) * (1.0 + noise * (2.0 * draw(second) - 1.0));
    run(seconds, noisy, |seen, _| {
        let now = load(second).ceil();
        if second >= from && now > before {
            crossings += 1;
            met += u32::from(f64::from(seen.fleet.ready) >= now);
        }
        (before, second) = (now, second + 1.0);
        policy.observe(seen);
        policy.recommend(seen).step.replicas
    });
    (met, crossings)
}

#[test]
fn on_a_daily_pattern_and_a_ramp_capacity_is_there_before_the_crossing() {
    let day = |second: f64| 4.0 - 3.0 * (second / 200.0 * std::f64::consts::TAU).cos();
    // The third day and later ones count.
    for noise in [0.0, 0.05, 0.1, 0.2] {
        let (met, crossings) = met_in_time(1_600, 400.0, noise, day);
        let (ramp_met, ramp) = met_in_time(1_100, 200.0, noise.max(0.002), |second| 1.0 + second / 40.0);
        println!("noise {noise}: day {met}/{crossings}, ramp {ramp_met}/{ramp}");
        assert!(crossings >= 30 && f64::from(met) >= 0.95 * f64::from(crossings), "{met} of {crossings}");
        assert!(ramp >= 20 && f64::from(ramp_met) >= 0.95 * f64::from(ramp), "{ramp_met} of {ramp}");
    }
}
