//! Object and external metrics, several metrics at once, zero replicas, bounds, conditions.

use std::collections::BTreeMap;

use control::{ConditionKind, Reading};
use serde_json::{Value, json};

use crate::pool::{controller, moment, reason, seen, workers};

fn metric(kind: &str, name: &str, target: Value) -> Value {
    let content = json!({"metric": {"name": name}, "target": target});
    json!({"type": kind, kind.to_lowercase(): content})
}

fn value(kind: &str, value: &str) -> Value {
    json!({"metrics": [metric(kind, "q", json!({"type": "Value", "value": value}))]})
}

fn average(kind: &str, value: &str) -> Value {
    json!({"metrics": [metric(kind, "q", json!({"type": "AverageValue", "averageValue": value}))]})
}

#[test]
fn metrics_that_belong_to_no_pod() {
    const READY: &str = "1 1 1 1";
    // name, current, settings, reading, pods, expected, rule
    let rows: &[(&str, u32, Value, f64, &str, u32, &str)] = &[
        ("object over its target", 4, value("Object", "15"), 20.0, READY, 6, "above_target"),
        ("object within tolerance", 4, value("Object", "15"), 16.5, READY, 4, "within_tolerance"),
        ("object under its target", 4, value("Object", "20"), 10.0, READY, 2, "below_target"),
        ("object: ready pods count", 4, value("Object", "10"), 20.0, "1 1 s1 s1", 4, "above_target"),
        ("external value over its target", 4, value("External", "4400m"), 8.6, READY, 8, "above_target"),
        ("external value within tolerance", 4, value("External", "8888m"), 8.6, READY, 4, "within_tolerance"),
        ("external value from zero", 0, value("External", "10"), 25.0, "", 3, "above_target"),
        ("object from zero", 0, value("Object", "10"), 1.0, "", 1, "below_target"),
        ("object to zero", 2, value("Object", "10"), 0.0, "1 1", 0, "below_target"),
        (
            "external average ignores the present number",
            3,
            average("External", "2"),
            8.6,
            "1 1 1",
            5,
            "above_target",
        ),
        (
            "external average under its target",
            5,
            average("External", "3"),
            8.6,
            "1 1 1 1 1",
            3,
            "below_target",
        ),
        ("external average within tolerance", 4, average("External", "2"), 8.5, READY, 4, "within_tolerance"),
        (
            "external average counts pods that are not ready",
            4,
            average("External", "2"),
            8.5,
            "1 1 s1 s1",
            4,
            "within_tolerance",
        ),
        ("object average", 4, average("Object", "5"), 40.0, READY, 8, "above_target"),
        ("external average from zero", 0, average("External", "2"), 3.0, "", 2, "above_target"),
        ("external average of nothing to zero", 1, average("External", "2"), 0.0, "1", 0, "below_target"),
        ("object that cannot be read", 4, value("Object", "15"), f64::NAN, READY, 4, "FailedGetObjectMetric"),
        (
            "external that cannot be read",
            4,
            value("External", "15"),
            f64::INFINITY,
            READY,
            4,
            "FailedGetExternalMetric",
        ),
    ];
    for (name, current, settings, reading, pods, expected, rule) in rows {
        let mut controller = controller("hpa", settings.clone(), (0, 1_000));
        let mut seen = seen(0.0, *current, workers(pods, "x", moment(0.0)));
        seen.signals = BTreeMap::from([("q".to_owned(), Reading { value: *reading, at: seen.at })]);
        let decision = controller.decide(&seen);
        let got = (decision.desired(), decision.recommended.rule.as_ref());
        assert_eq!(got, (*expected, *rule), "{name}: {}", decision.recommended.because);
    }
}

