//! autoscaling/v2 HorizontalPodAutoscaler. What it says about Kubernetes itself is not needed.

use serde_json::{Map, Value, json};

use super::{Table, Translated};

pub(super) fn translate(file: &Value) -> Result<Translated, String> {
    let version = file.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if version != "autoscaling/v2" {
        return Err(format!("apiVersion is `{version}`, only autoscaling/v2 is understood"));
    }
    let nothing = json!({});
    let spec = Table::of("spec", file.get("spec").unwrap_or(&nothing))?;
    spec.only(&["scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior"])?;
    let max = spec.get("maxReplicas").ok_or("spec.maxReplicas is missing")?;
    let mut settings = Map::new();
    match spec.get("metrics").filter(|metrics| metrics.as_array().is_some_and(|list| !list.is_empty())) {
        Some(metrics) => settings.insert("metrics".to_owned(), metrics.clone()),
        // Kubernetes' own default; a bare `hpa` has 70.
        None => settings.insert("target".to_owned(), 80.into()),
    };
    settings.extend(spec.get("behavior").map(|behavior| ("behavior".to_owned(), behavior.clone())));
    let min = spec.get("minReplicas").cloned().unwrap_or(1.into());
    let file = json!({"policy": "hpa", "settings": settings, "min": min, "max": max});
    Ok(Translated { file, warnings: Vec::new() })
}
