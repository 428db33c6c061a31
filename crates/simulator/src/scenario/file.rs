//! A scenario as a file: load, workers, faults and policies, each run in one or several variants.

use std::time::Duration;

use serde::Deserialize;

use super::{Scenario, ScenarioError, Size};
use crate::contest::Contestant;
use crate::des::{Credits, Des, Faults, Law};
use crate::load::Load;
use crate::number::{count, index};
use crate::outage::Outage;
use crate::trace::{Hygiene, Kind, Trace};

/// Length of a bucket of a load made of stages.
const BUCKET: Duration = Duration::from_secs(5);
/// What clouds announce the end of a spot instance by.
const NOTICE: Duration = Duration::from_secs(120);
/// Longest load made of stages: a week.
const LENGTH_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A scenario file, as it is written in TOML.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// What it is for, in a sentence.
    pub about: String,
    /// Who decides: policies and yardsticks, one run each.
    pub policies: Vec<String>,
    /// Workers and prices.
    #[serde(default)]
    scenario: Settings,
    /// The load, stage by stage.
    load: Vec<Stage>,
    /// Single requests in place of a stream.
    des: Option<DesSettings>,
    /// The same with something different each; none: once as it is.
    #[serde(default, rename = "variant")]
    variants: Vec<Variant>,
}

/// Part of a load.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    /// Its length; zero: a jump.
    #[serde(rename = "for", with = "control::span")]
    length: Duration,
    /// Load at its end, in workers at the objective; it goes there evenly. None: a gap.
    workers: Option<f64>,
}

/// One of several runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    name: String,
    /// Times in which measurements are wrong.
    #[serde(default, rename = "outage")]
    outages: Vec<Outage>,
}

/// A length of time as it is written everywhere.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Length(#[serde(with = "control::span")] Duration);

/// Settings of a scenario; those left out are those of `simulate`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    decide_every: Option<Length>,
    slo_utilisation: Option<f64>,
    kappa: Option<f64>,
    start_up: Option<Length>,
    min: Option<u32>,
    max: Option<u32>,
    service_time: Option<Length>,
    patience: Option<Length>,
    metric_delay: Option<Length>,
    drain: Option<Length>,
}

/// Settings of the discrete-event engine; those left out are those of `simulate --engine des`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DesSettings {
    seed: Option<u64>,
    algorithm: Option<String>,
    in_flight_max: Option<u32>,
    start_up_variation: Option<f64>,
    crashes_per_hour: f64,
    hangs_per_hour: f64,
    interruptions_per_hour: f64,
    notice: Option<Length>,
    worker_model: Option<String>,
    metric_loss: f64,
    warm_up: Option<Length>,
    warm_up_speed: Option<f64>,
    regions: Option<u32>,
    region_losses: Vec<Length>,
}

/// One run of a file.
#[derive(Clone, Debug)]
pub struct Case {
    /// The variant's name; empty where there is only one.
    pub name: String,
    /// Its scenario.
    pub scenario: Scenario,
}

impl ScenarioFile {
    /// The load as a trace, in workers at the objective.
    ///
    /// # Errors
    /// When the stages make no load.
    pub fn trace(&self, name: &str) -> Result<Trace, ScenarioError> {
        let all: Duration = self.load.iter().map(|stage| stage.length).sum();
        if all < BUCKET || all > LENGTH_MAX {
            return Err(ScenarioError::new("the stages of a load must be 5 s to 7 days long".to_owned()));
        }
        let mut values = Vec::new();
        let mut level = self.load.iter().find_map(|stage| stage.workers).unwrap_or(0.0);
        for stage in &self.load {
            let buckets = index(count(stage.length.as_secs_f64() / BUCKET.as_secs_f64()));
            let Some(to) = stage.workers else {
                values.extend(std::iter::repeat_n(None, buckets));
                continue;
            };
            if !(to.is_finite() && to >= 0.0) {
                return Err(ScenarioError::new(format!("a load cannot be {to} workers")));
            }
            let step = (to - level) / buckets.max(1) as f64;
            values.extend((1..=buckets).map(|at| Some(level + step * at as f64)));
            level = to;
        }
        let (kind, hygiene) = (Kind::Rate, Hygiene::default());
        let name = name.to_owned();
        Ok(Trace { name, kind, bucket: BUCKET, start: None, values, arrivals: Vec::new(), hygiene })
    }

