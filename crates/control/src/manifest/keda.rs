//! KEDA's ScaledObject: cpu and memory become an HPA, cron a schedule, and triggers whose value is
//! a number of requests, or comes as a named signal, the `keda` policy, or the `formula` policy where
//! there are scaling modifiers. Several are combined by the highest, as the HPA that KEDA makes does.

use serde_json::{Map, Value, json};

use super::{Table, Translated, put};

/// KEDA's bounds where none are given.
const BOUNDS: (u64, u64) = (0, 100);

/// What the triggers amount to.
#[derive(Default)]
struct Found {
    resources: Vec<Value>,
    triggers: Vec<Value>,
    schedule: Vec<Value>,
    /// What a trigger is called in a formula, and what that is here.
    names: Vec<(String, String)>,
    warnings: Vec<String>,
}

pub(super) fn translate(file: &Value) -> Result<Translated, String> {
    let nothing = json!({});
    let spec = Table::of("spec", file.get("spec").unwrap_or(&nothing))?;
    spec.only(&[
        "scaleTargetRef",
        "pollingInterval",
        "cooldownPeriod",
        "minReplicaCount",
        "maxReplicaCount",
        "fallback",
        "advanced",
        "triggers",
        "idleReplicaCount",
    ])?;
    let mut found = Found::default();
    let min = spec.get("minReplicaCount").and_then(Value::as_u64).unwrap_or(BOUNDS.0);
    let max = spec.get("maxReplicaCount").and_then(Value::as_u64).unwrap_or(BOUNDS.1);
    if spec.get("pollingInterval").is_some() {
        found.warnings.push("spec.pollingInterval is not taken over: --interval says how often".to_owned());
    }
    if spec.get("idleReplicaCount").and_then(Value::as_u64).is_some_and(|idle| idle > 0) {
        return Err("spec.idleReplicaCount other than 0 has no counterpart here".to_owned());
    }
    let (behavior, modifiers) = advanced(&spec, &mut found.warnings)?;
    for (index, trigger) in spec.list("triggers").into_iter().enumerate() {
        found.take(&Table::of(format!("triggers[{index}]"), trigger)?, index, min)?;
    }
    let only_resources = found.triggers.is_empty() && found.schedule.is_empty();
    if only_resources && found.resources.is_empty() {
        return Err("spec.triggers is empty".to_owned());
    }
    let min = if only_resources && min == 0 {
        found.warnings.push("cpu and memory alone cannot scale to zero: min is 1".to_owned());
        1
    } else {
        min
    };
    let formula = modifiers.map(|table| formula(&spec, &table, &mut found)).transpose()?;
    let (policy, settings) = combined(&spec, &found, behavior, formula)?;
    let file = json!({"policy": policy, "settings": settings, "min": min, "max": max});
    Ok(Translated { file, warnings: found.warnings })
}

/// The HPA's behavior, and the modifiers: the advanced things that have a counterpart.
fn advanced<'a>(
    spec: &Table<'a>,
    warnings: &mut Vec<String>,
) -> Result<(Option<Value>, Option<Table<'a>>), String> {
    let Some(advanced) = spec.get("advanced") else { return Ok((None, None)) };
    let advanced = Table::of("spec.advanced", advanced)?;
    advanced.only(&["restoreToOriginalReplicaCount", "horizontalPodAutoscalerConfig", "scalingModifiers"])?;
    let modifiers = advanced.get("scalingModifiers");
    let modifiers = modifiers.map(|table| Table::of("spec.advanced.scalingModifiers", table)).transpose()?;
    if advanced.get("restoreToOriginalReplicaCount").is_some() {
        warnings
            .push("restoreToOriginalReplicaCount is not taken over: there is no earlier number".to_owned());
    }
    let Some(hpa) = advanced.get("horizontalPodAutoscalerConfig") else { return Ok((None, modifiers)) };
    let hpa = Table::of("spec.advanced.horizontalPodAutoscalerConfig", hpa)?;
    hpa.only(&["name", "behavior"])?;
    Ok((hpa.get("behavior").cloned(), modifiers))
}

