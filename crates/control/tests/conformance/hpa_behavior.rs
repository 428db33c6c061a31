//! Windows, rates and conditions: autoscaling/v2's `behavior`.

use control::{ConditionKind, History, PastRecommendation, ScaleEvent};
use serde_json::{Value, json};

use crate::pool::{controller, moment, reason, seen, workers};

/// Asked for: exactly `asked`, by a pods metric of target 1.
struct Row {
    name: &'static str,
    behavior: Value,
    bounds: (u32, u32),
    current: u32,
    asked: u32,
    recommendations: &'static [(f64, u32)],
    events: &'static [(f64, i32)],
    expected: u32,
    able: &'static str,
    limited: &'static str,
}

const READY: &str = "ReadyForNewScale";
const DONE: &str = "SucceededRescale";
const UP_HELD: &str = "ScaleUpStabilized";
const DOWN_HELD: &str = "ScaleDownStabilized";
const WITHIN: &str = "DesiredWithinRange";
const UP: &str = "ScaleUpLimit";
const DOWN: &str = "ScaleDownLimit";
const MANY: &str = "TooManyReplicas";
const FEW: &str = "TooFewReplicas";

fn check(rows: &[Row]) {
    for row in rows {
        let target = json!({"type": "AverageValue", "averageValue": "1"});
        let metric = json!({"type": "External", "external": {"metric": {"name": "q"}, "target": target}});
        let settings = json!({"metrics": [metric], "tolerance": 0, "behavior": row.behavior});
        let mut controller = controller("hpa", settings, row.bounds);
        let words = "1 ".repeat(usize::try_from(row.current).expect("a small pool"));
        let mut seen = seen(0.0, row.current, workers(&words, "x", moment(0.0)));
        let reading = control::Reading { value: f64::from(row.asked), at: seen.at };
        seen.signals.insert("q".to_owned(), reading);
        let past = |&(at, replicas)| PastRecommendation { at: moment(at), replicas };
        let event = |&(at, change)| ScaleEvent { at: moment(at), change };
        seen.history = Some(Box::new(History {
            recommendations: Some(row.recommendations.iter().map(past).collect()),
            scale_events: row.events.iter().map(event).collect(),
        }));
        let decision = controller.decide(&seen);
        let got = (
            decision.desired(),
            reason(&decision, ConditionKind::AbleToScale),
            reason(&decision, ConditionKind::ScalingLimited),
        );
        assert_eq!(got, (row.expected, row.able.to_owned(), row.limited.to_owned()), "{}", row.name);
    }
}

fn row(name: &'static str, behavior: Value, current: u32, asked: u32) -> Row {
    Row {
        name,
        behavior,
        bounds: (1, 1_000),
        current,
        asked,
        recommendations: &[],
        events: &[],
        expected: asked,
        able: DONE,
        limited: WITHIN,
    }
}

fn rates(kind: &str, value: u32, period: u32) -> Value {
    json!([{"type": kind, "value": value, "periodSeconds": period}])
}

#[test]
fn the_default_behavior() {
    let with = |row: Row, expected, able, limited| Row { expected, able, limited, ..row };
    check(&[
        with(row("1 + 4 is more than 1 × 2", json!({}), 1, 50), 5, DONE, UP),
        with(row("4 + 4 equals 4 × 2", json!({}), 4, 50), 8, DONE, UP),
        with(row("10 × 2 is more than 10 + 4", json!({}), 10, 50), 20, DONE, UP),
        with(row("less than allowed", json!({}), 10, 18), 18, DONE, WITHIN),
        with(row("all at once on the way down", json!({}), 50, 1), 1, DONE, WITHIN),
        with(row("no change", json!({}), 5, 5), 5, READY, WITHIN),
        Row {
            events: &[(-10.0, 4)],
            ..with(row("4 were added in the period", json!({}), 8, 50), 8, READY, UP)
        },
        Row {
            events: &[(-15.0, 4)],
            ..with(row("15 s ago is no longer in the period", json!({}), 8, 50), 16, DONE, UP)
        },
        Row {
            recommendations: &[(-299.0, 9)],
            ..with(row("9 was recommended 299 s ago", json!({}), 10, 2), 9, DOWN_HELD, WITHIN)
        },
        Row {
            recommendations: &[(-300.0, 9)],
            ..with(row("9 was recommended 300 s ago", json!({}), 10, 2), 2, DONE, WITHIN)
        },
        Row {
            recommendations: &[(-10.0, 20)],
            ..with(row("a window never adds", json!({}), 10, 2), 10, DOWN_HELD, WITHIN)
        },
        Row {
            recommendations: &[(-1.0, 3)],
            ..with(row("no window on the way up", json!({}), 5, 9), 9, DONE, WITHIN)
        },
        Row { bounds: (1, 6), ..with(row("above the maximum", json!({}), 4, 50), 6, DONE, MANY) },
        Row { bounds: (1, 8), ..with(row("maximum and rate alike", json!({}), 4, 50), 8, DONE, MANY) },
        Row { bounds: (3, 8), ..with(row("below the minimum", json!({}), 6, 0), 3, DONE, FEW) },
        Row { bounds: (3, 8), ..with(row("at the minimum", json!({}), 3, 0), 3, READY, FEW) },
    ]);
}

