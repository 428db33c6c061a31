//! Alarms, step, simple and target tracking scaling as the documents of AWS state them.

use control::{AlarmState, Decision, Reading, State};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::pool::{controller, moment, seen, workers};

/// A turn a second: a number, or `-` for none. `current` warm workers throughout, except for
/// those of `pods` where given.
fn last(policy: &str, settings: &Value, current: u32, values: &str, pods: &str) -> Decision {
    let mut controller = controller(policy, settings.clone(), (0, 1_000));
    let mut decision = None;
    for (value, at) in values.split_whitespace().zip(0_u8..) {
        let at = f64::from(at);
        let words = if pods.is_empty() {
            "1 ".repeat(usize::try_from(current).expect("a small pool"))
        } else {
            pods.to_owned()
        };
        let mut seen = seen(at, current, workers(&words, "x", moment(at)));
        let reading = |value| Reading { value, at: seen.at };
        seen.signals.extend(value.parse().ok().map(|value| ("m".to_owned(), reading(value))));
        decision = Some(controller.decide(&seen));
    }
    decision.expect("at least one turn")
}

/// The alarm of the documents' example: above 60.
fn alarm(more: &Value) -> Value {
    let mut alarm =
        json!({"signal": "custom:m", "threshold": 60, "comparison_operator": "GreaterThanThreshold"});
    for (key, value) in more.as_object().expect("a table") {
        alarm[key] = value.clone();
    }
    alarm
}

fn one_step(alarm: &Value) -> Value {
    let down = json!({"lower_bound": 0, "adjustment": 1});
    let step = if alarm["comparison_operator"].as_str().is_some_and(|operator| operator.starts_with("Less")) {
        json!({"upper_bound": 0, "adjustment": -1})
    } else {
        down
    };
    json!({"policies": [{"alarm": alarm, "step_adjustments": [step]}]})
}

#[test]
fn alarm_states() {
    let of = |n: u32, m: u32, treat: &str| json!({"evaluation_periods": n, "datapoints_to_alarm": m, "treat_missing_data": treat});
    let operator = |word: &str| json!({"comparison_operator": word});
    let (ok, up, nothing) = (AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData);
    // name, alarm, values, state
    let rows: &[(&str, Value, &str, AlarmState)] = &[
        ("above", json!({}), "61", up),
        ("on the line", json!({}), "60", ok),
        ("at least", operator("GreaterThanOrEqualToThreshold"), "60", up),
        ("below", operator("LessThanThreshold"), "59", up),
        ("below, on the line", operator("LessThanThreshold"), "60", ok),
        ("at most", operator("LessThanOrEqualToThreshold"), "60", up),
        ("never any data", json!({}), "-", nothing),
        ("data ends", json!({}), "70 - - -", nothing),
        ("3 of 3, two so far", of(3, 3, "missing"), "70 70", nothing),
        ("3 of 3", of(3, 3, "missing"), "70 70 70", up),
        ("3 of 3, one fine between", of(3, 3, "missing"), "70 50 70", ok),
        ("2 of 3, one fine between", of(3, 2, "missing"), "70 50 70", up),
        ("2 of 3, one only", of(3, 2, "missing"), "50 50 70", ok),
        ("older data fills a gap", of(3, 3, "missing"), "70 70 - 70", up),
        ("older fine data fills a gap", of(3, 3, "missing"), "50 70 - 70", ok),
        ("all that is left breaches and is old enough", of(3, 3, "missing"), "70 - -", up),
        ("breaching: nothing is bad", of(1, 1, "breaching"), "-", up),
        ("breaching: two gaps of three", of(3, 2, "breaching"), "50 - - - -", up),
        ("breaching: one gap is not enough", of(3, 2, "breaching"), "50 50 -", ok),
        ("notBreaching: nothing is fine", of(1, 1, "notBreaching"), "-", ok),
        ("notBreaching: gaps never raise", of(3, 2, "notBreaching"), "- - 70", ok),
        ("ignore: stays up", of(1, 1, "ignore"), "70 - - -", up),
        ("ignore: stays down", of(1, 1, "ignore"), "50 - - -", ok),
        ("ignore: stays unknown", of(1, 1, "ignore"), "- -", nothing),
        ("NaN is no data", json!({}), "NaN", nothing),
    ];
    for (name, more, values, state) in rows {
        let decision = last("step", &one_step(&alarm(more)), 2, values, "");
        assert_eq!(decision.alarms[0].state, *state, "{name}: {}", decision.alarms[0]);
        let change = match (state, more["comparison_operator"].as_str()) {
            (AlarmState::Alarm, Some(operator)) if operator.starts_with("Less") => -1,
            // An alarm over missing data alone has no breach to measure.
            (AlarmState::Alarm, _) if !values.ends_with('-') => 1,
            _ => 0,
        };
        assert_eq!(decision.change(), change, "{name}");
    }
}

