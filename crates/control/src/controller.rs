//! Turns observations into decisions: orders → policy → limits, each once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::PolicyConfig;

/// What a controller needs to know; recorded in the run file, so that a run replays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerConfig {
    /// Which policy, with its settings.
    pub policy: PolicyConfig,
    /// Never fewer replicas than this.
    pub min: u32,
    /// Never more replicas than this.
    pub max: u32,
    /// How often the policy is asked. Turns in between only sample and take orders.
    #[serde(rename = "interval_s", with = "traffic::window::seconds")]
    pub interval: Duration,
}

/// Cannot fail, wait, log or read a clock.
pub struct Controller {}
