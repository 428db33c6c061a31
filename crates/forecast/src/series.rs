//! A regular grid of readings in which a gap stays a gap.

mod change;
mod gather;
mod outliers;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Sample;

pub use change::change_points;
pub use gather::{Gatherer, increments};
pub(crate) use outliers::median;
pub use outliers::outliers;

/// Slots that one series may have; a longer grid is refused, as a wrong time stamp would make one.
pub const SLOTS_MAX: usize = 4_000_000;

/// Readings at even steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    start: Timestamp,
    step: Duration,
    values: Vec<f64>,
    covariates: Vec<Covariate>,
}

/// Another reading on the same grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariate {
    /// What it is, such as `cpu_percent`.
    pub name: String,
    /// As long as the series; not a number where there was none.
    pub values: Vec<f64>,
}

/// Why there is no series.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SeriesError {
    /// No step, or one of no length.
    #[error("a step of {0:?} is no grid")]
    Step(Duration),
    /// The grid would be absurdly long.
    #[error("from {from} to {to} there are more than {SLOTS_MAX} steps of {step:?}")]
    TooLong {
        /// The first sample.
        from: Timestamp,
        /// The last sample.
        to: Timestamp,
        /// Asked for.
        step: Duration,
    },
    /// Nothing to make a grid from.
    #[error("there is not one reading")]
    Empty,
    /// A covariate of another length.
    #[error("covariate `{name}` has {have} values, the series {need}")]
    Covariate {
        /// Which.
        name: String,
        /// Its length.
        have: usize,
        /// The series' length.
        need: usize,
    },
}

impl Series {
    /// Values that already stand on a grid; what is not finite is a gap.
    ///
    /// # Errors
    /// When there is no value, or the step has no length.
    pub fn new(start: Timestamp, step: Duration, values: Vec<f64>) -> Result<Self, SeriesError> {
        if step.is_zero() {
            return Err(SeriesError::Step(step));
        }
        if values.is_empty() {
            return Err(SeriesError::Empty);
        }
        let values = values.into_iter().map(|value| if value.is_finite() { value } else { f64::NAN });
        Ok(Self { start, step, values: values.collect(), covariates: Vec::new() })
    }

    /// Samples in any order onto a grid of `step` that begins with the first of them: samples of
    /// one slot are averaged, a slot without any is a gap.
    ///
    /// # Errors
    /// When there is no finite sample, the step has no length, or the span is absurd.
    pub fn from_samples(samples: &[(Timestamp, f64)], step: Duration) -> Result<Self, SeriesError> {
        let whole = SignedDuration::try_from(step).map_err(|_| SeriesError::Step(step))?;
        if whole.is_zero() {
            return Err(SeriesError::Step(step));
        }
        let finite = || samples.iter().filter(|(_, value)| value.is_finite());
        let from = finite().map(|(at, _)| *at).min().ok_or(SeriesError::Empty)?;
        let to = finite().map(|(at, _)| *at).max().ok_or(SeriesError::Empty)?;
        let slot = |at: Timestamp| {
            usize::try_from(at.duration_since(from).as_nanos() / whole.as_nanos()).unwrap_or(usize::MAX)
        };
        let slots = slot(to).saturating_add(1);
        if slots > SLOTS_MAX {
            return Err(SeriesError::TooLong { from, to, step });
        }
        let mut sums = vec![(0.0, 0_u32); slots];
        for (at, value) in finite() {
            let (sum, count) = &mut sums[slot(*at)];
            *sum += value;
            *count += 1;
        }
        let mean = |(sum, count): (f64, u32)| if count == 0 { f64::NAN } else { sum / f64::from(count) };
        Self::new(from, step, sums.into_iter().map(mean).collect())
    }

    /// With other readings beside the target.
    ///
    /// # Errors
    /// When one is not as long as the series.
    pub fn with_covariates(mut self, covariates: Vec<Covariate>) -> Result<Self, SeriesError> {
        if let Some(odd) = covariates.iter().find(|one| one.values.len() != self.values.len()) {
            return Err(SeriesError::Covariate {
                name: odd.name.clone(),
                have: odd.values.len(),
                need: self.values.len(),
            });
        }
        self.covariates = covariates;
        Ok(self)
    }

    /// When the first slot begins.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Length of a slot.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// One value a slot; a gap is not a number.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// What else was read.
    pub fn covariates(&self) -> &[Covariate] {
        &self.covariates
    }

