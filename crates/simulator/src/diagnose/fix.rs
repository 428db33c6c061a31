//! Changes of a policy that may end its swings, the smallest first.

use std::time::Duration;

use control::{PolicyConfig, span};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Cause, Facts};
use crate::number::count;

/// A change of a policy's settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fix {
    /// In words for people, as it would be typed.
    pub text: String,
    /// What has to be set; those left out stay.
    pub settings: Map<String, Value>,
    /// What else would help that no setting of a policy can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<&'static str>,
}

impl Fix {
    fn new(pairs: &[(&str, Value)]) -> Self {
        let texts: Vec<String> = pairs.iter().map(|(name, value)| typed(name, value)).collect();
        let settings = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { text: texts.join(","), settings, beside: None }
    }

    /// The policy with it.
    pub fn apply(&self, policy: &PolicyConfig) -> PolicyConfig {
        let mut changed = policy.clone();
        for (name, value) in &self.settings {
            match (changed.settings.get_mut(name), value) {
                // Limits are a table: what it says beside this stays.
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                _ => drop(changed.settings.insert(name.clone(), value.clone())),
            }
        }
        changed
    }
}

/// As users type it: keys of tables are joined by dots.
fn typed(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| typed(&format!("{name}.{key}"), value));
            fields.collect::<Vec<_>>().join(",")
        }
        other => format!("{name}={other}"),
    }
}

/// What may help, the smallest change first.
pub(super) fn ladder(cause: Cause, policy: &PolicyConfig, facts: &Facts) -> Vec<Fix> {
    let mut fixes = match (cause, policy.name.as_str()) {
        (Cause::ThinHysteresis, "threshold") => wider_lines(facts),
        (Cause::ThinHysteresis, "hpa") => {
            [0.15, 0.2, 0.3].into_iter().map(|share| Fix::new(&[("tolerance", json!(share))])).collect()
        }
        (Cause::CoolDownShorterThanStartUp, "threshold") => longer_cool_down(facts),
        (Cause::CoolDownShorterThanStartUp, _) => vec![one_at_a_time(facts)],
        (Cause::StartUpCpu, "threshold") => later_cpu(facts),
        (Cause::StartUpCpu, _) => vec![stabilized("up", warm_up(facts))],
        (Cause::SignalThatDoesNotFall, "threshold") => {
            vec![Fix::new(&[("signal", json!("worker_cpu")), ("up", json!(70)), ("down", json!(35))])]
        }
        (Cause::Noise, "threshold") => [3, 5]
            .into_iter()
            .map(|of| Fix::new(&[("evaluation_periods", json!(of)), ("datapoints_to_alarm", json!(of))]))
            .collect(),
        _ => Vec::new(),
    };
    fixes.extend([30, 60, 120, 300, 600].map(|seconds| stabilized("down", Duration::from_secs(seconds))));
    if cause == Cause::SkewedBalancing {
        for fix in &mut fixes {
            fix.beside = Some("let the balancer share evenly: --algorithm least_connections");
        }
    }
    fixes
}

/// The lower line so far down that one worker more does not cross it.
fn wider_lines(facts: &Facts) -> Vec<Fix> {
    let Some(up) = facts.up else { return Vec::new() };
    let ready = f64::from(facts.ready_min.max(1));
    let reached = up * ready / (ready + 1.0);
    let below = |share: f64| (reached * share).floor();
    let lower = |down: &f64| facts.down.is_none_or(|now| *down < now) && *down > 0.0;
    [0.95, 0.85, 0.7]
        .map(below)
        .into_iter()
        .filter(lower)
        .map(|down| Fix::new(&[("down", json!(count(down)))]))
        .collect()
}

/// No more before those ordered before are at work, and no fewer before that shows.
fn longer_cool_down(facts: &Facts) -> Vec<Fix> {
    let whole = |length: Duration| span::format(Duration::from_secs(length.as_secs() + 1));
    let settled = facts.start_up + facts.interval;
    let up = ("cooldown_up", json!(whole(settled)));
    vec![Fix::new(std::slice::from_ref(&up)), Fix::new(&[up, ("cooldown_down", json!(whole(settled * 2)))])]
}

fn one_at_a_time(facts: &Facts) -> Fix {
    let at_most =
        span::format(Duration::from_secs(2 * facts.start_up.as_secs() + facts.interval.as_secs() + 1));
    Fix::new(&[("limits", json!({ "in_flight": { "at_most": at_most } }))])
}

/// CPU of new workers does not count before they have started in truth.
fn later_cpu(facts: &Facts) -> Vec<Fix> {
    let length = warm_up(facts);
    [1, 2].map(|times| Fix::new(&[("warm_up", json!(span::format(length * times)))])).into()
}

fn warm_up(facts: &Facts) -> Duration {
    let length = facts.warm_up.map_or(facts.start_up, |(length, _)| length);
    Duration::from_secs(length.as_secs() + facts.interval.as_secs().max(1))
}

fn stabilized(direction: &str, window: Duration) -> Fix {
    Fix::new(&[("limits", json!({ "stabilization": { direction: span::format(window) } }))])
}
