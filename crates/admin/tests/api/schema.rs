//! What is answered is what the published description says.

#[path = "../../../../tests/described.rs"]
mod described;

use self::described::mismatch;
use crate::support::{pool, scale_out, turn};

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
