//! Evenly spaced numbers in, prediction with interval out: one trait, one file a model, one table.
//!
//! Pure: no clock, no entropy, no I/O. Equal series, settings and seed give equal forecasts, and
//! budgets are counted in iterations, so that a model can be trained again bit for bit.

#[cfg(feature = "library")]
mod arima;
mod autoregressive;
pub mod backtest;
mod boosted;
pub mod compare;
mod conformal;
mod corrected;
mod drift;
mod ensemble;
mod features;
mod fourier;
mod gradient_boosting;
mod history;
mod holt_winters;
mod linear;
mod mixture;
#[cfg(feature = "library")]
mod mstl;
mod naive;
mod random_forest;
mod scored;
mod scores;
mod seasonal_naive;
pub mod series;
mod spread;
mod theta;
mod trees;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use conformal::{Calibration, Conformal};
pub use ensemble::{Ensemble, Standing};
pub use scored::{ascend, interpolate};
pub use series::Series;

/// Predicts a series, with quantiles, directly for each horizon (never by feeding its own
/// answers back), and abstains until it knows enough.
pub trait Forecaster: Send {
    /// Learns from `series` anew; what it knew before is forgotten.
    ///
    /// # Errors
    /// When the series is too short or says nothing, or the budget ends before anything is
    /// learnt. The model then is as it was.
    fn fit(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError>;

    /// The first half of a fit, for who holds the end of a series back to see how the model does on it:
    /// learns from `series`, and may leave its own errors to the updates that follow. A whole fit
    /// unless a model knows better.
    ///
    /// # Errors
    /// As [`Forecaster::fit`].
    fn begin(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError> {
        self.fit(series, budget)
    }

    /// The second half: learns once more, from all that was read since too, and keeps what it knows of
    /// its errors. Nothing to do for models that learn with every reading.
    ///
    /// # Errors
    /// As [`Forecaster::fit`].
    fn relearn(&mut self, budget: Budget) -> Result<(), FitError> {
        let _ = budget;
        Ok(())
    }

    /// Takes the next sample. Steps that were left out in between become gaps; a sample that is
    /// older than the last one changes nothing.
    fn update(&mut self, at: Timestamp, sample: &Sample);

    /// The quantiles `horizons` steps after the last sample; `None` while it does not know
    /// enough, or a horizon lies beyond those it was built for.
    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast>;

    /// What a model file holds.
    fn state(&self) -> ModelState;
}

/// One step's reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// What is predicted; `None` is a gap, never a zero.
    pub target: Option<f64>,
    /// Other readings of the same step, in the order of the series' covariates; not a number
    /// where there was none.
    pub covariates: Vec<f64>,
}

impl Sample {
    /// A reading of the target alone.
    pub fn of(target: f64) -> Self {
        Self { target: target.is_finite().then_some(target), covariates: Vec::new() }
    }
}

/// How much work a fit may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Rounds of learning: boosting rounds, trees, epochs, passes of an optimiser. A model that
    /// needs fewer stops earlier.
    pub iterations: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { iterations: 200 }
    }
}

/// What a fit did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Rounds that were used.
    pub iterations: u32,
    /// Points that were learnt from.
    pub points: usize,
}

/// Why a fit gave nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Fewer points than the model needs.
    #[error("{have} points are too few, {need} are needed")]
    TooShort {
        /// Points that are no gaps.
        have: usize,
        /// Points needed.
        need: usize,
    },
    /// The series is spaced otherwise than the settings say.
    #[error("the series has steps of {series:?}, the model was built for {settings:?}")]
    Step {
        /// Of the series.
        series: Duration,
        /// Of the settings.
        settings: Duration,
    },
    /// No member of an ensemble could be fitted.
    #[error("all predictors failed: {0}")]
    AllFailed(String),
    /// The budget does not allow one round.
    #[error("a budget of no iterations")]
    NoBudget,
    /// The library behind the model gave up.
    #[error("{0}")]
    Library(String),
}

/// Quantiles of the future.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileForecast {
    /// The last sample it knows of.
    pub origin: Timestamp,
    /// One step.
    pub step: Duration,
    /// In steps after `origin`.
    pub horizons: Vec<usize>,
    /// Levels between 0 and 1.
    pub quantiles: Vec<f64>,
    /// `values[horizon][quantile]`, in the unit of the target, never falling along a row.
    pub values: Vec<Vec<f64>>,
}

