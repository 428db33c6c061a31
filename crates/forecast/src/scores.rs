//! How wrong forecasts were, by horizon, in units of their own spread: what quantiles rest on.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::spread::{Guess, Spread};

/// Scores below which a horizon has no quantiles.
pub(crate) const SCORES_MIN: usize = 20;

/// Where the next value is expected and how far off it usually is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Located {
    /// The median.
    pub(crate) middle: f64,
    /// The size of usual errors, above 0.
    pub(crate) scale: f64,
}

impl Located {
    /// Whether it can be used.
    pub(crate) fn is_sound(&self) -> bool {
        self.middle.is_finite() && self.scale.is_finite() && self.scale > 0.0
    }
}

/// The latest scores of one horizon, also in order of size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pool {
    kept: usize,
    recent: VecDeque<f64>,
    ordered: Vec<f64>,
}

impl Pool {
    /// Keeps the latest `kept` scores.
    pub(crate) fn new(kept: usize) -> Self {
        Self { kept, recent: VecDeque::new(), ordered: Vec::new() }
    }

    pub(crate) fn push(&mut self, score: f64) {
        if !score.is_finite() {
            return;
        }
        let to = self.ordered.partition_point(|&one| one < score);
        let oldest = if self.recent.len() == self.kept { self.recent.pop_front() } else { None };
        match oldest {
            // Only what lies between the place that is left and the one that is taken moves.
            Some(oldest) => {
                let from = self.ordered.partition_point(|&one| one < oldest).min(self.ordered.len() - 1);
                if from < to {
                    self.ordered.copy_within(from + 1..to, from);
                    self.ordered[to - 1] = score;
                } else {
                    self.ordered.copy_within(to..from, to + 1);
                    self.ordered[to] = score;
                }
            }
            None => self.ordered.insert(to, score),
        }
        self.recent.push_back(score);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.recent.len()
    }

    /// The level's quantile by the conformal rule (rank ⌈(n + 1)·level⌉), interpolated between
    /// ranks; beyond the largest score, the largest.
    pub(crate) fn quantile(&self, level: f64) -> Option<f64> {
        if self.ordered.len() < SCORES_MIN {
            return None;
        }
        let last = self.ordered.len() - 1;
        let rank = (level * (last + 2) as f64 - 1.0).clamp(0.0, last as f64);
        let below = crate::whole(rank.floor()).min(last);
        let part = rank - below as f64;
        let (low, high) = (self.ordered[below], self.ordered[(below + 1).min(last)]);
        Some(low + part * (high - low))
    }
}

/// Forecasts whose time has not come, and the errors of those whose time came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    horizons: Vec<usize>,
    spreads: Vec<Spread>,
    pending: VecDeque<Pending>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    slot: usize,
    guesses: Vec<Option<Guess>>,
}

impl Scores {
    pub(crate) fn new(horizons: &[usize]) -> Self {
        Self {
            horizons: horizons.to_vec(),
            spreads: vec![Spread::new(); horizons.len()],
            pending: VecDeque::new(),
        }
    }

    /// Remembers what is forecast at `slot`, one entry a horizon, with the second of the day that
    /// each is for.
    pub(crate) fn expect(&mut self, slot: usize, located: &[Option<(Located, f64)>]) {
        let furthest = self.horizons.iter().copied().max().unwrap_or(0);
        while self.pending.front().is_some_and(|oldest| oldest.slot + furthest <= slot) {
            self.pending.pop_front();
        }
        self.pending.retain(|pending| pending.slot < slot);
        let guess = |(spread, located): (&Spread, &Option<(Located, f64)>)| {
            located.map(|(located, second)| spread.guess(located, second))
        };
        let guesses = self.spreads.iter().zip(located).map(guess).collect();
        self.pending.push_back(Pending { slot, guesses });
    }

    /// `actual` was read at `slot`: the forecasts for it get their scores.
    pub(crate) fn settle(&mut self, slot: usize, actual: f64) {
        for (index, spread) in self.spreads.iter_mut().enumerate() {
            let Some(made) = slot.checked_sub(self.horizons[index]) else { continue };
            let at = self.pending.partition_point(|pending| pending.slot < made);
            let pending = self.pending.get(at).filter(|pending| pending.slot == made);
            if let Some(guess) = pending.and_then(|pending| pending.guesses[index].as_ref()) {
                spread.settle(guess, actual);
            }
        }
    }

    /// The latest forecast's median and the distances of `levels` from it, for the horizon at
    /// `index`.
    pub(crate) fn latest(&self, index: usize, levels: &[f64]) -> Option<(f64, Vec<f64>)> {
        let guess = self.pending.back()?.guesses[index].as_ref()?;
        let distance = |&level: &f64| self.spreads[index].distance(guess, level);
        Some((guess.middle, levels.iter().map(distance).collect::<Option<_>>()?))
    }

    /// Whether every horizon has a forecast.
    pub(crate) fn is_ready(&self) -> bool {
        (0..self.horizons.len()).all(|index| self.latest(index, &[0.5]).is_some())
    }

    /// Forecasts that wait are dropped: what comes next does not follow from what was.
    pub(crate) fn interrupt(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_right_horizon() {
        let mut scores = Scores::new(&[1, 3]);
        for slot in 0..200_usize {
            scores.settle(slot, slot as f64);
            // The forecast is always the last value, so horizon h is always h too low.
            let located = Some((Located { middle: slot as f64, scale: 1.0 }, 0.0));
            scores.expect(slot, &[located, located]);
        }
        for (index, off) in [(0, 1.0), (1, 3.0)] {
            let (middle, distances) = scores.latest(index, &[0.5, 0.9]).unwrap();
            assert!((middle - 199.0).abs() < 1e-9);
            assert!(distances.iter().all(|distance| (distance - off).abs() < 0.1), "{distances:?}");
        }
        assert!(scores.pending.len() <= 3);
    }

    #[test]
    fn a_pool_forgets_the_oldest_and_stays_in_order() {
        let mut pool = Pool::new(1_000);
        assert_eq!(pool.quantile(0.5), None);
        for index in 0..1_100 {
            pool.push(((index * 37) % 1_000) as f64);
            pool.push(f64::NAN);
        }
        assert_eq!(pool.len(), 1_000);
        assert_eq!(pool.ordered.len(), 1_000);
        assert!(pool.ordered.is_sorted());
        let ninety = pool.quantile(0.9).unwrap();
        assert!((880.0..920.0).contains(&ninety), "{ninety}");
    }
}
