//! What a policy that looks ahead saw there, for charts, `GET /predict` and the record.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How far a forecast may be relied upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It has earned it: it decides, above a floor.
    Trusted,
    /// It beats the naive forecast, but not for long: it may only add to the reactive number.
    Probation,
    /// It does not: the reactive number counts.
    #[default]
    Reactive,
}

impl Trust {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Probation => "probation",
            Self::Reactive => "reactive",
        }
    }
}

/// A forecast of the load as a decision was taken. Loads are in workers at the SLO-safe
/// utilisation, times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foresight {
    /// Which model.
    pub model: Cow<'static, str>,
    /// How far it is relied upon.
    pub trust: Trust,
    /// From the decision until a worker that it orders helps.
    pub lead_s: f64,
    /// Load now.
    pub load: f64,
    /// Quantiles of the load at the lead.
    pub q10: f64,
    /// The median.
    pub q50: f64,
    /// Nine of ten are below.
    pub q90: f64,
    /// Share of past loads that were at or below their `q90`; `None` before any was scored.
    pub coverage: Option<f64>,
    /// Loss over that of the naive forecast: below 1 it is better.
    pub loss_ratio: Option<f64>,
    /// What the reactive rule would have had.
    pub reactive: u32,
    /// What the forecast alone would have had.
    pub planned: u32,
    /// The next change to come, if all goes as expected.
    pub next: Option<Planned>,
    /// Every model that was asked, with how it did so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standings: Vec<Standing>,
}

/// How one model's forecasts turned out at the lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Which model.
    pub model: Cow<'static, str>,
    /// How far it is relied upon.
    pub trust: Trust,
    /// Forecasts scored.
    pub scored: u64,
    /// Loss over that of the naive forecast: below 1 it is better.
    pub loss_ratio: Option<f64>,
    /// Share of the last loads that were at or below their `q90`.
    pub coverage: Option<f64>,
}

/// A change to come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// When it will be ordered, from now.
    pub order_in_s: f64,
    /// To how many.
    pub replicas: u32,
    /// When they will be needed, from now.
    pub needed_in_s: f64,
    /// For this load.
    pub load: f64,
}
