//! ARIMA: orders and coefficients by the library's automatic search (Hyndman and Khandakar 2008)
//! on the last window, forecasts by running the recursion here, so that every reading counts at once.

use anofox_forecast::core::TimeSeries;
use anofox_forecast::models::Forecaster as _;
use anofox_forecast::models::arima::{ARIMA, AutoARIMA};
use chrono::DateTime;
use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Budget, Entry, FitError, FitReport, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Arima::NAME,
    about: "ARIMA with automatic orders on the last 512 readings",
    build: Scored::<Arima>::build,
    restore: Scored::<Arima>::restore,
};

/// Readings that are fitted.
const WINDOW: usize = 512;
/// Readings that a fit needs.
const KNOWN_MIN: usize = 40;
/// Readings that the recursion runs over: what was before has died away.
const RUN: usize = 256;

/// The coefficients, and the path ahead from the newest slot.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Arima {
    furthest: usize,
    differences: usize,
    regressive: Vec<f64>,
    moving: Vec<f64>,
    intercept: f64,
    fitted: bool,
    ahead: Vec<f64>,
    scale: Option<f64>,
}

/// The last `count` readings before `end`, gaps filled with what was read before.
fn filled(history: &History, end: usize, count: usize) -> Vec<f64> {
    let from = end.saturating_sub(count).max(history.first());
    let mut last = history.range(from, end).next();
    (from..end)
        .filter_map(|slot| {
            last = history.get(slot).or(last);
            last
        })
        .collect()
}

impl Arima {
    fn fitted(&self, values: Vec<f64>) -> Result<Self, String> {
        let stamps = (0..values.len())
            .filter_map(|index| DateTime::from_timestamp(60 * i64::try_from(index).ok()?, 0));
        let series = TimeSeries::univariate(stamps.collect(), values).map_err(|error| error.to_string())?;
        let mut search = AutoARIMA::new();
        search.fit(&series).map_err(|error| error.to_string())?;
        let (p, d, q) = search.selected_order().ok_or("no order was selected")?;
        let mut model = ARIMA::new(p, d, q);
        model.fit(&series).map_err(|error| error.to_string())?;
        let (regressive, moving) = (model.ar_coefficients().to_vec(), model.ma_coefficients().to_vec());
        let sound = regressive.iter().chain(&moving).all(|value| value.is_finite());
        if !sound || !model.intercept().is_finite() {
            return Err("its coefficients are no numbers".to_owned());
        }
        Ok(Self {
            differences: d,
            regressive,
            moving,
            intercept: model.intercept(),
            fitted: true,
            ..self.clone()
        })
    }

    /// The path `furthest` steps ahead of `values`.
    fn run(&self, values: &[f64]) -> Option<Vec<f64>> {
        let mut levels = vec![values.to_vec()];
        for _ in 0..self.differences {
            let last = &levels[levels.len() - 1];
            levels.push(last.windows(2).map(|pair| pair[1] - pair[0]).collect());
        }
        let mut series = levels.pop()?;
        let known = series.len();
        let mut errors = vec![0.0; known + self.furthest];
        for at in 0..known + self.furthest {
            let past = |list: &[f64], factors: &[f64], base: f64| -> f64 {
                let term = |(lag, factor): (usize, &f64)| {
                    at.checked_sub(lag + 1).map_or(0.0, |before| factor * (list[before] - base))
                };
                factors.iter().enumerate().map(term).sum()
            };
            let expected = self.intercept
                + past(&series, &self.regressive, self.intercept)
                + past(&errors, &self.moving, 0.0);
            match series.get(at) {
                // The first values have no past to be judged by.
                Some(value) if at >= self.regressive.len() => errors[at] = value - expected,
                Some(_) => {}
                None => series.push(expected),
            }
        }
        let mut ahead = series.split_off(known);
        for level in levels.iter().rev() {
            let mut sum = *level.last()?;
            for step in &mut ahead {
                sum += *step;
                *step = sum;
            }
        }
        ahead.iter().all(|value| value.is_finite()).then_some(ahead)
    }

    fn look(&mut self, history: &History, end: usize) {
        let values = filled(history, end, RUN);
        // Between fits the level moves on: without differences the mean is that of the window now.
        if self.differences == 0
            && let Some(mean) = history.mean(end.saturating_sub(WINDOW), end)
        {
            self.intercept = mean;
        }
        self.ahead = if self.fitted && values.len() > KNOWN_MIN / 2 {
            self.run(&values).unwrap_or_default()
        } else {
            Vec::new()
        };
    }
}

impl Point for Arima {
    const NAME: &'static str = "arima";

    fn new(settings: &Settings) -> Self {
        Self {
            furthest: settings.furthest(),
            differences: 0,
            regressive: Vec::new(),
            moving: Vec::new(),
            intercept: 0.0,
            fitted: false,
            ahead: Vec::new(),
            scale: None,
        }
    }

    fn learn(&mut self, history: &History, _budget: Budget) -> Result<FitReport, FitError> {
        let values = filled(history, history.end(), WINDOW);
        if values.len() < KNOWN_MIN {
            return Err(FitError::TooShort { have: values.len(), need: KNOWN_MIN });
        }
        let points = values.len();
        *self = self.fitted(values).map_err(FitError::Library)?;
        self.look(history, history.end());
        Ok(FitReport { iterations: 1, points })
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.scale = View::from(history, slot).map(|view| view.scale);
        self.look(history, slot + 1);
    }

    fn locate(&self, _history: &History, _slot: usize, horizon: usize) -> Option<Located> {
        Some(Located { middle: *self.ahead.get(horizon.checked_sub(1)?)?, scale: self.scale? })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_recursion_follows_the_textbook() {
        let mut model = Arima::new(&Settings::new(Duration::from_secs(60)));
        model.furthest = 2;
        (model.regressive, model.intercept) = (vec![0.5], 10.0);
        // AR(1) around 10: half of the distance is left after each step.
        let ahead = model.run(&[10.0, 18.0]).unwrap();
        assert!((ahead[0] - 14.0).abs() < 1e-9 && (ahead[1] - 12.0).abs() < 1e-9, "{ahead:?}");
        (model.regressive, model.intercept, model.differences) = (Vec::new(), 2.0, 1);
        let ahead = model.run(&[1.0, 3.0, 5.0]).unwrap();
        assert!((ahead[1] - 9.0).abs() < 1e-9, "a drift of 2 a step: {ahead:?}");
    }
}