/// Settings of the `formula` policy: KEDA's composite metric, of which each worker carries the target.
fn formula(spec: &Table, modifiers: &Table, found: &mut Found) -> Result<Map<String, Value>, String> {
    modifiers.only(&["formula", "target", "activationTarget", "metricType"])?;
    let place = &modifiers.place;
    let given = modifiers.text("formula").ok_or_else(|| format!("{place}.formula is missing"))?;
    if spec.get("fallback").is_some() {
        return Err("spec.fallback beside a formula has no counterpart here".to_owned());
    }
    if modifiers.number("activationTarget")?.is_some_and(|target| target > 0.0) {
        return Err(format!("{place}.activationTarget other than 0 has no counterpart here"));
    }
    let expression = renamed(given, &found.names);
    let expression = match modifiers.text("metricType").unwrap_or("AverageValue") {
        "AverageValue" => expression,
        // The value is that of all workers: its ratio to the target scales their number.
        "Value" => format!("({expression}) * desired"),
        other => return Err(format!("{place}: metricType {other} is none for a formula")),
    };
    let mut own = Map::new();
    own.insert("expression".to_owned(), expression.into());
    own.insert("target".to_owned(), modifiers.need("target")?.into());
    let config = crate::policy::PolicyConfig { name: "formula".to_owned(), settings: own.clone() };
    crate::policy::build(&config).map_err(|error| {
        format!("{place}.formula: {error}; hint: + - * / ^, min, max, abs, floor, ceil, round are understood")
    })?;
    if !found.triggers.is_empty() {
        found.warnings.push(format!("{place}: the triggers' own thresholds do not count beside a formula"));
    }
    Ok(own)
}

/// The formula with each trigger's name replaced by what that is here.
fn renamed(formula: &str, names: &[(String, String)]) -> String {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut out = String::new();
    let mut rest = formula;
    while let Some(start) = rest.find(is_part) {
        let (before, after) = rest.split_at(start);
        let end = after.find(|character| !is_part(character)).unwrap_or(after.len());
        let (word, next) = after.split_at(end);
        let known = names.iter().find(|(name, _)| name == word).map_or(word, |(_, here)| here.as_str());
        out.push_str(before);
        out.push_str(known);
        rest = next;
    }
    out + rest
}

fn combined(
    spec: &Table,
    found: &Found,
    behavior: Option<Value>,
    formula: Option<Map<String, Value>>,
) -> Result<(String, Value), String> {
    let mut members = Vec::new();
    let mut hpa = Map::new();
    put(&mut hpa, "behavior", behavior.clone());
    if !found.resources.is_empty() {
        hpa.insert("metrics".to_owned(), found.resources.clone().into());
        members.push(("hpa", Value::Object(hpa.clone())));
    }
    if let Some(mut own) = formula {
        own.insert("limits".to_owned(), limits(behavior.unwrap_or_else(|| json!({})))?);
        members.push(("formula", Value::Object(own)));
    } else if !found.triggers.is_empty() {
        let mut own = Map::new();
        own.insert("triggers".to_owned(), found.triggers.clone().into());
        let seconds = spec.number("cooldownPeriod")?;
        put(&mut own, "cooldown_period", seconds.map(|seconds| format!("{seconds}s")));
        put(&mut own, "fallback", spec.get("fallback").cloned());
        if let Some(limits) = behavior.map(limits).transpose()? {
            own.insert("limits".to_owned(), limits);
        }
        members.push(("keda", Value::Object(own)));
    } else if spec.get("fallback").is_some() {
        return Err("spec.fallback has no counterpart for cpu, memory and cron triggers".to_owned());
    }
    if !found.schedule.is_empty() {
        members.push(("scheduled", json!({"schedule": found.schedule})));
    }
    if members.len() == 1
        && let Some((policy, settings)) = members.pop()
    {
        return Ok((policy.to_owned(), settings));
    }
    let tables =
        members.into_iter().map(|(policy, settings)| json!({"policy": policy, "settings": settings}));
    Ok(("highest".to_owned(), json!({"policies": tables.collect::<Vec<_>>()})))
}

/// An HPA's behavior as limits of another policy: what the `hpa` policy itself makes of it.
fn limits(behavior: Value) -> Result<Value, String> {
    let settings = [("behavior".to_owned(), behavior)].into_iter().collect();
    let hpa = crate::policy::PolicyConfig { name: "hpa".to_owned(), settings };
    let built = crate::policy::build(&hpa).map_err(|error| error.to_string())?;
    serde_json::to_value(built.limits).map_err(|error| error.to_string())
}

