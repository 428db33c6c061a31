//! KEDA: activity decides between none and one, an HPA between one and many, and a fallback
//! takes over when a trigger cannot be read.
//!
//! A trigger is active above its `activation_threshold`. Without any active one for
//! `cooldown_period` the last worker goes. After more than `failure_threshold` failures in a
//! row a trigger counts as `threshold × replicas`. Source: kedacore/keda-docs
//! `reference/scaledobject-spec.md`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Blocked, Flip, Measured, Step, Text};
use crate::limits::rate::Behavior;
use crate::limits::stabilization::Windows;
use crate::limits::{Meets, Rules};
use crate::number;
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "keda",
    about: "KEDA: none or one by activity, more as an HPA, fallback on failures (20 requests/s per worker)",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        let stabilization = Windows { up: Duration::ZERO, down: Duration::from_secs(300) };
        let limits = Rules { stabilization, rate: Some(Behavior::default()), ..Rules::default() };
        Ok(Built { policy: Box::new(Keda::new(own)), limits })
    },
};

/// Settings; those left out take KEDA's defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    triggers: Vec<Trigger>,
    #[serde(skip_serializing)]
    fallback: Option<Fallback>,
    /// Time without activity before the last worker goes.
    #[serde(with = "span")]
    cooldown_period: Duration,
    /// The HPA's tolerance.
    tolerance: f64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Trigger {
    /// A named reading, or `requests_per_second`, `in_flight`, `queued` of the balancer.
    signal: String,
    threshold: f64,
    #[serde(default)]
    activation_threshold: f64,
    #[serde(default)]
    metric_type: MetricType,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
enum MetricType {
    /// `threshold` per worker.
    #[default]
    AverageValue,
    /// `threshold` in all.
    Value,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fallback {
    #[serde(alias = "failureThreshold")]
    failure_threshold: u32,
    replicas: u32,
    #[serde(default)]
    behavior: FallbackBehavior,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum FallbackBehavior {
    #[default]
    Static,
    CurrentReplicas,
    CurrentReplicasIfHigher,
    CurrentReplicasIfLower,
}

impl Default for Settings {
    fn default() -> Self {
        let trigger = Trigger {
            signal: "requests_per_second".to_owned(),
            threshold: 20.0,
            activation_threshold: 0.0,
            metric_type: MetricType::AverageValue,
        };
        let cooldown_period = Duration::from_secs(300);
        Self { triggers: vec![trigger], fallback: None, cooldown_period, tolerance: 0.1 }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.triggers.is_empty() {
            return Err("triggers must not be empty".to_owned());
        }
        if self.triggers.iter().any(|trigger| !(trigger.threshold.is_finite() && trigger.threshold > 0.0)) {
            return Err("threshold of a trigger must be above 0".to_owned());
        }
        if self.fallback.is_some() && self.triggers.iter().any(|one| one.metric_type == MetricType::Value) {
            return Err("a fallback needs triggers of type AverageValue".to_owned());
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return Err("tolerance must be 0 or more".to_owned());
        }
        Ok(())
    }
}

impl Fallback {
    fn replicas(self, current: u32) -> u32 {
        match self.behavior {
            FallbackBehavior::Static => self.replicas,
            FallbackBehavior::CurrentReplicas => current,
            FallbackBehavior::CurrentReplicasIfHigher => current.max(self.replicas),
            FallbackBehavior::CurrentReplicasIfLower => current.min(self.replicas),
        }
    }
}

struct Keda {
    own: Settings,
    sentences: Vec<Text>,
    failures: Vec<u32>,
    active_at: Option<Timestamp>,
    min: u32,
    latest: Option<f64>,
}

impl Keda {
    fn new(own: Settings) -> Self {
        let sentence =
            |trigger: &Trigger| format!("{} {{value}} / {{threshold}} → {{replicas}}", trigger.signal).into();
        let sentences = own.triggers.iter().map(sentence).collect();
        let failures = vec![0; own.triggers.len()];
        Self { own, sentences, failures, active_at: None, min: 0, latest: None }
    }

    /// What an HPA makes of one trigger's value.
    fn scaled(&self, trigger: &Trigger, value: f64, seen: &Observation) -> u32 {
        let desired = seen.fleet.desired;
        let within = |ratio: f64| (1.0 - self.own.tolerance..=1.0 + self.own.tolerance).contains(&ratio);
        match trigger.metric_type {
            MetricType::AverageValue => {
                let ratio = value / (trigger.threshold * f64::from(desired));
                if within(ratio) { desired } else { number::count_up(value / trigger.threshold) }
            }
            MetricType::Value => {
                let ratio = value / trigger.threshold;
                match desired {
                    0 => number::count_up(ratio),
                    _ if within(ratio) => desired,
                    _ => number::count_up(ratio * f64::from(seen.fleet.ready)),
                }
            }
        }
    }

    /// The nearer of the two values at which a trigger would ask for another number.
    fn flip(&self, trigger: &Trigger, value: f64, seen: &Observation) -> Option<Flip> {
        let (desired, tolerance) = (f64::from(seen.fleet.desired), self.own.tolerance);
        if seen.fleet.desired == 0 {
            let numbers = [("line", trigger.activation_threshold), ("value", value)];
            let because = Because::new("above {line} it would have; the trigger had {value}", numbers);
            return (value <= trigger.activation_threshold).then_some(Flip { replicas: 1, because });
        }
        let (each, all) = match trigger.metric_type {
            MetricType::AverageValue => (trigger.threshold, trigger.threshold * desired),
            MetricType::Value => (trigger.threshold / f64::from(seen.fleet.ready.max(1)), trigger.threshold),
        };
        let up = (all * (1.0 + tolerance)).max(each * desired);
        let down = (all * (1.0 - tolerance)).min(each * (desired - 1.0));
        let above = up - value <= value - down || down <= 0.0;
        let (line, sentence) = if above {
            (up, "above {line} it would have; the trigger had {value}")
        } else {
            (down, "from {line} down it would have; the trigger had {value}")
        };
        let replicas = match number::count_up(line / each) {
            more if above => more.max(seen.fleet.desired.saturating_add(1)),
            fewer => fewer,
        };
        Some(Flip { replicas, because: Because::new(sentence, [("line", line), ("value", value)]) })
    }

    /// The highest number of all triggers, whether any is active, whether any failed.
    fn triggers(&mut self, seen: &Observation) -> (Option<(u32, usize, f64)>, bool, bool) {
        let (mut best, mut active, mut failed) = (None::<(u32, usize, f64)>, false, false);
        self.latest = None;
        for index in 0..self.own.triggers.len() {
            let trigger = &self.own.triggers[index];
            let (replicas, value) = match read(seen, &trigger.signal) {
                Some(value) => {
                    self.failures[index] = 0;
                    active |= value > trigger.activation_threshold;
                    self.latest = self.latest.or(Some(value));
                    (self.scaled(trigger, value, seen), value)
                }
                None => {
                    self.failures[index] = self.failures[index].saturating_add(1);
                    let fallback =
                        self.own.fallback.filter(|one| self.failures[index] > one.failure_threshold);
                    let Some(fallback) = fallback else {
                        failed = true;
                        continue;
                    };
                    active = true;
                    let replicas = fallback.replicas(seen.fleet.desired);
                    (replicas, trigger.threshold * f64::from(replicas))
                }
            };
            if best.is_none_or(|(most, ..)| replicas > most) {
                best = Some((replicas, index, value));
            }
        }
        (best, active, failed)
    }

    /// Between none and one.
    fn activity(&mut self, seen: &Observation, active: bool, said: &mut Recommendation) {
        let (now, desired) = (seen.at, seen.fleet.desired);
        if active || (desired > 0 && self.active_at.is_none()) {
            self.active_at = Some(now);
        }
        if self.min > 0 {
            return;
        }
        let until = self.active_at.and_then(|last| last.saturating_add(self.own.cooldown_period).ok());
        let cooling = until.filter(|until| *until > now);
        let left = cooling.map_or(0.0, |until| until.duration_since(now).as_secs_f64());
        if desired == 0 {
            let (replicas, rule, sentence) = if active {
                (1, "activated", "a trigger is active")
            } else {
                (0, "inactive", "no trigger is active")
            };
            said.step = Step { rule: rule.into(), replicas, because: Because::plain(sentence) };
        } else if active {
            said.step.replicas = said.step.replicas.max(1);
        } else if cooling.is_some() {
            let because =
                Because::new("no trigger is active; the last worker goes in {left} s", [("left", left)]);
            said.blocked_by.push(Blocked {
                by: "cooldown_period".into(),
                until: cooling,
                because: because.clone(),
            });
            if said.step.replicas == 0 {
                said.step = Step { rule: "cooldown_period".into(), replicas: 1, because };
            }
        } else {
            // KEDA itself takes the workload to zero, past the HPA's windows.
            let because = Because::plain("no trigger was active for the whole cool-down");
            said.step = Step { rule: "inactive".into(), replicas: 0, because };
            said.meets = Meets::Bounds;
        }
    }
}

/// A trigger's value.
fn read(seen: &Observation, name: &str) -> Option<f64> {
    let window = seen.traffic.as_ref();
    let own = || match name {
        "requests_per_second" | "rps" => window.map(traffic::Window::rate_per_second),
        "in_flight" => window.map(|window| f64::from(window.in_flight) + f64::from(window.queued)),
        "queued" => window.map(|window| f64::from(window.queued)),
        _ => None,
    };
    seen.signals.get(name).map(|reading| reading.value).or_else(own).filter(|value| value.is_finite())
}

impl Policy for Keda {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn bounds(&mut self, min: u32, _: u32) {
        self.min = min;
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let (best, active, failed) = self.triggers(seen);
        let blocked = failed && best.is_none_or(|(replicas, ..)| replicas <= desired);
        let mut said = match best {
            Some((replicas, index, value)) if !blocked => {
                let threshold = self.own.triggers.get(index).map_or(f64::NAN, |trigger| trigger.threshold);
                let numbers = [("value", value), ("threshold", threshold), ("replicas", f64::from(replicas))];
                let sentence = self.sentences.get(index).cloned().unwrap_or(Text::Fixed("{value}"));
                let rule = if self.failures.get(index).is_some_and(|failures| *failures > 0) {
                    "fallback"
                } else {
                    "trigger"
                };
                let held = Recommendation::hold(replicas, rule, Because::new(sentence, numbers));
                let trigger = self.own.triggers.get(index).filter(|_| replicas == desired);
                Recommendation { nearest_flip: trigger.and_then(|one| self.flip(one, value, seen)), ..held }
            }
            _ => {
                let because = Because::plain("a trigger could not be read: nothing is taken away");
                let hold = Recommendation::hold(desired, "no_reading", because);
                return Recommendation { meets: Meets::Bounds, ..hold };
            }
        };
        self.activity(seen, active, &mut said);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        let trigger = self.own.triggers.first()?;
        Some(Measured {
            signal: trigger.signal.clone().into(),
            unit: "".into(),
            value: self.latest,
            up: None,
            down: None,
        })
    }
}

#[cfg(test)]
#[path = "keda/tests.rs"]
mod tests;