#[test]
fn windows() {
    let up = |seconds: u32| json!({"scaleUp": {"stabilizationWindowSeconds": seconds}});
    let both = json!({"scaleUp": {"stabilizationWindowSeconds": 60},
                      "scaleDown": {"stabilizationWindowSeconds": 60}});
    check(&[
        Row {
            recommendations: &[(-30.0, 6), (-10.0, 7)],
            expected: 6,
            able: UP_HELD,
            ..row("the lowest of the window on the way up", up(60), 5, 9)
        },
        Row {
            recommendations: &[(-30.0, 3)],
            expected: 5,
            able: UP_HELD,
            ..row("but never below the present number", up(60), 5, 9)
        },
        Row {
            recommendations: &[(-60.0, 3)],
            ..row("60 s ago is no longer in a window of 60 s", up(60), 5, 9)
        },
        Row {
            recommendations: &[(-50.0, 4), (-20.0, 8)],
            expected: 5,
            able: UP_HELD,
            ..row("between both envelopes nothing moves, up", both.clone(), 5, 7)
        },
        Row {
            recommendations: &[(-50.0, 4), (-20.0, 8)],
            expected: 5,
            able: DOWN_HELD,
            ..row("between both envelopes nothing moves, down", both.clone(), 5, 3)
        },
        Row {
            recommendations: &[(-50.0, 7), (-20.0, 8)],
            expected: 7,
            able: UP_HELD,
            ..row("all of the window is above: the lowest of it", both, 5, 9)
        },
        Row {
            recommendations: &[(-1.0, 9)],
            expected: 2,
            ..row("no window on the way down", json!({"scaleDown": {"stabilizationWindowSeconds": 0}}), 10, 2)
        },
    ]);
}

