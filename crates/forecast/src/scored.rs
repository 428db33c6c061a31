//! A model that only says where the middle is becomes a forecaster: its own past errors, by
//! horizon, give the quantiles; its answers are bounded.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::history::{History, Pushed};
use crate::scores::{Located, Scores};
use crate::{
    Budget, FitError, FitReport, Forecaster, ModelState, QuantileForecast, RestoreError, Restored, Sample,
    Series, Settings,
};

/// Slots of a silence after which pending forecasts are dropped instead of stepped over.
const SILENCE_MAX: usize = 256;
/// Times the largest reading of the last week that a forecast may reach.
const CEILING: f64 = 3.0;
/// Updates between two looks for the largest reading of the week.
const LOOK_EVERY: usize = 256;
/// Slots at the end of a fitted series that are held back at first, so that there are errors to know.
const HELD_BACK: usize = 2_000;
/// Stepped slots whose errors are counted: what pools of errors remember.
const SCORED: usize = 1_000;

/// Says where the middle is.
pub(crate) trait Point: Clone + Serialize + DeserializeOwned + Send + 'static {
    /// The registry's name.
    const NAME: &'static str;

    /// One that knows nothing.
    fn new(settings: &Settings) -> Self;

    /// Learns from the whole history at once, if it is a model that does.
    ///
    /// # Errors
    /// As [`Forecaster::fit`].
    fn learn(&mut self, history: &History, budget: Budget) -> Result<FitReport, FitError> {
        let _ = budget;
        Ok(FitReport { iterations: 1, points: history.known() })
    }

    /// Slots at the end of a series that are stepped through one by one after it was learnt, for models
    /// that learn so: none for those that learn at once.
    fn stepped(&self) -> usize {
        0
    }

    /// Looks at `slot`, the newest; called once for each slot.
    fn step(&mut self, history: &History, slot: usize);

    /// From `slot`, the newest, `horizon` steps ahead.
    fn locate(&self, history: &History, slot: usize, horizon: usize) -> Option<Located>;
}

/// A [`Point`] with its history and its errors.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Scored<P: Point> {
    settings: Settings,
    history: History,
    point: P,
    scores: Scores,
    lowest: f64,
    highest: f64,
}

impl<P: Point> Scored<P> {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            history: History::new(settings),
            point: P::new(settings),
            scores: Scores::new(&settings.horizons),
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
        }
    }

    pub(crate) fn build(settings: &Settings) -> Box<dyn Forecaster> {
        Box::new(Self::new(settings))
    }

    pub(crate) fn restore(settings: &Settings, bytes: &[u8]) -> Restored {
        Ok(Box::new(Self::read(settings, bytes)?))
    }

    /// One that knows `series` and little of its own errors, and what came of learning.
    fn begun(
        &self,
        series: &Series,
        budget: Budget,
    ) -> Result<(Self, Result<FitReport, FitError>), FitError> {
        if budget.iterations == 0 {
            return Err(FitError::NoBudget);
        }
        if series.step() != self.settings.step {
            return Err(FitError::Step { series: series.step(), settings: self.settings.step });
        }
        let mut fresh = Self::new(&self.settings);
        let learnt = series.len().saturating_sub(fresh.point.stepped()).max(1);
        fresh.history = History::of(&self.settings, &series.slice(0, learnt));
        let report = fresh.point.learn(&fresh.history, budget);
        for index in learnt..series.len() {
            let (at, sample) = (series.at(index), series.sample(index));
            if index + SCORED < series.len() {
                fresh.history.push(at, &sample);
                fresh.point.step(&fresh.history, fresh.history.end() - 1);
            } else {
                fresh.take(at, &sample);
            }
        }
        if let Some(slot) = fresh.history.end().checked_sub(1) {
            fresh.look_back(slot);
        }
        Ok((fresh, report))
    }

    /// From the bytes of a state.
    pub(crate) fn read(settings: &Settings, bytes: &[u8]) -> Result<Self, RestoreError> {
        let refused = |because: String| RestoreError { model: P::NAME.to_owned(), because };
        let restored: Self = postcard::from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
        if restored.settings != *settings {
            return Err(refused("it was built with other settings".to_owned()));
        }
        Ok(restored)
    }

    pub(crate) fn point(&self) -> &P {
        &self.point
    }

    pub(crate) fn point_mut(&mut self) -> &mut P {
        &mut self.point
    }

    /// Knows `series` without having said anything about it.
    pub(crate) fn remember(&mut self, series: &Series) {
        self.history = History::of(&self.settings, series);
    }

    /// The point changed its mind about the newest slot.
    pub(crate) fn renew(&mut self, change: impl FnOnce(&mut P)) {
        change(&mut self.point);
        if let Some(slot) = self.history.end().checked_sub(1) {
            self.look(slot);
        }
    }

    pub(crate) fn take(&mut self, at: Timestamp, sample: &Sample) {
        let end = self.history.end();
        let first = match self.history.push(at, sample) {
            Pushed::Late => return,
            Pushed::Restarted => {
                self.scores.interrupt();
                (self.lowest, self.highest) = (f64::INFINITY, f64::NEG_INFINITY);
                self.history.end() - 1
            }
            Pushed::Slots(added) if added > SILENCE_MAX => {
                self.scores.interrupt();
                self.history.end() - 1
            }
            Pushed::Slots(_) => end,
        };
        for slot in first..self.history.end() {
            self.step(slot);
        }
    }

    fn step(&mut self, slot: usize) {
        if let Some(actual) = self.history.get(slot) {
            self.scores.settle(slot, actual);
            self.lowest = self.lowest.min(actual);
            self.highest = self.highest.max(actual);
        }
        if slot.is_multiple_of(LOOK_EVERY) {
            self.look_back(slot);
        }
        self.point.step(&self.history, slot);
        self.look(slot);
    }

    /// The least and the largest reading of the week before `slot`.
    fn look_back(&mut self, slot: usize) {
        let week = crate::whole(604_800.0 / self.settings.step.as_secs_f64()).max(LOOK_EVERY);
        let recent = self.history.range(slot.saturating_sub(week), slot + 1);
        (self.lowest, self.highest) = recent
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    }

    /// Forecasts from `slot`, the newest.
    fn look(&mut self, slot: usize) {
        let look = |&horizon: &usize| {
            let located = self.point.locate(&self.history, slot, horizon).filter(Located::is_sound)?;
            Some((located, self.history.local(slot + horizon).0))
        };
        let located: Vec<Option<(Located, f64)>> = self.settings.horizons.iter().map(look).collect();
        self.scores.expect(slot, &located);
    }

    /// Loads are not below zero unless they have been; nothing is far above all that was seen.
    fn bound(&self, value: f64) -> f64 {
        let low = if self.lowest < 0.0 { CEILING * self.lowest } else { 0.0 };
        let high = if self.highest > 0.0 { CEILING * self.highest } else { 0.0 };
        value.clamp(low, high.max(low))
    }

    /// The quantiles of the learnt horizon at `index`.
    fn row(&self, index: usize, quantiles: &[f64]) -> Option<Vec<f64>> {
        let (middle, distances) = self.scores.latest(index, quantiles)?;
        let value = |(&level, &distance): (&f64, &f64)| {
            // The middle stays the model's own: half the errors of a sound model are on each side.
            let distance = match level - 0.5 {
                side if side > 1e-9 => distance.max(0.0),
                side if side < -1e-9 => distance.min(0.0),
                _ => 0.0,
            };
            self.bound(middle + distance)
        };
        Some(quantiles.iter().zip(&distances).map(value).collect())
    }
}

