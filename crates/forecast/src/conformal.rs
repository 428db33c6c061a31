//! Adaptive conformal levels around any forecaster: a quantile that covers too rarely is asked for
//! at a higher level, until it covers as often as it says.
//!
//! For each horizon and level, `α ← α + γ · (level − covered)` (Gibbs and Candès 2021), run for
//! several γ at once and mixed by pinball loss (aggregated as in Zaffran et al. 2022). The median
//! is shifted by the running bias of its errors (bias-corrected, after BC-ACI).

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::mixture::weights;
use crate::scored::{ascend, interpolate};
use crate::{
    Budget, Entry, FitError, FitReport, Forecaster, ModelState, QuantileForecast, RestoreError, Restored,
    Sample, Series, Settings, entry,
};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: NAME,
    about: "the ensemble, its levels adapted until they cover as often as they say",
    build: |settings| Box::new(Conformal::of(settings, (crate::ensemble::ENTRY.build)(settings))),
    restore: Conformal::restore,
};

const NAME: &str = "conformal";
/// Levels that are adapted; between them, and beyond, in proportion.
const LEVELS: [f64; 4] = [0.8, 0.9, 0.95, 0.99];
/// How fast a level adapts, per independent outcome: forecasts that overlap count together.
const SPEEDS: [f64; 4] = [0.001, 0.004, 0.012, 0.03];
/// Levels that the wrapped model is asked for; between them, in proportion.
const ASKED: [f64; 12] = [0.1, 0.5, 0.65, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.985, 0.995];
/// The column of the median in [`ASKED`].
const MEDIAN: usize = 1;
/// What a past loss keeps of its weight.
const LOSS_KEEP: f64 = 0.99;
/// How sharply the better speed is preferred.
const SHARPNESS: f64 = 10.0;
/// How fast the bias is followed, in usual errors.
const BIAS_SPEED: f64 = 0.004;
/// A shift is made when the shifted median erred less than this share of the plain one's errors.
const BIAS_EARNS: f64 = 0.97;
/// The largest shift of a median, in usual errors.
const BIAS_MAX: f64 = 0.5;
/// Outcomes that coverage is counted over.
const COUNTED: usize = 200;
/// Slots at the end of a fitted series on which levels are adapted first.
const REPLAYED: usize = 1_000;

/// A forecaster whose quantiles cover.
pub struct Conformal {
    settings: Settings,
    inner: Box<dyn Forecaster>,
    own: Own,
}

/// All that it knows itself.
#[derive(Clone, Serialize, Deserialize)]
struct Own {
    origin: Option<Timestamp>,
    heads: Vec<Head>,
    waiting: VecDeque<Waiting>,
}

/// One horizon.
#[derive(Clone, Serialize, Deserialize)]
struct Head {
    levels: Vec<Adapted>,
    horizon: usize,
    bias: f64,
    /// Absolute errors of the median with and without its shift, discounted.
    shifted: [f64; 2],
    /// Whether the latest outcomes lay at or below the 0.9 quantile.
    covered: VecDeque<bool>,
    /// Pinball losses at 0.9 of this and of the naive forecast, discounted.
    losses: [f64; 2],
}

/// One level at every speed.
#[derive(Clone, Serialize, Deserialize)]
struct Adapted {
    asked: [f64; SPEEDS.len()],
    losses: [f64; SPEEDS.len()],
}

#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    slot: u64,
    last: f64,
    /// By horizon: what the wrapped model said at [`ASKED`].
    rows: Vec<Vec<f64>>,
}

/// How well one horizon's quantiles have covered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// In steps.
    pub horizon: usize,
    /// Outcomes counted, 200 at most.
    pub count: usize,
    /// Share of them at or below the 0.9 quantile.
    pub coverage_90: f64,
    /// Pinball loss at 0.9 to that of "the last reading, whatever the level"; below 1 it earns
    /// its keep.
    pub loss_ratio: f64,
}

