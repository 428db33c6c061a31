//! What was read one season ago is what comes; which season, its own errors tell.

use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Entry, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: SeasonalNaive::NAME,
    about: "the reading of the same time one season ago",
    build: Scored::<SeasonalNaive>::build,
    restore: Scored::<SeasonalNaive>::restore,
};

/// What a past error keeps of its weight.
const KEEP: f64 = 0.998;

/// The seasons and how wrong each has been.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SeasonalNaive {
    seasons: Vec<Tried>,
    scale: Option<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Tried {
    steps: usize,
    error: f64,
    weight: f64,
}

impl SeasonalNaive {
    fn best(&self) -> Option<&Tried> {
        let known = self.seasons.iter().filter(|season| season.weight > 0.0);
        known.min_by(|a, b| (a.error / a.weight).total_cmp(&(b.error / b.weight)))
    }
}

impl Point for SeasonalNaive {
    const NAME: &'static str = "seasonal_naive";

    fn new(settings: &Settings) -> Self {
        let tried = |steps| Tried { steps, error: 0.0, weight: 0.0 };
        Self { seasons: settings.season_steps().into_iter().map(tried).collect(), scale: None }
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.scale = View::from(history, slot).map(|view| view.scale);
        let Some(actual) = history.get(slot) else { return };
        for season in &mut self.seasons {
            let before = history.season_before(slot, season.steps).and_then(|slot| history.get(slot));
            if let Some(before) = before {
                season.error = KEEP * season.error + (actual - before).abs();
                season.weight = KEEP * season.weight + 1.0;
            }
        }
    }

    fn locate(&self, history: &History, slot: usize, horizon: usize) -> Option<Located> {
        let steps = self.best()?.steps;
        let back = steps * horizon.div_ceil(steps);
        let middle = history.season_before(slot + horizon, back).and_then(|slot| history.get(slot))?;
        Some(Located { middle, scale: self.scale? })
    }
}