/// The documents' example: threshold 50 for both alarms, steps of 10 and 30 %.
fn example() -> Value {
    let side = |operator: &str, steps: Value| {
        json!({"alarm": {"signal": "custom:m", "threshold": 50, "comparison_operator": operator},
               "adjustment_type": "PercentChangeInCapacity", "step_adjustments": steps})
    };
    json!({"estimated_instance_warmup": "60s", "policies": [
        side("GreaterThanOrEqualToThreshold", json!([
            {"lower_bound": 0, "upper_bound": 10, "adjustment": 0},
            {"lower_bound": 10, "upper_bound": 20, "adjustment": 10},
            {"lower_bound": 20, "adjustment": 30}])),
        side("LessThanOrEqualToThreshold", json!([
            {"lower_bound": -10, "upper_bound": 0, "adjustment": 0},
            {"lower_bound": -20, "upper_bound": -10, "adjustment": -10},
            {"upper_bound": -20, "adjustment": -30}]))]})
}

const TEN: &str = "1 1 1 1 1 1 1 1 1 1";

#[test]
fn steps_by_the_size_of_the_breach() {
    let kind = |kind: &str, adjustment: i64, least: u32| {
        json!({"policies": [{"alarm": alarm(&json!({})), "adjustment_type": kind,
            "step_adjustments": [{"lower_bound": 0, "adjustment": adjustment}], "min_adjustment_magnitude": least}]})
    };
    // name, settings, current, value, pods, expected
    let rows: &[(&str, Value, u32, &str, &str, u32)] = &[
        ("50 to 60: nothing", example(), 10, "55", "", 10),
        ("60: 10 % of 10", example(), 10, "60", "", 11),
        ("just below 70: 10 %", example(), 10, "69.9", "", 11),
        ("70: 30 %", example(), 10, "70", "", 13),
        ("100: 30 %", example(), 10, "100", "", 13),
        ("40: -10 %", example(), 10, "40", "", 9),
        ("just above 40: nothing", example(), 10, "40.1", "", 10),
        ("just above 30: -10 %", example(), 10, "30.1", "", 9),
        ("30: -30 %", example(), 10, "30", "", 7),
        ("0: -30 %", example(), 10, "0", "", 7),
        ("10 % of 3 is 1", example(), 3, "65", "", 4),
        ("30 % of 13 is 3", example(), 13, "80", "", 16),
        ("-30 % of 2 is -1", example(), 2, "10", "", 1),
        ("at least 2", kind("PercentChangeInCapacity", 25, 2), 4, "70", "", 6),
        ("25 % is more than 2", kind("PercentChangeInCapacity", 25, 2), 40, "70", "", 50),
        ("exactly 7", kind("ExactCapacity", 7, 0), 4, "70", "", 7),
        ("exactly 2, from 4", kind("ExactCapacity", 2, 0), 4, "70", "", 2),
        ("3 more", kind("ChangeInCapacity", 3, 0), 4, "70", "", 7),
        ("one warms up: 10 % of 10 is there already", example(), 11, "62", &format!("{TEN} h1"), 11),
        ("one warms up: 30 % of 10 lack two", example(), 11, "70", &format!("{TEN} s1"), 13),
        ("nothing is taken while one warms up", example(), 11, "10", &format!("{TEN} s1"), 11),
        ("those that end are still part of the capacity", example(), 9, "40", "1 1 1 1 1 1 1 1 1 d1", 9),
        ("a larger step takes what is left of it", example(), 9, "30", "1 1 1 1 1 1 1 1 1 d1", 7),
    ];
    for (name, settings, current, value, pods, expected) in rows {
        let decision = last("step", settings, *current, value, pods);
        assert_eq!(decision.desired(), *expected, "{name}: {}", decision.recommended.because);
    }
}

#[test]
fn of_several_policies_the_largest_capacity_counts() {
    let step = |adjustment: i64| json!({"alarm": alarm(&json!({})), "step_adjustments": [{"lower_bound": 0, "adjustment": adjustment}]});
    let both = json!({"policies": [step(1), step(3)]});
    assert_eq!(last("step", &both, 4, "70", "").desired(), 7);
}