impl Head {
    fn new(horizon: usize) -> Self {
        let adapted = |level| Adapted { asked: [level; SPEEDS.len()], losses: [0.0; SPEEDS.len()] };
        Self {
            levels: LEVELS.map(adapted).to_vec(),
            horizon,
            bias: 0.0,
            shifted: [0.0; 2],
            covered: VecDeque::new(),
            losses: [0.0; 2],
        }
    }

    /// What to ask for where `level` is wanted.
    fn asked(&self, level: f64) -> f64 {
        if level <= 0.5 {
            return level;
        }
        let (mut low, mut low_asked) = (0.5, 0.5);
        for (own, adapted) in LEVELS.iter().zip(&self.levels) {
            let asked = adapted.mixed();
            if level <= *own {
                return low_asked + (asked - low_asked) * (level - low) / (own - low);
            }
            (low, low_asked) = (*own, asked);
        }
        low_asked + (1.0 - low_asked) * (level - low) / (1.0 - low)
    }

    fn quantile(&self, row: &[f64], level: f64) -> f64 {
        // The shift is for the median alone, and fades upwards: above it, levels adapt.
        let fading = ((0.9 - level) / 0.4).clamp(0.0, 1.0);
        read(row, self.asked(level)) + fading * self.shift(row)
    }

    /// By how much the median is moved, if moving it has helped.
    fn shift(&self, row: &[f64]) -> f64 {
        if self.shifted[0] < BIAS_EARNS * self.shifted[1] { self.bias * usual(row) } else { 0.0 }
    }

    fn settle(&mut self, row: &[f64], last: f64, actual: f64) {
        let ninety = self.quantile(row, 0.9);
        self.covered.push_back(actual <= ninety);
        if self.covered.len() > COUNTED {
            self.covered.pop_front();
        }
        for (loss, said) in self.losses.iter_mut().zip([ninety, last]) {
            *loss = LOSS_KEEP * *loss + (1.0 - LOSS_KEEP) * pinball(0.9, said, actual);
        }
        // Forecasts of the same stretch are right or wrong together.
        let overlap = (self.horizon as f64).sqrt();
        for (level, adapted) in LEVELS.iter().zip(&mut self.levels) {
            adapted.settle(*level, row, actual, overlap);
        }
        let miss = actual - row[MEDIAN];
        let left = miss - self.bias * usual(row);
        for (shifted, error) in self.shifted.iter_mut().zip([left, miss]) {
            *shifted = LOSS_KEEP * *shifted + (1.0 - LOSS_KEEP) * error.abs();
        }
        // The step that makes the shifted median lie in the middle: the sign of its error.
        let step = if left.abs() > 1e-9 * actual.abs() { BIAS_SPEED * left.signum() / overlap } else { 0.0 };
        self.bias = (self.bias + step).clamp(-BIAS_MAX, BIAS_MAX);
    }
}

impl Adapted {
    fn mixed(&self) -> f64 {
        let weights = weights(&self.losses, SHARPNESS);
        self.asked.iter().zip(&weights).map(|(asked, weight)| asked * weight).sum()
    }

    fn settle(&mut self, level: f64, row: &[f64], actual: f64, overlap: f64) {
        for (index, speed) in SPEEDS.iter().enumerate() {
            let said = read(row, self.asked[index]);
            let covered = if actual <= said { 1.0 } else { 0.0 };
            self.losses[index] =
                LOSS_KEEP * self.losses[index] + (1.0 - LOSS_KEEP) * pinball(level, said, actual);
            self.asked[index] = (self.asked[index] + speed / overlap * (level - covered)).clamp(0.5, 0.999);
        }
    }
}

/// The distance from the median to the 0.9 quantile.
fn usual(row: &[f64]) -> f64 {
    (read(row, 0.9) - row[MEDIAN]).max(0.0)
}

