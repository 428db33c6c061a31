//! The 35/15 rule and an HPA with target 30, tolerances 0.17 and 0.5 and one pod at a time are
//! the same rule: in every cell of 1 to 5 workers × 0 to 100 %.

use serde_json::{Value, json};

use crate::pool::{controller, moment, seen, workers};

fn desired(policy: &str, settings: &Value, current: u32, cpu: u32) -> u32 {
    let words = format!("{}/100 ", cpu).repeat(usize::try_from(current).expect("a small pool"));
    let mut pods = workers(&words, "cpu", moment(0.0));
    for pod in &mut pods {
        pod.cpu_percent = Some(f64::from(cpu));
    }
    controller(policy, settings.clone(), (1, 5)).decide(&seen(0.0, current, pods)).desired()
}

#[test]
fn all_505_cells_agree() {
    let direction = |tolerance: f64| {
        json!({"tolerance": tolerance, "selectPolicy": "Min", "stabilizationWindowSeconds": 0,
               "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]})
    };
    let hpa = json!({"target": 30, "behavior": {"scaleUp": direction(0.17), "scaleDown": direction(0.5)}});
    let differ: Vec<(u32, u32)> = (1..=5)
        .flat_map(|current| (0..=100).map(move |cpu| (current, cpu)))
        .filter(|&(current, cpu)| {
            desired("threshold", &json!({}), current, cpu) != desired("hpa", &hpa, current, cpu)
        })
        .collect();
    assert!(differ.is_empty(), "cells (workers, CPU %) that differ: {differ:?}");
}

#[test]
fn the_obvious_midpoint_is_not_the_same_rule() {
    let direction = |tolerance: f64| {
        json!({"tolerance": tolerance, "selectPolicy": "Min", "stabilizationWindowSeconds": 0,
               "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]})
    };
    let hpa = json!({"target": 25, "behavior": {"scaleUp": direction(0.4), "scaleDown": direction(0.4)}});
    assert_eq!(desired("threshold", &json!({}), 2, 13), 1);
    assert_eq!(desired("hpa", &hpa, 2, 13), 2, "ceil(2 × 13/25) = 2");
}
