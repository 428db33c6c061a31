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
    assert_eq!((shown.desired, shown.rule.as_str(), shown.blocked_by[0].left_s), (3, "cooldown", Some(2.0)));
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

/// The fields that an unknown one is answered with, and those that a schema lists.
fn same_fields(error: &str, schema: &Value) {
    let named: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
    let listed: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    for name in &listed {
        assert!(named.contains(name), "the schema lists `{name}`, the program does not take it: {error}");
    }
    for name in &named {
        assert!(listed.contains(name) || ["current", "replicas"].contains(name), "the schema lacks `{name}`");
    }
}

#[test]
fn the_schemas_list_what_is_taken_and_given() {
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let observation = parse(include_str!("../../schema/observation.schema.json"));
    let mut hpa = decider(json!({"policy": "hpa"}));
    let fields = &observation["properties"];
    let rows = [
        (r#"{"x": 1}"#, &observation),
        (r#"{"fleet": {"x": 1}}"#, &fields["fleet"]),
        (r#"{"workers": [{"x": 1}]}"#, &fields["workers"]["items"]),
        (
            r#"{"workers": [{"metrics": [{"x": 1}]}]}"#,
            &fields["workers"]["items"]["properties"]["metrics"]["items"],
        ),
        (r#"{"traffic": {"x": 1}}"#, &fields["traffic"]),
        (r#"{"history": {"x": 1}}"#, &fields["history"]),
    ];
    for (line, schema) in rows {
        same_fields(&hpa.line(line).unwrap_err().because, schema);
    }
    let policy = parse(include_str!("../../schema/policy.schema.json"));
    for name in crate::POLICIES.iter().map(|entry| entry.name) {
        let error = policy_file(json!({"policy": name, "settings": {"x": 1}})).unwrap_err().to_string();
        let own = error.replace(&format!("policy `{name}`: "), "");
        let named: Vec<&str> = own.split('`').skip(3).step_by(2).collect();
        let described = match policy["$defs"][name]["$ref"].as_str() {
            Some(other) => policy.pointer(other.trim_start_matches('#')).unwrap(),
            None => &policy["$defs"][name],
        };
        for listed in described["properties"].as_object().unwrap().keys().filter(|key| *key != "limits") {
            assert!(named.contains(&listed.as_str()), "{name} does not take `{listed}`: {error}");
        }
    }
    let decision = parse(include_str!("../../schema/decision.schema.json"));
    let shown = serde_json::to_value(hpa.line(r#"{"desired": 2}"#).unwrap()).unwrap();
    let given: Vec<&String> = shown.as_object().unwrap().keys().collect();
    let listed: Vec<&String> = decision["properties"].as_object().unwrap().keys().collect();
    assert_eq!(given, listed);
}
