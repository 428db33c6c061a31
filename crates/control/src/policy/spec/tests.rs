use serde_json::json;

use super::*;

#[test]
fn reads_lists() {
    let rows = [
        ("hpa", json!([["hpa", {}]])),
        ("hpa:target=80", json!([["hpa", {"target": 80}]])),
        ("threshold:up=80%,down=20", json!([["threshold", {"up": 80.0, "down": 20}]])),
        ("hpa:target=80,threshold", json!([["hpa", {"target": 80}], ["threshold", {}]])),
        ("threshold, kpa ,step", json!([["threshold", {}], ["kpa", {}], ["step", {}]])),
        (
            "hpa:target=80,tolerance=0.2,threshold:cooldown-up=10s,step=2",
            json!([["hpa", {"target": 80, "tolerance": 0.2}], ["threshold", {"cooldown_up": "10s", "step": 2}]]),
        ),
        (
            "hpa:behavior.scale_up.tolerance=0.17,behavior.scale_down.tolerance=0.5",
            json!([["hpa", {"behavior": {"scale_up": {"tolerance": 0.17}, "scale_down": {"tolerance": 0.5}}}]]),
        ),
        (
            r#"hpa:limits={"flap_budget":{"starts":3,"within":"10m"}},kpa"#,
            json!([["hpa", {"limits": {"flap_budget": {"starts": 3, "within": "10m"}}}], ["kpa", {}]]),
        ),
        ("seed001", json!([["threshold", {"up": 35, "down": 15}]])),
        ("seed001:up=40", json!([["threshold", {"up": 40, "down": 15}]])),
    ];
    for (text, expected) in rows {
        let specs = PolicySpec::parse_list(text).unwrap();
        let got: Vec<Value> =
            specs.iter().map(|spec| json!([spec.config.name, spec.config.settings])).collect();
        assert_eq!(Value::from(got), expected, "{text}");
    }
    let labels: Vec<String> = PolicySpec::parse_list("hpa:target=80,tolerance=0.2,kpa")
        .unwrap()
        .into_iter()
        .map(|spec| spec.label)
        .collect();
    assert_eq!(labels, ["hpa:target=80,tolerance=0.2", "kpa"]);
}

#[test]
fn refuses_what_it_does_not_know() {
    let rows = [
        ("hpaa", "there is no policy `hpaa`"),
        ("target=80", "there is no policy `target=80`"),
        ("hpa:target", "`target` in `hpa:target` is no setting"),
        ("hpa:taget=80", "unknown field `taget`"),
        ("hpa:target=80,threshold:up=1", "must be above down"),
        ("hpa:limits={\"flap\":1}", "unknown field `flap`"),
    ];
    for (text, expected) in rows {
        let error = PolicySpec::parse_list(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(PolicySpec::parse("hpa,kpa").is_err());
    assert!(PolicySpec::parse("").is_err());
}

#[test]
fn every_preset_builds() {
    for preset in PRESETS {
        crate::policy::build(&preset.config()).unwrap_or_else(|error| panic!("{}: {error}", preset.name));
        assert!(!preset.config().settings.is_empty(), "{}", preset.name);
    }
}
