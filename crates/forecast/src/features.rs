//! What can be seen from one slot: lags, levels, slopes and the same time in seasons before, all
//! relative to the last reading, so that a model learns shapes and not heights.

use crate::history::History;
use crate::series::median;
use crate::trees::short;

/// Steps back whose readings are features.
const LAGS: [usize; 8] = [1, 2, 3, 4, 5, 7, 10, 15];
/// Lengths of moving averages, in steps.
const MEANS: [usize; 5] = [4, 8, 16, 32, 64];
/// Seasons that a profile averages.
const PROFILE_SEASONS: usize = 5;
/// What a season counts beside the one after it.
const PROFILE_KEEP: f64 = 0.8;
/// Neighbours on each side that smooth a profile, at most.
const SMOOTH_MAX: usize = 8;
/// Steps that say how large usual moves are now.
const LOCAL: usize = 48;
/// Steps that say how high the series is at all.
const LONG: usize = 512;
/// Features a season gives.
const PER_SEASON: usize = 5;
/// Features a covariate gives.
const PER_COVARIATE: usize = 2;

/// The view from one slot.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The slot.
    pub(crate) slot: usize,
    /// The last reading: forecasts are moves from here.
    pub(crate) anchor: f64,
    /// The size of usual moves, above 0.
    pub(crate) scale: f64,
    /// The mean height over a long window.
    level: f64,
    /// What does not depend on the horizon, in the target's unit, relative to the anchor.
    near: Vec<f64>,
}

impl View {
    /// From `slot`; `None` if the last reading is too old.
    pub(crate) fn from(history: &History, slot: usize) -> Option<Self> {
        let anchor = history.latest(slot)?;
        let mut near = Vec::with_capacity(LAGS.len() + MEANS.len() + PER_COVARIATE * history.columns());
        for lag in LAGS {
            let before = slot.checked_sub(lag).and_then(|slot| history.latest(slot));
            near.push(before.map_or(0.0, |value| value - anchor));
        }
        for length in MEANS {
            let mean = history.mean((slot + 1).saturating_sub(length), slot + 1);
            near.push(mean.map_or(0.0, |value| value - anchor));
        }
        let level = mean_size(history, slot, LONG);
        let local = spread(history, slot, LOCAL);
        let scale = local.max(0.05 * level).max(1e-9);
        for column in 0..history.columns() {
            near.extend(covariate(history, column, slot).map(|value| value * scale));
        }
        Some(Self { slot, anchor, scale, level, near })
    }

    /// Features for a linear model, `horizon` steps ahead, in the target's unit; the last is a
    /// constant of the size of usual moves.
    pub(crate) fn linear(&self, history: &History, horizon: usize, seasons: &[usize]) -> Vec<f64> {
        let mut row = self.near.clone();
        row.reserve(PER_SEASON * seasons.len() + 1);
        for &season in seasons {
            row.extend(seasonal(history, self.slot, horizon, season, self.anchor));
        }
        row.push(self.scale);
        row
    }

    /// The mean of the same phase as `slot` over the last seasons, as known at `now`.
    pub(crate) fn profile(history: &History, now: usize, slot: usize, season: usize) -> Option<f64> {
        let smooth = (season / 144).clamp(1, SMOOTH_MAX);
        Known { history, end: now + 1 }.profile(slot, season, smooth)
    }

    /// Features for trees: those of the linear model in usual moves, and what only trees can use.
    pub(crate) fn tree(&self, history: &History, horizon: usize, seasons: &[usize]) -> Vec<f32> {
        let mut row = self.linear(history, horizon, seasons);
        row.pop();
        for value in &mut row {
            *value /= self.scale;
        }
        let recent = history.range((self.slot + 1).saturating_sub(16), self.slot + 1);
        let (low, high) =
            recent.fold((self.anchor, self.anchor), |(low, high), value| (low.min(value), high.max(value)));
        let (second, weekday) = history.local(self.slot + horizon);
        row.extend([
            (low - self.anchor) / self.scale,
            (high - self.anchor) / self.scale,
            self.anchor / self.level.max(1e-9),
            self.scale / self.level.max(1e-9),
            second / 86_400.0,
            (second / 3_600.0).fract(),
            f64::from(weekday),
        ]);
        row.into_iter().map(short).collect()
    }
}

