use serde_json::{Value, json};

use crate::made_up::{config, pool};
use crate::policy::{Policy, build};

fn keda(settings: Value, min: u32) -> Box<dyn Policy> {
    let mut policy = build(&config("keda", settings).policy).unwrap().policy;
    policy.bounds(min, 10);
    policy
}

fn ask(policy: &mut dyn Policy, at: f64, workers: usize, value: f64) -> (u32, String) {
    let mut seen = pool(at, &vec![0.0; workers]);
    seen.signals.insert("q".to_owned(), crate::observation::Reading { value, at: seen.at });
    policy.observe(&seen);
    let step = policy.recommend(&seen).step;
    (step.replicas, step.rule.into_owned())
}

fn trigger(more: Value) -> Value {
    let mut settings = json!({"triggers": [{"signal": "q", "threshold": 10, "activation_threshold": 5}]});
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

#[test]
fn cases() {
    // name, min, workers, value, replicas, rule
    let rows = [
        ("more", 1, 2, 41.0, 5, "trigger"),
        ("within tolerance", 1, 2, 22.0, 2, "trigger"),
        ("fewer", 1, 4, 11.0, 2, "trigger"),
        ("zero, at the activation threshold", 0, 0, 5.0, 0, "inactive"),
        ("zero, above it: one", 0, 0, 50.0, 1, "activated"),
        ("inactive, but the cool-down runs", 0, 1, 0.0, 1, "cooldown_period"),
        ("cannot be read", 1, 3, f64::NAN, 3, "no_reading"),
    ];
    for (name, min, workers, value, replicas, rule) in rows {
        let mut policy = keda(trigger(json!({})), min);
        assert_eq!(ask(&mut *policy, 0.0, workers, value), (replicas, rule.to_owned()), "{name}");
    }
}

#[test]
fn the_last_worker_goes_after_the_cooldown() {
    let mut policy = keda(trigger(json!({"cooldown_period": "60s"})), 0);
    assert_eq!(ask(&mut *policy, 0.0, 1, 8.0).0, 1);
    assert_eq!(ask(&mut *policy, 59.0, 1, 0.0).0, 1);
    assert_eq!(ask(&mut *policy, 60.0, 1, 0.0), (0, "inactive".to_owned()));
    assert_eq!(ask(&mut *policy, 61.0, 0, 0.0).0, 0);
    assert_eq!(ask(&mut *policy, 62.0, 0, 6.0).0, 1);
}

#[test]
fn the_nearest_flip_is_where_the_number_changes() {
    // trigger, workers, value that flips just not, value that flips
    let rows = [
        (json!({}), 4, 44.0, 44.1),
        (json!({}), 4, 30.1, 30.0),
        (json!({"triggers": [{"signal": "q", "threshold": 10, "metric_type": "Value"}]}), 4, 11.0, 11.1),
        (json!({"triggers": [{"signal": "q", "threshold": 10, "metric_type": "Value"}]}), 4, 7.51, 7.5),
    ];
    for (settings, workers, still, flips) in rows {
        let mut policy = keda(trigger(settings.clone()), 1);
        let mut seen = pool(0.0, &vec![0.0; workers]);
        let reading = |value| crate::observation::Reading { value, at: crate::made_up::moment(0.0) };
        seen.signals.insert("q".to_owned(), reading(still));
        let said = policy.recommend(&seen);
        let flip = said.nearest_flip.expect("it holds, so something would flip it");
        assert_eq!(said.step.replicas, u32::try_from(workers).unwrap(), "{settings} {still}");
        assert_eq!(ask(&mut *policy, 1.0, workers, flips).0, flip.replicas, "{settings} {flip:?}");
    }
}

#[test]
fn fallbacks() {
    // behavior, workers, replicas after three failures and a fourth
    let rows = [
        ("static", 3, 6),
        ("static", 8, 6),
        ("currentReplicas", 3, 3),
        ("currentReplicasIfHigher", 3, 6),
        ("currentReplicasIfHigher", 8, 8),
        ("currentReplicasIfLower", 3, 3),
        ("currentReplicasIfLower", 8, 6),
    ];
    for (behavior, workers, replicas) in rows {
        let fallback = json!({"fallback": {"failureThreshold": 3, "replicas": 6, "behavior": behavior}});
        let mut policy = keda(trigger(fallback), 1);
        for at in 0..3_u8 {
            let (held, rule) = ask(&mut *policy, f64::from(at), workers, f64::NAN);
            assert_eq!(
                (usize::try_from(held).unwrap(), rule.as_str()),
                (workers, "no_reading"),
                "{behavior}"
            );
        }
        assert_eq!(
            ask(&mut *policy, 3.0, workers, f64::NAN),
            (replicas, "fallback".to_owned()),
            "{behavior}"
        );
        assert_eq!(ask(&mut *policy, 4.0, workers, 41.0).1, "trigger", "{behavior}: readings come back");
    }
}

#[test]
fn refuses_settings_that_make_no_sense() {
    let value = json!([{"signal": "q", "threshold": 1, "metric_type": "Value"}]);
    for (settings, expected) in [
        (json!({"triggers": []}), "triggers must not be empty"),
        (json!({"triggers": [{"signal": "q", "threshold": 0}]}), "must be above 0"),
        (json!({"triggers": value, "fallback": {"failureThreshold": 1, "replicas": 2}}), "AverageValue"),
    ] {
        let error = build(&config("keda", settings).policy).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
