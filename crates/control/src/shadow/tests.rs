use serde_json::json;

use super::*;
use crate::made_up::{config, moment, pool};
use crate::policy::spec::PolicySpec;

fn with_shadows(list: &str) -> Controller {
    let shadows = PolicySpec::parse_list(list).unwrap();
    let shadows =
        shadows.into_iter().map(|spec| ShadowConfig { label: spec.label, policy: spec.config }).collect();
    let acting = ControllerConfig { shadows, ..config("threshold", json!({"up": 1000})) };
    Controller::new(acting).unwrap()
}

/// A real pool of one worker that serves `rate` requests a second of 10 ms each, as far as it can.
fn real(second: u32, rate: u64) -> Observation {
    let busy = (rate as f64 * 0.01).min(1.0);
    let mut seen = pool(f64::from(second), &[100.0 * busy]);
    if let Some(window) = &mut seen.traffic {
        window.arrivals = rate;
        window.completions = number_of(busy / 0.01);
        let length = Duration::from_millis(10);
        window.latency = Some(Latency { p50: length, p95: length * 2, p99: length * 3 });
    }
    seen.workers[0].started_at = moment(-10.0);
    seen.workers[0].ready_at = Some(moment(-7.0));
    seen
}

fn number_of(value: f64) -> u64 {
    u64::from(number::count(value.round()))
}

#[test]
fn a_shadow_grows_where_the_acting_policy_does_not() {
    let mut controller = with_shadows("hpa:target=50,threshold");
    for second in 0..5 {
        controller.decide(&real(second, 20));
    }
    let (mut hpa, mut threshold) = (Vec::new(), Vec::new());
    for second in 5..40 {
        let decision = controller.decide(&real(second, 250));
        assert_eq!(decision.desired(), 1, "the acting policy never does");
        hpa.push(decision.shadows[0].clone());
        threshold.push(decision.shadows[1].clone());
    }
    // 250/s of 10 ms are 2.5 workers: 5 at 50 %; the rule of 35 % asks for more than 5 allow.
    assert_eq!((hpa[34].desired(), threshold[34].desired()), (5, 5));
    assert_eq!(hpa[0].label.to_string(), "hpa:target=50");
    let busy = hpa[34].busy_percent.unwrap();
    assert!((busy - 50.0).abs() < 3.0, "2.5 workers of work on 5: {busy}");
    let first = hpa.iter().position(|turn| turn.desired() > 1).unwrap();
    let grown = hpa.iter().position(|turn| turn.ready > 1).unwrap();
    assert_eq!(grown - first, 3, "ready after the 3 s that the real worker took");
    assert!(hpa[first + 1].queued > 0, "meanwhile requests wait");
    assert_eq!(hpa[34].queued, 0);
    assert!(hpa[34].worker_seconds > hpa[33].worker_seconds);
}

#[test]
fn a_shadow_of_the_acting_policy_follows_it_at_constant_load() {
    let mut controller = with_shadows("threshold:up=1000");
    for second in 0..60 {
        let decision = controller.decide(&real(second, 60));
        assert_eq!(decision.shadows[0].desired(), decision.desired());
        if second > 5 {
            let busy = decision.shadows[0].busy_percent.unwrap();
            assert!((busy - 60.0).abs() < 1.0, "{busy}");
        }
    }
}

#[test]
fn odd_times_and_missing_traffic_harm_nothing() {
    let mut controller = with_shadows("kpa,hpa,aws,keda,queue");
    for (second, gap) in [(10_u32, false), (9, false), (9, true), (100_000, true), (100_001, false)] {
        let mut seen = real(second, 100);
        if gap {
            seen.traffic = None;
            seen.workers.clear();
        }
        let decision = controller.decide(&seen);
        assert_eq!(decision.shadows.len(), 5);
        assert!(decision.shadows.iter().all(|shadow| (1..=5).contains(&shadow.desired())));
    }
    let many = ["hpa"; SHADOWS_MAX + 1].join(",");
    let shadows = PolicySpec::parse_list(&many).unwrap();
    let shadows =
        shadows.into_iter().map(|spec| ShadowConfig { label: spec.label, policy: spec.config }).collect();
    assert!(ControllerConfig { shadows, ..config("threshold", json!({})) }.check().is_err());
}
