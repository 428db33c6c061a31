//! How good a model's forecasts turned out: pinball loss and coverage, for the lead that matters.

use std::collections::VecDeque;

use super::seer::{LEVELS, Row};

/// What a past loss keeps of its weight: half is gone after 70 forecasts.
const KEEP: f64 = 0.99;
/// Forecasts whose coverage is counted.
const COUNTED: usize = 200;
/// Places in `LEVELS` that are judged: around the median, and the upper side that is bought for.
const JUDGED: [usize; 4] = [4, 5, COVERED, 13];
/// The place in `LEVELS` nearest to 0.9.
const COVERED: usize = 10;
/// Forecasts that wait for their outcome at most; a lead is no more buckets than windows.
const WAITING_MAX: usize = 128;

/// Forecasts that wait, and what became of the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    /// For which bucket, and what was said.
    waiting: VecDeque<(u64, Row)>,
    loss: f64,
    error: f64,
    weight: f64,
    judged: u64,
    covered: VecDeque<bool>,
}

impl Score {
    /// The reading of `bucket` is there.
    pub(super) fn settle(&mut self, bucket: u64, reading: f64) {
        while let Some((_, row)) = self.waiting.pop_front_if(|(due, _)| *due <= bucket) {
            let loss: f64 = JUDGED.iter().map(|place| pinball(LEVELS[*place].0, row[*place], reading)).sum();
            self.weight = KEEP * self.weight + 1.0;
            self.loss += (loss - self.loss) / self.weight;
            self.error += ((reading - middle(&row)).abs() - self.error) / self.weight;
            self.judged += 1;
            self.covered.push_back(reading <= row[COVERED]);
            if self.covered.len() > COUNTED {
                self.covered.pop_front();
            }
        }
    }

    /// A forecast for `bucket`.
    pub(super) fn expect(&mut self, bucket: u64, row: Row) {
        if self.waiting.back().is_none_or(|(last, _)| *last < bucket) && self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((bucket, row));
        }
    }

    /// Mean loss of late and how many forecasts it rests on.
    pub(crate) fn loss(&self) -> Option<(f64, u64)> {
        (self.judged > 0).then_some((self.loss, self.judged))
    }

    /// Mean distance of the median from the outcome, in the readings' unit.
    pub(crate) fn error(&self) -> f64 {
        self.error
    }

    /// Share of the last outcomes that were at or below their 0.9 quantile, and their number.
    pub(crate) fn coverage(&self) -> Option<(f64, usize)> {
        let count = self.covered.len();
        let below = self.covered.iter().filter(|covered| **covered).count();
        (count > 0).then(|| (below as f64 / count as f64, count))
    }
}

/// The median of a row.
pub(super) fn middle(row: &Row) -> f64 {
    f64::midpoint(row[4], row[5])
}

fn pinball(level: f64, quantile: f64, actual: f64) -> f64 {
    let miss = actual - quantile;
    if miss >= 0.0 { level * miss } else { (level - 1.0) * miss }
}