impl Found {
    fn take(&mut self, trigger: &Table, index: usize, min: u64) -> Result<(), String> {
        trigger.only(&["type", "name", "metadata", "metricType", "useCachedMetrics"])?;
        let place = &trigger.place;
        let kind = trigger.text("type").ok_or_else(|| format!("{place}.type is missing"))?;
        let nothing = json!({});
        let metadata = Table::of(format!("{place}.metadata"), trigger.get("metadata").unwrap_or(&nothing))?;
        match kind {
            "cpu" | "memory" => self.resource(kind, trigger, &metadata),
            "cron" => self.cron(&metadata, min),
            "prometheus" | "external" | "external-push" | "metrics-api" => {
                self.named(kind, trigger, &metadata, index)
            }
            other => Err(format!(
                "{place}: a trigger of type {other} has no counterpart here; there are cpu, memory, cron, prometheus and external"
            )),
        }
    }

    fn resource(&mut self, kind: &str, trigger: &Table, metadata: &Table) -> Result<(), String> {
        metadata.only(&["value", "type", "containerName"])?;
        let target = trigger.text("metricType").or(metadata.text("type")).unwrap_or("Utilization");
        let value = metadata.get("value").ok_or_else(|| format!("{}.value is missing", metadata.place))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let target = match target {
            "Utilization" => {
                let percent: u32 = text
                    .parse()
                    .map_err(|_| format!("{}.value must be a whole percentage", metadata.place))?;
                json!({"type": "Utilization", "averageUtilization": percent})
            }
            "AverageValue" => json!({"type": "AverageValue", "averageValue": text}),
            other => return Err(format!("{}: metricType {other} is none for {kind}", trigger.place)),
        };
        self.resources.push(match metadata.text("containerName") {
            Some(container) => json!({"type": "ContainerResource",
                "containerResource": {"name": kind, "container": container, "target": target}}),
            None => json!({"type": "Resource", "resource": {"name": kind, "target": target}}),
        });
        Ok(())
    }

    fn cron(&mut self, metadata: &Table, min: u64) -> Result<(), String> {
        metadata.only(&["timezone", "start", "end", "desiredReplicas"])?;
        let need =
            |key: &str| metadata.text(key).ok_or_else(|| format!("{}.{key} is missing", metadata.place));
        let (zone, start, end) = (need("timezone")?, need("start")?, need("end")?);
        let desired = crate::number::count(metadata.need("desiredReplicas")?);
        self.schedule.push(
            json!({"name": format!("from {start}"), "cron": start, "timezone": zone, "desired": desired}),
        );
        self.schedule.push(
            json!({"name": format!("from {end}"), "cron": end, "timezone": zone, "desired": min.max(1)}),
        );
        Ok(())
    }

    /// Triggers whose value is measured elsewhere: requests a second are known here, all else comes
    /// as a named signal.
    fn named(&mut self, kind: &str, trigger: &Table, metadata: &Table, index: usize) -> Result<(), String> {
        let query = metadata.text("query").unwrap_or_default();
        let is_rate = query.contains("rate(") && query.contains("requests");
        let name = trigger
            .text("name")
            .or(metadata.text("metricName"))
            .map_or_else(|| format!("s{index}-{kind}"), str::to_owned);
        let here = if is_rate { "(rps * ready)".to_owned() } else { name.clone() };
        self.names.push((name.clone(), here));
        let signal = if is_rate { "requests_per_second".to_owned() } else { name };
        let said = if is_rate {
            format!("{}: `{query}` is taken to mean the requests a second that come in here", trigger.place)
        } else {
            format!(
                "{}: its value is that of the signal `{signal}`; where nothing measures it, the policy holds",
                trigger.place
            )
        };
        self.warnings.push(said);
        let threshold = match metadata.number("threshold")? {
            Some(threshold) => threshold,
            None => metadata.need("targetValue")?,
        };
        let metric_type = trigger.text("metricType").unwrap_or("AverageValue");
        let activation = match metadata.number("activationThreshold")? {
            Some(given) => Some(given),
            None => metadata.number("activationTargetValue")?,
        };
        let mut own = Map::new();
        own.insert("signal".to_owned(), signal.into());
        own.insert("threshold".to_owned(), threshold.into());
        own.insert("metric_type".to_owned(), metric_type.into());
        put(&mut own, "activation_threshold", activation);
        self.triggers.push(own.into());
        Ok(())
    }
}
