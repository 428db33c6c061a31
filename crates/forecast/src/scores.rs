//! How wrong forecasts were, by horizon, in units of their own spread: what quantiles rest on.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Scores kept for each horizon.
pub(crate) const SCORES_MAX: usize = 1_440;
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pool {
    recent: VecDeque<f64>,
    ordered: Vec<f64>,
}

impl Pool {
    pub(crate) fn push(&mut self, score: f64) {
        if !score.is_finite() {
            return;
        }
        if self.recent.len() == SCORES_MAX
            && let Some(oldest) = self.recent.pop_front()
        {
            let at = self.ordered.partition_point(|one| one.total_cmp(&oldest).is_lt());
            self.ordered.remove(at.min(self.ordered.len() - 1));
        }
        self.recent.push_back(score);
        let at = self.ordered.partition_point(|one| one.total_cmp(&score).is_lt());
        self.ordered.insert(at, score);
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

/// Forecasts whose time has not come, and the scores of those whose time came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    horizons: Vec<usize>,
    pools: Vec<Pool>,
    pending: VecDeque<Pending>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    slot: usize,
    located: Vec<Option<Located>>,
}

impl Scores {
    pub(crate) fn new(horizons: &[usize]) -> Self {
        Self {
            horizons: horizons.to_vec(),
            pools: vec![Pool::default(); horizons.len()],
            pending: VecDeque::new(),
        }
    }

    /// Remembers what was forecast at `slot`, one entry a horizon.
    pub(crate) fn expect(&mut self, slot: usize, located: &[Option<Located>]) {
        let furthest = self.horizons.iter().copied().max().unwrap_or(0);
        while self.pending.front().is_some_and(|oldest| oldest.slot + furthest <= slot) {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { slot, located: located.to_vec() });
    }

    /// What was forecast for `slot`, one entry a horizon.
    pub(crate) fn forecast_for(&self, slot: usize) -> Vec<Option<Located>> {
        let made = |&horizon: &usize| slot.checked_sub(horizon);
        let entry = |slot: usize| {
            let at = self.pending.partition_point(|pending| pending.slot < slot);
            self.pending.get(at).filter(|pending| pending.slot == slot)
        };
        let one = |(index, horizon)| entry(made(horizon)?)?.located.get(index).copied().flatten();
        self.horizons.iter().enumerate().map(one).collect()
    }

    /// `actual` was read at `slot`: the forecasts for it get their scores.
    pub(crate) fn settle(&mut self, slot: usize, actual: f64) {
        let forecasts = self.forecast_for(slot);
        for (pool, forecast) in self.pools.iter_mut().zip(forecasts) {
            if let Some(located) = forecast {
                pool.push((actual - located.middle) / located.scale);
            }
        }
    }

    /// The scores of the horizon at `index`.
    pub(crate) fn pool(&self, index: usize) -> &Pool {
        &self.pools[index]
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
            let located = Some(Located { middle: slot as f64, scale: 1.0 });
            scores.expect(slot, &[located, located]);
        }
        assert_eq!(scores.pool(0).quantile(0.5), Some(1.0));
        assert_eq!(scores.pool(1).quantile(0.9), Some(3.0));
        assert_eq!(scores.pool(1).len(), 197);
        assert!(scores.pending.len() <= 3);
    }

    #[test]
    fn a_pool_forgets_the_oldest_and_stays_in_order() {
        let mut pool = Pool::default();
        assert_eq!(pool.quantile(0.5), None);
        for index in 0..SCORES_MAX + 100 {
            pool.push(((index * 37) % 1_000) as f64);
            pool.push(f64::NAN);
        }
        assert_eq!(pool.len(), SCORES_MAX);
        assert_eq!(pool.ordered.len(), SCORES_MAX);
        assert!(pool.ordered.is_sorted());
        let ninety = pool.quantile(0.9).unwrap();
        assert!((880.0..920.0).contains(&ninety), "{ninety}");
    }
}
