use serde_json::json;

use crate::made_up::{config, pool};
use crate::policy::build;

#[test]
fn cases() {
    // name, ready, in flight, replicas, rule, because
    let rows: &[(&str, usize, u32, u32, &str, &str)] = &[
        ("less than one's share", 1, 5, 1, "stable", "5 over the stable window / 7 → 1"),
        ("more than one's", 1, 8, 2, "panic", "panic: 8 over the short window / 7 → 2, never fewer than 2"),
        (
            "half as much again",
            2,
            20,
            3,
            "panic",
            "panic: 20 over the short window / 7 → 3, never fewer than 3",
        ),
    ];
    for (name, ready, in_flight, replicas, rule, because) in rows {
        let mut policy = build(&config("kpa", json!({"target": 10})).policy).unwrap().policy;
        let mut seen = pool(0.0, &vec![0.0; *ready]);
        seen.traffic.as_mut().unwrap().in_flight = *in_flight;
        policy.observe(&seen);
        let said = policy.recommend(&seen);
        assert_eq!(
            (said.step.replicas, said.step.rule.as_ref(), said.step.because.to_string().as_str()),
            (*replicas, *rule, *because),
            "{name}"
        );
    }
}

#[test]
fn refuses_settings_that_make_no_sense() {
    let rows = [
        (json!({"target": 0}), "target must be"),
        (json!({"max_scale_up_rate": 1}), "max_scale_up_rate must be"),
        (json!({"panic_threshold_percentage": 100}), "panic_threshold_percentage must be"),
        (json!({"stable_window": "1s"}), "stable_window in seconds must be 6 to 3600"),
        (json!({"stable": "1s"}), "unknown field `stable`"),
    ];
    for (settings, expected) in rows {
        let error = build(&config("kpa", settings).policy).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
