//! The optimum against brute force over every schedule of small cases.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::scenario::Size;
use crate::trace::{Hygiene, Kind, Trace};

fn made_up(values: &[Option<f64>], bucket_s: u64) -> Trace {
    Trace {
        name: "made_up".to_owned(),
        kind: Kind::Rate,
        bucket: Duration::from_secs(bucket_s),
        start: None,
        values: values.to_vec(),
        arrivals: Vec::new(),
        hygiene: Hygiene::default(),
    }
}

/// Load in workers as given: a worker carries 1 at the SLO-safe utilisation.
fn scenario(start_up_s: u64, kappa: f64) -> Scenario {
    Scenario {
        size: Size::WorkerRate(1.0 / 0.85),
        start_up: Duration::from_secs(start_up_s),
        kappa,
        ..Scenario::default()
    }
}

/// Tries every pair of counts in every step, by plain recursion over all schedules.
fn brute(load: &Load, scenario: &Scenario) -> f64 {
    let most = load.most_workers(scenario);
    let counts: Vec<u32> = (scenario.min..=most).collect();
    let mut best = vec![0.0; counts.len()];
    let (delay, step_ms) = (
        u64::try_from(scenario.start_up.as_millis()).unwrap(),
        u64::try_from(scenario.decide_every.as_millis()).unwrap(),
    );
    let late = delay % step_ms;
    let origin = load.scored_from_ms();
    let billed = |from: u64, to: u64| -> f64 {
        load.pieces(from.max(origin), to)
            .filter(|piece| !piece.workers.is_nan())
            .map(|piece| seconds(piece.length_ms))
            .sum()
    };
    let lost = |from: u64, to: u64, ready: u32| -> f64 {
        load.pieces(from, to)
            .filter(|piece| !piece.workers.is_nan())
            .map(|piece| seconds(piece.length_ms) * (piece.workers - f64::from(ready)).max(0.0))
            .sum()
    };
    for step in load.scored_from()..load.steps() {
        let (begin, end) = (load.begin_ms(step), load.begin_ms(step + 1));
        let split = (begin + late).min(end);
        let next: Vec<f64> = counts
            .iter()
            .map(|&then| {
                let mut least = f64::INFINITY;
                for (past, &before) in best.iter().zip(&counts) {
                    for &first in counts.iter().filter(|&&first| first == then || (late > 0 && first < then))
                    {
                        let early = f64::from(first.saturating_sub(before))
                            * billed(begin.saturating_sub(delay), begin);
                        let later =
                            f64::from(then - first) * billed(begin.saturating_sub(delay - late), begin);
                        let loss = lost(begin, split, first) + lost(split, end, then);
                        let cost = past
                            + early
                            + later
                            + billed(begin, end) * f64::from(then)
                            + scenario.kappa * loss;
                        least = least.min(cost);
                    }
                }
                least
            })
            .collect();
        best = next;
    }
    best.into_iter().fold(f64::INFINITY, f64::min)
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![8 => (0.0..4.5_f64).prop_map(Some), 1 => Just(None), 2 => (0_u8..5).prop_map(|whole| Some(f64::from(whole)))]
}

proptest! {
    #[test]
    fn equals_brute_force(
        values in proptest::collection::vec(value(), 1..14),
        bucket_s in prop_oneof![Just(5_u64), Just(15), Just(20), Just(60)],
        start_up_s in prop_oneof![Just(0_u64), Just(2), Just(15), Just(30), Just(37)],
        kappa in prop_oneof![Just(1.5), Just(10.0), Just(100.0)],
    ) {
        let (trace, scenario) = (made_up(&values, bucket_s), scenario(start_up_s, kappa));
        let load = Load::new(&trace, &scenario).unwrap();
        let (found, expected) = (solve(&load, &scenario, true).cost, brute(&load, &scenario));
        prop_assert!((found - expected).abs() < 1e-6 * (1.0 + expected), "{found} instead of {expected}");
    }
}

#[test]
fn a_peak_is_met_in_time_and_paid_for() {
    // Start-up takes two steps, three lie before the peak: idling until then would cost more.
    let values: Vec<Option<f64>> = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 1.0, 1.0, 1.0].map(Some).to_vec();
    let scenario = scenario(30, 100.0);
    let load = Load::new(&made_up(&values, 15), &scenario).unwrap();
    let optimum = solve(&load, &scenario, true);
    let ready: Vec<u32> = optimum.plan.steps.iter().map(|step| step.then).collect();
    assert_eq!(ready[3..], [1, 1, 1, 3, 3, 1, 1, 1]);
    assert!((optimum.cost - (15.0 * 12.0 + 2.0 * 30.0)).abs() < 1e-9, "{}", optimum.cost);
    let (workers, cost) = best_static(&load, &scenario);
    assert_eq!(workers, 3);
    assert!((cost - 15.0 * 24.0).abs() < 1e-9);
}
