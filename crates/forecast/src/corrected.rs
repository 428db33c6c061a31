//! Learners that correct the regression: what trees are shown is where the regression goes and
//! what can be seen, what they learn is what it misses.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::autoregressive::Autoregressive;
use crate::features::View;
use crate::history::History;
use crate::scored::Point;
use crate::trees::short;

/// Slots whose rows may be learnt from: the latest.
const SLOTS_MAX: usize = 10_000;
/// Rows that are learnt from, at most, evenly among those: neighbours say nearly the same.
pub(crate) const ROWS_MAX: usize = 10_000;
/// Slots before the first row, in which the regression finds its feet.
pub(crate) const WARM_UP: usize = 48;

/// The regression, and what it said of late.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Regression {
    seasons: Vec<usize>,
    horizons: Vec<usize>,
    inner: Autoregressive,
    /// By slot: the move of each horizon.
    said: VecDeque<(usize, Vec<f32>)>,
    stepped: usize,
}

/// Rows of one horizon.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Vec<f32>>,
    /// What the regression missed, in usual moves.
    pub(crate) missed: Vec<f32>,
    /// Usual moves: an error in the unit of the series counts alike everywhere.
    pub(crate) weights: Vec<f32>,
}

impl Regression {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            seasons: settings.season_steps(),
            horizons: settings.horizons.clone(),
            inner: Autoregressive::new(settings),
            said: VecDeque::new(),
            stepped: 0,
        }
    }

    pub(crate) fn step(&mut self, history: &History, slot: usize) {
        self.inner.step(history, slot);
        self.stepped = slot + 1;
        let Some(anchor) = history.latest(slot) else { return };
        let one = |&horizon: &usize| {
            let located = self.inner.locate(history, slot, horizon)?;
            Some(short(located.middle - anchor))
        };
        if let Some(said) = self.horizons.iter().map(one).collect::<Option<Vec<f32>>>() {
            self.said.push_back((slot, said));
            if self.said.len() > SLOTS_MAX {
                self.said.pop_front();
            }
        }
    }

    /// Steps through what `history` knows and it has not seen.
    pub(crate) fn catch_up(&mut self, history: &History) {
        let from = history.end().saturating_sub(SLOTS_MAX + WARM_UP);
        for slot in self.stepped.max(from).max(history.first())..history.end() {
            self.step(history, slot);
        }
    }

    /// What trees see from the newest slot; with the move that the regression makes.
    pub(crate) fn row(&self, history: &History, view: &View, index: usize) -> Option<(Vec<f32>, f64)> {
        let at = self.said.partition_point(|(slot, _)| *slot < view.slot);
        let (_, said) = self.said.get(at).filter(|(slot, _)| *slot == view.slot)?;
        let moved = f64::from(said[index]);
        let mut row = view.tree(history, self.horizons[index], &self.seasons);
        row.push(short(moved / view.scale));
        Some((row, moved))
    }

    /// All rows of the horizon at `index` whose outcome is known.
    pub(crate) fn rows(&self, history: &History, views: &[View], index: usize) -> Rows {
        let mut made = Rows { rows: Vec::new(), missed: Vec::new(), weights: Vec::new() };
        for view in views {
            let Some(actual) = history.get(view.slot + self.horizons[index]) else { continue };
            let Some((row, moved)) = self.row(history, view, index) else { continue };
            made.rows.push(row);
            made.missed.push(short((actual - view.anchor - moved) / view.scale));
            made.weights.push(short(view.scale));
        }
        let mean = made.weights.iter().sum::<f32>() / made.weights.len().max(1) as f32;
        made.weights.iter_mut().for_each(|weight| *weight /= mean.max(f32::MIN_POSITIVE));
        made
    }

    /// The views of slots that were stepped through: each, or of many every second or third.
    pub(crate) fn views(&self, history: &History) -> Vec<View> {
        let every = self.said.len().div_ceil(ROWS_MAX).max(1);
        self.said
            .iter()
            .rev()
            .step_by(every)
            .rev()
            .filter_map(|(slot, _)| View::from(history, *slot))
            .collect()
    }

    pub(crate) fn horizons(&self) -> &[usize] {
        &self.horizons
    }
}
