//! Knative's settings with its defaults (`config/core/configmaps/autoscaler.yaml`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::span;

/// What is divided by the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// Requests at workers and waiting.
    #[default]
    Concurrency,
    /// Requests a second.
    Rps,
}

/// Settings; those left out take Knative's defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) metric: Metric,
    /// Per worker, before `target_utilization_percentage`; 100 at once or 200 a second.
    pub(super) target: Option<f64>,
    pub(super) target_utilization_percentage: f64,
    #[serde(with = "span")]
    pub(super) stable_window: Duration,
    pub(super) panic_window_percentage: f64,
    pub(super) panic_threshold_percentage: f64,
    pub(super) max_scale_up_rate: f64,
    pub(super) max_scale_down_rate: f64,
    #[serde(with = "span")]
    pub(super) scale_down_delay: Duration,
    #[serde(with = "span")]
    pub(super) tick_interval: Duration,
    /// Requests at once that must fit without warning; 0: never asked, -1: always short.
    pub(super) target_burst_capacity: f64,
    /// From zero at least so many.
    pub(super) activation_scale: u32,
    /// So many must have been ready once before fewer are allowed.
    pub(super) initial_scale: u32,
    pub(super) enable_scale_to_zero: bool,
    #[serde(with = "span")]
    pub(super) scale_to_zero_grace_period: Duration,
    #[serde(with = "span")]
    pub(super) scale_to_zero_pod_retention_period: Duration,
    /// Named readings that are window averages already; they stand in place of the own ones.
    pub(super) stable_signal: String,
    pub(super) panic_signal: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            metric: Metric::Concurrency,
            target: None,
            target_utilization_percentage: 70.0,
            stable_window: Duration::from_secs(60),
            panic_window_percentage: 10.0,
            panic_threshold_percentage: 200.0,
            max_scale_up_rate: 1_000.0,
            max_scale_down_rate: 2.0,
            scale_down_delay: Duration::ZERO,
            tick_interval: Duration::from_secs(2),
            target_burst_capacity: 200.0,
            activation_scale: 1,
            initial_scale: 1,
            enable_scale_to_zero: true,
            scale_to_zero_grace_period: Duration::from_secs(30),
            scale_to_zero_pod_retention_period: Duration::ZERO,
            stable_signal: "kpa_stable".to_owned(),
            panic_signal: "kpa_panic".to_owned(),
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), String> {
        let rows = [
            ("target", self.total(), 0.01, f64::MAX),
            ("target_utilization_percentage", self.target_utilization_percentage, 1.0, 100.0),
            ("panic_window_percentage", self.panic_window_percentage, 1.0, 100.0),
            ("panic_threshold_percentage", self.panic_threshold_percentage, 110.0, 1_000.0),
            ("max_scale_up_rate", self.max_scale_up_rate, 1.01, 1e9),
            ("max_scale_down_rate", self.max_scale_down_rate, 1.01, 1e9),
            ("target_burst_capacity", self.target_burst_capacity, -1.0, 1e9),
            ("stable_window in seconds", self.stable_window.as_secs_f64(), 6.0, 3_600.0),
            ("scale_down_delay in seconds", self.scale_down_delay.as_secs_f64(), 0.0, 3_600.0),
            ("tick_interval in seconds", self.tick_interval.as_secs_f64(), 0.01, 60.0),
        ];
        for (name, value, low, high) in rows {
            if !(low..=high).contains(&value) {
                return Err(format!("{name} must be {low} to {high}"));
            }
        }
        Ok(())
    }

    /// What a worker can take in all.
    pub(super) fn total(&self) -> f64 {
        self.target.unwrap_or(if self.metric == Metric::Rps { 200.0 } else { 100.0 })
    }

    /// What a worker is meant to take.
    pub(super) fn per_worker(&self) -> f64 {
        self.total() * self.target_utilization_percentage / 100.0
    }
}
