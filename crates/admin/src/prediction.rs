//! What is expected of the signal, in the words of predictive services: `GET /predict`.

use control::Advice;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// When the forecast was made; nothing before the first reading.
    pub at: Option<Timestamp>,
    /// Its age, in seconds.
    pub age_s: Option<f64>,
    /// What is forecast, as in `worker_cpu`.
    pub signal: String,
    /// Mean of the last minute of steps.
    pub current_avg: Option<f64>,
    /// Median at the nearest horizon.
    pub predicted_next: Option<f64>,
    /// What follows from the forecast for the policy's own lines.
    pub recommendation: Advice,
    /// The line above which it recommends to scale up, where the policy has one.
    pub up: Option<f64>,
    /// The line below which it recommends to scale down, where the policy has one.
    pub down: Option<f64>,
    /// The forecast over the current average.
    pub factor: Option<f64>,
    /// Measured share of outcomes at or below the 0.9 quantile, at the nearest horizon.
    pub confidence: Option<f64>,
    /// Distance of the nearest horizon, in seconds.
    pub horizon_s: Option<f64>,
    /// The model that spoke; `last_reading` while none can.
    pub model: String,
    /// How often it has learnt.
    pub generation: u32,
    /// `learning`, `trusted`, `probation` or `reactive`.
    pub trust: String,
    /// Why the model itself says nothing.
    pub abstained: Option<String>,
    /// Every horizon.
    pub horizons: Vec<PredictedAhead>,
    /// How earlier forecasts turned out, by horizon.
    pub scores: Vec<PredictionScore>,
    /// Readings that the model was too slow for.
    pub dropped: u64,
}

/// The forecast for one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedAhead {
    /// Distance in seconds.
    pub seconds: f64,
    /// One in ten outcomes lies below.
    pub q10: Option<f64>,
    /// As many above as below.
    pub q50: f64,
    /// One in ten outcomes lies above.
    pub q90: Option<f64>,
}

/// How forecasts for one horizon turned out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionScore {
    /// Distance in seconds.
    pub seconds: f64,
    /// Outcomes scored.
    pub count: u64,
    /// Mean absolute error, in the signal's unit.
    pub mae: f64,
    /// The same over that of repeating the last reading.
    pub relative_mae: f64,
    /// Share of outcomes at or below the 0.9 quantile.
    pub coverage_90: f64,
}
