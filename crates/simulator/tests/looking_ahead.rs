//! Policies that look ahead, on recorded load and on load that nobody can foresee.

use std::time::Duration;

use simulator::trace::Told;
use simulator::{Contest, ContestantKind, Engine, Scenario, Score, Trace};

use crate::public::{policy, traces};

/// `auto`, `predictive` and `hpa` on each trace, in that order.
fn scores(traces: &[Trace], kappa: f64, start_up_s: u64) -> Vec<Score> {
    let contestants = ["auto", "predictive", "hpa"].map(|name| policy(name, name, serde_json::json!({})));
    assert!(contestants.iter().all(|one| matches!(one.kind, ContestantKind::Policy(_))));
    let scenario = Scenario { kappa, ..Scenario::default() };
    let contest = Contest {
        traces,
        contestants: &contestants,
        start_ups: &[Duration::from_secs(start_up_s)],
        scenario: &scenario,
        engine: &Engine::Fluid,
        columns: None,
    };
    contest.run(2, &|| {}).expect("the contest is sound")
}

/// Even numbers between 0 and 1, always the same.
fn draw(index: u32) -> f64 {
    let bits = index.wrapping_mul(2_654_435_769);
    f64::from((bits ^ (bits >> 15)).wrapping_mul(2_246_822_519) >> 8) / 16_777_216.0
}

fn made_up(name: &str, values: impl Iterator<Item = f64>) -> Trace {
    let rows: String = values.enumerate().map(|(at, value)| format!("{},{value}\n", at * 15)).collect();
    Trace::read(name, &format!("time_s,value\n{rows}"), &Told::default()).expect("it is sound")
}

/// The goal of the specification: never worse than 1.05 times an HPA at 70 %.
#[test]
fn they_are_never_much_worse_than_an_hpa_and_mostly_far_better() {
    let mut traces = traces();
    for trace in &mut traces {
        let day = 86_400 / trace.bucket.as_secs().max(1);
        trace.values.truncate(usize::try_from(day).expect("a day has few buckets"));
    }
    for (kappa, start_up_s) in [(10.0, 30), (100.0, 120)] {
        let scores = scores(&traces, kappa, start_up_s);
        let mut logs = [0.0, 0.0];
        for of_trace in scores.chunks(3) {
            let [auto, predictive, hpa] = of_trace else { panic!("three on each trace") };
            for (log, own) in logs.iter_mut().zip([auto, predictive]) {
                let ratio = own.cost / hpa.cost;
                assert!(ratio <= 1.05, "{} on {}: {ratio}, κ {kappa}", own.policy, own.trace);
                *log += ratio.ln();
            }
        }
        let means = logs.map(|log| (log * 3.0 / scores.len() as f64).exp());
        assert!(means.iter().all(|mean| *mean < 0.9), "{means:?} times the HPA's cost");
    }
}

#[test]
fn what_nobody_can_foresee_costs_at_most_two_percent_more() {
    let walk = (0..1_500_u32).scan(300.0_f64, |level, index| {
        *level = (*level + 30.0 * (draw(index) - 0.5)).clamp(40.0, 900.0);
        Some(*level)
    });
    let noise = (0..1_500_u32).map(|index| 300.0 + 150.0 * draw(index));
    let traces = [made_up("random walk", walk), made_up("white noise", noise)];
    for of_trace in scores(&traces, 10.0, 30).chunks(3) {
        let [auto, predictive, hpa] = of_trace else { panic!("three on each trace") };
        for own in [auto, predictive] {
            let ratio = own.cost / hpa.cost;
            println!(
                "{} on {}: {ratio} {:?}",
                own.policy,
                own.trace,
                (own.worker_seconds, hpa.worker_seconds, own.late_request_share, hpa.late_request_share)
            );
            assert!(ratio <= 1.02, "{} on {}: {ratio}", own.policy, own.trace);
        }
    }
}

/// Live, a slow ramp and a daily curve, each in steps of a minute: whoever looks ahead orders before
/// the load is there.
#[test]
fn what_can_be_foreseen_is_met_before_it_comes() {
    let minutes = |name: &str, values: Vec<f64>| {
        let rows: String =
            values.iter().enumerate().map(|(at, value)| format!("{},{value:.2}\n", at * 60)).collect();
        Trace::read(name, &format!("time_s,value\n{rows}"), &Told::default()).expect("it is sound")
    };
    let ramp = (0..720_u32).map(|minute| 1_000.0 + 20.0 * f64::from(minute) + 4.0 * draw(minute)).collect();
    let day = |minute: u32| 6_000.0 - 5_000.0 * (f64::from(minute) / 1_440.0 * std::f64::consts::TAU).cos();
    let traces = [minutes("ramp", ramp), minutes("days", (0..4 * 1_440).map(day).collect())];
    for of_trace in scores(&traces, 10.0, 30).chunks(3) {
        let [_, predictive, _] = of_trace else { panic!("three on each trace") };
        let (late, outs) = (predictive.lateness.episodes, predictive.scale_outs);
        println!("{}: late {late} times, {outs} scale-outs", predictive.trace);
        assert!(outs >= 10 && late as f64 <= 0.05 * outs as f64, "{late} of {outs}: {}", predictive.trace);
    }
}
