use serde_json::{Value, json};

use super::translate;
use crate::decide::policy_file_told;

fn keda(triggers: Value, more: Value) -> Value {
    let mut spec = json!({"scaleTargetRef": {"name": "web"}, "maxReplicaCount": 10, "triggers": triggers});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "web"}, "spec": spec})
}

#[test]
fn scaled_objects() {
    let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}});
    let rate = json!({"type": "prometheus", "metadata": {"serverAddress": "http://prom", "threshold": "20",
        "query": "sum(rate(http_requests_total[1m]))", "activationThreshold": "2"}});
    let cron = json!({"type": "cron", "metadata": {"timezone": "Europe/Berlin", "start": "0 8 * * *",
        "end": "0 18 * * *", "desiredReplicas": "6"}});
    // triggers, policy, min, warnings
    let rows = [
        (json!([cpu]), "hpa", 1, 1),
        (json!([rate]), "keda", 0, 1),
        (json!([cron]), "scheduled", 0, 0),
        (json!([cpu, rate, cron]), "highest", 0, 1),
    ];
    for (triggers, policy, min, warnings) in rows {
        let (config, told) = policy_file_told(keda(triggers, json!({"cooldownPeriod": 120}))).unwrap();
        assert_eq!((config.policy.name.as_str(), config.min, config.max), (policy, min, 10));
        assert_eq!(told.len(), warnings, "{policy}: {told:?}");
    }
    let file = translate(keda(json!([rate]), json!({"cooldownPeriod": 120}))).unwrap().file;
    assert_eq!(file["settings"]["cooldown_period"], "120s");
    let trigger = &file["settings"]["triggers"][0];
    assert_eq!(trigger["signal"], "requests_per_second");
    assert_eq!((&trigger["threshold"], &trigger["activation_threshold"]), (&json!(20.0), &json!(2.0)));
}

