//! What a simulation assumes beside the trace: sizes, delays, prices.

pub mod file;

use std::sync::Arc;
use std::time::Duration;

use crate::number::WORKERS_MAX;
use crate::outage::Outage;
use crate::price::Prices;

/// How a trace's values become load in workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// The 99.9th percentile of the load needs this many workers.
    PeakWorkers(f64),
    /// A worker serves this much of the trace's unit a second (requests, for counts) when it
    /// is busy all the time.
    WorkerRate(f64),
}

/// Settings of a simulation; the defaults are those of `autoscale simulate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// How the load is scaled.
    pub size: Size,
    /// The trace runs this many times faster.
    pub compress: f64,
    /// Time between two decisions.
    pub decide_every: Duration,
    /// Highest utilisation at which a worker still meets its latency objective, 0 to 1.
    pub slo_utilisation: f64,
    /// Price of a worker-second of missing capacity, in worker-seconds.
    pub kappa: f64,
    /// From launch to ready.
    pub start_up: Duration,
    /// Never fewer workers than this.
    pub min: u32,
    /// Never more workers than this, where there is a limit.
    pub max: Option<u32>,
    /// CPU time of a request: what one alone at a worker takes.
    pub service_time: Duration,
    /// A request that would wait longer than this leaves unserved.
    pub patience: Duration,
    /// Age of a reading when a policy gets it.
    pub metric_delay: Duration,
    /// From the order to stop until the worker is gone; billed, but given no new requests.
    pub drain: Duration,
    /// Times in which measurements are wrong.
    pub outages: Vec<Outage>,
    /// What workers cost in money, where that is wanted too.
    pub prices: Option<Arc<Prices>>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            size: Size::PeakWorkers(20.0),
            compress: 1.0,
            decide_every: Duration::from_secs(15),
            slo_utilisation: 0.85,
            kappa: 10.0,
            start_up: Duration::from_secs(30),
            min: 1,
            max: None,
            service_time: Duration::from_millis(100),
            patience: Duration::from_secs(10),
            metric_delay: Duration::ZERO,
            drain: Duration::ZERO,
            outages: Vec::new(),
            prices: None,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScenarioError(String);

impl ScenarioError {
    pub(crate) fn new(because: String) -> Self {
        Self(because)
    }
}

/// The dearest that missing capacity may be: beyond, costs lose their digits.
const KAPPA_MAX: f64 = 1e9;

fn positive(name: &str, value: f64) -> Result<(), ScenarioError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ScenarioError(format!("{name} must be above 0, not {value}")))
}

impl Scenario {
    /// Refuses values that make no sense, alone or together.
    pub fn check(&self) -> Result<(), ScenarioError> {
        match self.size {
            Size::PeakWorkers(workers) => positive("peak_workers", workers)?,
            Size::WorkerRate(rate) => positive("worker_rate", rate)?,
        }
        positive("compress", self.compress)?;
        positive("kappa", self.kappa)?;
        positive("service_time", self.service_time.as_secs_f64())?;
        if !(self.slo_utilisation > 0.0 && self.slo_utilisation <= 1.0) {
            let value = self.slo_utilisation;
            return Err(ScenarioError(format!("slo_utilisation must be above 0 and at most 1, not {value}")));
        }
        if self.kappa > KAPPA_MAX {
            return Err(ScenarioError(format!("kappa must be at most {KAPPA_MAX:e}, not {:e}", self.kappa)));
        }
        if self.decide_every < Duration::from_millis(10) {
            return Err(ScenarioError("decide_every must be at least 10ms".to_owned()));
        }
        if let Some(max) = self.max
            && (max == 0 || max < self.min)
        {
            return Err(ScenarioError(format!("max ({max}) must be at least 1 and min ({})", self.min)));
        }
        let most = self.max.unwrap_or(0).max(self.min);
        if most > WORKERS_MAX {
            return Err(ScenarioError(format!(
                "{most} workers are too many to simulate (at most {WORKERS_MAX})"
            )));
        }
        Ok(())
    }

    /// A constant number of workers, if it lies within the bounds: one beyond them would be no yardstick
    /// for those who must keep to them.
    pub(crate) fn constant(&self, workers: u32) -> Result<u32, ScenarioError> {
        if workers == self.bounded(workers) && workers <= WORKERS_MAX {
            return Ok(workers);
        }
        let max = self.max.unwrap_or(WORKERS_MAX);
        Err(ScenarioError(format!("static:{workers} lies outside min ({}) and max ({max})", self.min)))
    }

    /// The nearest number of workers within the bounds.
    pub(crate) fn bounded(&self, workers: u32) -> u32 {
        workers.max(self.min).min(self.max.unwrap_or(u32::MAX))
    }
}
