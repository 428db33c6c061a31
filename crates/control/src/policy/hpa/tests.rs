use serde_json::json;

use crate::made_up::{config, pool};
use crate::policy::build;

#[test]
fn cases() {
    // name, CPU of each worker, replicas, rule, because
    let rows: &[(&str, &[f64], u32, &str, &str)] = &[
        ("above", &[81.0; 6], 7, "above_target", "cpu 81 % / target 70 % = 1.16 × 6 = 6.9 → 7"),
        (
            "on the edge of the tolerance",
            &[77.0; 2],
            2,
            "within_tolerance",
            "cpu 77 % / target 70 % = 1.1, within the tolerance",
        ),
        ("just past it", &[78.0; 2], 3, "above_target", "cpu 78 % / target 70 % = 1.11 × 2 = 2.2 → 3"),
        (
            "fractions of a percent are cut off",
            &[77.9; 2],
            2,
            "within_tolerance",
            "cpu 77 % / target 70 % = 1.1, within the tolerance",
        ),
        (
            "lower edge",
            &[63.0; 4],
            4,
            "within_tolerance",
            "cpu 63 % / target 70 % = 0.9, within the tolerance",
        ),
        ("below", &[30.0; 4], 2, "below_target", "cpu 30 % / target 70 % = 0.43 × 4 = 1.71 → 2"),
        (
            "rounding up keeps two",
            &[36.0; 2],
            2,
            "below_target",
            "cpu 36 % / target 70 % = 0.51 × 2 = 1.03 → 2",
        ),
        ("nobody", &[], 0, "FailedGetResourceMetric", "no reading of cpu: nothing is changed"),
        ("no number", &[f64::NAN], 1, "FailedGetResourceMetric", "no reading of cpu: nothing is changed"),
    ];
    for (name, cpu, replicas, rule, because) in rows {
        let mut policy = build(&config("hpa", json!({})).policy).unwrap().policy;
        let said = policy.recommend(&pool(0.0, cpu));
        assert_eq!(
            (said.step.replicas, said.step.rule.as_ref(), said.step.because.to_string().as_str()),
            (*replicas, *rule, *because),
            "{name}"
        );
    }
}

#[test]
fn the_nearest_flip_counts_in_whole_percents() {
    let flip = |cpu: f64, workers: usize| {
        let mut policy = build(&config("hpa", json!({})).policy).unwrap().policy;
        policy.recommend(&pool(0.0, &vec![cpu; workers])).nearest_flip.unwrap()
    };
    assert_eq!(flip(75.0, 2).because.to_string(), "from 78 % it would be 3; cpu was 75 %");
    assert_eq!(flip(36.0, 2).because.to_string(), "up to 34 % it would be 1; cpu was 36 %");
}

#[test]
fn refuses_settings_that_make_no_sense() {
    let cpu =
        |target| json!({"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]});
    let rows = [
        (json!({"target": 0}), "target must be at least 1 %"),
        (json!({"tolerance": -0.1}), "tolerance must be 0 or more"),
        (json!({"metrics": []}), "metrics must not be empty"),
        (json!({"metrics": [{"type": "Pods"}]}), "a metric of type Pods needs `pods`"),
        (cpu(json!({})), "exactly one of"),
        (cpu(json!({"type": "Utilization", "averageValue": 3})), "do not fit together"),
        (cpu(json!({"value": 3})), "has no such kind of target"),
        (cpu(json!({"averageUtilization": 0})), "must be above 0"),
        (
            json!({"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 5}]}}}),
            "value of a policy must be at least 1",
        ),
        (json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 9000}}}), "may be at most 1h"),
        (json!({"behaviour": {}}), "unknown field `behaviour`"),
    ];
    for (settings, expected) in rows {
        let error = build(&config("hpa", settings).policy).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
