//! Which pods count and how: ready, unready, missing, deleted, failed; utilization in whole
//! percents; tolerance.

use serde_json::{Value, json};

use crate::pool::{controller, moment, seen, workers};

fn resource(name: &str, target: Value) -> Value {
    json!({"metrics": [{"type": "Resource", "resource": {"name": name, "target": target}}]})
}

fn cpu(percent: u32) -> Value {
    resource("cpu", json!({"type": "Utilization", "averageUtilization": percent}))
}

fn each(metric: &str, value: &str) -> Value {
    let target = json!({"type": "AverageValue", "averageValue": value});
    json!({"metrics": [{"type": "Pods", "pods": {"metric": {"name": metric}, "target": target}}]})
}

fn check(rows: &[(&str, &str, u32, Value, &str, u32, &str)]) {
    for (name, metric, current, settings, pods, expected, rule) in rows {
        let mut controller = controller("hpa", settings.clone(), (1, 1_000));
        let decision = controller.decide(&seen(0.0, *current, workers(pods, metric, moment(0.0))));
        let got = (decision.desired(), decision.recommended.rule.as_ref());
        assert_eq!(got, (*expected, *rule), "{name}: {}", decision.recommended.because);
    }
}

#[test]
fn utilization_of_requests() {
    const UP: &str = "above_target";
    const DOWN: &str = "below_target";
    const WITHIN: &str = "within_tolerance";
    const FAILED: &str = "FailedGetResourceMetric";
    check(&[
        ("50 % over 30 %", "cpu", 3, cpu(30), "0.3/1 0.5/1 0.7/1", 5, UP),
        ("exactly the target", "cpu", 3, cpu(50), "0.3/1 0.5/1 0.7/1", 3, WITHIN),
        ("a third of the target", "cpu", 5, cpu(50), "0.1/1 0.3/1 0.5/1 0.25/1 0.25/1", 3, DOWN),
        ("requests differ: their sum counts", "cpu", 2, cpu(50), "1.2/2 0.1/0.5", 2, WITHIN),
        ("small pod hot, large pod cold", "cpu", 2, cpu(50), "0.5/0.5 0.5/2", 2, DOWN),
        ("109.9 % of a 100 % target is 109 %", "cpu", 2, cpu(100), "1.099/1 1.099/1", 2, WITHIN),
        ("110 % is still within", "cpu", 2, cpu(100), "1.1/1 1.1/1", 2, WITHIN),
        ("110.9 % is 110 %", "cpu", 2, cpu(100), "1.109/1 1.109/1", 2, WITHIN),
        ("111 % is not", "cpu", 2, cpu(100), "1.11/1 1.11/1", 3, UP),
        ("90 % is still within", "cpu", 2, cpu(100), "0.9/1 0.9/1", 2, WITHIN),
        ("89.9 % is 89 %, but ceil keeps two", "cpu", 2, cpu(100), "0.899/1 0.899/1", 2, DOWN),
        ("ceil keeps two at 13 of 25", "cpu", 2, cpu(25), "0.13/1 0.13/1", 2, DOWN),
        ("12 of 25 lets one go", "cpu", 2, cpu(25), "0.12/1 0.12/1", 1, DOWN),
        ("idle to the minimum", "cpu", 4, cpu(50), "0/1 0/1 0/1 0/1", 1, DOWN),
        ("ready pods count, not the present number", "cpu", 5, cpu(50), "1/1 1/1 1/1", 6, UP),
        ("nothing to read", "cpu", 3, cpu(50), "-/1 -/1 -/1", 3, FAILED),
        ("no pods", "cpu", 3, cpu(50), "", 3, FAILED),
        ("only unready pods", "cpu", 2, cpu(50), "b0.9/1 b0.9/1", 2, FAILED),
        ("nothing requested", "cpu", 2, cpu(50), "0.5/0 0.5/0", 2, FAILED),
        (
            "memory without a request",
            "memory",
            2,
            resource("memory", json!({"averageUtilization": 50})),
            "5 5",
            2,
            FAILED,
        ),
        (
            "memory",
            "memory",
            2,
            resource("memory", json!({"averageUtilization": 50})),
            "80/100 70/100",
            3,
            UP,
        ),
    ]);
}