#[test]
fn steps_that_cannot_be() {
    let ladder =
        |steps: Value| json!({"policies": [{"alarm": alarm(&json!({})), "step_adjustments": steps}]});
    let rows = [
        (json!([]), "must not be empty"),
        (json!([{"lower_bound": 0, "upper_bound": 10, "adjustment": 1}]), "with a positive upper bound"),
        (
            json!([{"lower_bound": 0, "upper_bound": 10, "adjustment": 1}, {"lower_bound": 12, "adjustment": 2}]),
            "overlap",
        ),
        (
            json!([{"lower_bound": 0, "upper_bound": 10, "adjustment": 1}, {"lower_bound": 8, "adjustment": 2}]),
            "overlap",
        ),
        (json!([{"lower_bound": -5, "upper_bound": 0, "adjustment": -1}]), "with a negative lower bound"),
        (json!([{"lower_bound": 5, "upper_bound": 5, "adjustment": 1}]), "must be below its upper bound"),
    ];
    for (steps, expected) in rows {
        let serde_json::Value::Object(settings) = ladder(steps) else { unreachable!("a table") };
        let config = control::PolicyConfig { name: "step".to_owned(), settings };
        let error = control::policy::build(&config).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}

/// A pool that does at once what it is told; the values come every 10 s.
fn run(policy: &str, settings: Value, start: u32, values: &str) -> Vec<u32> {
    let mut controller = controller(policy, settings, (1, 20));
    let mut desired = start;
    let mut born: Vec<Timestamp> = vec![moment(-7_200.0); usize::try_from(start).expect("a small pool")];
    let mut all = Vec::new();
    for (value, turn) in values.split_whitespace().zip(0_u16..) {
        let at = f64::from(turn) * 10.0;
        let mut pods = workers(&"1 ".repeat(born.len()), "x", moment(at));
        for (pod, born) in pods.iter_mut().zip(&born) {
            (pod.state, pod.since, pod.started_at, pod.ready_at) = (State::Ready, *born, *born, Some(*born));
        }
        let mut seen = seen(at, desired, pods);
        let reading = |value| Reading { value, at: seen.at };
        seen.signals.extend(value.parse().ok().map(|value| ("m".to_owned(), reading(value))));
        desired = controller.decide(&seen).desired();
        born.resize(usize::try_from(desired).expect("a small pool"), moment(at));
        all.push(desired);
    }
    all
}

#[test]
fn simple_scaling_waits_for_its_cooldown() {
    let settings = json!({"signal": "custom:m", "cooldown": "30s"});
    // The change of turn 0 is seen complete at turn 1, that is at 10 s: the next is at 40 s.
    assert_eq!(run("simple", settings.clone(), 2, "70 70 70 70 70 70"), [3, 3, 3, 3, 4, 4]);
    assert_eq!(run("simple", settings.clone(), 2, "70 20 20 20 20"), [3, 3, 3, 3, 2], "in both directions");
    assert_eq!(run("simple", settings.clone(), 2, "45 45 -"), [2, 2, 2]);
    let decision = {
        let mut controller = controller("simple", settings, (1, 20));
        let mut ask = |at: f64, desired: u32| {
            let mut seen = seen(at, desired, workers("1 1 1", "x", moment(at)));
            seen.signals.insert("m".to_owned(), Reading { value: 70.0, at: seen.at });
            controller.decide(&seen)
        };
        ask(0.0, 2);
        ask(10.0, 3)
    };
    assert_eq!(
        (decision.blocked_by[0].by.as_ref(), decision.blocked_by[0].until),
        ("cooldown", Some(moment(40.0)))
    );
}

#[test]
fn target_tracking_is_quick_out_and_slow_in() {
    let settings = |more: Value| {
        let mut settings = json!({"signal": "custom:m", "target": 50, "estimated_instance_warmup": "0s"});
        for (key, value) in more.as_object().expect("a table") {
            settings[key] = value.clone();
        }
        settings
    };
    let plain = settings(json!({}));
    assert_eq!(run("target_tracking", plain.clone(), 2, "80 80 80"), [2, 2, 4], "the third adds: 2 × 80/50");
    assert_eq!(
        run("target_tracking", plain.clone(), 2, "80 80 50 80 80"),
        [2, 2, 2, 2, 2],
        "one on target starts anew"
    );
    let low = "20 ".repeat(15);
    let went = run("target_tracking", plain.clone(), 5, &low);
    assert_eq!((went[13], went[14]), (5, 2), "the fifteenth takes away: 5 × 20/50");
    assert_eq!(
        run("target_tracking", plain.clone(), 5, &"46 ".repeat(20)),
        [5; 20],
        "46 is within 10 % of 50"
    );
    assert_eq!(run("target_tracking", settings(json!({"disable_scale_in": true})), 5, &low), [5; 15]);
    assert_eq!(run("target_tracking", plain, 5, &"- ".repeat(20)), [5; 20], "no data: nothing");
    let warm = settings(json!({"estimated_instance_warmup": "60s", "scale_in_datapoints": 3}));
    let went = run("target_tracking", warm, 2, "80 80 80 80 20 20 20 20 20 20 20");
    assert_eq!(went, [2, 2, 4, 4, 4, 4, 4, 4, 2, 1, 1], "two warm up from 20 s to 80 s");
}
