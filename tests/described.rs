//! Compares JSON with its published description; shared by the tests of all that is published.

use serde_json::Value;

/// Says where `value` is not as `schema` describes it. Stricter than JSON Schema in one
/// respect: a key that is not described is wrong.
pub(crate) fn mismatch(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(target.trim_start_matches('#')).expect("a reference leads somewhere");
        return mismatch(document, target, value, place);
    }
    if let Some(choices) = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array) {
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
    if schema.get("minimum").is_some_and(|least| value.as_f64() < least.as_f64()) && value.is_number() {
        return Some(format!("{place}: {value} is below {}", schema["minimum"]));
    }
    let others = schema.get("additionalProperties").filter(|others| others.is_object());
    let (properties, Some(fields)) = (schema.get("properties"), value.as_object()) else { return None };
    if properties.is_none() && others.is_none() {
        return None;
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    if let Some(missing) = required.filter_map(Value::as_str).find(|key| !fields.contains_key(*key)) {
        return Some(format!("{place}: {missing} is missing"));
    }
    fields.iter().find_map(|(key, value)| {
        match properties.and_then(|described| described.get(key)).or(others) {
            None => Some(format!("{place}: {key} is not described")),
            Some(schema) => mismatch(document, schema, value, &format!("{place}.{key}")),
        }
    })
}

fn is_of(kind: &Value, value: &Value) -> bool {
    let is = |kind: &Value| match kind.as_str().expect("a type is a word") {
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