/// A row's value at any level, in proportion between those that were asked for.
fn read(row: &[f64], level: f64) -> f64 {
    let above = ASKED.partition_point(|&asked| asked < level).clamp(1, ASKED.len() - 1);
    let (low, high) = (ASKED[above - 1], ASKED[above]);
    let part = ((level - low) / (high - low)).clamp(0.0, 1.2);
    row[above - 1] + part * (row[above] - row[above - 1])
}

fn pinball(level: f64, said: f64, actual: f64) -> f64 {
    let miss = actual - said;
    if miss >= 0.0 { level * miss } else { (level - 1.0) * miss }
}

impl Conformal {
    /// Around `inner`, which was built from the same settings.
    pub fn of(settings: &Settings, inner: Box<dyn Forecaster>) -> Self {
        Self { settings: settings.clone(), inner, own: Own::new(settings) }
    }

    fn restore(settings: &Settings, bytes: &[u8]) -> Restored {
        let refused = |because: String| RestoreError { model: NAME.to_owned(), because };
        let (own, state): (Own, ModelState) =
            postcard::from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
        let row =
            entry(&state.model).ok_or_else(|| refused(format!("there is no model `{}`", state.model)))?;
        let inner = (row.restore)(settings, &state.bytes)?;
        Ok(Box::new(Self { settings: settings.clone(), inner, own }))
    }

    /// How well it has covered, by horizon.
    pub fn calibration(&self) -> Vec<Calibration> {
        let one = |(&horizon, head): (&usize, &Head)| {
            let within = head.covered.iter().filter(|&&covered| covered).count();
            let count = head.covered.len();
            Calibration {
                horizon,
                count,
                coverage_90: within as f64 / count.max(1) as f64,
                loss_ratio: if head.losses[1] > 0.0 { head.losses[0] / head.losses[1] } else { 1.0 },
            }
        };
        self.settings.horizons.iter().zip(&self.own.heads).map(one).collect()
    }

    /// What the wrapped model says now waits for its time.
    fn expect(&mut self, slot: u64, last: f64) {
        self.own.waiting.retain(|waiting| waiting.slot < slot);
        let furthest = self.settings.furthest() as u64;
        while self.own.waiting.front().is_some_and(|oldest| oldest.slot + furthest <= slot) {
            self.own.waiting.pop_front();
        }
        let said = self.inner.predict(&self.settings.horizons, &ASKED);
        if let Some(forecast) = said.filter(|forecast| forecast.is_finite()) {
            self.own.waiting.push_back(Waiting { slot, last, rows: forecast.values });
        }
    }
}

impl Own {
    fn new(settings: &Settings) -> Self {
        let heads = settings.horizons.iter().map(|&horizon| Head::new(horizon)).collect();
        Self { origin: None, heads, waiting: VecDeque::new() }
    }

    fn slot(&mut self, at: Timestamp, settings: &Settings) -> Option<u64> {
        let origin = *self.origin.get_or_insert(at);
        let step = SignedDuration::try_from(settings.step).ok()?.as_nanos().max(1);
        u64::try_from((at.duration_since(origin).as_nanos() + step / 2).div_euclid(step)).ok()
    }

    fn settle(&mut self, slot: u64, actual: f64, horizons: &[usize]) {
        for (index, &horizon) in horizons.iter().enumerate() {
            let Some(made) = slot.checked_sub(horizon as u64) else { continue };
            let at = self.waiting.partition_point(|waiting| waiting.slot < made);
            if let Some(waiting) = self.waiting.get(at).filter(|waiting| waiting.slot == made) {
                self.heads[index].settle(&waiting.rows[index], waiting.last, actual);
            }
        }
    }
}