#[test]
fn of_several_metrics_the_largest_counts() {
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}});
    let both = json!({"metrics": [cpu, metric("External", "q", json!({"type": "AverageValue", "averageValue": "10"}))]});
    // name, CPU, external, expected, rule
    let rows = [
        ("the first is larger", "0.9/1 0.9/1", Some(10.0), 4, "above_target"),
        ("the second is larger", "0.5/1 0.5/1", Some(55.0), 6, "above_target"),
        ("both under: the larger", "0.1/1 0.1/1", Some(9.0), 1, "below_target"),
        ("one under, one within", "0.1/1 0.1/1", Some(20.0), 2, "within_tolerance"),
        ("one fails, the other is under: nothing", "0.1/1 0.1/1", None, 2, "FailedGetExternalMetric"),
        ("one fails, the other is over: out", "0.9/1 0.9/1", None, 4, "above_target"),
        ("one fails, the other is within", "0.5/1 0.5/1", None, 2, "within_tolerance"),
        ("the first fails, the other is over", "-/1 -/1", Some(50.0), 5, "above_target"),
        ("the first fails, the other is under", "-/1 -/1", Some(5.0), 2, "FailedGetResourceMetric"),
        ("both fail", "-/1 -/1", None, 2, "FailedGetResourceMetric"),
    ];
    for (name, pods, external, expected, rule) in rows {
        let mut controller = controller("hpa", both.clone(), (1, 1_000));
        let mut seen = seen(0.0, 2, workers(pods, "cpu", moment(0.0)));
        if let Some(value) = external {
            seen.signals = BTreeMap::from([("q".to_owned(), Reading { value, at: seen.at })]);
        }
        let decision = controller.decide(&seen);
        assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (expected, rule), "{name}");
        let active = reason(&decision, ConditionKind::ScalingActive);
        assert_eq!(active, if rule.starts_with("Failed") { rule } else { "ValidMetricFound" }, "{name}");
    }
}

#[test]
fn a_container_of_a_pod() {
    let target = json!({"type": "Utilization", "averageUtilization": 50});
    let settings = json!({"metrics": [{"type": "ContainerResource",
        "containerResource": {"name": "cpu", "container": "app", "target": target}}]});
    let mut pods = workers("0.9/1 0.9/1", "cpu", moment(0.0));
    let ask = |pods| controller("hpa", settings.clone(), (1, 10)).decide(&seen(0.0, 2, pods));
    let decision = ask(pods.clone());
    assert_eq!(
        (decision.desired(), decision.recommended.rule.as_ref()),
        (2, "FailedGetContainerResourceMetric")
    );
    for pod in &mut pods {
        let mut app = pod.metrics[0].clone();
        (app.container, app.value) = (Some("app".to_owned()), Some(0.2));
        pod.metrics.push(app);
    }
    assert_eq!(ask(pods).desired(), 1, "the sidecar's 90 % do not count");
}

#[test]
fn outside_its_bounds_metrics_do_not_matter() {
    // name, bounds, current, CPU of each pod, expected, rule
    let rows = [
        ("above the maximum", (1, 5), 8, 0.1, 5, "above_max"),
        ("below the minimum", (3, 5), 2, 0.1, 3, "below_min"),
        ("more than the maximum", (1, 5), 4, 1.0, 5, "above_target"),
        ("fewer than the minimum", (2, 5), 4, 0.0, 2, "below_target"),
        ("maintenance at zero", (1, 5), 0, 0.0, 0, "ScalingDisabled"),
    ];
    for (name, bounds, current, cpu, expected, rule) in rows {
        let words = format!("{cpu}/1 ").repeat(usize::try_from(current).expect("a small pool"));
        let decision = controller("hpa", json!({"target": 50}), bounds).decide(&seen(
            0.0,
            current,
            workers(&words, "cpu", moment(0.0)),
        ));
        assert_eq!((decision.desired(), decision.recommended.rule.as_ref()), (expected, rule), "{name}");
    }
}

#[test]
fn maintenance_is_somebody_elses_zero() {
    let mut fresh = seen(0.0, 0, Vec::new());
    fresh.history = None;
    let mut hpa = controller("hpa", json!({}), (1, 5));
    assert_eq!(hpa.decide(&fresh).desired(), 1, "a pool that starts has no workers yet");
    let off = json!({"maintenance_at_zero": false});
    assert_eq!(controller("hpa", off, (1, 5)).decide(&seen(0.0, 0, Vec::new())).desired(), 1);
    let decision = controller("hpa", json!({}), (1, 5)).decide(&seen(0.0, 0, Vec::new()));
    assert_eq!(reason(&decision, ConditionKind::ScalingActive), "ScalingDisabled");
}
