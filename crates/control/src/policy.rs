//! What a policy is, and which there are.

pub mod signal;
pub mod threshold;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decision::{Because, Blocked, Excluded, Flip, Measured, Step};
use crate::observation::Observation;

/// Decides how many replicas there should be. Deterministic: equal observations in equal
/// order give equal answers.
pub trait Policy: Send {
    /// Sees every turn, also those at which it is not asked.
    fn observe(&mut self, seen: &Observation) {
        let _ = seen;
    }

    /// Is asked once an interval, after `observe`.
    fn recommend(&mut self, seen: &Observation) -> Recommendation;

    /// Its main signal at the turn seen last, for charts between two answers.
    fn measured(&self) -> Option<Measured> {
        None
    }
}

/// A policy's answer with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// How many, by which rule, because.
    pub step: Step,
    /// What kept it from asking for a change.
    pub blocked_by: Vec<Blocked>,
    /// Workers it left out.
    pub excluded: Vec<Excluded>,
    /// What would have changed its mind.
    pub nearest_flip: Option<Flip>,
    /// Its main signal.
    pub measured: Option<Measured>,
}

impl Recommendation {
    /// This many replicas by this rule, with nothing else to say.
    pub fn hold(replicas: u32, rule: &'static str, because: Because) -> Self {
        Self {
            step: Step { rule: rule.into(), replicas, because },
            blocked_by: Vec::new(),
            excluded: Vec::new(),
            nearest_flip: None,
            measured: None,
        }
    }
}

/// A policy by name with its settings, as configured; unknown settings are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// A row of [`POLICIES`].
    pub name: String,
    /// Its own settings; those left out take their defaults.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// A row of the registry.
pub struct Entry {
    /// What users type.
    pub name: &'static str,
    /// One line for `autoscale policy list`.
    pub about: &'static str,
    /// Makes one from its settings.
    pub build: fn(&PolicyConfig) -> Result<Box<dyn Policy>, ConfigError>,
}

/// Every policy there is, in the order in which they are listed.
pub const POLICIES: &[Entry] = &[threshold::ENTRY];

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such policy.
    #[error("there is no policy `{0}`")]
    UnknownPolicy(String),
    /// A policy's settings cannot be read.
    #[error("policy `{policy}`: {because}")]
    Settings {
        /// Which policy.
        policy: String,
        /// The cause.
        because: String,
    },
    /// A value, or two together, make no sense.
    #[error("{0}")]
    Value(String),
}

/// Builds the policy that `config` names.
pub fn build(config: &PolicyConfig) -> Result<Box<dyn Policy>, ConfigError> {
    let entry = POLICIES
        .iter()
        .find(|entry| entry.name == config.name)
        .ok_or_else(|| ConfigError::UnknownPolicy(config.name.clone()))?;
    (entry.build)(config)
}

/// Reads a policy's settings into its own type.
pub(crate) fn settings<T: DeserializeOwned>(config: &PolicyConfig) -> Result<T, ConfigError> {
    serde_json::from_value(config.settings.clone().into())
        .map_err(|error| ConfigError::Settings { policy: config.name.clone(), because: error.to_string() })
}
