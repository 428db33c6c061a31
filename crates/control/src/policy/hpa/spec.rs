//! The settings of autoscaling/v2 as its manifests name them, in snake_case or camelCase, and
//! a short form for a single resource.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::{Metric, MetricSpec, Source, Target};
use super::quantity::Quantity;
use crate::limits::Rules;
use crate::limits::rate::{Behavior, Rate, Rates, Select};
use crate::limits::stabilization::Windows;
use crate::span;

/// Kubernetes' window before scaling in where none is given.
const DOWN_WINDOW: Duration = Duration::from_secs(300);

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Short form: the resource of a single metric.
    pub metric: String,
    /// Short form: its target utilization in percent.
    pub target: u32,
    /// The metrics as in a manifest; they replace the short form.
    #[serde(skip_serializing)]
    metrics: Option<Vec<MetricSpec>>,
    /// No change while `1 - tolerance <= ratio <= 1 + tolerance`.
    pub tolerance: f64,
    #[serde(skip_serializing)]
    behavior: BehaviorSpec,
    /// Time after its start in which a worker's CPU counts only while it is ready.
    #[serde(with = "span")]
    pub cpu_initialization_period: Duration,
    /// Time after its start in which a worker that is not ready counts as never ready.
    #[serde(with = "span")]
    pub initial_readiness_delay: Duration,
    /// Zero replicas that somebody else set switch the policy off, as in Kubernetes.
    pub maintenance_at_zero: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            metric: "cpu".to_owned(),
            target: 70,
            metrics: None,
            tolerance: 0.1,
            behavior: BehaviorSpec::default(),
            cpu_initialization_period: Duration::from_secs(300),
            initial_readiness_delay: Duration::from_secs(30),
            maintenance_at_zero: true,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BehaviorSpec {
    #[serde(alias = "scaleUp")]
    scale_up: Direction,
    #[serde(alias = "scaleDown")]
    scale_down: Direction,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Direction {
    #[serde(alias = "stabilizationWindowSeconds")]
    stabilization_window_seconds: Option<u32>,
    #[serde(alias = "selectPolicy")]
    select_policy: Option<Select>,
    policies: Option<Vec<Rate>>,
    tolerance: Option<Quantity>,
}

impl Direction {
    fn window(&self, default: Duration) -> Duration {
        self.stabilization_window_seconds.map_or(default, |seconds| Duration::from_secs(seconds.into()))
    }

    fn rates(&self, default: Rates) -> Rates {
        Rates {
            select: self.select_policy.unwrap_or_default(),
            policies: self.policies.clone().filter(|given| !given.is_empty()).unwrap_or(default.policies),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), String> {
        for tolerance in [self.tolerance, self.tolerance_up(), self.tolerance_down()] {
            if !(tolerance.is_finite() && tolerance >= 0.0) {
                return Err("tolerance must be 0 or more".to_owned());
            }
        }
        if self.target == 0 {
            return Err("target must be at least 1 %".to_owned());
        }
        if self.metrics.as_ref().is_some_and(Vec::is_empty) {
            return Err("metrics must not be empty; leave it out for CPU".to_owned());
        }
        self.metrics.iter().flatten().try_for_each(|spec| spec.resolve().map(drop))
    }

    /// The metrics; those that cannot be are refused by `check`.
    pub(super) fn resolved(&self) -> Vec<Metric> {
        match &self.metrics {
            Some(metrics) => metrics.iter().filter_map(|spec| spec.resolve().ok()).collect(),
            None => {
                let source = Source::Resource { name: self.metric.clone(), container: None };
                let target = Target::Utilization(self.target.into());
                vec![Metric::new(source, target, "FailedGetResourceMetric")]
            }
        }
    }

    pub(super) fn tolerance_up(&self) -> f64 {
        self.behavior.scale_up.tolerance.map_or(self.tolerance, |given| given.0 as f64 / 1e3)
    }

    pub(super) fn tolerance_down(&self) -> f64 {
        self.behavior.scale_down.tolerance.map_or(self.tolerance, |given| given.0 as f64 / 1e3)
    }

    /// Inclusive on both sides.
    pub(super) fn within_tolerance(&self, ratio: f64) -> bool {
        (1.0 - self.tolerance_down()) <= ratio && ratio <= (1.0 + self.tolerance_up())
    }

    /// Its windows and rates.
    pub(super) fn limits(&self) -> Rules {
        let (up, down) = (&self.behavior.scale_up, &self.behavior.scale_down);
        let default = Behavior::default();
        Rules {
            stabilization: Windows { up: up.window(Duration::ZERO), down: down.window(DOWN_WINDOW) },
            rate: Some(Behavior { up: up.rates(default.up), down: down.rates(default.down) }),
            ..Rules::default()
        }
    }
}
