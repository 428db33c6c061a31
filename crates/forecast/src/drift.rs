//! The last reading, carried on along the recent trend (Theil–Sen slope, damped).

use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::series::median;
use crate::{Entry, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Drift::NAME,
    about: "the last reading carried on along the recent slope, damped",
    build: Scored::<Drift>::build,
    restore: Scored::<Drift>::restore,
};

/// Steps that the slope is taken from.
const WINDOW: usize = 24;
/// Readings that a slope needs.
const KNOWN_MIN: usize = 8;
/// What the slope keeps of itself with every step ahead: trends of load end.
const DAMPING: f64 = 0.85;

/// The slope at the newest slot.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Drift {
    here: Option<(Located, f64)>,
}

/// The median of the slopes between readings half a window apart: outliers do not tilt it.
fn slope(history: &History, slot: usize) -> Option<f64> {
    let half = WINDOW / 2;
    let from = (slot + 1).saturating_sub(WINDOW);
    let pair = |first: usize| Some((history.get(first + half)? - history.get(first)?) / half as f64);
    let mut slopes: Vec<f64> = (from..from + half).filter_map(pair).collect();
    if slopes.len() < KNOWN_MIN / 2 { None } else { median(&mut slopes) }
}

impl Point for Drift {
    const NAME: &'static str = "drift";

    fn new(_settings: &Settings) -> Self {
        Self { here: None }
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.here = View::from(history, slot)
            .zip(slope(history, slot))
            .map(|(view, slope)| (Located { middle: view.anchor, scale: view.scale }, slope));
    }

    fn locate(&self, _history: &History, _slot: usize, horizon: usize) -> Option<Located> {
        let (here, slope) = self.here?;
        let steps: f64 = (0..horizon)
            .scan(1.0, |keep, _| {
                *keep *= DAMPING;
                Some(*keep)
            })
            .sum();
        Some(Located { middle: here.middle + slope * steps, scale: here.scale })
    }
}
