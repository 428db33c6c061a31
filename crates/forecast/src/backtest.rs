//! Rolling origin: what a model would have said at fixed moments of the past, and how it was wrong.
//!
//! The last 30 % of a series is the test. A model is fitted on the first 70 %, then shown one step
//! after the other; at each origin it forecasts. All models face the same origins.

mod regime;
mod score;

use crate::{Budget, FitError, FitReport, Forecaster, Series};

pub use regime::{Regime, regime_of};
pub use score::{Episode, HorizonScore, RegimeScore, Summary, summarise};

/// Where and what is forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    /// Share of the series that is only learnt from, 0 to 1.
    pub train_share: f64,
    /// How many origins, evenly over the rest.
    pub origins: usize,
    /// In steps.
    pub horizons: Vec<usize>,
    /// Levels between 0 and 1; the scores need 0.5 and 0.9.
    pub quantiles: Vec<f64>,
    /// Steps after which the model is fitted again on all that is past; `None`: never.
    pub refit_every: Option<usize>,
    /// For each fit.
    pub budget: Budget,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            train_share: 0.7,
            origins: 40,
            horizons: vec![1, 5, 15],
            quantiles: vec![0.5, 0.9],
            refit_every: None,
            budget: Budget::default(),
        }
    }
}

/// One forecast beside what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Steps known: the forecast knows slots `0..origin`.
    pub origin: usize,
    /// In steps; the forecast is of slot `origin + horizon − 1`.
    pub horizon: usize,
    /// In the order of the protocol's levels; empty where the model abstained.
    pub values: Vec<f64>,
    /// What came.
    pub actual: f64,
}

/// All that a backtest saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtest {
    /// One a forecast, by origin, then horizon.
    pub rows: Vec<Row>,
    /// What the first fit did.
    pub fit: Result<FitReport, FitError>,
    /// Forecasts that the model did not make.
    pub abstained: usize,
}

impl Protocol {
    /// Slots known in the first fit.
    pub fn train_end(&self, length: usize) -> usize {
        crate::whole((self.train_share * length as f64).floor()).min(length)
    }

    /// The origins: even, and moved to the next one whose outcomes were all read.
    pub fn origins(&self, series: &Series) -> Vec<usize> {
        let furthest = self.horizons.iter().copied().max().unwrap_or(1);
        let first = self.train_end(series.len());
        let Some(last) = series.len().checked_sub(furthest).filter(|&last| last >= first) else {
            return Vec::new();
        };
        let known = |origin: usize| {
            self.horizons.iter().all(|horizon| series.values()[origin + horizon - 1].is_finite())
        };
        let count = self.origins.max(2) - 1;
        let mut origins: Vec<usize> = (0..=count)
            .filter_map(|index| {
                let even = first + (last - first) * index / count;
                (even..=last).find(|&origin| known(origin))
            })
            .collect();
        origins.dedup();
        origins
    }

    /// Runs `model` over `series`.
    pub fn run(&self, model: &mut dyn Forecaster, series: &Series) -> Backtest {
        let mut known = self.train_end(series.len()).max(1);
        let fit = model.fit(&series.slice(0, known), self.budget);
        let mut refit_at = self.refit_every.map(|every| known + every);
        let mut rows = Vec::new();
        let mut abstained = 0;
        for origin in self.origins(series) {
            while known < origin {
                if refit_at == Some(known) {
                    // A failed refit leaves the model as it was: it goes on.
                    let _ = model.fit(&series.slice(0, known), self.budget);
                    refit_at = self.refit_every.map(|every| known + every);
                }
                model.update(series.at(known), &series.sample(known));
                known += 1;
            }
            let forecast = model.predict(&self.horizons, &self.quantiles);
            for (index, &horizon) in self.horizons.iter().enumerate() {
                let values = forecast.as_ref().map_or(Vec::new(), |forecast| forecast.values[index].clone());
                abstained += usize::from(values.is_empty());
                rows.push(Row { origin, horizon, values, actual: series.values()[origin + horizon - 1] });
            }
        }
        Backtest { rows, fit, abstained }
    }
}