#[test]
fn scaling_modifiers_become_a_formula() {
    let triggers = json!([
        {"type": "external", "name": "trig_one", "metadata": {"targetValue": "5"}},
        {"type": "prometheus", "name": "rate", "metadata": {"threshold": "20",
            "query": "sum(rate(http_requests_total[1m]))"}},
        {"type": "cpu", "metadata": {"value": "60"}}]);
    let file = |modifiers: Value, more: Value| {
        let mut more = more;
        more["advanced"] = json!({"scalingModifiers": modifiers});
        keda(triggers.clone(), more)
    };
    let average = json!({"formula": "(trig_one + rate) / 2", "target": "10"});
    let translated = translate(file(average.clone(), json!({}))).unwrap();
    let members = &translated.file["settings"]["policies"];
    assert_eq!((&members[0]["policy"], &members[1]["policy"]), (&json!("hpa"), &json!("formula")));
    assert_eq!(members[1]["settings"]["expression"], "(trig_one + (rps * ready)) / 2");
    assert_eq!(members[1]["settings"]["target"], 10.0);
    assert_eq!(members[1]["settings"]["limits"]["stabilization"]["down"], "5m", "the HPA's own default");
    assert!(translated.warnings.iter().any(|text| text.contains("own thresholds do not count")));
    policy_file_told(file(average.clone(), json!({}))).unwrap();
    let value = json!({"formula": "max(trig_one, 3)", "target": 4, "metricType": "Value"});
    let translated = translate(file(value, json!({}))).unwrap();
    assert_eq!(
        translated.file["settings"]["policies"][1]["settings"]["expression"],
        "(max(trig_one, 3)) * desired"
    );
    let rows = [
        (
            json!({"formula": "trig_one > 2 ? trig_one : 1", "target": 4}),
            json!({}),
            "scalingModifiers.formula:",
        ),
        (json!({"formula": "trig_one"}), json!({}), "target is missing"),
        (json!({"formula": "trig_one", "target": 4, "activationTarget": 2}), json!({}), "activationTarget"),
        (average, json!({"fallback": {"failureThreshold": 3, "replicas": 2}}), "spec.fallback"),
    ];
    for (modifiers, more, expected) in rows {
        let error = policy_file_told(file(modifiers, more)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_has_no_counterpart_is_named() {
    let cpu = json!([{"type": "cpu", "metadata": {"value": "60"}}]);
    let rows = [
        (keda(json!([{"type": "kafka", "metadata": {}}]), json!({})), "type kafka has no counterpart"),
        (keda(cpu.clone(), json!({"idleReplicaCount": 2})), "idleReplicaCount"),
        (
            keda(cpu.clone(), json!({"advanced": {"scalingModifiers": {}}})),
            "scalingModifiers.formula is missing",
        ),
        (keda(cpu, json!({"paused": true})), "spec.paused"),
        (keda(json!([]), json!({})), "triggers is empty"),
        (json!({"kind": "Deployment"}), "`kind: Deployment` is no policy"),
        (
            json!({"ScalingPolicies": [{"PolicyName": "p", "PolicyType": "PredictiveScaling"}]}),
            "PredictiveScaling",
        ),
        (
            json!({"ScalingPolicies": [{"PolicyName": "p", "PolicyType": "StepScaling", "Alarms": [{"AlarmName": "a"}]}]}),
            "alarm a does not stand in the file",
        ),
        (
            json!({"scaling": {"max": 5, "policy": {"check": {"c": {"query": "avg_memory", "strategy": {"target-value": {"target": 5}}}}}}}),
            "`avg_memory` has no counterpart",
        ),
        (
            json!({"scaling": {"max": 5, "policy": {"check": {"c": {"query": "avg_cpu", "strategy": {"app-sizing": {}}}}}}}),
            "app-sizing has no counterpart",
        ),
    ];
    for (file, expected) in rows {
        let error = policy_file_told(file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn describe_policies_with_alarms() {
    let file = json!({
        "ScalingPolicies": [
            {"PolicyName": "track", "PolicyType": "TargetTrackingScaling", "Enabled": true,
             "TargetTrackingConfiguration": {"TargetValue": 600.0, "DisableScaleIn": true,
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget"}}},
            {"PolicyName": "steps", "PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity",
             "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 1},
                                 {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 3}],
             "EstimatedInstanceWarmup": 30, "Alarms": [{"AlarmName": "high", "AlarmARN": "arn:…"}]},
            {"PolicyName": "in", "PolicyType": "SimpleScaling", "AdjustmentType": "ChangeInCapacity",
             "ScalingAdjustment": -1, "Cooldown": 60, "Alarms": [{"AlarmName": "low"}]},
            {"PolicyName": "off", "PolicyType": "StepScaling", "Enabled": false}
        ],
        "MetricAlarms": [
            {"AlarmName": "high", "MetricName": "CPUUtilization", "Statistic": "Average", "Period": 60, "Threshold": 60.0,
             "EvaluationPeriods": 2, "DatapointsToAlarm": 2, "ComparisonOperator": "GreaterThanOrEqualToThreshold"},
            {"AlarmName": "low", "MetricName": "CPUUtilization", "Statistic": "Average", "Period": 60, "Threshold": 30.0,
             "EvaluationPeriods": 5, "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "missing"}
        ],
        "AutoScalingGroups": [{"MinSize": 2, "MaxSize": 9}]
    });
    let (config, told) = policy_file_told(file.clone()).unwrap();
    assert_eq!((config.policy.name.as_str(), config.min, config.max), ("aws", 2, 9));
    assert_eq!(told.len(), 2, "the unit, and the one that is off: {told:?}");
    let members = &translate(file).unwrap().file["settings"]["policies"];
    assert_eq!(members[0]["settings"]["target"], 10.0, "600 a minute are 10 a second");
    assert_eq!(members[1]["settings"]["policies"][0]["step_adjustments"][1]["adjustment"], 3);
    assert_eq!(members[2]["settings"]["policies"][0]["alarm"]["threshold"], 30.0);
}

#[test]
fn scaling_blocks() {
    let scaling = json!({"enabled": true, "min": 2, "max": 10, "policy": {"cooldown": "1m", "evaluation_interval": "30s",
        "check": {
            "cpu": {"source": "nomad-apm", "query": "avg_cpu", "strategy": {"target-value": {"target": 70}}},
            "load": {"source": "prometheus", "query": "sum(rate(http_requests_total[1m]))", "group": "g",
                     "strategy": {"threshold": {"upper_bound": 100, "lower_bound": 70, "delta": 1}}}}}});
    for file in [
        json!({"scaling": scaling}),
        json!({"scaling": [scaling]}),
        json!({"scaling": {"web": scaling}}),
        json!({"job": {"web": {"group": {"app": {"scaling": scaling}}}}}),
    ] {
        let (config, told) = policy_file_told(file).unwrap();
        assert_eq!((config.policy.name.as_str(), config.min, config.max), ("nomad", 2, 10));
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
