//! One model on the grid of the readings, and what it expects of each bucket ahead.

use std::time::Duration;

use forecast::{Forecaster, Sample, Settings};
use jiff::Timestamp;

use super::Ahead;
use super::score::{Score, middle};
use crate::number;

/// Levels that stand for a distribution, each with the share of it that it stands for: even in the
/// middle, finer at the top, because capacity is bought for the upper side.
pub(super) const LEVELS: [(f64, f64); 16] = [
    (0.05, 0.10),
    (0.15, 0.10),
    (0.25, 0.10),
    (0.35, 0.10),
    (0.45, 0.10),
    (0.55, 0.10),
    (0.65, 0.10),
    (0.74, 0.08),
    (0.81, 0.06),
    (0.865, 0.05),
    (0.905, 0.03),
    (0.935, 0.03),
    (0.9625, 0.025),
    (0.98, 0.01),
    (0.989, 0.008),
    (0.9965, 0.007),
];
/// Of `LEVELS`, the one from which the tail is lengthened.
const TAIL_FROM: usize = 10;
/// Errors at which half of the tail is still what is usual.
const TAIL_ERRORS: f64 = 100.0;
/// Workers that a need is told for at most.
const LEVELS_MAX: usize = 4_096;

/// Rates at `LEVELS`.
pub(super) type Row = [f64; LEVELS.len()];

/// A model with its latest answer.
pub(crate) struct Seer {
    entry: Option<&'static forecast::Entry>,
    forecaster: Option<Box<dyn Forecaster>>,
    /// Readings since it was built.
    learnt: u64,
    /// For each bucket ahead, from the first, the rates at `LEVELS`.
    rates: Vec<Row>,
    /// How good it was at the lead.
    pub(crate) score: Score,
}

/// For each bucket from the present one how much of each further worker will be needed: entry `n` is
/// the expected part of worker `n + 1` that is busy with what `n` workers cannot carry, 0 to 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs(pub(crate) Vec<Vec<f64>>);

impl Seer {
    pub(super) fn new(model: &'static str) -> Self {
        let entry = forecast::entry(model);
        Self { entry, forecaster: None, learnt: 0, rates: Vec::new(), score: Score::default() }
    }

    /// Begins anew on another grid.
    pub(super) fn build(&mut self, step: Duration, buckets: usize, seasons: &[Duration]) {
        let mut settings = Settings::new(step);
        settings.seasons = seasons.to_vec();
        settings.horizons = horizons(buckets);
        self.forecaster = self.entry.map(|entry| (entry.build)(&settings));
        self.rates.clear();
        self.learnt = 0;
        self.score = Score::default();
    }

    pub(super) fn update(&mut self, at: Timestamp, rate: f64) {
        if let Some(forecaster) = &mut self.forecaster {
            forecaster.update(at, &Sample::of(rate));
            self.learnt += 1;
        }
    }

    /// A new reading, and what follows from it.
    pub(super) fn learn(&mut self, at: Timestamp, rate: f64, lesson: Lesson) {
        let Lesson { bucket, buckets, .. } = lesson;
        self.score.settle(bucket, rate);
        self.update(at, rate);
        self.rates.clear();
        let forecast = self.forecast(buckets).or_else(|| self.forecast(lesson.lead));
        let Some(forecast) = forecast.filter(forecast::QuantileForecast::is_finite) else { return };
        for row in &forecast.values {
            let Ok(mut row) = Row::try_from(row.as_slice()) else {
                return self.rates.clear();
            };
            self.lengthen(&mut row);
            self.rates.push(row);
        }
        self.remember(lesson);
    }

    /// As far as `buckets` ahead: a model knows the near future earlier than the far one.
    fn forecast(&self, buckets: usize) -> Option<forecast::QuantileForecast> {
        let horizons: Vec<usize> = (1..=buckets).collect();
        self.forecaster.as_ref()?.predict(&horizons, &LEVELS.map(|(level, _)| level))
    }

    /// A forecast from elsewhere, one row a bucket ahead; what is not sound is no forecast.
    pub(super) fn hear(&mut self, rate: f64, rows: Vec<Row>, lesson: Lesson) {
        self.score.settle(lesson.bucket, rate);
        let sound =
            |row: &Row| row.iter().all(|rate| rate.is_finite() && (0.0..=lesson.highest).contains(rate));
        self.rates = if rows.iter().all(sound) { rows } else { Vec::new() };
        self.remember(lesson);
    }

    fn remember(&mut self, lesson: Lesson) {
        if let Some(row) = self.rates.get(lesson.lead.saturating_sub(1)) {
            self.score.expect(lesson.bucket + lesson.lead as u64, *row);
        }
    }

