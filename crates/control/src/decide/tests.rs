use serde_json::json;

use super::*;

fn decider(file: Value) -> Decider {
    Decider::new(policy_file(file).unwrap()).unwrap()
}

#[test]
fn a_line_states_as_much_as_its_policy_needs() {
    let mut hpa = decider(json!({"policy": "hpa:target=50", "min": 1, "max": 10}));
    let shown = hpa
        .line(r#"{"at": 0, "workers": [{"cpu_percent": 90}, {"cpu_percent": 90}], "history": {"recommendations": []}}"#)
        .unwrap();
    assert_eq!((shown.current, shown.desired, shown.action), (2, 4, "scale_up"));
    assert_eq!(shown.reason, "cpu 90 % / target 50 % = 1.8 × 2 = 3.6 → 4");
    // The next line goes on from the number decided.
    let shown = hpa.line(r#"{"at": 15, "workers": [{"cpu_percent": 50}, {"cpu_percent": 50}]}"#).unwrap();
    assert_eq!((shown.current, shown.desired), (4, 4));
}

#[test]
fn signals_alone_are_enough() {
    let mut alarm = decider(json!({"policy": "threshold:signal=custom:q,up=10,down=2"}));
    let mut ask = |line: &str| alarm.line(line).unwrap();
    assert_eq!(ask(r#"{"at": 0, "desired": 2, "signals": {"q": 11}}"#).desired, 3);
    let shown = ask(r#"{"at": 1, "signals": {"q": {"value": 12, "at": 1}}}"#);
    assert_eq!((shown.desired, shown.rule.as_str(), shown.blocked_by[0].left_s), (3, "cooldown", Some(3.0)));
    assert_eq!(shown.alarms[0].reason, "up ALARM: 1 of the last 1 datapoints breach, 1 needed");
    let shown = ask(r#"{"at": 9, "signals": {"q": null}}"#);
    assert_eq!((shown.desired, shown.rule.as_str()), (3, "no_reading"));
}

#[test]
fn a_manifest_is_a_policy_file() {
    let file = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 7,
                 "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}});
    let config = policy_file(file).unwrap();
    assert_eq!((config.min, config.max, &config.policy.settings["target"]), (2, 7, &json!(80)));
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 3}});
    assert!(policy_file(old).unwrap_err().to_string().contains("only autoscaling/v2"));
    assert!(
        policy_file(json!({"kind": "Deployment"})).unwrap_err().to_string().contains("`kind: Deployment`")
    );
}

#[test]
fn bad_lines_say_where() {
    let mut hpa = decider(json!({"policy": "hpa"}));
    assert!(hpa.line("{}").is_ok(), "nothing known: it holds");
    let rows = [
        ("nonsense", "observation 2: expected ident"),
        (r#"{"wokers": []}"#, "unknown field `wokers`"),
        (r#"{"workers": [{"state": "asleep"}]}"#, "unknown variant `asleep`"),
        (r#"{"at": "noon"}"#, "observation 5"),
        (r#"{"traffic": {"length_s": -1}}"#, "length_s must be 0 or more"),
    ];
    for (line, expected) in rows {
        let error = hpa.line(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

/// Worked examples in `schema/`: a policy, observations, and the number decided for each.
#[test]
fn the_published_examples() {
    for text in [
        include_str!("../../schema/examples/hpa.json"),
        include_str!("../../schema/examples/step.json"),
        include_str!("../../schema/examples/alarm.json"),
        include_str!("../../schema/examples/kpa.json"),
    ] {
        let example: Value = serde_json::from_str(text).unwrap();
        let mut decider = decider(example["policy"].clone());
        for (turn, expected) in example["turns"].as_array().unwrap().iter().zip(1..) {
            let shown = decider.line(&turn["observation"].to_string()).unwrap();
            let shown = serde_json::to_value(&shown).unwrap();
            for (key, value) in turn["decision"].as_object().unwrap() {
                assert_eq!(&shown[key], value, "{}, turn {expected}, {key}", example["about"]);
            }
        }
    }
}
