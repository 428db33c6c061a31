//! What `aws autoscaling describe-policies` prints, for EC2 and for ECS, with the alarms of
//! `aws cloudwatch describe-alarms` beside it: `jq -s add policies.json alarms.json`. Several
//! policies are combined as AWS does.

use serde_json::{Map, Value, json};

use super::{Table, Translated, put};

/// Our signal for one of CloudWatch's, what its values are multiplied by, and what to say.
struct Metric {
    signal: String,
    factor: f64,
}

pub(super) fn translate(file: &Value) -> Result<Translated, String> {
    let table = Table::of("file", file)?;
    table.only(&["ScalingPolicies", "MetricAlarms", "CompositeAlarms", "AutoScalingGroups", "NextToken"])?;
    let mut warnings = Vec::new();
    let alarms = table.list("MetricAlarms");
    let mut members = Vec::new();
    for (index, policy) in table.list("ScalingPolicies").into_iter().enumerate() {
        let place = policy.get("PolicyName").and_then(Value::as_str);
        let place = place.map_or_else(|| format!("ScalingPolicies[{index}]"), str::to_owned);
        let policy = Table::of(place, policy)?;
        if policy.get("Enabled") == Some(&Value::Bool(false)) {
            warnings.push(format!("{} is not enabled: left out", policy.place));
            continue;
        }
        members.push(member(&policy, &alarms, &mut warnings)?);
    }
    if members.is_empty() {
        return Err("there is no policy in it that is enabled".to_owned());
    }
    let mut file = json!({"policy": "aws", "settings": {"policies": members}});
    let group = table.list("AutoScalingGroups").into_iter().next();
    let bound = |key: &str| group.and_then(|group| group.get(key)).cloned();
    match (bound("MinSize"), bound("MaxSize")) {
        (Some(min), Some(max)) => {
            file["min"] = min;
            file["max"] = max;
        }
        _ => warnings.push("the bounds do not stand in it: 1 to 5, unless --min and --max say so".to_owned()),
    }
    Ok(Translated { file, warnings })
}

fn member(policy: &Table, alarms: &[&Value], warnings: &mut Vec<String>) -> Result<Value, String> {
    match policy.text("PolicyType").unwrap_or("SimpleScaling") {
        "TargetTrackingScaling" => tracking(policy, warnings),
        "StepScaling" => step(policy, alarms, warnings),
        "SimpleScaling" => simple(policy, alarms, warnings),
        other => Err(format!("{}: PolicyType {other} has no counterpart here", policy.place)),
    }
}

fn tracking(policy: &Table, warnings: &mut Vec<String>) -> Result<Value, String> {
    let key = ["TargetTrackingConfiguration", "TargetTrackingScalingPolicyConfiguration"];
    let own = key.iter().find_map(|key| policy.get(key));
    let own = own.ok_or_else(|| format!("{}: TargetTrackingConfiguration is missing", policy.place))?;
    let own = Table::of(policy.place.clone(), own)?;
    own.only(&[
        "PredefinedMetricSpecification",
        "CustomizedMetricSpecification",
        "TargetValue",
        "DisableScaleIn",
        "ScaleOutCooldown",
        "ScaleInCooldown",
    ])?;
    for key in ["ScaleOutCooldown", "ScaleInCooldown"] {
        if own.get(key).is_some() {
            warnings
                .push(format!("{}: {key} is not taken over; the datapoints of its alarms are", policy.place));
        }
    }
    let specified = own.get("PredefinedMetricSpecification").or(own.get("CustomizedMetricSpecification"));
    let name = specified.and_then(|metric| {
        let name = metric.get("PredefinedMetricType").or_else(|| metric.get("MetricName"));
        name.and_then(Value::as_str)
    });
    let name =
        name.ok_or_else(|| format!("{}: its metric is none with a name (metric math?)", policy.place))?;
    let Metric { signal, factor } = metric(name, &policy.place, warnings)?;
    let mut settings = Map::new();
    settings.insert("signal".to_owned(), signal.into());
    settings.insert("target".to_owned(), (own.need("TargetValue")? * factor).into());
    // CloudWatch judges target tracking by minutes.
    settings.insert("period".to_owned(), "60s".into());
    put(&mut settings, "disable_scale_in", own.get("DisableScaleIn").cloned());
    warm_up(policy, &mut settings)?;
    Ok(json!({"policy": "target_tracking", "settings": settings}))
}

fn warm_up(policy: &Table, settings: &mut Map<String, Value>) -> Result<(), String> {
    let seconds = policy.number("EstimatedInstanceWarmup")?;
    put(settings, "estimated_instance_warmup", seconds.map(|seconds| format!("{seconds}s")));
    Ok(())
}

fn step(policy: &Table, alarms: &[&Value], warnings: &mut Vec<String>) -> Result<Value, String> {
    let own = match policy.get("StepScalingPolicyConfiguration") {
        Some(own) => Table::of(policy.place.clone(), own)?,
        None => Table { place: policy.place.clone(), fields: policy.fields },
    };
    let mut ladders = Vec::new();
    for (alarm, factor) in alarms_of(policy, alarms, warnings)? {
        let mut steps = Vec::new();
        for step in own.list("StepAdjustments") {
            let step = Table::of(format!("{}.StepAdjustments", own.place), step)?;
            let mut one = Map::new();
            put(
                &mut one,
                "lower_bound",
                step.number("MetricIntervalLowerBound")?.map(|bound| bound * factor),
            );
            put(
                &mut one,
                "upper_bound",
                step.number("MetricIntervalUpperBound")?.map(|bound| bound * factor),
            );
            one.insert("adjustment".to_owned(), crate::number::whole(step.need("ScalingAdjustment")?).into());
            steps.push(Value::Object(one));
        }
        let mut ladder = Map::new();
        ladder.insert("alarm".to_owned(), alarm);
        ladder.insert("step_adjustments".to_owned(), steps.into());
        put(&mut ladder, "adjustment_type", own.get("AdjustmentType").cloned());
        put(&mut ladder, "min_adjustment_magnitude", own.get("MinAdjustmentMagnitude").cloned());
        ladders.push(Value::Object(ladder));
    }
    let mut settings = Map::new();
    settings.insert("policies".to_owned(), ladders.into());
    warm_up(policy, &mut settings)?;
    Ok(json!({"policy": "step", "settings": settings}))
}

