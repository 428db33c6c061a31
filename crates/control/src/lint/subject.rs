//! A policy as the rules see it: its settings in force, its limits, and what is known of the pool.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::controller::ControllerConfig;
use crate::limits::Rules;
use crate::policy::{self, ConfigError};
use crate::span;

/// What recorded load needs, in workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    /// At its highest.
    pub most: u32,
    /// At its lowest.
    pub least: u32,
}

/// What is examined.
pub struct Subject {
    pub(super) policy: String,
    pub(super) settings: Map<String, Value>,
    pub(super) limits: Rules,
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) interval: Duration,
    pub(super) start_up: Duration,
    pub(super) need: Option<Need>,
}

/// The two lines of a policy that steps between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    pub(super) up: f64,
    pub(super) down: f64,
    pub(super) step: u32,
}

impl Subject {
    pub(super) fn new(
        config: &ControllerConfig,
        start_up: Duration,
        need: Option<Need>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            policy: config.policy.name.clone(),
            settings: policy::in_force(&config.policy)?,
            limits: policy::build(&config.policy)?.limits,
            min: config.min,
            max: config.max,
            interval: config.interval,
            start_up,
            need,
        })
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.settings.get(key)?.as_f64()
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.settings.get(key)?.as_str()
    }

    pub(super) fn span(&self, key: &str) -> Option<Duration> {
        span::parse(self.text(key)?).ok()
    }

    /// The lines between which the policy does nothing, for those that move by steps.
    pub(super) fn band(&self) -> Option<Band> {
        let own_lists = self.settings.contains_key("policies");
        let (up, down, step) = match self.policy.as_str() {
            "threshold" => ("up", "down", self.number("step")?),
            "step" | "simple" if !own_lists => ("up", "down", 1.0),
            "busyness" => ("busyness_max", "busyness_min", self.number("step")?),
            _ => return None,
        };
        let step = crate::number::count(step).max(1);
        Some(Band { up: self.number(up)?, down: self.number(down)?, step })
    }

    /// The value that the policy steers to, for those that have one.
    pub(super) fn target(&self) -> Option<f64> {
        match self.policy.as_str() {
            "hpa" if self.settings.contains_key("metrics") => None,
            "hpa" | "target_tracking" => self.number("target"),
            "nomad" if !self.settings.contains_key("checks") => self.number("target"),
            _ => None,
        }
    }

    /// The signal's name.
    pub(super) fn signal(&self) -> Option<&str> {
        match self.policy.as_str() {
            "hpa" if !self.settings.contains_key("metrics") => Some("worker_cpu"),
            _ => self.text("signal"),
        }
    }

    /// Whether the signal cannot be above 100.
    pub(super) fn is_percentage(&self) -> bool {
        matches!(self.signal(), Some("worker_cpu" | "host_cpu"))
    }

    /// Time after a scale-out without another, where the policy has such.
    pub(super) fn cooldown_up(&self) -> Option<(&'static str, Duration)> {
        let keys: &[&'static str] = match self.policy.as_str() {
            "threshold" => &["cooldown_up"],
            "simple" | "nomad" => &["cooldown"],
            "step" | "target_tracking" => &["estimated_instance_warmup"],
            _ => &[],
        };
        keys.iter().find_map(|key| Some((*key, self.span(key)?)))
    }

    /// Time that a scale-in waits after a change, where the policy has such.
    pub(super) fn wait_down(&self) -> Option<(&'static str, Duration)> {
        match self.policy.as_str() {
            "threshold" => Some(("cooldown_down", self.span("cooldown_down")?)),
            "simple" | "nomad" => Some(("cooldown", self.span("cooldown")?)),
            "hpa" | "keda" | "queue" => Some(("limits.stabilization.down", self.limits.stabilization.down)),
            _ => None,
        }
    }
}