/// The rows for `horizons`, from those that were `learnt` (both in steps, ascending): between two,
/// in proportion; `None` beyond the last one, or where `row` has none.
pub fn interpolate(
    learnt: &[usize],
    horizons: &[usize],
    row: impl Fn(usize) -> Option<Vec<f64>>,
) -> Option<Vec<Vec<f64>>> {
    let one = |&horizon: &usize| {
        let above = learnt.iter().position(|&one| one >= horizon.max(1))?;
        let high = row(above)?;
        if learnt[above] == horizon || above == 0 {
            return Some(high);
        }
        let low = row(above - 1)?;
        let part = (horizon - learnt[above - 1]) as f64 / (learnt[above] - learnt[above - 1]) as f64;
        Some(low.iter().zip(&high).map(|(low, high)| low + part * (high - low)).collect())
    };
    horizons.iter().map(one).collect()
}

impl<P: Point> Forecaster for Scored<P> {
    fn fit(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError> {
        let learnt = series.len() - HELD_BACK.min(series.len() * 2 / 5);
        let (mut fresh, held_back) = self.begun(&series.slice(0, learnt), budget)?;
        for index in learnt..series.len() {
            fresh.take(series.at(index), &series.sample(index));
        }
        let report = match fresh.point.learn(&fresh.history, budget) {
            Err(error) => held_back.map_err(|_| error)?,
            Ok(report) => report,
        };
        fresh.look(fresh.history.end() - 1);
        *self = fresh;
        Ok(report)
    }

    fn begin(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError> {
        let (fresh, learnt) = self.begun(series, budget)?;
        let learnt = learnt?;
        *self = fresh;
        Ok(learnt)
    }

    fn relearn(&mut self, budget: Budget) -> Result<(), FitError> {
        self.point.learn(&self.history, budget)?;
        if let Some(slot) = self.history.end().checked_sub(1) {
            self.look(slot);
        }
        Ok(())
    }

    fn update(&mut self, at: Timestamp, sample: &Sample) {
        self.take(at, sample);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        let mut values = interpolate(&self.settings.horizons, horizons, |index| self.row(index, quantiles))?;
        for row in &mut values {
            ascend(row, quantiles);
        }
        Some(QuantileForecast {
            origin: self.history.at(self.history.end().checked_sub(1)?),
            step: self.settings.step,
            horizons: horizons.to_vec(),
            quantiles: quantiles.to_vec(),
            values,
        })
    }

    fn state(&self) -> ModelState {
        ModelState {
            model: P::NAME.to_owned(),
            ready: self.scores.is_ready(),
            samples: self.history.seen(),
            bytes: postcard::to_allocvec(self).unwrap_or_default(),
        }
    }
}

/// Makes a row's values never fall as their levels rise.
pub fn ascend(row: &mut [f64], quantiles: &[f64]) {
    let mut order: Vec<usize> = (0..quantiles.len()).collect();
    order.sort_by(|&a, &b| quantiles[a].total_cmp(&quantiles[b]));
    let mut least = f64::NEG_INFINITY;
    for index in order {
        least = least.max(row[index]);
        row[index] = least;
    }
}