    /// The load at one of the quantiles, `stage` buckets ahead, in the readings' unit: 0.1, the
    /// median and 0.9.
    pub(crate) fn band(&self, stage: usize) -> Option<[f64; 3]> {
        let row = self.rates.get(stage.max(1) - 1).or(self.rates.last())?;
        Some([f64::midpoint(row[0], row[1]), middle(row), row[TAIL_FROM]])
    }

    /// The reading at `level` between 0 and 1, `stage` buckets ahead.
    pub(crate) fn at(&self, stage: usize, level: f64) -> Option<f64> {
        let row = self.rates.get(stage.max(1) - 1).or(self.rates.last())?;
        Some(between(&LEVELS.map(|(own, _)| own), row, level))
    }

    /// Few errors hold no rare ones: while there are few, the upper tail is at least in part what
    /// an exponential one would be.
    fn lengthen(&self, row: &mut Row) {
        let share = TAIL_ERRORS / (TAIL_ERRORS + self.learnt as f64);
        let middle = (row[4] + row[5]) / 2.0;
        let (high, level) = (row[TAIL_FROM], LEVELS[TAIL_FROM].0);
        let slope = (high - middle).max(0.0) / (0.5 / (1.0 - level)).ln();
        for (rate, (own, _)) in row.iter_mut().zip(&LEVELS).skip(TAIL_FROM + 1) {
            let beyond = high + slope * ((1.0 - level) / (1.0 - own)).ln();
            *rate = rate.max((1.0 - share) * *rate + share * beyond);
        }
    }

    /// Whether it has an answer for as many buckets ahead.
    pub(crate) fn reaches(&self, stage: usize) -> bool {
        !self.rates.is_empty() && self.rates.len() >= stage
    }

    /// Whether it has an answer.
    pub(crate) fn is_ready(&self) -> bool {
        !self.rates.is_empty()
    }

    /// Needs from the present bucket, whose load is known, on.
    pub(crate) fn needs(&self, ahead: &Ahead) -> Needs {
        let factors = &ahead.factors;
        let mut needs = vec![need(&[(ahead.load, 1.0)], factors)];
        for row in &self.rates {
            let loads = row.iter().zip(&LEVELS).map(|(rate, (_, share))| (rate * ahead.scale, *share));
            let loads: Vec<(f64, f64)> = loads.collect();
            needs.push(need(&loads, factors));
        }
        Needs(needs)
    }
}

/// What goes with a reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    pub(super) bucket: u64,
    /// Buckets to forecast.
    pub(super) buckets: usize,
    /// Buckets until a worker that is ordered now helps, at least 1.
    pub(super) lead: usize,
    /// The highest rate that is believed.
    pub(super) highest: f64,
}

/// The value at `level`, in proportion between the two nearest known; beyond them the outermost.
pub(super) fn between(levels: &[f64], values: &[f64], level: f64) -> f64 {
    let above = levels.partition_point(|own| *own < level).min(levels.len().saturating_sub(1));
    let below = above.saturating_sub(1);
    let (Some(low), Some(high)) = (values.get(below), values.get(above)) else { return f64::NAN };
    let width = levels[above] - levels[below];
    let part = if width > 0.0 { ((level - levels[below]) / width).clamp(0.0, 1.0) } else { 1.0 };
    low + part * (high - low)
}

/// Learnt horizons: the first ones each, then sparser; those between are interpolated.
fn horizons(buckets: usize) -> Vec<usize> {
    let mut horizons = vec![1];
    let mut step = 1;
    while let Some(&last) = horizons.last()
        && last < buckets
    {
        if last >= 3 {
            step = last.div_ceil(2);
        }
        horizons.push((last + step).min(buckets));
    }
    horizons
}

fn need(loads: &[(f64, f64)], factors: &[f64]) -> Vec<f64> {
    let mut need: Vec<f64> = Vec::new();
    for (load, share) in loads {
        for factor in factors {
            let (load, share) = (load * factor, share / factors.len() as f64);
            if !load.is_finite() || load <= 0.0 {
                continue;
            }
            let whole = number::index(number::count(load).into()).min(LEVELS_MAX);
            if need.len() <= whole {
                need.resize(whole + 1, 0.0);
            }
            need[..whole].iter_mut().for_each(|part| *part += share);
            need[whole] += share * load.fract();
        }
    }
    need
}

impl Needs {
    /// The need of the worker after `level` others in the bucket `stage` ahead; beyond the last
    /// forecast that of the last.
    pub(crate) fn of(&self, stage: usize, level: usize) -> f64 {
        let stage = self.0.get(stage).or(self.0.last());
        stage.and_then(|need| need.get(level)).copied().unwrap_or(0.0)
    }

    /// The mean load in the bucket `stage` ahead, in workers at the SLO-safe utilisation.
    pub(crate) fn expected(&self, stage: usize) -> f64 {
        self.0.get(stage).or(self.0.last()).map_or(f64::NAN, |need| need.iter().sum())
    }
}