    /// The load of a case.
    ///
    /// # Errors
    /// As [`ScenarioFile::trace`], and when the settings make no sense.
    pub fn load(&self, name: &str, scenario: &Scenario) -> Result<Load, ScenarioError> {
        Load::new(&self.trace(name)?, scenario)
    }

    /// The runs of this file.
    pub fn cases(&self) -> Vec<Case> {
        let scenario = self.settled();
        if self.variants.is_empty() {
            return vec![Case { name: String::new(), scenario }];
        }
        let case = |variant: &Variant| Case {
            name: variant.name.clone(),
            scenario: Scenario { outages: variant.outages.clone(), ..scenario.clone() },
        };
        self.variants.iter().map(case).collect()
    }

    /// Who decides.
    ///
    /// # Errors
    /// A policy that there is not, or a setting that it does not have.
    pub fn contestants(&self) -> Result<Vec<Contestant>, control::ConfigError> {
        self.policies.iter().map(|text| Contestant::parse(text)).collect()
    }

    fn settled(&self) -> Scenario {
        let (own, default) = (&self.scenario, Scenario::default());
        let length = |told: Option<Length>, default: Duration| told.map_or(default, |length| length.0);
        let slo_utilisation = own.slo_utilisation.unwrap_or(default.slo_utilisation);
        Scenario {
            // A load of 1 is one worker at the objective.
            size: Size::WorkerRate(1.0 / slo_utilisation),
            slo_utilisation,
            compress: 1.0,
            decide_every: length(own.decide_every, default.decide_every),
            kappa: own.kappa.unwrap_or(default.kappa),
            start_up: length(own.start_up, default.start_up),
            min: own.min.unwrap_or(default.min),
            max: own.max.or(default.max),
            service_time: length(own.service_time, default.service_time),
            patience: length(own.patience, default.patience),
            metric_delay: length(own.metric_delay, default.metric_delay),
            drain: length(own.drain, default.drain),
            outages: Vec::new(),
            prices: None,
        }
    }

    /// The engine for single requests, where the file asks for it.
    ///
    /// # Errors
    /// A worker model that there is not.
    pub fn des(&self) -> Result<Option<Des>, ScenarioError> {
        let Some(own) = &self.des else { return Ok(None) };
        let credits = own.worker_model.as_deref().map(Credits::parse).transpose();
        let default = Des::default();
        let length = |told: Option<Length>| told.map_or(Duration::ZERO, |length| length.0);
        Ok(Some(Des {
            credits: credits.map_err(ScenarioError::new)?,
            seed: own.seed.unwrap_or(default.seed),
            algorithm: own.algorithm.clone().unwrap_or(default.algorithm),
            in_flight_max: own.in_flight_max.or(default.in_flight_max),
            start_up: own.start_up_variation.map_or(Law::Constant, Law::Lognormal),
            faults: Faults {
                crashes_per_hour: own.crashes_per_hour,
                hangs_per_hour: own.hangs_per_hour,
                interruptions_per_hour: own.interruptions_per_hour,
                notice: own.notice.map_or(NOTICE, |length| length.0),
                metric_loss: own.metric_loss,
                warm_up: length(own.warm_up),
                warm_up_speed: own.warm_up_speed.unwrap_or(0.5),
                regions: own.regions.unwrap_or(1),
                region_losses: own.region_losses.iter().map(|length| length.0).collect(),
            },
            ..default
        }))
    }
}
