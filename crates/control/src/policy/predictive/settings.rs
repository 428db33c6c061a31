//! Settings of the predictive policy.

use std::time::Duration;

use serde::Deserialize;

use crate::policy::reactive::USUAL_WINDOW_S;
use crate::policy::{choice, outlook};
use crate::span;

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Who forecasts within the policy: a row of the registry of forecasters.
    pub model: String,
    /// Price of a worker-second of missing capacity, in worker-seconds.
    pub kappa: f64,
    /// Highest utilisation that still meets the latency objective, 0 to 1.
    pub slo_utilisation: f64,
    /// From order to ready, until it was measured.
    #[serde(with = "span")]
    pub start_up: Duration,
    /// After what time the load repeats; 0 s: perhaps after an hour, a day, a week.
    #[serde(with = "span")]
    pub season: Duration,
    /// Time before the reactive rule scales in (Kubernetes: `stabilizationWindowSeconds`).
    #[serde(with = "span")]
    pub stabilization_window: Duration,
    /// How much more than the forecast's median there should be.
    pub buffer: Buffer,
    /// The level of `quantile`, 0 to 1.
    pub quantile: f64,
    /// The margin of `fixed`, as a share of the median.
    pub margin: f64,
    /// Mean errors that `error_proportional` adds.
    pub errors: f64,
    /// Whether forecasts act.
    pub mode: Mode,
    /// What becomes of a forecast beyond the maximum.
    pub max_behavior: MaxBehavior,
    /// Share of the maximum by which `exceed` may exceed it.
    pub max_exceeded_by: f64,
    /// Times of a start-up that a worker is kept at least after it was likely to be needed.
    pub idle_start_ups: f64,
}

/// How much more than the median there should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Buffer {
    /// As much as pays for itself, by the whole distribution and the prices.
    #[default]
    ExpectedCost,
    /// Up to a quantile of the forecast.
    Quantile,
    /// A share of the median.
    Fixed,
    /// In proportion to how wrong forecasts were of late.
    ErrorProportional,
    /// One worker.
    OneSpare,
}

/// Whether forecasts act (AWS: `ForecastOnly`, `ForecastAndScale`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// They are made, scored and shown; the reactive rule acts.
    ForecastOnly,
    /// They act.
    #[default]
    ForecastAndScale,
}

/// What becomes of a forecast beyond the maximum (AWS: `HonorMaxCapacity`, `IncreaseMaxCapacity`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MaxBehavior {
    /// The maximum stands.
    #[default]
    Honor,
    /// It may be exceeded.
    Exceed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "autoregressive".to_owned(),
            kappa: 10.0,
            slo_utilisation: 0.85,
            start_up: Duration::from_secs(30),
            season: Duration::ZERO,
            stabilization_window: Duration::from_secs(USUAL_WINDOW_S.unsigned_abs()),
            buffer: Buffer::default(),
            quantile: 0.9,
            margin: 0.2,
            errors: 1.0,
            mode: Mode::default(),
            max_behavior: MaxBehavior::default(),
            max_exceeded_by: 0.2,
            idle_start_ups: 1.0,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), String> {
        outlook::model(&self.model)?;
        choice::check(self.kappa, self.slo_utilisation)?;
        if !(self.quantile > 0.0 && self.quantile < 1.0) {
            return Err(format!("quantile must be between 0 and 1, not {}", self.quantile));
        }
        let others = [
            ("margin", self.margin),
            ("errors", self.errors),
            ("max_exceeded_by", self.max_exceeded_by),
            ("idle_start_ups", self.idle_start_ups),
        ];
        match others.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
            Some((name, value)) => Err(format!("{name} must not be below 0, as {value} is")),
            None => Ok(()),
        }
    }
}
