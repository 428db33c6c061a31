//! How far off one horizon's forecasts are: several yardsticks for the errors, each with a long
//! and a short memory, mixed by how well their 0.9 quantile did of late.
//!
//! Errors have no one size: they grow with the level, cluster in time, and follow the day. Every
//! yardstick turns errors into scores that should look alike; the scores' quantiles times the
//! yardstick are a forecast's quantiles (split conformal on normalised scores, Lei et al. 2018).

use serde::{Deserialize, Serialize};

use crate::mixture::weights;
use crate::scores::{Located, Pool};

/// Yardsticks: the model's own, the usual error, recent errors, those of this time of day and of the hour,
/// the height of the forecast, and the geometric mean of the first few.
const YARDSTICKS: usize = 7;
/// Each with a long and a short memory.
const CANDIDATES: usize = 2 * YARDSTICKS;
/// Scores of the long and the short memory.
const MEMORY: [usize; 2] = [1_000, 160];
/// The level by which candidates are judged: the upper side is what capacity is bought for.
const JUDGED_AT: f64 = 0.9;
/// What an error keeps of its weight among usual errors.
const USUAL_KEEP: f64 = 0.999;
/// What an error keeps of its weight in a yardstick of recent errors.
const RECENT_KEEP: f64 = 0.94;
/// What an error keeps of its weight in its bin of the day or hour.
const BIN_KEEP: f64 = 0.97;
/// What a past loss keeps of its weight.
const LOSS_KEEP: f64 = 0.995;
/// How sharply the better candidates are preferred.
const SHARPNESS: f64 = 40.0;
/// Errors before there are scores, and judgements before any candidate is preferred.
const JUDGED_MIN: f64 = 10.0;
/// Bins of a day.
const DAY_BINS: usize = 48;
/// Bins of an hour.
const HOUR_BINS: usize = 12;

/// One horizon's errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pools: Vec<Pool>,
    losses: Vec<f64>,
    judged: f64,
    usual: Mean,
    recent: f64,
    day: Vec<Mean>,
    hour: Vec<Mean>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    value: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: f64, keep: f64) {
        self.weight = keep * self.weight + 1.0;
        self.value += (value - self.value) / self.weight;
    }
}

/// A forecast as it waits for its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guess {
    /// The median.
    pub(crate) middle: f64,
    yards: [f64; YARDSTICKS],
    judged: Vec<f64>,
    second: f64,
}

fn bin(bins: usize, part: f64) -> usize {
    crate::whole((part * bins as f64).floor()).min(bins - 1)
}

impl Spread {
    pub(crate) fn new() -> Self {
        let pools = (0..CANDIDATES).map(|index| Pool::new(MEMORY[index % 2]));
        Self {
            pools: pools.collect(),
            losses: vec![0.0; CANDIDATES],
            judged: 0.0,
            usual: Mean::default(),
            recent: 0.0,
            day: vec![Mean::default(); DAY_BINS],
            hour: vec![Mean::default(); HOUR_BINS],
        }
    }

    /// A forecast for a time `second` seconds after local midnight, with its yardsticks.
    pub(crate) fn guess(&self, located: Located, second: f64) -> Guess {
        let usual = self.usual.value.max(1e-9 * located.middle.abs()).max(1e-12);
        // A bin that has seen little says little: the usual error stands in for the rest.
        let binned = |mean: &Mean| {
            let trust = mean.weight / (mean.weight + 6.0);
            (trust * mean.value + (1.0 - trust) * usual).max(0.05 * usual)
        };
        let recent = self.recent.max(0.05 * usual);
        let day = binned(&self.day[bin(DAY_BINS, second / 86_400.0)]);
        let hour = binned(&self.hour[bin(HOUR_BINS, (second / 3_600.0).fract())]);
        let level = located.middle.abs().max(located.scale);
        let mixed = (located.scale * recent * day).cbrt();
        let yards = [located.scale, usual, recent, day, hour, level, mixed];
        let judged = (0..CANDIDATES)
            .map(|index| {
                let score = self.pools[index].quantile(JUDGED_AT);
                score.map_or(f64::NAN, |score| located.middle + score * yards[index / 2])
            })
            .collect();
        Guess { middle: located.middle, yards, judged, second }
    }

    /// What came of a guess.
    pub(crate) fn settle(&mut self, guess: &Guess, actual: f64) {
        let error = actual - guess.middle;
        if guess.judged.iter().all(|value| value.is_finite()) {
            self.judged = LOSS_KEEP * self.judged + 1.0;
            for (loss, &quantile) in self.losses.iter_mut().zip(&guess.judged) {
                let miss = actual - quantile;
                let own = if miss >= 0.0 { JUDGED_AT * miss } else { (JUDGED_AT - 1.0) * miss };
                *loss += (own - *loss) / self.judged;
            }
        }
        // The first errors only set the yardsticks: measured by nothing they would be endless.
        if self.usual.weight >= JUDGED_MIN {
            for (index, pool) in self.pools.iter_mut().enumerate() {
                pool.push(error / guess.yards[index / 2]);
            }
        }
        self.usual.add(error.abs(), USUAL_KEEP);
        self.recent = RECENT_KEEP * self.recent + (1.0 - RECENT_KEEP) * error.abs();
        self.day[bin(DAY_BINS, guess.second / 86_400.0)].add(error.abs(), BIN_KEEP);
        self.hour[bin(HOUR_BINS, (guess.second / 3_600.0).fract())].add(error.abs(), BIN_KEEP);
    }

    /// The distance of a level's quantile from the middle; `None` while errors are too few.
    pub(crate) fn distance(&self, guess: &Guess, level: f64) -> Option<f64> {
        let sharpness = if self.judged < JUDGED_MIN { 0.0 } else { SHARPNESS };
        let weights = weights(&self.losses, sharpness);
        let mut sum = 0.0;
        for (index, (pool, weight)) in self.pools.iter().zip(&weights).enumerate() {
            sum += weight * guess.yards[index / 2] * pool.quantile(level)?;
        }
        Some(sum)
    }
}
