//! The theta method (Assimakopoulos and Nikolopoulos 2000) as simple smoothing with half the slope
//! of the line through the window (Hyndman and Billah 2003), on what is left without the day.

use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Entry, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Theta::NAME,
    about: "smoothing with half the slope of the recent line, the day taken out",
    build: Scored::<Theta>::build,
    restore: Scored::<Theta>::restore,
};

/// Steps that the line is drawn through.
const WINDOW: usize = 96;
/// Readings that it needs.
const KNOWN_MIN: usize = 12;
/// Speeds of the smoothing that are tried over the window.
const SPEEDS: [f64; 5] = [0.1, 0.25, 0.45, 0.7, 0.95];

/// What was fitted at the newest slot.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Theta {
    seasons: Vec<usize>,
    here: Option<Fitted>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Fitted {
    level: f64,
    slope: f64,
    scale: f64,
    /// Whether the day was taken out.
    seasonal: bool,
}

impl Theta {
    /// How far the profile of the day is above its own mean at `slot`, as known at `now`.
    fn profile(&self, history: &History, now: usize, slot: usize) -> Option<f64> {
        let season = *self.seasons.get(1).or(self.seasons.first())?;
        View::profile(history, now, slot, season)
    }
}

/// The level after the last value and the mean absolute error, at one speed.
fn smooth(values: &[f64], speed: f64) -> (f64, f64) {
    let (mut level, mut error) = (values[0], 0.0);
    for value in &values[1..] {
        error += (value - level).abs();
        level += speed * (value - level);
    }
    (level, error)
}

impl Point for Theta {
    const NAME: &'static str = "theta";

    fn new(settings: &Settings) -> Self {
        Self { seasons: settings.season_steps(), here: None }
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.here = None;
        let Some(view) = View::from(history, slot) else { return };
        let from = (slot + 1).saturating_sub(WINDOW);
        let plain: Vec<f64> = (from..=slot).filter_map(|slot| history.get(slot)).collect();
        let profile: Option<Vec<f64>> = (from..=slot).map(|one| self.profile(history, slot, one)).collect();
        let taken_out: Vec<f64> = match &profile {
            Some(profile) => {
                let known = (from..=slot).zip(profile);
                known.filter_map(|(slot, profile)| Some(history.get(slot)? - profile)).collect()
            }
            None => Vec::new(),
        };
        let best = |values: &[f64]| {
            let tried = SPEEDS.map(|speed| smooth(values, speed));
            tried.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))
        };
        if plain.len() < KNOWN_MIN {
            return;
        }
        let (Some(raw), left) = (best(&plain), (!taken_out.is_empty()).then(|| best(&taken_out)).flatten())
        else {
            return;
        };
        let seasonal = left.is_some_and(|left| left.1 < raw.1);
        let (values, (level, _)) = match left.filter(|_| seasonal) {
            Some(left) => (&taken_out, left),
            None => (&plain, raw),
        };
        self.here = Some(Fitted { level, slope: slope(values), scale: view.scale, seasonal });
    }

    fn locate(&self, history: &History, slot: usize, horizon: usize) -> Option<Located> {
        let here = self.here?;
        let season = if here.seasonal { self.profile(history, slot, slot + horizon)? } else { 0.0 };
        let middle = here.level + 0.5 * here.slope * horizon as f64 + season;
        Some(Located { middle, scale: here.scale })
    }
}

/// Of the line of least squares through values one step apart.
fn slope(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let (mut up, mut over) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let at = index as f64 - middle;
        up += at * (value - mean);
        over += at * at;
    }
    if over > 0.0 { up / over } else { 0.0 }
}
