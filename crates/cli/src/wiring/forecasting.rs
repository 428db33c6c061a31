//! The model that forecasts beside the loop, for policies that look ahead.

use control::{ControllerConfig, span};
use forecast::Settings;
use live::forecasting::{Forecasting, Model};

/// Policies that make use of forecasts from beside the loop.
const ASKING: [&str; 1] = ["predictive"];
/// Who forecasts: too slow for a decision, and no decision waits for it.
const MODEL: &str = "ensemble";
/// Horizons that it learns, in turns; those between are interpolated.
const HORIZONS: [usize; 9] = [1, 2, 3, 5, 8, 13, 21, 34, 64];

/// Starts it, if the policy has use for it.
pub(super) fn start(config: &ControllerConfig) -> std::io::Result<Option<Forecasting>> {
    let Some(entry) = forecast::entry(MODEL).filter(|_| ASKING.contains(&config.policy.name.as_str())) else {
        return Ok(None);
    };
    let step = config.turn();
    let mut settings = Settings::new(step);
    settings.horizons = HORIZONS.to_vec();
    let season = config.policy.settings.get("season").and_then(|season| season.as_str());
    if let Some(season) = season.and_then(|season| span::parse(season).ok()).filter(|one| !one.is_zero()) {
        settings.seasons = vec![season];
    }
    let steps = HORIZONS.last().copied().unwrap_or(1);
    let forecaster = (entry.build)(&settings);
    Forecasting::start(Model { id: MODEL.to_owned(), forecaster, step, steps }).map(Some)
}
