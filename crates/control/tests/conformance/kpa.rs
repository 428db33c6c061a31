//! Knative's autoscaler: windows, panic, rates, delay, zero.

use std::time::Duration;

use control::{Controller, Decision, Observation, Reading};
use serde_json::{Value, json};
use traffic::Window;

use crate::pool::{controller, moment, seen, workers};

/// With window averages given as readings.
fn given(at: f64, ready: u32, stable: f64, panic: f64) -> Observation {
    let words = "1 ".repeat(usize::try_from(ready).expect("a small pool"));
    let mut seen = seen(at, ready, workers(&words, "x", moment(at)));
    let reading = |value| Reading { value, at: seen.at };
    seen.signals
        .extend([("kpa_stable".to_owned(), reading(stable)), ("kpa_panic".to_owned(), reading(panic))]);
    seen
}

fn settings(more: &Value) -> Value {
    let mut settings = json!({"target": 10, "target_utilization_percentage": 100, "max_scale_up_rate": 10});
    for (key, value) in more.as_object().expect("a table") {
        settings[key] = value.clone();
    }
    settings
}

#[test]
fn one_turn() {
    // name, settings, ready, stable, panic, expected, rule
    let rows: &[(&str, Value, u32, f64, f64, u32, &str)] = &[
        ("on target", json!({}), 2, 20.0, 20.0, 2, "stable"),
        ("a little more", json!({}), 2, 20.1, 20.1, 3, "stable"),
        ("a little less keeps it", json!({}), 2, 15.0, 15.0, 2, "stable"),
        ("less", json!({}), 4, 25.0, 25.0, 3, "stable"),
        ("at most half at once", json!({}), 10, 1.0, 1.0, 5, "stable"),
        ("half, rounded down", json!({}), 5, 1.0, 1.0, 2, "stable"),
        ("another rate down", json!({"max_scale_down_rate": 10}), 20, 10.0, 10.0, 2, "stable"),
        ("at most ten times as many", json!({}), 1, 1_000.0, 1_000.0, 10, "panic"),
        ("a small rate still adds one", json!({"max_scale_up_rate": 1.1}), 3, 100.0, 31.0, 4, "stable"),
        ("from zero one is assumed ready", json!({}), 0, 5.0, 5.0, 1, "stable"),
        ("from zero with more", json!({}), 0, 35.0, 35.0, 4, "panic"),
        ("from zero at least the activation scale", json!({"activation_scale": 3}), 0, 5.0, 5.0, 3, "stable"),
        ("no load from zero", json!({"activation_scale": 3}), 0, 0.0, 0.0, 0, "stable"),
        ("twice the capacity: panic", json!({}), 2, 20.0, 40.0, 4, "panic"),
        ("just below twice: none", json!({}), 2, 20.0, 30.0, 2, "stable"),
        ("a higher threshold", json!({"panic_threshold_percentage": 300}), 2, 20.0, 40.0, 2, "stable"),
        ("in panic the stable window may win", json!({}), 2, 70.0, 40.0, 7, "panic"),
        ("70 % of the target", json!({"target_utilization_percentage": 70}), 2, 20.0, 20.0, 3, "stable"),
        ("requests a second", json!({"metric": "rps", "target": 200}), 2, 500.0, 500.0, 3, "stable"),
    ];
    for (name, more, ready, stable, panic, expected, rule) in rows {
        let decision =
            controller("kpa", settings(more), (0, 100)).decide(&given(0.0, *ready, *stable, *panic));
        let got = (decision.desired(), decision.recommended.rule.as_ref());
        assert_eq!(got, (*expected, *rule), "{name}: {}", decision.recommended.because);
    }
}

#[test]
fn in_panic_it_never_shrinks_until_a_stable_window_has_passed() {
    let mut kpa = controller("kpa", settings(&json!({})), (0, 100));
    // at, ready, stable, panic, expected, rule
    let rows = [
        (0.0, 2, 20.0, 50.0, 5, "panic"),
        (2.0, 5, 22.0, 30.0, 5, "panic"),
        (4.0, 5, 25.0, 70.0, 7, "panic"),
        (60.0, 7, 20.0, 10.0, 7, "panic"),
        (60.1, 7, 20.0, 10.0, 3, "stable"),
    ];
    for (at, ready, stable, panic, expected, rule) in rows {
        let decision = kpa.decide(&given(at, ready, stable, panic));
        assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (expected, rule), "at {at} s");
    }
    let mut kpa = controller("kpa", settings(&json!({})), (0, 100));
    kpa.decide(&given(0.0, 2, 20.0, 50.0));
    kpa.decide(&given(50.0, 5, 20.0, 100.0));
    assert_eq!(
        kpa.decide(&given(109.0, 5, 20.0, 10.0)).desired(),
        10,
        "being over the threshold again prolongs it"
    );
}

#[test]
fn a_restarted_autoscaler_keeps_what_there_is() {
    let mut kpa = controller("kpa", settings(&json!({})), (0, 100));
    let mut first = given(0.0, 4, 5.0, 5.0);
    first.history = None;
    assert_eq!(kpa.decide(&first).desired(), 4);
    assert_eq!(kpa.decide(&given(61.0, 4, 5.0, 5.0)).desired(), 2);
}

