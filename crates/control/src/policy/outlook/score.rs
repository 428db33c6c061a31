//! How good a model's forecasts turned out: pinball loss and coverage, for the lead that matters.

use std::collections::VecDeque;

use forecast::compare::{Comparison, diebold_mariano};

use super::seer::{LEVELS, Row};

/// What a past loss keeps of its weight: half is gone after 70 forecasts.
const KEEP: f64 = 0.99;
/// Forecasts whose coverage is counted, and whose losses are compared with another's.
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
    /// The last losses, each with the bucket that was forecast.
    losses: VecDeque<(u64, f64)>,
}

impl Score {
    /// The reading of `bucket` is there.
    pub(super) fn settle(&mut self, bucket: u64, reading: f64) {
        while let Some((due, row)) = self.waiting.pop_front_if(|(due, _)| *due <= bucket) {
            let loss: f64 = JUDGED.iter().map(|place| pinball(LEVELS[*place].0, row[*place], reading)).sum();
            self.weight = KEEP * self.weight + 1.0;
            self.loss += (loss - self.loss) / self.weight;
            self.error += ((reading - middle(&row)).abs() - self.error) / self.weight;
            self.judged += 1;
            self.covered.push_back(reading <= row[COVERED]);
            self.losses.push_back((due, loss));
            if self.covered.len() > COUNTED {
                self.covered.pop_front();
                self.losses.pop_front();
            }
        }
    }

    /// A forecast for `bucket`. Those for later ones go: the lead is shorter than it was thought to
    /// be, and they say nothing of how good forecasts for this one are.
    pub(super) fn expect(&mut self, bucket: u64, row: Row) {
        while self.waiting.back().is_some_and(|(last, _)| *last >= bucket) {
            self.waiting.pop_back();
        }
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((bucket, row));
        }
    }

    /// Whether its forecasts of late were better than those of `other` for the same buckets, made
    /// `lead` buckets ahead, or only luckier (Diebold and Mariano 1995).
    pub(crate) fn against(&self, other: &Self, lead: usize) -> Comparison {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        let mut rest = other.losses.iter().peekable();
        for (bucket, loss) in &self.losses {
            while rest.next_if(|(due, _)| due < bucket).is_some() {}
            if let Some((_, theirs)) = rest.next_if(|(due, _)| due == bucket) {
                own.push(*loss);
                others.push(*theirs);
            }
        }
        diebold_mariano(&own, &others, lead)
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