fn simple(policy: &Table, alarms: &[&Value], warnings: &mut Vec<String>) -> Result<Value, String> {
    let mut levers = Vec::new();
    for (alarm, _) in alarms_of(policy, alarms, warnings)? {
        let mut lever = Map::new();
        lever.insert("alarm".to_owned(), alarm);
        let adjustment = crate::number::whole(policy.need("ScalingAdjustment")?);
        lever.insert("scaling_adjustment".to_owned(), adjustment.into());
        put(&mut lever, "adjustment_type", policy.get("AdjustmentType").cloned());
        put(&mut lever, "min_adjustment_magnitude", policy.get("MinAdjustmentMagnitude").cloned());
        levers.push(Value::Object(lever));
    }
    let mut settings = Map::new();
    settings.insert("policies".to_owned(), levers.into());
    let cooldown = policy.number("Cooldown")?;
    put(&mut settings, "cooldown", cooldown.map(|seconds| format!("{seconds}s")));
    Ok(json!({"policy": "simple", "settings": settings}))
}

/// The alarms that call a policy, in our form.
fn alarms_of(
    policy: &Table,
    alarms: &[&Value],
    warnings: &mut Vec<String>,
) -> Result<Vec<(Value, f64)>, String> {
    let mut found = Vec::new();
    for named in policy.list("Alarms") {
        let name = named.get("AlarmName").and_then(Value::as_str).unwrap_or_default();
        let is_it = |alarm: &&&Value| alarm.get("AlarmName").and_then(Value::as_str) == Some(name);
        let alarm = alarms.iter().find(is_it).ok_or_else(|| {
            format!("{}: its alarm {name} does not stand in the file; add it with `jq -s add policies.json alarms.json`", policy.place)
        })?;
        found.push(self::alarm(&Table::of(name, alarm)?, warnings)?);
    }
    if found.is_empty() { Err(format!("{}: no alarm calls it", policy.place)) } else { Ok(found) }
}

fn alarm(alarm: &Table, warnings: &mut Vec<String>) -> Result<(Value, f64), String> {
    if alarm.get("Metrics").is_some() {
        return Err(format!("{}: metric math has no counterpart here", alarm.place));
    }
    let name = alarm.text("MetricName").ok_or_else(|| format!("{}: MetricName is missing", alarm.place))?;
    let Metric { signal, factor } = metric(name, &alarm.place, warnings)?;
    let mut own = Map::new();
    own.insert("signal".to_owned(), signal.into());
    own.insert("threshold".to_owned(), (alarm.need("Threshold")? * factor).into());
    put(&mut own, "comparison_operator", alarm.get("ComparisonOperator").cloned());
    put(&mut own, "period", alarm.number("Period")?.map(|seconds| format!("{seconds}s")));
    put(&mut own, "evaluation_periods", alarm.get("EvaluationPeriods").cloned());
    put(&mut own, "datapoints_to_alarm", alarm.get("DatapointsToAlarm").cloned());
    put(&mut own, "treat_missing_data", alarm.get("TreatMissingData").cloned());
    match alarm.text("Statistic").or(alarm.text("ExtendedStatistic")) {
        None | Some("Average") => {}
        Some("Maximum") => put(&mut own, "statistic", Some("max")),
        Some("Minimum") => put(&mut own, "statistic", Some("min")),
        Some(other) => return Err(format!("{}: statistic {other} has no counterpart here", alarm.place)),
    }
    Ok((own.into(), factor))
}

fn metric(name: &str, place: &str, warnings: &mut Vec<String>) -> Result<Metric, String> {
    let exact = |signal: &str| Ok(Metric { signal: signal.to_owned(), factor: 1.0 });
    match name {
        "CPUUtilization" | "ASGAverageCPUUtilization" | "ECSServiceAverageCPUUtilization" => {
            exact("worker_cpu")
        }
        "ALBRequestCountPerTarget" | "RequestCountPerTarget" => {
            warnings
                .push(format!("{place}: {name} counts a minute, rps a second: its values are divided by 60"));
            Ok(Metric { signal: "rps".to_owned(), factor: 1.0 / 60.0 })
        }
        "TargetResponseTime" => {
            warnings.push(format!("{place}: {name} in seconds becomes latency_p95 in milliseconds"));
            Ok(Metric { signal: "latency_p95".to_owned(), factor: 1e3 })
        }
        "ECSServiceAverageMemoryUtilization" | "MemoryUtilization" => Err(format!(
            "{place}: {name} in percent has no counterpart here, where workers have no memory limit"
        )),
        other => {
            warnings.push(format!(
                "{place}: {other} is the signal custom:{other}; where nothing measures it, the policy holds"
            ));
            exact(&format!("custom:{other}"))
        }
    }
}
