//! A model with a stopwatch: what learning and forecasting cost, measured outside the pure crate.

use std::cell::Cell;
use std::time::Duration;

use clock::Clock;
use forecast::{Budget, FitError, FitReport, Forecaster, ModelState, QuantileForecast, Sample, Series};
use jiff::Timestamp;

/// Answers as the model inside does, and sums up how long that took.
pub(crate) struct Timed {
    model: Box<dyn Forecaster>,
    clock: Clock,
    fit: Duration,
    update: Duration,
    updates: u32,
    predict: Cell<Duration>,
    predictions: Cell<u32>,
}

impl Timed {
    pub(crate) fn new(model: Box<dyn Forecaster>, clock: Clock) -> Self {
        let zero = Duration::ZERO;
        let (predict, predictions) = (Cell::new(zero), Cell::new(0));
        Self { model, clock, fit: zero, update: zero, updates: 0, predict, predictions }
    }

    /// All fits together.
    pub(crate) fn fit_time(&self) -> Duration {
        self.fit
    }

    /// One update and one forecast, on average.
    pub(crate) fn predict_time(&self) -> Duration {
        self.update / self.updates.max(1) + self.predict.get() / self.predictions.get().max(1)
    }

    fn since(&self, begun: Duration) -> Duration {
        self.clock.uptime().saturating_sub(begun)
    }
}

impl Forecaster for Timed {
    fn fit(&mut self, series: &Series, budget: Budget) -> Result<FitReport, FitError> {
        let begun = self.clock.uptime();
        let report = self.model.fit(series, budget);
        self.fit += self.since(begun);
        report
    }

    fn update(&mut self, at: Timestamp, sample: &Sample) {
        let begun = self.clock.uptime();
        self.model.update(at, sample);
        self.update += self.since(begun);
        self.updates = self.updates.saturating_add(1);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        let begun = self.clock.uptime();
        let forecast = self.model.predict(horizons, quantiles);
        self.predict.set(self.predict.get() + self.since(begun));
        self.predictions.set(self.predictions.get().saturating_add(1));
        forecast
    }

    fn state(&self) -> ModelState {
        self.model.state()
    }
}