#[test]
fn unready_pods() {
    const UP: &str = "above_target";
    const DOWN: &str = "below_target";
    const WITHIN: &str = "within_tolerance";
    check(&[
        ("hot unready pod counts as 0 on the way up", "cpu", 3, cpu(30), "b0.4/1 0.5/1 0.7/1", 4, UP),
        ("hot unready pods turn it off", "cpu", 3, cpu(50), "b0.4/1 b0.5/1 0.7/1", 3, "missing_metrics"),
        (
            "unready pods do not count on the way down",
            "cpu",
            5,
            cpu(50),
            "b0.9/1 0.3/1 0.3/1 0.3/1 0.3/1",
            3,
            DOWN,
        ),
        ("a pending pod is unready", "cpu", 3, cpu(30), "s0.4/1 0.5/1 0.7/1", 4, UP),
        (
            "a pending pod without a metric is unready, not missing",
            "cpu",
            3,
            cpu(50),
            "0.2/1 0.2/1 s-/1",
            1,
            DOWN,
        ),
        ("ready since 2 s, measured over 10 s: unready", "cpu", 3, cpu(30), "h0.4/1 0.5/1 0.7/1", 4, UP),
        ("within tolerance with the unready counted", "cpu", 2, cpu(50), "b0.1/1 1/1", 2, WITHIN),
        ("unready after being ready for long: its metric counts", "cpu", 2, cpu(50), "u1/1 1/1", 4, UP),
        ("never ready: its metric does not", "cpu", 2, cpu(50), "n1/1 0.6/1", 2, "missing_metrics"),
        ("all ready", "cpu", 3, cpu(30), "0.4/1 0.5/1 0.7/1", 6, UP),
        (
            "unready does not matter for memory",
            "memory",
            2,
            resource("memory", json!({"averageUtilization": 50})),
            "b1/1 1/1",
            4,
            UP,
        ),
        (
            "but a pending pod does",
            "memory",
            2,
            resource("memory", json!({"averageUtilization": 50})),
            "s1/1 1/1",
            2,
            WITHIN,
        ),
        ("a deleted pod counts nowhere", "cpu", 3, cpu(50), "d1/1 0.6/1 0.6/1", 3, UP),
        ("a failed pod counts nowhere", "cpu", 3, cpu(50), "f1/1 0.6/1 0.6/1", 3, UP),
        ("nor on the way down", "cpu", 4, cpu(50), "f1/1 d1/1 0.1/1 0.1/1", 1, DOWN),
    ]);
}

#[test]
fn missing_metrics() {
    const UP: &str = "above_target";
    const DOWN: &str = "below_target";
    const WITHIN: &str = "within_tolerance";
    const TURNED: &str = "missing_metrics";
    check(&[
        ("0 % on the way up", "cpu", 4, cpu(50), "0.9/1 0.9/1 0.9/1 -/1", 6, UP),
        ("up, but within tolerance with it counted", "cpu", 2, cpu(50), "1/1 -/1", 2, WITHIN),
        ("up, but it would turn around", "cpu", 3, cpu(50), "0.9/1 -/1 -/1", 3, TURNED),
        ("100 % of the request on the way down", "cpu", 5, cpu(50), "0.1/1 0.1/1 0.1/1 0.1/1 -/1", 3, DOWN),
        ("down, but within tolerance with it counted", "cpu", 3, cpu(50), "0.25/1 0.25/1 -/1", 3, WITHIN),
        ("down, but it would turn around", "cpu", 2, cpu(50), "0.4/1 -/1", 2, TURNED),
        ("targets above 100 % take the target instead", "cpu", 4, cpu(200), "0.5/1 0.5/1 0.5/1 -/1", 2, DOWN),
        ("exactly on target says nothing", "cpu", 2, cpu(50), "0.5/1 -/1", 2, WITHIN),
        ("missing and unready on the way up", "cpu", 4, cpu(50), "1.2/1 1.2/1 b0.1/1 -/1", 5, UP),
        ("missing and unready on the way down", "cpu", 4, cpu(50), "0.1/1 0.1/1 b0.1/1 -/1", 3, DOWN),
        ("pods metric: 0 on the way up", "q", 3, each("q", "10"), "30 30 -", 6, UP),
        ("pods metric: the target on the way down", "q", 4, each("q", "10"), "2 2 2 -", 2, DOWN),
        ("pods metric: within tolerance with it counted", "q", 2, each("q", "10"), "8.5 -", 2, WITHIN),
    ]);
}

#[test]
fn averages_per_pod() {
    const UP: &str = "above_target";
    const DOWN: &str = "below_target";
    const WITHIN: &str = "within_tolerance";
    let mem = |value: &str| resource("memory", json!({"type": "AverageValue", "averageValue": value}));
    let cores = resource("cpu", json!({"type": "AverageValue", "averageValue": "500m"}));
    check(&[
        ("pods metric over its target", "q", 3, each("q", "15"), "20 10 30", 4, UP),
        ("pods metric under its target", "q", 5, each("q", "20"), "12 12 12 12 12", 3, DOWN),
        ("fractions in thousandths", "q", 2, each("q", "1500m"), "2 2", 3, UP),
        ("edge of the tolerance", "q", 3, each("q", "10"), "11 11 11", 3, WITHIN),
        ("thousandths are cut off", "q", 3, each("q", "10"), "11.0009 11 11", 3, WITHIN),
        ("past the tolerance", "q", 3, each("q", "10"), "11.1 11.1 11.1", 4, UP),
        ("unready pods count for a pods metric", "q", 2, each("q", "10"), "b20 20", 4, UP),
        ("cores", "cpu", 2, cores.clone(), "0.9/1 0.9/1", 4, UP),
        ("cores, unready", "cpu", 2, cores, "b0.9/1 0.9/1", 2, WITHIN),
        ("bytes", "memory", 2, mem("64Mi"), "134217728 134217728", 4, UP),
        ("bytes, one missing", "memory", 2, mem("64Mi"), "134217728 -", 2, WITHIN),
        ("no metric of that name", "q", 2, each("other", "1"), "5 5", 2, "FailedGetPodsMetric"),
    ]);
}
