use serde_json::{Value, json};

use crate::made_up::{config, pool};
use crate::policy::build;

fn last(settings: &Value, workers: usize, values: &[f64]) -> (u32, String) {
    let mut policy = build(&config("nomad", settings.clone()).policy).unwrap().policy;
    let mut said = None;
    for (value, at) in values.iter().zip(0_u8..) {
        let mut seen = pool(f64::from(at), &vec![0.0; workers]);
        let reading = crate::observation::Reading { value: *value, at: seen.at };
        seen.signals.insert("m".to_owned(), reading);
        policy.observe(&seen);
        said = Some(policy.recommend(&seen).step);
    }
    let step = said.unwrap();
    (step.replicas, step.rule.into_owned())
}

#[test]
fn cases() {
    let target = json!({"signal": "custom:m"});
    let bounds = |low: f64, high: f64, what: Value, group: Option<&str>| {
        let mut strategy =
            json!({"threshold": {"lower_bound": low, "upper_bound": high, "within_bounds_trigger": 2}});
        for (key, value) in what.as_object().unwrap() {
            strategy["threshold"][key] = value.clone();
        }
        json!({"signal": "custom:m", "group": group, "strategy": strategy})
    };
    let pair = |group| json!({"checks": [bounds(70.0, 100.0, json!({"delta": 1}), group), bounds(0.0, 30.0, json!({"delta": -1}), group)]});
    let rows = [
        ("ten at 80 of 70", target.clone(), 10, vec![80.0], 12, "check_out"),
        ("within the threshold of 0.01", target.clone(), 10, vec![70.7], 10, "within"),
        ("half of the target", target.clone(), 10, vec![35.0], 5, "check_in"),
        ("from zero", target.clone(), 0, vec![80.0], 2, "check_out"),
        ("no reading", target, 3, vec![f64::NAN], 3, "no_reading"),
        ("one point of two", pair(Some("g")), 3, vec![80.0], 3, "within"),
        ("two points", pair(Some("g")), 3, vec![80.0, 80.0], 4, "check_out"),
        ("the upper bound is outside", pair(Some("g")), 3, vec![100.0, 100.0], 3, "within"),
        ("the lower bound is inside", pair(Some("g")), 3, vec![70.0, 70.0], 4, "check_out"),
        ("in, both of one group", pair(Some("g")), 3, vec![20.0, 20.0], 2, "check_in"),
        ("in, not of one group: the silent one is safer", pair(None), 3, vec![20.0, 20.0], 3, "within"),
        (
            "percentage",
            json!({"checks": [bounds(70.0, 100.0, json!({"percentage": 50}), None)]}),
            3,
            vec![80.0, 80.0],
            5,
            "check_out",
        ),
        (
            "value",
            json!({"checks": [bounds(70.0, 100.0, json!({"value": 9}), None)]}),
            3,
            vec![80.0, 80.0],
            9,
            "check_out",
        ),
        (
            "fixed",
            json!({"checks": [{"signal": "custom:m", "strategy": {"fixed_value": {"value": 4}}}]}),
            3,
            vec![0.0],
            4,
            "check_out",
        ),
        (
            "passed through",
            json!({"checks": [{"signal": "custom:m", "strategy": {"pass_through": {}}}]}),
            3,
            vec![5.2],
            6,
            "check_out",
        ),
    ];
    for (name, settings, workers, values, replicas, rule) in rows {
        assert_eq!(last(&settings, workers, &values), (replicas, rule.to_owned()), "{name}");
    }
}

#[test]
fn a_cooldown_in_both_directions() {
    let mut policy = build(&config("nomad", json!({})).policy).unwrap().policy;
    let mut ask = |at: f64, cpu: &[f64]| {
        let seen = pool(at, cpu);
        policy.observe(&seen);
        policy.recommend(&seen).step.replicas
    };
    assert_eq!(ask(0.0, &[90.0]), 2);
    assert_eq!(ask(10.0, &[10.0, 10.0]), 2);
    assert_eq!(ask(309.0, &[10.0, 10.0]), 2);
    assert_eq!(ask(310.0, &[10.0, 10.0]), 1);
}

#[test]
fn refuses_settings_that_make_no_sense() {
    let threshold =
        |strategy: Value| json!({"checks": [{"signal": "rps", "strategy": {"threshold": strategy}}]});
    for (settings, expected) in [
        (threshold(json!({"lower_bound": 1})), "exactly one of delta"),
        (threshold(json!({"delta": 1})), "needs lower_bound or upper_bound"),
        (threshold(json!({"lower_bound": 1, "delta": 1, "value": 2})), "exactly one of delta"),
        (json!({"target": -1}), "target must be 0 or more"),
    ] {
        let error = build(&config("nomad", settings).policy).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_nearest_flip_is_where_the_number_changes() {
    let target = json!({"signal": "custom:m"});
    let said = |value: f64| {
        let mut policy = build(&config("nomad", target.clone()).policy).unwrap().policy;
        let mut seen = pool(0.0, &[0.0; 10]);
        seen.signals.insert("m".to_owned(), crate::observation::Reading { value, at: seen.at });
        policy.observe(&seen);
        policy.recommend(&seen)
    };
    for (still, flips) in [(70.5, 70.8), (64.0, 62.9)] {
        let flip = said(still).nearest_flip.expect("it holds, so something would flip it");
        assert_eq!(said(still).step.replicas, 10);
        assert_eq!(said(flips).step.replicas, flip.replicas, "{flip:?}");
    }
}
