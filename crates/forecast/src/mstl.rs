//! MSTL (Bandara, Hyndman and Bergmeir 2021): the library takes the seasons apart on the last
//! window, what is left is smoothed here, and the latest of each season is put back.

use anofox_forecast::seasonality::MSTL;
use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Budget, Entry, FitError, FitReport, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Mstl::NAME,
    about: "several seasons taken apart, the rest smoothed",
    build: Scored::<Mstl>::build,
    restore: Scored::<Mstl>::restore,
};

/// Readings taken apart, at most: the library's time grows with them.
const WINDOW_MAX: usize = 6_000;
/// Seasons that the window must hold of each.
const CYCLES_MIN: usize = 2;
/// Speeds at which the rest is smoothed; the one that errs least is believed.
const SPEEDS: [f64; 4] = [0.1, 0.3, 0.6, 0.9];
/// What a past error keeps of its weight.
const ERROR_KEEP: f64 = 0.98;

/// The seasons, and the smoothed rest.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Mstl {
    seasons: Vec<usize>,
    /// The latest cycle of each season that was found, with the slot at which it began.
    cycles: Vec<(usize, Vec<f64>)>,
    /// By speed: level and error.
    levels: Vec<(f64, f64)>,
    scale: Option<f64>,
    fitted: bool,
}

impl Mstl {
    fn seasonal(&self, slot: usize) -> f64 {
        let one = |(begin, cycle): &(usize, Vec<f64>)| {
            let length = cycle.len();
            // `slot` may lie before the cycle began.
            let phase = (slot + length - begin % length) % length;
            cycle[phase]
        };
        self.cycles.iter().map(one).sum()
    }

    fn smooth(&mut self, rest: f64) {
        for ((level, error), speed) in self.levels.iter_mut().zip(SPEEDS) {
            let miss = rest - *level;
            *error = ERROR_KEEP * *error + (1.0 - ERROR_KEEP) * miss.abs();
            *level += speed * miss;
        }
    }
}

impl Point for Mstl {
    const NAME: &'static str = "mstl";

    fn new(settings: &Settings) -> Self {
        Self {
            seasons: settings.season_steps(),
            cycles: Vec::new(),
            levels: vec![(0.0, 0.0); SPEEDS.len()],
            scale: None,
            fitted: false,
        }
    }

    fn learn(&mut self, history: &History, _budget: Budget) -> Result<FitReport, FitError> {
        let end = history.end();
        let from = end.saturating_sub(WINDOW_MAX).max(history.first());
        let length = end - from;
        let seasons: Vec<usize> =
            self.seasons.iter().copied().filter(|season| CYCLES_MIN * season <= length).collect();
        let mut last = history.range(from, end).next();
        let filled: Vec<f64> = (from..end)
            .filter_map(|slot| {
                last = history.get(slot).or(last);
                last
            })
            .collect();
        let need = CYCLES_MIN * self.seasons.first().copied().unwrap_or(1);
        if seasons.is_empty() || filled.len() < length || length < need {
            return Err(FitError::TooShort { have: filled.len(), need });
        }
        let parts = MSTL::new(seasons.clone())
            .decompose(&filled)
            .ok_or_else(|| FitError::Library("the series could not be taken apart".to_owned()))?;
        self.cycles = parts
            .seasonal_components
            .iter()
            .zip(&seasons)
            .map(|(part, &season)| (end - season, part[part.len() - season..].to_vec()))
            .collect();
        let rest: Vec<f64> =
            (from..end).zip(&filled).map(|(slot, value)| value - self.seasonal(slot)).collect();
        self.levels = vec![(rest[0], 0.0); SPEEDS.len()];
        rest.into_iter().for_each(|rest| self.smooth(rest));
        self.fitted = true;
        Ok(FitReport { iterations: 1, points: length })
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.scale = View::from(history, slot).map(|view| view.scale);
        if let Some(actual) = history.get(slot).filter(|_| self.fitted) {
            self.smooth(actual - self.seasonal(slot));
        }
    }

    fn locate(&self, _history: &History, slot: usize, horizon: usize) -> Option<Located> {
        let (level, _) = self.levels.iter().filter(|_| self.fitted).min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Located { middle: level + self.seasonal(slot + horizon), scale: self.scale? })
    }
}