#[test]
fn the_scale_down_delay_keeps_the_most_of_its_window() {
    let mut kpa = controller("kpa", settings(&json!({"scale_down_delay": "10s"})), (0, 100));
    let rows =
        [(0.0, 4, 40.0, 4), (2.0, 4, 25.0, 4), (8.0, 4, 25.0, 4), (10.0, 4, 25.0, 3), (12.0, 3, 50.0, 5)];
    for (at, ready, load, expected) in rows {
        assert_eq!(kpa.decide(&given(at, ready, load, load)).desired(), expected, "at {at} s");
    }
}

#[test]
fn the_last_worker_goes_after_the_stable_window_and_the_grace_period() {
    let mut kpa = controller("kpa", settings(&json!({})), (0, 100));
    let mut ask = |at: f64, ready: u32, load: f64| -> Decision { kpa.decide(&given(at, ready, load, load)) };
    assert_eq!(ask(0.0, 0, 0.0).desired(), 0);
    assert_eq!(ask(1.0, 0, 3.0).desired(), 1);
    let decision = ask(10.0, 1, 0.0);
    assert_eq!((decision.desired(), decision.blocked_by[0].by.as_ref()), (1, "scale_to_zero_grace"));
    assert_eq!(decision.blocked_by[0].until, Some(moment(91.0)), "1 s + 60 s + 30 s");
    assert_eq!(ask(61.0, 1, 0.0).desired(), 1, "idle from now on");
    assert_eq!(ask(90.9, 1, 0.0).desired(), 1);
    assert_eq!(ask(91.0, 1, 0.0).desired(), 0);
    assert_eq!(ask(92.0, 0, 0.0).desired(), 0);
    assert_eq!(ask(93.0, 0, 1.0).desired(), 1, "and back");
    assert_eq!(ask(160.0, 1, 0.0).desired(), 1);
    assert_eq!(ask(170.0, 1, 1.0).desired(), 1, "a request ends the grace period");
    assert_eq!(ask(180.0, 1, 0.0).desired(), 1);
    assert_eq!(ask(209.0, 1, 0.0).desired(), 1);
    assert_eq!(ask(210.0, 1, 0.0).desired(), 0);
    let off = settings(&json!({"enable_scale_to_zero": false}));
    let mut kpa = controller("kpa", off, (0, 100));
    assert_eq!(kpa.decide(&given(0.0, 1, 0.0, 0.0)).desired(), 1);
    assert_eq!(kpa.decide(&given(900.0, 1, 0.0, 0.0)).desired(), 1);
}

/// With its own windows: a turn a second, `in_flight` requests at the workers.
fn turn(kpa: &mut Controller, at: f64, ready: u32, in_flight: u32) -> Decision {
    let words = "1 ".repeat(usize::try_from(ready).expect("a small pool"));
    let mut seen = seen(at, ready, workers(&words, "x", moment(at)));
    seen.traffic = Some(Window {
        length: Duration::from_secs(1),
        arrivals: 0,
        completions: 0,
        failures: 0,
        in_flight,
        queued: 0,
        latency: None,
        queue_wait_max: Duration::ZERO,
    });
    kpa.decide(&seen)
}

#[test]
fn its_own_windows() {
    let mut kpa = controller("kpa", settings(&json!({})), (0, 100));
    let mut at = 0.0;
    let mut go = |seconds: u32, ready: u32, in_flight: u32| {
        let mut last = None;
        for _ in 0..seconds {
            at += 1.0;
            last = Some(turn(&mut kpa, at, ready, in_flight));
        }
        last.expect("at least one turn")
    };
    assert_eq!(go(60, 1, 8).desired(), 1);
    let decision = go(4, 1, 20);
    assert_eq!(
        (decision.desired(), decision.recommended.rule.as_ref()),
        (2, "panic"),
        "(2 × 8 + 4 × 20) / 6 = 16"
    );
    assert_eq!(go(60, 2, 20).desired(), 2);
    assert_eq!(go(2, 2, 20).recommended.rule, "stable", "60 s after the last panic");
}

/// Knative itself goes on with what its windows still hold; nothing is taken away on that here.
#[test]
fn a_gap_takes_nothing_away() {
    let mut kpa = controller("kpa", settings(&json!({})), (0, 100));
    for second in 1..=60 {
        turn(&mut kpa, f64::from(second), 3, 3);
    }
    let mut gap = turn_without_load(3, 61.0);
    let decision = kpa.decide(&gap);
    assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (3, "no_reading"));
    gap.at = moment(62.0);
    assert_eq!(kpa.decide(&gap).desired(), 3);
    assert_eq!(turn(&mut kpa, 63.0, 3, 3).desired(), 1, "it goes on with the next reading");
}

fn turn_without_load(ready: u32, at: f64) -> Observation {
    let words = "1 ".repeat(usize::try_from(ready).expect("a small pool"));
    seen(at, ready, workers(&words, "x", moment(at)))
}

#[test]
fn no_load_measured_holds() {
    let mut kpa = controller("kpa", json!({}), (0, 100));
    let seen = seen(0.0, 3, workers("1 1 1", "x", moment(0.0)));
    let decision = kpa.decide(&seen);
    assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (3, "no_reading"));
}