impl QuantileForecast {
    /// The value for one horizon and level, if both were asked for.
    pub fn at(&self, horizon: usize, quantile: f64) -> Option<f64> {
        let row = self.horizons.iter().position(|&one| one == horizon)?;
        let column = self.quantiles.iter().position(|&one| (one - quantile).abs() < 1e-9)?;
        self.values.get(row)?.get(column).copied()
    }

    /// Whether every number can be used.
    pub fn is_finite(&self) -> bool {
        self.values.iter().flatten().all(|value| value.is_finite())
    }
}

/// A model as a file keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelState {
    /// The row of the registry that can read it.
    pub model: String,
    /// Whether it would answer now.
    pub ready: bool,
    /// Steps it has seen, gaps included.
    pub samples: u64,
    /// All that it knows, in the model's own form.
    pub bytes: Vec<u8>,
}

/// What every model is built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// One step of the series.
    pub step: Duration,
    /// Horizons to learn, in steps, ascending; those between are interpolated.
    pub horizons: Vec<usize>,
    /// Lengths of time after which the series may repeat, ascending.
    pub seasons: Vec<Duration>,
    /// Where a day begins; daylight saving moves the features with it. Whoever makes the
    /// settings looks the zone up: this crate reads no files.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub time_zone: TimeZone,
    /// For models that draw lots.
    pub seed: u64,
}

/// An hour, in seconds.
const HOUR_S: u64 = 3_600;
/// A day, in seconds.
const DAY_S: u64 = 86_400;
/// A week, in seconds.
const WEEK_S: u64 = 604_800;

impl Settings {
    /// For steps of this length: an hour, a day and a week as seasons, UTC, horizons to 15 steps.
    pub fn new(step: Duration) -> Self {
        Self {
            step,
            horizons: vec![1, 2, 3, 5, 8, 15],
            seasons: [HOUR_S, DAY_S, WEEK_S].map(Duration::from_secs).to_vec(),
            time_zone: TimeZone::UTC,
            seed: 0,
        }
    }

    /// Seasons in whole steps, those of fewer than [`SEASON_STEPS_MIN`] left out.
    pub(crate) fn season_steps(&self) -> Vec<usize> {
        let step = self.step.as_secs_f64();
        let mut steps: Vec<usize> =
            self.seasons.iter().map(|season| whole(season.as_secs_f64() / step)).collect();
        steps.retain(|&steps| steps >= SEASON_STEPS_MIN);
        steps.dedup();
        steps
    }

    /// The furthest horizon that is learnt.
    pub(crate) fn furthest(&self) -> usize {
        self.horizons.iter().copied().max().unwrap_or(1)
    }
}

/// A season of fewer steps is no shape, only a lag.
const SEASON_STEPS_MIN: usize = 4;

/// A row of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What users write.
    pub name: &'static str,
    /// One sentence for `autoscale forecast models`.
    pub about: &'static str,
    /// Makes one that knows nothing yet.
    pub build: fn(&Settings) -> Box<dyn Forecaster>,
    /// Makes one from [`ModelState::bytes`].
    pub restore: fn(&Settings, &[u8]) -> Restored,
}

/// A model read back, or why not.
pub type Restored = Result<Box<dyn Forecaster>, RestoreError>;

/// The bytes are not this model's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("not a state of the model `{model}`: {because}")]
pub struct RestoreError {
    /// Which model was asked to read them.
    pub model: String,
    /// The cause.
    pub because: String,
}

/// Every model of this crate, in the order in which they are listed.
pub static FORECASTERS: &[Entry] = &[
    naive::ENTRY,
    seasonal_naive::ENTRY,
    drift::ENTRY,
    autoregressive::ENTRY,
    holt_winters::ENTRY,
    theta::ENTRY,
    fourier::ENTRY,
    #[cfg(feature = "library")]
    arima::ENTRY,
    #[cfg(feature = "library")]
    mstl::ENTRY,
    random_forest::ENTRY,
    gradient_boosting::ENTRY,
    ensemble::ENTRY,
    conformal::ENTRY,
];

/// The row called `name`.
pub fn entry(name: &str) -> Option<&'static Entry> {
    FORECASTERS.iter().find(|entry| entry.name == name)
}

/// A float that stands for a count, rounded; nothing for what is negative or not a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a range in which every whole number is exact"
)]
pub(crate) fn whole(value: f64) -> usize {
    if value.is_finite() { value.round().clamp(0.0, 1e15) as usize } else { 0 }
}