impl Forecaster for Conformal {
    fn fit(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError> {
        let replayed = REPLAYED.min(series.len() * 2 / 5);
        let learnt = series.len() - replayed;
        let report = self.inner.fit(&series.slice(0, learnt), budget)?;
        self.own = Own::new(&self.settings);
        for index in learnt..series.len() {
            self.update(series.at(index), &series.sample(index));
        }
        self.inner.relearn(budget)?;
        if let (Some(slot), Some(last)) = (
            self.own.slot(series.at(series.len() - 1), &self.settings),
            series.sample(series.len() - 1).target,
        ) {
            self.expect(slot, last);
        }
        Ok(report)
    }

    fn update(&mut self, at: Timestamp, sample: &Sample) {
        self.inner.update(at, sample);
        let Some(slot) = self.own.slot(at, &self.settings) else { return };
        if self.own.waiting.back().is_some_and(|latest| latest.slot >= slot) {
            return;
        }
        let Some(actual) = sample.target.filter(|actual| actual.is_finite()) else { return };
        self.own.settle(slot, actual, &self.settings.horizons);
        self.expect(slot, actual);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        let said = self.inner.predict(&self.settings.horizons, &ASKED)?;
        let low = self.inner.predict(&self.settings.horizons, quantiles)?;
        let row = |index: usize| {
            let head = &self.own.heads[index];
            let value = |(&level, &plain): (&f64, &f64)| {
                // Below the median nothing is adapted: capacity is bought for the upper side.
                if level < 0.5 { plain } else { head.quantile(&said.values[index], level) }
            };
            Some(quantiles.iter().zip(&low.values[index]).map(value).collect())
        };
        let mut values = interpolate(&self.settings.horizons, horizons, row)?;
        for row in &mut values {
            ascend(row, quantiles);
        }
        Some(QuantileForecast { horizons: horizons.to_vec(), quantiles: quantiles.to_vec(), values, ..said })
    }

    fn state(&self) -> ModelState {
        let inner = self.inner.state();
        let (ready, samples) = (inner.ready, inner.samples);
        let bytes = postcard::to_allocvec(&(&self.own, inner)).unwrap_or_default();
        ModelState { model: NAME.to_owned(), ready, samples, bytes }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Always wrong in the same way: its quantiles are far too low.
    struct TooLow;

    impl Forecaster for TooLow {
        fn fit(&mut self, _series: &Series, _budget: Budget) -> Result<FitReport, FitError> {
            Ok(FitReport { iterations: 1, points: 1 })
        }

        fn update(&mut self, _at: Timestamp, _sample: &Sample) {}

        fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
            // The outcomes are even between 0 and 1; it believes in the square of that.
            let row: Vec<f64> = quantiles.iter().map(|level| level * level).collect();
            Some(QuantileForecast {
                origin: Timestamp::UNIX_EPOCH,
                step: Duration::from_secs(60),
                horizons: horizons.to_vec(),
                quantiles: quantiles.to_vec(),
                values: vec![row; horizons.len()],
            })
        }

        fn state(&self) -> ModelState {
            ModelState { model: "too low".to_owned(), ready: true, samples: 0, bytes: Vec::new() }
        }
    }

    #[test]
    fn quantiles_that_cover_too_rarely_are_raised_until_they_do() {
        let mut settings = Settings::new(Duration::from_secs(60));
        settings.horizons = vec![1, 5];
        let mut model = Conformal::of(&settings, Box::new(TooLow));
        for index in 0..4_000_u32 {
            let outcome = f64::from(index.wrapping_mul(2_654_435_769) >> 8) / 16_777_216.0;
            let at = Timestamp::from_second(60 * i64::from(index)).unwrap();
            model.update(at, &Sample::of(outcome));
        }
        for one in model.calibration() {
            assert_eq!(one.count, COUNTED);
            assert!((0.86..=0.94).contains(&one.coverage_90), "{one:?}");
        }
        let forecast = model.predict(&[1], &[0.5, 0.9]).unwrap();
        let ninety = forecast.at(1, 0.9).unwrap();
        assert!((0.86..=0.95).contains(&ninety), "{forecast:?}, and not 0.81");
    }
}
