//! What a network is shown: the last steps of the series and its covariates, the time of day and
//! week, and the same stretch of seasons before, all relative to the last reading.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use forecast::{Sample, Series, Settings};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Steps that a network reads.
pub(crate) const WINDOW: usize = 24;
/// Steps that are kept: a week of minutes and a day more; older ones teach little.
const KEPT_MAX: usize = 11_520;
/// Steps that say how large usual moves are.
const LOCAL: usize = 96;
/// Inputs are cut here: a network learns nothing from a wilder one.
const INPUT_MAX: f64 = 20.0;
/// Inputs of one step beside those of seasons and covariates: value, read or not, day and week.
const OWN: usize = 6;

/// The end of a series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Past {
    /// Of the first step that is kept.
    start: Option<Timestamp>,
    /// The target, then the covariates; not a number where there was no reading.
    columns: Vec<VecDeque<f64>>,
    seen: u64,
}

/// The last reading and the size of usual moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) anchor: f64,
    pub(crate) size: f64,
}

impl Past {
    /// All of a series, as far as it is kept.
    pub(crate) fn of(series: &Series) -> Self {
        let from = series.len().saturating_sub(KEPT_MAX);
        let all = std::iter::once(series.values())
            .chain(series.covariates().iter().map(|covariate| covariate.values.as_slice()));
        Self {
            start: (!series.is_empty()).then(|| series.at(from)),
            columns: all.map(|values| values[from..].iter().copied().collect()).collect(),
            seen: series.len() as u64,
        }
    }

    /// Steps kept.
    pub(crate) fn len(&self) -> usize {
        self.columns.first().map_or(0, VecDeque::len)
    }

    /// Steps ever seen.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Inputs of one step.
    pub(crate) fn features(&self, seasons: usize) -> usize {
        OWN + seasons + self.columns.len().saturating_sub(1)
    }

    /// The time of a step.
    pub(crate) fn at(&self, index: usize, settings: &Settings) -> Option<Timestamp> {
        let step = SignedDuration::try_from(settings.step).ok()?;
        let after = step.checked_mul(i32::try_from(index).ok()?)?;
        self.start?.checked_add(after).ok()
    }

    /// The next sample; steps left out become gaps, an old one changes nothing.
    pub(crate) fn push(&mut self, at: Timestamp, sample: &Sample, settings: &Settings) {
        let start = *self.start.get_or_insert(at);
        if self.columns.is_empty() {
            self.columns = vec![VecDeque::new(); 1 + sample.covariates.len()];
        }
        let step = SignedDuration::try_from(settings.step).map_or(1, |step| step.as_nanos().max(1));
        let slot = (at.duration_since(start).as_nanos() + step / 2).div_euclid(step);
        let Some(gap) = usize::try_from(slot).ok().and_then(|slot| slot.checked_sub(self.len())) else {
            return;
        };
        if gap >= KEPT_MAX {
            *self =
                Self { columns: vec![VecDeque::new(); self.columns.len()], seen: self.seen, start: Some(at) };
        } else {
            for column in &mut self.columns {
                column.extend(std::iter::repeat_n(f64::NAN, gap));
            }
        }
        let others = sample.covariates.iter().copied().chain(std::iter::repeat(f64::NAN));
        for (column, value) in
            self.columns.iter_mut().zip(std::iter::once(sample.target.unwrap_or(f64::NAN)).chain(others))
        {
            column.push_back(value);
        }
        self.seen += 1;
        let excess = self.len().saturating_sub(KEPT_MAX);
        if excess > 0 {
            self.start = self.at(excess, settings);
            for column in &mut self.columns {
                column.drain(..excess);
            }
        }
    }

    fn read(&self, column: usize, index: usize) -> Option<f64> {
        self.columns.get(column)?.get(index).copied().filter(|value| value.is_finite())
    }

    /// The reading at a step, if there was one.
    pub(crate) fn target(&self, index: usize) -> Option<f64> {
        self.read(0, index)
    }

    fn scale_of(&self, column: usize, last: usize) -> Option<Scale> {
        let recent = (0..WINDOW).filter_map(|back| last.checked_sub(back));
        let anchor = recent.into_iter().find_map(|index| self.read(column, index))?;
        let from = last.saturating_sub(LOCAL);
        let moves: Vec<f64> = (from..last)
            .filter_map(|index| Some((self.read(column, index + 1)? - self.read(column, index)?).abs()))
            .collect();
        let usual = moves.iter().sum::<f64>() / moves.len().max(1) as f64;
        Some(Scale { anchor, size: usual.max(0.02 * anchor.abs()).max(1e-9) })
    }

    /// How readings are scaled for a network that knows all up to the step `last`.
    pub(crate) fn scale(&self, last: usize) -> Option<Scale> {
        self.scale_of(0, last)
    }

    /// What a network sees at the step `last`: [`WINDOW`] steps of features, oldest first.
    pub(crate) fn window(&self, last: usize, seasons: &[usize], settings: &Settings) -> Option<Vec<f32>> {
        let first = (last + 1).checked_sub(WINDOW)?;
        let scales: Vec<Option<Scale>> =
            (0..self.columns.len()).map(|column| self.scale_of(column, last)).collect();
        let own = (*scales.first()?)?;
        let furthest = settings.horizons.iter().copied().max().unwrap_or(1);
        let mut inputs = Vec::with_capacity(WINDOW * self.features(seasons.len()));
        for index in first..=last {
            let scaled = |scale: Scale, value: Option<f64>| {
                value.map_or(0.0, |value| ((value - scale.anchor) / scale.size).clamp(-INPUT_MAX, INPUT_MAX))
            };
            let value = self.target(index);
            inputs.extend([scaled(own, value), if value.is_some() { 1.0 } else { 0.0 }]);
            inputs.extend(calendar(self.at(index + furthest, settings)?, settings));
            inputs.extend(seasons.iter().map(|&season| {
                // The step as far ahead as the furthest horizon, one season before.
                let before = (index + furthest).checked_sub(season).filter(|&before| before <= last);
                scaled(own, before.and_then(|before| self.target(before)))
            }));
            inputs.extend(
                (1..self.columns.len()).map(|column| {
                    scales[column].map_or(0.0, |scale| scaled(scale, self.read(column, index)))
                }),
            );
        }
        Some(inputs.into_iter().map(single).collect())
    }
}

/// The hand of a clock for the day, and one for the week.
fn calendar(at: Timestamp, settings: &Settings) -> [f64; 4] {
    let zoned = at.to_zoned(settings.time_zone.clone());
    let day = (f64::from(zoned.hour()) + f64::from(zoned.minute()) / 60.0) / 24.0;
    let week = (f64::from(zoned.weekday().to_monday_zero_offset()) + day) / 7.0;
    [(TAU * day).sin(), (TAU * day).cos(), (TAU * week).sin(), (TAU * week).cos()]
}

/// Networks are learnt in single precision.
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest single is what is meant")]
pub(crate) fn single(value: f64) -> f32 {
    value as f32
}