    /// Slots, gaps included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Never: a series has at least one slot.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// When slot `index` begins.
    pub fn at(&self, index: usize) -> Timestamp {
        let since = self.step.as_secs_f64() * index as f64;
        let exact = u32::try_from(index).ok().and_then(|index| self.step.checked_mul(index));
        let since = exact.unwrap_or_else(|| Duration::from_secs_f64(since));
        self.start.saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// The sample of slot `index`.
    pub fn sample(&self, index: usize) -> Sample {
        let target = self.values.get(index).copied().filter(|value| value.is_finite());
        let covariates = self.covariates.iter().map(|one| one.values[index]).collect();
        Sample { target, covariates }
    }

    /// Slots `from..to` as a series of their own; at least one slot.
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let to = to.clamp(1, self.len());
        let from = from.min(to - 1);
        let covariates = self
            .covariates
            .iter()
            .map(|one| Covariate { name: one.name.clone(), values: one.values[from..to].to_vec() });
        Self {
            start: self.at(from),
            step: self.step,
            values: self.values[from..to].to_vec(),
            covariates: covariates.collect(),
        }
    }

    /// Every `factor` slots become one: the mean of those that were read.
    pub fn coarser(&self, factor: usize) -> Self {
        let factor = factor.max(1);
        let mean = |values: &[f64]| {
            let known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
            if known.is_empty() { f64::NAN } else { known.iter().sum::<f64>() / known.len() as f64 }
        };
        let thin = |values: &[f64]| values.chunks(factor).map(mean).collect::<Vec<f64>>();
        let covariates =
            self.covariates.iter().map(|one| Covariate { name: one.name.clone(), values: thin(&one.values) });
        Self {
            start: self.start,
            step: self.step.saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX)),
            values: thin(&self.values),
            covariates: covariates.collect(),
        }
    }

    /// Share of slots without a reading, 0 to 1.
    pub fn missing_share(&self) -> f64 {
        let missing = self.values.iter().filter(|value| value.is_nan()).count();
        missing as f64 / self.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    #[test]
    fn samples_in_any_order_meet_on_a_grid_and_gaps_stay_gaps() {
        let samples =
            [(40, 4.0), (10, 1.0), (15, 3.0), (61, f64::NAN)].map(|(at, value)| (seconds(at), value));
        let series = Series::from_samples(&samples, Duration::from_secs(10)).unwrap();
        assert_eq!(series.start(), seconds(10));
        assert_eq!(series.len(), 4, "a reading that is no number makes no slot");
        assert_eq!(series.sample(0).target, Some(2.0), "samples of one slot are averaged");
        assert_eq!(series.sample(1).target, None);
        assert_eq!(series.sample(2).target, None);
        assert_eq!(series.sample(3).target, Some(4.0));
        assert!((series.missing_share() - 0.5).abs() < 1e-12);
        assert_eq!(series.at(3), seconds(40));
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        let far = [(seconds(0), 1.0), (seconds(90_000_000_000), 1.0)];
        assert!(matches!(
            Series::from_samples(&far, Duration::from_millis(1)),
            Err(SeriesError::TooLong { .. })
        ));
        assert_eq!(Series::from_samples(&[], Duration::from_secs(1)), Err(SeriesError::Empty));
        assert_eq!(
            Series::new(seconds(0), Duration::ZERO, vec![1.0]),
            Err(SeriesError::Step(Duration::ZERO))
        );
        let covariate = Covariate { name: "cpu".to_owned(), values: vec![1.0] };
        let short = Series::new(seconds(0), Duration::from_secs(1), vec![1.0, 2.0]).unwrap();
        assert!(matches!(short.with_covariates(vec![covariate]), Err(SeriesError::Covariate { .. })));
    }

    #[test]
    fn coarser_averages_what_is_known() {
        let series =
            Series::new(seconds(0), Duration::from_secs(1), vec![1.0, 3.0, f64::NAN, 5.0, f64::NAN]).unwrap();
        let coarse = series.coarser(2);
        assert_eq!(coarse.step(), Duration::from_secs(2));
        assert_eq!(coarse.sample(0).target, Some(2.0));
        assert_eq!(coarse.sample(1).target, Some(5.0));
        assert_eq!(coarse.sample(2).target, None);
    }
}
