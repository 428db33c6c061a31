//! Gradient boosting of the median and the 0.9 quantile of what the regression misses, directly
//! for each horizon.

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::boosted::Boosted;
use crate::corrected::Regression;
use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::trees::Binned;
use crate::{Budget, Entry, FitError, FitReport, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: GradientBoosting::NAME,
    about: "boosted trees on calendar and lags, correcting the regression; direct quantiles",
    build: Scored::<GradientBoosting>::build,
    restore: Scored::<GradientBoosting>::restore,
};

/// Trees of one level and horizon, at most.
const ROUNDS_MAX: u32 = 60;
/// Rows that a horizon needs.
const ROWS_MIN: usize = 150;
/// The least distance between median and upper quantile, in usual moves.
const WIDTH_MIN: f64 = 0.02;

/// The trees and what they see.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct GradientBoosting {
    seed: u64,
    regression: Regression,
    /// Median and 0.9 quantile, by horizon.
    heads: Vec<[Boosted; 2]>,
    here: Vec<Option<Located>>,
}

impl Point for GradientBoosting {
    const NAME: &'static str = "gradient_boosting";

    fn new(settings: &Settings) -> Self {
        Self {
            seed: settings.seed,
            regression: Regression::new(settings),
            heads: Vec::new(),
            here: Vec::new(),
        }
    }

    fn learn(&mut self, history: &History, budget: Budget) -> Result<FitReport, FitError> {
        self.regression.catch_up(history);
        let rounds = budget.iterations.min(ROUNDS_MAX);
        let views = self.regression.views(history);
        let mut random = Pcg64::new(u128::from(self.seed), 0);
        let mut heads = Vec::new();
        let mut points = 0;
        for index in 0..self.regression.horizons().len() {
            let made = self.regression.rows(history, &views, index);
            if made.rows.len() < ROWS_MIN {
                return Err(FitError::TooShort { have: made.rows.len(), need: ROWS_MIN });
            }
            points = made.rows.len();
            let binned = Binned::new(&made.rows);
            let mut level = |level: f64| {
                Boosted::learn(&made.rows, &binned, &made.missed, &made.weights, level, rounds, &mut random)
            };
            heads.push([level(0.5), level(0.9)]);
        }
        self.heads = heads;
        self.look(history);
        Ok(FitReport { iterations: rounds, points })
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.regression.step(history, slot);
        self.look(history);
    }

    fn locate(&self, _history: &History, _slot: usize, horizon: usize) -> Option<Located> {
        let index = self.regression.horizons().iter().position(|&one| one == horizon)?;
        self.here.get(index).copied().flatten()
    }
}

impl GradientBoosting {
    fn look(&mut self, history: &History) {
        let view = history.end().checked_sub(1).and_then(|slot| View::from(history, slot));
        let one = |(index, [middle, high]): (usize, &[Boosted; 2])| {
            let view = view.as_ref()?;
            let (row, moved) = self.regression.row(history, view, index)?;
            let missed = middle.value(&row);
            let width = (high.value(&row) - missed).max(WIDTH_MIN);
            Some(Located { middle: view.anchor + moved + view.scale * missed, scale: view.scale * width })
        };
        self.here = self.heads.iter().enumerate().map(one).collect();
    }
}
