//! A network as a forecaster: windows drawn from the series, pinball loss, AdamW.

use candle_core::{Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use forecast::{
    Budget, FitError, FitReport, Forecaster, ModelState, QuantileForecast, RestoreError, Restored, Sample,
    Series, Settings,
};
use jiff::Timestamp;
use rand_core::SeedableRng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::network::{Body, LEVELS, Network, Weights, even};
use crate::past::{Past, WINDOW, single};

/// Windows that a step of the optimiser sees.
const BATCH: usize = 64;
/// Steps of the optimiser in one round of a budget.
const STEPS_PER_ROUND: u32 = 3;
/// How far the first steps go; the last ones go a twentieth of that.
const RATE: f64 = 4e-3;
/// Windows that learning needs.
const WINDOWS_MIN: usize = 100;
/// Outcomes are cut here, in usual moves: one spike must not be all that is learnt.
const OUTCOME_MAX: f64 = 50.0;
/// A season of fewer steps is no shape, only a lag.
const SEASON_STEPS_MIN: usize = 4;

/// A network with the end of the series that it reads.
pub(crate) struct Learned<B> {
    settings: Settings,
    seasons: Vec<usize>,
    network: Option<Network<B>>,
    past: Past,
}

/// All that a file keeps.
#[derive(Serialize, Deserialize)]
struct State {
    weights: Option<Weights>,
    past: Past,
}

/// Windows and what came after them.
struct Lessons {
    inputs: Vec<Vec<f32>>,
    outcomes: Vec<Vec<f32>>,
    features: usize,
}

/// Whole steps of a season.
fn steps(season: std::time::Duration, settings: &Settings) -> usize {
    usize::try_from(season.as_nanos() / settings.step.as_nanos().max(1)).unwrap_or(usize::MAX)
}

impl<B: Body + 'static> Learned<B> {
    fn new(settings: &Settings) -> Self {
        let furthest = settings.horizons.iter().copied().max().unwrap_or(1);
        let all = settings.seasons.iter().map(|&season| steps(season, settings));
        let seasons = all.filter(|&steps| steps >= SEASON_STEPS_MIN && steps > furthest).collect();
        Self { settings: settings.clone(), seasons, network: None, past: Past::default() }
    }

    pub(crate) fn build(settings: &Settings) -> Box<dyn Forecaster> {
        Box::new(Self::new(settings))
    }

    pub(crate) fn restore(settings: &Settings, bytes: &[u8]) -> Restored {
        let refused = |because: String| RestoreError { model: B::NAME.to_owned(), because };
        let state: State = postcard::from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
        let mut learned = Self::new(settings);
        learned.past = state.past;
        if let Some(weights) = state.weights {
            let network = learned.network().map_err(|error| refused(error.to_string()))?;
            network.set(&weights).map_err(|error| refused(error.to_string()))?;
            learned.network = Some(network);
        }
        Ok(Box::new(learned))
    }

    fn network(&self) -> Result<Network<B>> {
        let features = self.past.features(self.seasons.len());
        Network::new(features, self.settings.horizons.len(), self.settings.seed)
    }

    fn lessons(&self, past: &Past) -> Lessons {
        let furthest = self.settings.horizons.iter().copied().max().unwrap_or(1);
        let mut lessons =
            Lessons { inputs: Vec::new(), outcomes: Vec::new(), features: past.features(self.seasons.len()) };
        for last in WINDOW..past.len().saturating_sub(furthest) {
            let Some(scale) = past.scale(last) else { continue };
            let outcome = |&horizon: &usize| {
                let moved = (past.target(last + horizon)? - scale.anchor) / scale.size;
                Some(single(moved.clamp(-OUTCOME_MAX, OUTCOME_MAX)))
            };
            let outcomes: Option<Vec<f32>> = self.settings.horizons.iter().map(outcome).collect();
            let inputs = past.window(last, &self.seasons, &self.settings);
            if let (Some(inputs), Some(outcomes)) = (inputs, outcomes) {
                lessons.inputs.push(inputs);
                lessons.outcomes.push(outcomes);
            }
        }
        lessons
    }

    fn learn(&self, network: &Network<B>, lessons: &Lessons, steps: u32) -> Result<()> {
        let parameters = ParamsAdamW { lr: RATE, ..ParamsAdamW::default() };
        let mut optimiser = AdamW::new(network.trainable(), parameters)?;
        let mut chance = Pcg64::seed_from_u64(self.settings.seed ^ 0x5EED);
        let levels = Tensor::new(LEVELS.map(single).as_slice(), &Device::Cpu)?;
        for step in 0..steps {
            let done = f64::from(step) / f64::from(steps);
            optimiser.set_learning_rate(RATE * (1.0 - 0.95 * done));
            let (windows, outcomes) = lessons.batch(&mut chance, self.settings.horizons.len())?;
            let miss = outcomes.unsqueeze(2)?.broadcast_sub(&network.quantiles(&windows)?)?;
            // Pinball: level × miss, and what fell short of the quantile once more.
            let loss = (miss.broadcast_mul(&levels)? + miss.neg()?.relu()?)?.mean_all()?;
            optimiser.backward_step(&loss)?;
        }
        Ok(())
    }

    fn rows(&self) -> Option<Vec<Vec<f64>>> {
        let network = self.network.as_ref()?;
        let last = self.past.len().checked_sub(1)?;
        let scale = self.past.scale(last)?;
        let inputs = self.past.window(last, &self.seasons, &self.settings)?;
        let features = inputs.len() / WINDOW;
        let windows = Tensor::from_vec(inputs, (1, WINDOW, features), &Device::Cpu).ok()?;
        let rows: Vec<Vec<f32>> = network.quantiles(&windows).ok()?.squeeze(0).ok()?.to_vec2().ok()?;
        let value = |moved: f32| (scale.anchor + scale.size * f64::from(moved)).max(self.least());
        Some(rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect())
    }

    /// Load is never below nothing, unless this series has been.
    fn least(&self) -> f64 {
        let all = (0..self.past.len()).filter_map(|index| self.past.target(index));
        all.fold(0.0, f64::min)
    }
}