#[test]
fn rates_of_change() {
    let up = |policies: Value| json!({"scaleUp": {"policies": policies}});
    let down =
        |policies: Value| json!({"scaleDown": {"stabilizationWindowSeconds": 0, "policies": policies}});
    let two = json!([{"type": "Pods", "value": 4, "periodSeconds": 60},
                     {"type": "Percent", "value": 10, "periodSeconds": 60}]);
    let select = |direction: &str, word: &str| json!({direction: {"stabilizationWindowSeconds": 0, "selectPolicy": word, "policies": two}});
    let with = |row: Row, expected, able, limited| Row { expected, able, limited, ..row };
    check(&[
        with(row("2 pods a minute", up(rates("Pods", 2, 60)), 5, 50), 7, DONE, UP),
        with(row("50 % a minute, rounded up", up(rates("Percent", 50, 60)), 5, 50), 8, DONE, UP),
        with(row("10 % of 10 is one", up(rates("Percent", 10, 60)), 10, 50), 11, DONE, UP),
        with(row("2 pods a minute, down", down(rates("Pods", 2, 60)), 9, 1), 7, DONE, DOWN),
        with(row("10 % of 72 removes 8", down(rates("Percent", 10, 60)), 72, 1), 64, DONE, DOWN),
        with(row("50 % of 5 removes 3", down(rates("Percent", 50, 60)), 5, 1), 2, DONE, DOWN),
        with(row("the larger of two, up", select("scaleUp", "Max"), 10, 99), 14, DONE, UP),
        with(
            row("in binary fractions 100 × 1.1 is above 110", select("scaleUp", "Max"), 100, 999),
            111,
            DONE,
            UP,
        ),
        with(row("the smaller of two, up", select("scaleUp", "Min"), 10, 99), 11, DONE, UP),
        with(row("the larger of two, down", select("scaleDown", "Max"), 80, 1), 72, DONE, DOWN),
        with(row("the smaller of two, down", select("scaleDown", "Min"), 80, 1), 76, DONE, DOWN),
        with(row("the smaller of two, down, when small", select("scaleDown", "Min"), 10, 1), 9, DONE, DOWN),
        with(row("disabled, up", select("scaleUp", "Disabled"), 10, 99), 10, READY, UP),
        with(row("disabled, down", select("scaleDown", "Disabled"), 10, 1), 10, READY, DOWN),
        with(
            row("disabled, down, does not stop up", select("scaleDown", "Disabled"), 10, 12),
            12,
            DONE,
            WITHIN,
        ),
        Row {
            events: &[(-50.0, 1), (-20.0, 1)],
            ..with(row("both were used up", up(rates("Pods", 2, 60)), 7, 50), 7, READY, UP)
        },
        Row {
            events: &[(-50.0, 1), (-20.0, 1)],
            ..with(row("3 a minute, 2 used", up(rates("Pods", 3, 60)), 7, 50), 8, DONE, UP)
        },
        Row {
            events: &[(-20.0, -3)],
            ..with(row("removals give back", up(rates("Pods", 2, 60)), 5, 50), 10, DONE, UP)
        },
        Row {
            events: &[(-20.0, -4)],
            ..with(
                row("8 at the start of the period, 50 % of it gone", down(rates("Percent", 50, 60)), 4, 1),
                4,
                READY,
                DOWN,
            )
        },
        Row {
            events: &[(-20.0, 4)],
            ..with(row("additions count against it, down", down(rates("Pods", 1, 60)), 9, 1), 4, DONE, DOWN)
        },
        Row {
            events: &[(-20.0, 9)],
            ..with(
                row("more was added than allowed now: nothing", up(rates("Pods", 2, 60)), 12, 50),
                12,
                READY,
                UP,
            )
        },
    ]);
}

#[test]
fn the_first_recommendation_is_the_present_number() {
    let mut hpa = controller("hpa", json!({}), (1, 10));
    let ask = |at: f64, current: u32| {
        let words = "0.1/1 ".repeat(usize::try_from(current).expect("a small pool"));
        let mut seen = seen(at, current, workers(&words, "cpu", moment(at)));
        seen.history = None;
        seen
    };
    let decision = hpa.decide(&ask(0.0, 5));
    assert_eq!(decision.desired(), 5);
    assert_eq!(decision.blocked_by[0].by, "stabilization");
    assert_eq!(decision.blocked_by[0].until, Some(moment(300.0)));
    assert_eq!(hpa.decide(&ask(299.9, 5)).desired(), 5);
    assert_eq!(hpa.decide(&ask(300.0, 5)).desired(), 1);
}

#[test]
fn a_change_that_was_not_carried_out_does_not_count() {
    let behavior = json!({"scaleUp": {"policies": rates("Pods", 1, 600)}});
    let ask = |at: f64, current: u32| {
        let words = "0.9/1 ".repeat(usize::try_from(current).expect("a small pool"));
        seen(at, current, workers(&words, "cpu", moment(at)))
    };
    let mut hpa = controller("hpa", json!({"behavior": behavior}), (1, 10));
    assert_eq!(hpa.decide(&ask(0.0, 4)).desired(), 5);
    assert_eq!(hpa.decide(&ask(15.0, 4)).desired(), 5, "the order was refused; the pod is still allowed");
    let decision = hpa.decide(&ask(30.0, 5));
    assert_eq!(decision.desired(), 5, "now it was used up");
    assert_eq!(decision.blocked_by[0].until, Some(moment(615.0)));
}
