//! Level, damped trend and season, each smoothed exponentially (Holt 1957, Winters 1960, damping
//! after Gardner and McKenzie 1985); the speeds are those of a small grid that erred least of late.

use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Entry, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: HoltWinters::NAME,
    about: "level, damped trend and daily season, smoothed exponentially",
    build: Scored::<HoltWinters>::build,
    restore: Scored::<HoltWinters>::restore,
};

/// How fast the level follows.
const LEVELS: [f64; 4] = [0.08, 0.2, 0.45, 0.8];
/// How fast the trend follows, in shares of the level's speed.
const TRENDS: [f64; 2] = [0.0, 0.15];
/// What a trend keeps of itself each step ahead.
const DAMPING: f64 = 0.9;
/// How fast the season follows.
const SEASON_SPEED: f64 = 0.25;
/// What a past error keeps of its weight.
const ERROR_KEEP: f64 = 0.99;
/// Readings before it answers.
const READINGS_MIN: u32 = 10;

/// The smoothed parts of one pair of speeds.
#[derive(Clone, Serialize, Deserialize)]
struct Smoothed {
    speed: f64,
    trend_speed: f64,
    level: f64,
    trend: f64,
    error: f64,
}

/// All pairs of speeds, and the season that they share.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HoltWinters {
    /// Steps of a day (or the longest season below), 0 for none.
    season: usize,
    /// By phase: how far above the slow mean; not a number while unknown.
    offsets: Vec<f64>,
    mean: f64,
    seen: u32,
    seasoned: bool,
    tried: Vec<Smoothed>,
    scale: Option<f64>,
}

impl HoltWinters {
    fn offset(&self, slot: usize) -> f64 {
        if !self.seasoned {
            return 0.0;
        }
        let phase = slot.checked_rem(self.season).unwrap_or(0);
        self.offsets.get(phase).copied().filter(|offset| offset.is_finite()).unwrap_or(0.0)
    }

    fn season(&mut self, slot: usize, actual: f64) {
        if self.season == 0 {
            return;
        }
        let slow = 2.0 / (self.season as f64 + 1.0);
        self.mean += slow.max(1.0 / f64::from(self.seen)) * (actual - self.mean);
        let (phase, above) = (slot % self.season, actual - self.mean);
        let offset = &mut self.offsets[phase];
        *offset = if offset.is_finite() { *offset + SEASON_SPEED * (above - *offset) } else { above };
        // One season must be whole before it is believed: then levels restart without it.
        if !self.seasoned && self.seen as usize > self.season + self.season / 2 {
            self.seasoned = true;
            let level = actual - self.offset(slot);
            for one in &mut self.tried {
                (one.level, one.trend) = (level, 0.0);
            }
        }
    }
}

impl Point for HoltWinters {
    const NAME: &'static str = "holt_winters";

    fn new(settings: &Settings) -> Self {
        let seasons = settings.season_steps();
        // The day if there is one: an hour says little, a week takes long to be learnt.
        let season = match seasons[..] {
            [_, day, ..] => day,
            [only] => only,
            [] => 0,
        };
        let pairs = LEVELS.iter().flat_map(|&speed| TRENDS.map(|share| (speed, share * speed)));
        let smoothed =
            |(speed, trend_speed)| Smoothed { speed, trend_speed, level: 0.0, trend: 0.0, error: 0.0 };
        Self {
            season,
            offsets: vec![f64::NAN; season],
            mean: 0.0,
            seen: 0,
            seasoned: false,
            tried: pairs.map(smoothed).collect(),
            scale: None,
        }
    }

    fn stepped(&self) -> usize {
        8 * self.season.max(512)
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.scale = View::from(history, slot).map(|view| view.scale);
        let Some(actual) = history.get(slot) else { return };
        self.seen = self.seen.saturating_add(1);
        let offset = self.offset(slot);
        for one in &mut self.tried {
            if self.seen == 1 {
                one.level = actual;
                continue;
            }
            let expected = one.level + DAMPING * one.trend;
            let error = actual - offset - expected;
            one.error = ERROR_KEEP * one.error + (1.0 - ERROR_KEEP) * error.abs();
            one.level = expected + one.speed * error;
            one.trend = DAMPING * one.trend + one.trend_speed * error;
        }
        self.season(slot, actual);
    }

    fn locate(&self, _history: &History, slot: usize, horizon: usize) -> Option<Located> {
        if self.seen < READINGS_MIN {
            return None;
        }
        let best = self.tried.iter().min_by(|a, b| a.error.total_cmp(&b.error))?;
        let damped = DAMPING * (1.0 - DAMPING.powi(i32::try_from(horizon).ok()?)) / (1.0 - DAMPING);
        let middle = best.level + damped * best.trend + self.offset(slot + horizon);
        Some(Located { middle, scale: self.scale? })
    }
}