impl Lessons {
    /// Some of them, by chance: `[BATCH, steps, features]` and `[BATCH, horizons]`.
    fn batch(&self, chance: &mut Pcg64, horizons: usize) -> Result<(Tensor, Tensor)> {
        let mut windows = Vec::with_capacity(BATCH * WINDOW * self.features);
        let mut outcomes = Vec::with_capacity(BATCH * horizons);
        for _ in 0..BATCH {
            let index = chosen(chance, self.inputs.len());
            windows.extend_from_slice(&self.inputs[index]);
            outcomes.extend_from_slice(&self.outcomes[index]);
        }
        Ok((
            Tensor::from_vec(windows, (BATCH, WINDOW, self.features), &Device::Cpu)?,
            Tensor::from_vec(outcomes, (BATCH, horizons), &Device::Cpu)?,
        ))
    }
}

/// An index below `count`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count is below it")]
fn chosen(chance: &mut Pcg64, count: usize) -> usize {
    ((even(chance) * count as f64) as usize).min(count.saturating_sub(1))
}

/// A row's value at any level: in proportion between those learnt, and the outermost beyond them.
fn at_level(row: &[f64], level: f64) -> f64 {
    let above = LEVELS.partition_point(|&learnt| learnt < level).clamp(1, LEVELS.len() - 1);
    let (low, high) = (LEVELS[above - 1], LEVELS[above]);
    let part = ((level - low) / (high - low)).clamp(0.0, 1.0);
    row[above - 1] + part * (row[above] - row[above - 1])
}

impl<B: Body + 'static> Forecaster for Learned<B> {
    fn fit(&mut self, series: &Series, budget: Budget) -> std::result::Result<FitReport, FitError> {
        if budget.iterations == 0 {
            return Err(FitError::NoBudget);
        }
        if series.step() != self.settings.step {
            return Err(FitError::Step { series: series.step(), settings: self.settings.step });
        }
        let past = Past::of(series);
        let lessons = self.lessons(&past);
        let points = lessons.inputs.len();
        if points < WINDOWS_MIN {
            return Err(FitError::TooShort { have: points, need: WINDOWS_MIN });
        }
        let failed = |error: candle_core::Error| FitError::Library(error.to_string());
        let network = Network::new(lessons.features, self.settings.horizons.len(), self.settings.seed);
        let network = network.map_err(failed)?;
        let steps = budget.iterations.saturating_mul(STEPS_PER_ROUND);
        self.learn(&network, &lessons, steps).map_err(failed)?;
        (self.network, self.past) = (Some(network), past);
        Ok(FitReport { iterations: budget.iterations, points })
    }

    fn update(&mut self, at: Timestamp, sample: &Sample) {
        self.past.push(at, sample, &self.settings);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        let learnt = self.rows()?;
        let row = |index: usize| -> Option<Vec<f64>> {
            Some(quantiles.iter().map(|&level| at_level(&learnt[index], level)).collect())
        };
        let mut values = forecast::interpolate(&self.settings.horizons, horizons, row)?;
        for row in &mut values {
            forecast::ascend(row, quantiles);
        }
        let origin = self.past.at(self.past.len().checked_sub(1)?, &self.settings)?;
        let (horizons, quantiles) = (horizons.to_vec(), quantiles.to_vec());
        let forecast = QuantileForecast { origin, step: self.settings.step, horizons, quantiles, values };
        forecast.is_finite().then_some(forecast)
    }

    fn state(&self) -> ModelState {
        let weights = self.network.as_ref().and_then(|network| network.weights().ok());
        let ready = weights.is_some();
        let state = State { weights, past: self.past.clone() };
        let bytes = postcard::to_allocvec(&state).unwrap_or_default();
        ModelState { model: B::NAME.to_owned(), ready, samples: self.past.seen(), bytes }
    }
}
