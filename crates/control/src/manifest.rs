//! Manifests as teams run them in production, put into our own form of a policy file: Kubernetes,
//! KEDA, AWS, Nomad.
//!
//! What has no counterpart here is named and refused, or mapped with a warning; nothing is left
//! out silently.

mod aws;
mod keda;
mod kubernetes;
mod nomad;

use serde_json::{Map, Value};

/// A manifest in our own form, and what the user should know about the translation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Translated {
    /// A policy file.
    pub(crate) file: Value,
    /// What is not exactly as there.
    pub(crate) warnings: Vec<String>,
}

/// Puts `file` into our own form; one that is already in it stays as it is.
pub(crate) fn translate(file: Value) -> Result<Translated, String> {
    if let Some(kind) = file.get("kind").and_then(Value::as_str) {
        return match kind {
            "HorizontalPodAutoscaler" => {
                kubernetes::translate(&file).map_err(named("HorizontalPodAutoscaler"))
            }
            "ScaledObject" => keda::translate(&file).map_err(named("ScaledObject")),
            other => Err(format!(
                "`kind: {other}` is no policy that is known here; there are HorizontalPodAutoscaler and ScaledObject"
            )),
        };
    }
    if file.get("ScalingPolicies").is_some() {
        return aws::translate(&file).map_err(named("ScalingPolicies"));
    }
    if let Some(scaling) = nomad::find(&file) {
        return nomad::translate(scaling).map_err(named("scaling"));
    }
    Ok(Translated { file, warnings: Vec::new() })
}

fn named(what: &'static str) -> impl Fn(String) -> String {
    move |because| format!("{what}: {because}")
}

/// A table of a manifest; refuses keys that nobody asked for.
struct Table<'a> {
    place: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Table<'a> {
    fn of(place: impl Into<String>, value: &'a Value) -> Result<Self, String> {
        let place = place.into();
        let fields = value.as_object().ok_or_else(|| format!("{place} must be a table"))?;
        Ok(Self { place, fields })
    }

    /// Names the first key that is none of `known`.
    fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(format!("{}.{key} has no counterpart here; take it out to try the rest", self.place))
            }
            None => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    /// A number, also one written as text, as KEDA and AWS do.
    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let read = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        read.map(Some).ok_or_else(|| format!("{}.{key} must be a number, not {value}", self.place))
    }

    fn need(&self, key: &str) -> Result<f64, String> {
        self.number(key)?.ok_or_else(|| format!("{}.{key} is missing", self.place))
    }

    /// Several tables, or one.
    fn list(&self, key: &str) -> Vec<&'a Value> {
        match self.get(key) {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(one) => vec![one],
            None => Vec::new(),
        }
    }
}

/// Puts `value` under `key` if there is one.
fn put(settings: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        settings.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;
