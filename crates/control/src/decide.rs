//! Observations in, decisions out, one line of JSON each: the pure core at the command line.
//!
//! The formats are published in `schema/`. A line states as much as its policy needs; what is
//! left out follows from the rest, or stays as it was.

mod given;
mod shown;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use self::shown::Shown;
use crate::controller::{Controller, ControllerConfig};
use crate::decision::Decision;
use crate::manifest::{self, Translated};
use crate::observation::Observation;
use crate::policy::spec::{PolicySpec, Preset};
use crate::policy::{self, ConfigError, PolicyConfig};
use crate::span;

/// What is wrong with a line of input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("observation {line}: {because}")]
pub struct BadLine {
    /// Which one, counted from 1.
    pub line: u64,
    /// The cause.
    pub because: String,
}

/// A policy file: a policy with its settings, and the pool's bounds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    /// As on the command line, with or without settings.
    policy: String,
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(alias = "min_replicas")]
    min: Option<u32>,
    #[serde(alias = "max_replicas")]
    max: Option<u32>,
    #[serde(default = "shortest", with = "span")]
    interval: std::time::Duration,
}

/// Every line is a turn at which the policy is asked, however close they are.
fn shortest() -> std::time::Duration {
    std::time::Duration::from_millis(10)
}

/// Reads a policy file: our own form, or a manifest of Kubernetes, KEDA, AWS or Nomad as it is.
///
/// # Errors
/// Names what cannot be read, or has no counterpart here.
pub fn policy_file(file: Value) -> Result<ControllerConfig, ConfigError> {
    policy_file_told(file).map(|(config, _)| config)
}

/// As [`policy_file`], with what is not exactly as the manifest says.
///
/// # Errors
/// As [`policy_file`].
pub fn policy_file_told(file: Value) -> Result<(ControllerConfig, Vec<String>), ConfigError> {
    let Translated { file, warnings } = manifest::translate(file).map_err(ConfigError::Value)?;
    own_form(file).map(|config| (config, warnings))
}

fn own_form(file: Value) -> Result<ControllerConfig, ConfigError> {
    let file: PolicyFile = serde_path_to_error::deserialize(file)
        .map_err(|error| ConfigError::Value(format!("policy file: {}", policy::placed(&error))))?;
    let bounds = Preset::find(&file.policy).map_or((1, 5), |preset| preset.bounds);
    let PolicyConfig { name, mut settings } = PolicySpec::parse(&file.policy)?.config;
    settings.extend(file.settings);
    let config = ControllerConfig {
        policy: PolicyConfig { name, settings },
        min: file.min.unwrap_or(bounds.0),
        max: file.max.unwrap_or(bounds.1),
        interval: file.interval,
        shadows: Vec::new(),
    };
    config.check()?;
    Ok(config)
}

/// Decides line by line, with one policy's memory from the first to the last.
pub struct Decider {
    controller: Controller,
    line: u64,
    /// What was decided last: the next line's number of replicas, unless it says otherwise.
    desired: Option<u32>,
    at: Option<Timestamp>,
}

impl Decider {
    /// A decider that has seen nothing yet.
    pub fn new(config: ControllerConfig) -> Result<Self, ConfigError> {
        Ok(Self { controller: Controller::new(config)?, line: 0, desired: None, at: None })
    }

    /// One observation as JSON to a decision, ready to be shown.
    pub fn line(&mut self, text: &str) -> Result<Shown, BadLine> {
        self.line += 1;
        let wrong = |because: String| BadLine { line: self.line, because };
        let mut json = serde_json::Deserializer::from_str(text);
        let given: given::Given =
            serde_path_to_error::deserialize(&mut json).map_err(|error| wrong(policy::placed(&error)))?;
        json.end().map_err(|error| wrong(error.to_string()))?;
        let before = given::Before {
            desired: self.desired,
            min: self.controller.config().min,
            at: self.at,
            first: self.line == 1,
        };
        let seen = given.observation(&before).map_err(wrong)?;
        let decision = self.decide(&seen);
        Ok(Shown::of(&seen, &decision))
    }

    fn decide(&mut self, seen: &Observation) -> Decision {
        let decision = self.controller.decide(seen);
        self.desired = Some(decision.desired());
        self.at = Some(seen.at);
        decision
    }
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
