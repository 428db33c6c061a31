//! Nomad's `scaling` block, from HCL or JSON, alone or within a job.

use serde_json::{Map, Value, json};

use super::{Table, Translated, put};

/// Blocks lie a few tables deep: job, group, scaling.
const DEPTH_MAX: u32 = 8;

/// The first `scaling` block anywhere in `file`.
pub(super) fn find(file: &Value) -> Option<&Value> {
    fn within(value: &Value, depth: u32) -> Option<&Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        match value {
            Value::Object(fields) => {
                let own = fields.get("scaling").or_else(|| fields.get("Scaling"));
                own.or_else(|| fields.values().find_map(|field| within(field, depth + 1)))
            }
            Value::Array(items) => items.iter().find_map(|item| within(item, depth + 1)),
            _ => None,
        }
    }
    within(file, 0)
}

/// A block that may be written once or several times.
fn single(value: &Value) -> &Value {
    match value {
        Value::Array(items) if items.len() == 1 => &items[0],
        other => other,
    }
}

pub(super) fn translate(scaling: &Value) -> Result<Translated, String> {
    let mut scaling = Table::of("scaling", single(scaling))?;
    // `scaling "name" { … }` has its name as a table around it.
    if !["min", "max", "policy", "enabled"].iter().any(|key| scaling.fields.contains_key(*key))
        && let Some((name, inner)) = scaling.fields.iter().next()
    {
        scaling = Table::of(format!("scaling.{name}"), single(inner))?;
    }
    scaling.only(&["enabled", "min", "max", "policy", "type"])?;
    if scaling.get("enabled") == Some(&Value::Bool(false)) {
        return Err("it is not enabled".to_owned());
    }
    let policy = scaling.get("policy").ok_or("its policy is missing")?;
    let policy = Table::of("policy", single(policy))?;
    policy.only(&["cooldown", "evaluation_interval", "check", "target"])?;
    let mut warnings = Vec::new();
    if policy.get("evaluation_interval").is_some() {
        warnings.push("policy.evaluation_interval is not taken over: --interval says how often".to_owned());
    }
    let checks = policy.get("check").ok_or("it has no check")?;
    let checks = Table::of("check", single(checks))?;
    let mut translated = Vec::new();
    for (name, check) in checks.fields {
        translated.push(self::check(
            name,
            &Table::of(format!("check.{name}"), single(check))?,
            &mut warnings,
        )?);
    }
    let mut settings = Map::new();
    settings.insert("checks".to_owned(), translated.into());
    put(&mut settings, "cooldown", policy.get("cooldown").cloned());
    let min = scaling.get("min").cloned().unwrap_or(1.into());
    let max = scaling.get("max").ok_or("its max is missing")?;
    Ok(Translated {
        file: json!({"policy": "nomad", "settings": settings, "min": min, "max": max}),
        warnings,
    })
}

fn check(name: &str, check: &Table, warnings: &mut Vec<String>) -> Result<Value, String> {
    check.only(&[
        "source",
        "query",
        "query_window",
        "query_window_offset",
        "group",
        "strategy",
        "on_error",
    ])?;
    if check.get("query_window_offset").is_some() || check.get("on_error").is_some() {
        return Err(format!("{}: query_window_offset and on_error have no counterpart here", check.place));
    }
    let mut own = Map::new();
    own.insert("name".to_owned(), name.into());
    own.insert("signal".to_owned(), signal(name, check, warnings)?.into());
    put(&mut own, "group", check.get("group").cloned());
    put(&mut own, "query_window", check.get("query_window").cloned());
    let strategy =
        check.get("strategy").ok_or_else(|| format!("{}: its strategy is missing", check.place))?;
    let strategy = Table::of(format!("{}.strategy", check.place), single(strategy))?;
    strategy.only(&["target-value", "threshold", "fixed-value", "pass-through"])?;
    let (kind, settings) =
        strategy.fields.iter().next().ok_or_else(|| format!("{} is empty", strategy.place))?;
    own.insert("strategy".to_owned(), json!({kind.as_str(): single(settings)}));
    Ok(own.into())
}

fn signal(name: &str, check: &Table, warnings: &mut Vec<String>) -> Result<String, String> {
    let query = check.text("query").unwrap_or_default();
    match (check.text("source").unwrap_or("nomad-apm"), query) {
        ("nomad-apm", "avg_cpu" | "avg_cpu-allocated" | "percentage-allocated_cpu") => {
            Ok("worker_cpu".to_owned())
        }
        ("nomad-apm", "max_cpu" | "min_cpu" | "sum_cpu") => {
            Err(format!("{}: `{query}` has no counterpart here; avg_cpu has", check.place))
        }
        ("nomad-apm", query) => Err(format!("{}: `{query}` has no counterpart here", check.place)),
        (source, query) if query.contains("rate(") && query.contains("requests") => {
            warnings.push(format!(
                "{}: `{query}` of {source} is taken to mean rps, requests a second per worker",
                check.place
            ));
            Ok("rps".to_owned())
        }
        (source, _) => {
            warnings.push(format!("{}: what {source} measures is the signal custom:{name}; where nothing measures it, the policy holds", check.place));
            Ok(format!("custom:{name}"))
        }
    }
}
