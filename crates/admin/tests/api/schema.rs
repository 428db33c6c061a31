//! What is answered is what the published description says.

use serde_json::Value;

use crate::support::{pool, scale_out, turn};

/// Says where `value` is not as `schema` describes it. Stricter than JSON Schema in one
/// respect: a key that is not described is wrong.
fn mismatch(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(target.trim_start_matches('#')).unwrap();
        return mismatch(document, target, value, place);
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let wrong: Vec<String> =
            choices.iter().filter_map(|choice| mismatch(document, choice, value, place)).collect();
        return (wrong.len() == choices.len()).then(|| wrong.join(" | "));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Some(format!("{place}: {value} is not {}", schema["const"]));
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        return Some(format!("{place}: {value} is none of {allowed:?}"));
    }
    if let Some(kind) = schema.get("type")
        && !is_of(kind, value)
    {
        return Some(format!("{place}: {value} is no {kind}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        return values
            .iter()
            .enumerate()
            .find_map(|(at, value)| mismatch(document, items, value, &format!("{place}[{at}]")));
    }
    let (Some(properties), Some(fields)) =
        (schema.get("properties").and_then(Value::as_object), value.as_object())
    else {
        return None;
    };
    let required = schema["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
    if let Some(missing) = required.into_iter().find(|key| !fields.contains_key(*key)) {
        return Some(format!("{place}: {missing} is missing"));
    }
    fields.iter().find_map(|(key, value)| match properties.get(key) {
        None => Some(format!("{place}: {key} is not described")),
        Some(schema) => mismatch(document, schema, value, &format!("{place}.{key}")),
    })
}

fn is_of(kind: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    };
    kind.as_array().map_or_else(|| is(kind), |kinds| kinds.iter().any(is))
}

#[tokio::test]
async fn answers_are_as_described() {
    let pool = pool(62).await;
    pool.board.push(control::Cycle::Blind { at: crate::support::start(), because: "no cgroup".to_owned() });
    (1..=60).for_each(|second| drop(pool.board.push(turn(second))));
    pool.board.push(scale_out(61));
    let document = pool.json("/api/v1/openapi.json").await;
    let paths = [
        "/readyz",
        "/api/v1/status",
        "/api/v1/decisions?last=100",
        "/api/v1/series?metric=cpu",
        "/api/v1/cycles",
        "/api/v1/events?follow=false",
        "/api/v1/workers/w1/logs",
    ];
    for path in paths {
        let template = path.split('?').next().unwrap().replace("w1", "{id}");
        let answer = &document["paths"][&template]["get"]["responses"]["200"];
        let schema = &answer["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path}: no schema");
        let value = pool.json(path).await;
        assert!(!value.as_array().is_some_and(Vec::is_empty), "{path}: nothing to compare");
        assert_eq!(mismatch(&document, schema, &value, path), None);
    }
    let (status, value) = pool.post("/api/v1/scale", "{}").await;
    assert_eq!(status, 400);
    let schema = &document["components"]["schemas"]["Error"];
    assert_eq!(mismatch(&document, schema, &value, "error"), None);
}

#[test]
fn the_comparison_can_fail() {
    let document = serde_json::json!({});
    let schema = serde_json::json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": ["integer", "null"]}, "b": {"enum": ["x"]}, "c": {"items": {"type": "string"}}}});
    let cases = [
        (r#"{"a":1,"b":"x","c":["s"]}"#, true),
        (r#"{"a":null}"#, true),
        (r#"{"b":"x"}"#, false),
        (r#"{"a":"1"}"#, false),
        (r#"{"a":1,"b":"y"}"#, false),
        (r#"{"a":1,"c":[1]}"#, false),
        (r#"{"a":1,"d":1}"#, false),
    ];
    for (json, fits) in cases {
        let value = serde_json::from_str(json).unwrap();
        assert_eq!(mismatch(&document, &schema, &value, "").is_none(), fits, "{json}");
    }
}
