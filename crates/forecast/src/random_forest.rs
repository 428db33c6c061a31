//! A random forest on calendar and lag features, directly for each horizon; its leaves keep
//! medians, and the spread among the trees is its own yardstick (after Meinshausen 2006).

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::series::median;
use crate::trees::{Binned, Growth, Tree, draw, short, weighted_quantile};
use crate::{Budget, Entry, FitError, FitReport, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: RandomForest::NAME,
    about: "a forest on calendar and lags, learnt at once, directly for each horizon",
    build: Scored::<RandomForest>::build,
    restore: Scored::<RandomForest>::restore,
};

/// Trees of a horizon, at most.
const TREES_MAX: u32 = 28;
/// Slots whose rows may be learnt from: the latest.
const SLOTS_MAX: usize = 10_000;
/// Rows that are learnt from, at most, evenly among those: neighbours say nearly the same.
const ROWS_MAX: usize = 10_000;
/// Rows that a horizon needs.
const ROWS_MIN: usize = 100;
/// Slots before the first row.
const WARM_UP: usize = 16;
/// Share of the rows that each tree sees.
const ROW_SHARE: f64 = 0.35;

/// The trees of every horizon.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RandomForest {
    seed: u64,
    seasons: Vec<usize>,
    horizons: Vec<usize>,
    forests: Vec<Vec<Tree>>,
    here: Vec<Option<Located>>,
}

impl RandomForest {
    fn plant(&self, history: &History, views: &[View], index: usize, trees: u32) -> Option<Vec<Tree>> {
        let horizon = self.horizons[index];
        let (mut rows, mut moved, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for view in views {
            let Some(actual) = history.get(view.slot + horizon) else { continue };
            rows.push(view.tree(history, horizon, &self.seasons));
            moved.push(short((actual - view.anchor) / view.scale));
            weights.push(short(view.scale));
        }
        if rows.len() < ROWS_MIN {
            return None;
        }
        let binned = Binned::new(&rows);
        let growth = Growth { depth: 9, leaf_rows: 6, column_share: 0.4 };
        // Splits follow the squared error, so a single spike must not own them.
        let gradients: Vec<f32> = moved.iter().map(|one| one.clamp(-6.0, 6.0)).collect();
        let mut random = Pcg64::new(u128::from(self.seed), u128::try_from(index).unwrap_or(0));
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let forest = (0..trees).map(|_| {
            let mut members: Vec<u32> = (0..count).filter(|_| draw(&mut random) < ROW_SHARE).collect();
            let mut leaf = |rows: &[u32]| {
                let mut near: Vec<(f32, f32)> =
                    rows.iter().map(|&row| (moved[row as usize], weights[row as usize])).collect();
                weighted_quantile(&mut near, 0.5)
            };
            Tree::grow(&binned, &mut members, &gradients, growth, &mut random, &mut leaf)
        });
        Some(forest.collect())
    }

    fn look(&mut self, history: &History) {
        let view = history.end().checked_sub(1).and_then(|slot| View::from(history, slot));
        let one = |(forest, &horizon): (&Vec<Tree>, &usize)| {
            let view = view.as_ref()?;
            let row = view.tree(history, horizon, &self.seasons);
            let mut said: Vec<f64> = forest.iter().map(|tree| f64::from(tree.value(&row))).collect();
            let mean = said.iter().sum::<f64>() / said.len().max(1) as f64;
            let middle = median(&mut said)?;
            let spread = said.iter().map(|one| (one - middle).abs()).sum::<f64>() / said.len() as f64;
            let moved = 0.5 * (mean + middle);
            Some(Located { middle: view.anchor + view.scale * moved, scale: view.scale * (0.1 + spread) })
        };
        self.here = self.forests.iter().zip(&self.horizons).map(one).collect();
    }
}

impl Point for RandomForest {
    const NAME: &'static str = "random_forest";

    fn new(settings: &Settings) -> Self {
        Self {
            seed: settings.seed,
            seasons: settings.season_steps(),
            horizons: settings.horizons.clone(),
            forests: Vec::new(),
            here: Vec::new(),
        }
    }

    fn learn(&mut self, history: &History, budget: Budget) -> Result<FitReport, FitError> {
        let trees = budget.iterations.min(TREES_MAX);
        let from = (history.first() + WARM_UP).max(history.end().saturating_sub(SLOTS_MAX));
        let every = history.end().saturating_sub(from).div_ceil(ROWS_MAX).max(1);
        let views: Vec<View> = (from..history.end())
            .step_by(every)
            .filter(|&slot| history.get(slot).is_some())
            .filter_map(|slot| View::from(history, slot))
            .collect();
        let plant = |index| self.plant(history, &views, index, trees);
        let forests: Option<Vec<Vec<Tree>>> = (0..self.horizons.len()).map(plant).collect();
        self.forests = forests.ok_or(FitError::TooShort { have: views.len(), need: ROWS_MIN })?;
        self.look(history);
        Ok(FitReport { iterations: trees, points: views.len() })
    }

    fn step(&mut self, history: &History, _slot: usize) {
        self.look(history);
    }

    fn locate(&self, _history: &History, _slot: usize, horizon: usize) -> Option<Located> {
        let index = self.horizons.iter().position(|&one| one == horizon)?;
        self.here.get(index).copied().flatten()
    }
}