/// Mean of the absolute readings over `steps`.
fn mean_size(history: &History, slot: usize, steps: usize) -> f64 {
    // Four sums side by side: one after the other each addition would wait for the last.
    let (mut sums, mut counts) = ([0.0; 4], [0.0; 4]);
    for four in history.stretch((slot + 1).saturating_sub(steps), slot + 1).chunks(4) {
        for ((sum, count), value) in sums.iter_mut().zip(&mut counts).zip(four) {
            let known = value.is_finite();
            *sum += if known { value.abs() } else { 0.0 };
            *count += if known { 1.0 } else { 0.0 };
        }
    }
    let count: f64 = counts.iter().sum();
    if count > 0.0 { sums.iter().sum::<f64>() / count } else { 0.0 }
}

/// Mean absolute deviation from the median over `steps`.
fn spread(history: &History, slot: usize, steps: usize) -> f64 {
    let mut near: Vec<f64> = history.range((slot + 1).saturating_sub(steps), slot + 1).collect();
    let count = near.len().max(1);
    let Some(middle) = median(&mut near) else { return 0.0 };
    near.iter().map(|value| (value - middle).abs()).sum::<f64>() / count as f64
}

/// How far a covariate is from its own recent mean and from its last reading but two, in its own
/// usual moves.
fn covariate(history: &History, column: usize, slot: usize) -> [f64; PER_COVARIATE] {
    let read = |back: usize| history.covariate(column, slot.checked_sub(back)?);
    let near: Vec<f64> = (0..16).filter_map(read).collect();
    let Some(now) = read(0).or_else(|| read(1)) else { return [0.0; PER_COVARIATE] };
    let mean = near.iter().sum::<f64>() / near.len().max(1) as f64;
    let usual = near.iter().map(|value| (value - mean).abs()).sum::<f64>() / near.len().max(1) as f64;
    let usual = usual.max(1e-3 * mean.abs()).max(1e-9);
    let moved = read(2).map_or(0.0, |before| now - before);
    [((now - mean) / usual).clamp(-8.0, 8.0), (moved / usual).clamp(-8.0, 8.0)]
}

/// The history as it was known at a slot, whatever has been read since.
#[derive(Clone, Copy)]
struct Known<'a> {
    history: &'a History,
    end: usize,
}

impl Known<'_> {
    fn get(self, slot: usize) -> Option<f64> {
        self.history.get(slot).filter(|_| slot < self.end)
    }

    fn around(self, slot: usize, reach: usize) -> Option<f64> {
        self.history.mean(slot.saturating_sub(reach), (slot + reach + 1).min(self.end))
    }

    /// The mean over the last seasons at the same phase as `slot`.
    fn profile(self, slot: usize, season: usize, smooth: usize) -> Option<f64> {
        let (mut sum, mut weight) = (0.0, 0.0);
        let mut keep = 1.0;
        let mut taken = 0;
        let mut back = season;
        while taken < PROFILE_SEASONS {
            let Some(before) = self.history.season_before(slot, back) else { break };
            back += season;
            if before < self.history.first() {
                break;
            }
            if before >= self.end {
                continue;
            }
            taken += 1;
            if let Some(mean) = self.around(before, smooth) {
                sum += keep * mean;
                weight += keep;
            }
            keep *= PROFILE_KEEP;
        }
        (weight > 0.0).then(|| sum / weight)
    }
}

/// How the series moved at this time one season ago, and where its profile over several lies.
fn seasonal(history: &History, slot: usize, horizon: usize, season: usize, anchor: f64) -> [f64; PER_SEASON] {
    let known = Known { history, end: slot + 1 };
    let ahead = slot + horizon;
    // Further ahead than a season: the last one that is known.
    let back = season * horizon.div_ceil(season).max(1);
    let smooth = (season / 144).clamp(1, SMOOTH_MAX);
    let before = |slot: usize| history.season_before(slot, back);
    let raw = |slot: usize| known.get(before(slot)?);
    let mean = |slot: usize| known.around(before(slot)?, smooth);
    let moved = |now: Option<f64>, then: Option<f64>| match (now, then) {
        (Some(now), Some(then)) => then - now,
        _ => 0.0,
    };
    let (mean_now, mean_then) = (mean(slot), mean(ahead));
    let (profile_now, profile_then) =
        (known.profile(slot, season, smooth), known.profile(ahead, season, smooth));
    [
        moved(raw(slot), raw(ahead)),
        moved(mean_now, mean_then),
        mean_then.map_or(0.0, |then| then - anchor),
        moved(profile_now, profile_then),
        profile_then.map_or(0.0, |then| then - anchor),
    ]
}
