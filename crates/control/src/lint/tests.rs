use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Need, RULES, Report, lint};
use crate::controller::ControllerConfig;
use crate::made_up::config;

const START_UP: Duration = Duration::from_millis(300);

fn report(policy: &str, settings: Value, change: impl FnOnce(&mut ControllerConfig)) -> Report {
    let mut config = config(policy, settings);
    change(&mut config);
    lint(&config, START_UP, None).unwrap()
}

fn names(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn the_margins_of_35_and_15_are_known() {
    let found = report("threshold", json!({}), |_| ());
    let rows: Vec<_> = found.margins.iter().map(|m| (m.from, m.to, m.out, m.back)).collect();
    assert_eq!(rows[0], (1, 2, 2.5, 5.0));
    assert_eq!(rows.len(), 4);
    assert!((rows[3].2 - 13.0).abs() < 1e-9 && (rows[3].3 - 16.25).abs() < 1e-9, "{rows:?}");
    assert_eq!(names(&found), ["thin_margin"], "nothing else is wrong with the default");
    assert!(
        found.findings[0]
            .arithmetic
            .starts_with("1 → 2: 35 × 1 / 2 - 15 = +2.5; 2 → 1: 35 - 15 × 2 / 1 = +5.0")
    );
}

#[test]
fn each_rule_finds_its_case_and_a_mended_one_is_silent() {
    let none = |_: &mut ControllerConfig| ();
    type Change = fn(&mut ControllerConfig);
    let zero: Change = |config| config.min = 0;
    let fixed: Change = |config| config.min = 5;
    let large: Change = |config| config.max = 100;
    let rows: Vec<(&str, &str, Value, Change)> = vec![
        ("flap_margin", "threshold", json!({"up": 35, "down": 20}), none),
        ("thin_margin", "threshold", json!({"up": 35, "down": 15}), none),
        ("touching_lines", "threshold", json!({"up": 50, "down": 48}), none),
        ("no_headroom", "hpa", json!({"target": 95}), none),
        ("line_out_of_reach", "threshold", json!({"up": 100, "down": 20}), none),
        ("never_scales_in", "threshold", json!({"up": 50, "down": 0}), none),
        ("rounding_keeps_two", "hpa", json!({}), none),
        ("signal_does_not_fall", "threshold", json!({"signal": "latency_p95"}), none),
        ("step_spans_pool", "threshold", json!({"step": 4}), none),
        ("cooldown_below_start_up", "threshold", json!({"cooldown_up": "1s"}), none),
        ("scale_in_too_soon", "threshold", json!({"cooldown_down": "1s"}), none),
        ("cooldown_without_effect", "threshold", json!({"cooldown_up": "500ms"}), none),
        ("start_up_counts_as_load", "threshold", json!({"warm_up": "0s"}), none),
        ("slow_to_react", "target_tracking", json!({"period": "60s"}), none),
        ("always_stale", "threshold", json!({"stale_after": "100ms"}), none),
        (
            "rate_too_slow",
            "hpa",
            json!({"behavior": {"scale_up": {"policies": [{"type": "Pods", "value": 1, "period_seconds": 600}]}}}),
            none,
        ),
        (
            "budget_below_pool",
            "threshold",
            json!({"limits": {"flap_budget": {"starts": 2, "within": "1m"}}}),
            none,
        ),
        ("guard_too_short", "threshold", json!({"limits": {"in_flight": {"at_most": "100ms"}}}), none),
        ("scale_in_disabled", "target_tracking", json!({"disable_scale_in": true}), none),
        ("acts_without_data", "threshold", json!({"treat_missing_data": "breaching"}), none),
        ("fixed_size", "threshold", json!({}), fixed),
        ("blind_at_zero", "threshold", json!({}), zero),
        ("tolerance_hides_workers", "hpa", json!({}), large),
    ];
    let mut covered: BTreeSet<&str> = ["max_below_need", "min_above_need"].into();
    for (rule, policy, settings, change) in rows {
        let found = report(policy, settings.clone(), change);
        let finding = found.findings.iter().find(|finding| finding.rule == rule);
        let finding = finding.unwrap_or_else(|| panic!("{rule}: {policy} {settings}: {:?}", names(&found)));
        assert!(!finding.arithmetic.is_empty() && !finding.mend.is_empty());
        covered.insert(rule);
        let mended = report("threshold", json!({"up": 80, "down": 20}), |_| ());
        assert!(!names(&mended).contains(&rule), "{rule}");
    }
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(covered, all, "every rule has its case");
}

#[test]
fn a_trace_tells_what_is_needed() {
    let with =
        |need| lint(&config("threshold", json!({"up": 80, "down": 20})), START_UP, Some(need)).unwrap();
    assert_eq!(names(&with(Need { most: 8, least: 1 })), ["max_below_need"]);
    assert!(names(&with(Need { most: 5, least: 1 })).is_empty());
    let mut narrow = config("threshold", json!({"up": 80, "down": 20}));
    narrow.min = 4;
    let found = lint(&narrow, START_UP, Some(Need { most: 3, least: 1 })).unwrap();
    assert_eq!(names(&found), ["min_above_need"]);
}

#[test]
fn every_policy_can_be_examined() {
    for entry in crate::policy::POLICIES {
        let found = report(entry.name, json!({}), |_| ());
        assert!(found.findings.len() < RULES.len(), "{}", entry.name);
    }
}
