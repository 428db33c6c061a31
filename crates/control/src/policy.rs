//! What a policy is, and which there are.

pub mod alarm;
pub mod auto;
pub mod busyness;
mod capacity;
pub(crate) mod choice;
pub mod combine;
pub mod exec;
pub mod formula;
pub mod hpa;
pub mod keda;
pub mod kpa;
mod metric_alarm;
pub mod mpc;
pub mod nomad;
pub(crate) mod outlook;
pub mod predictive;
pub mod queue;
mod reactive;
pub mod rl;
pub mod scheduled;
mod selection;
pub mod signal;
pub mod simple;
pub mod spec;
pub mod step;
pub mod target_tracking;
pub mod threshold;
pub mod weighted;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decision::{Alarm, Because, Blocked, Excluded, Flip, Foresight, Measured, Member, Step};
use crate::limits::{Meets, Rules};
use crate::observation::Observation;

/// Decides how many replicas there should be. Deterministic: equal observations in equal
/// order give equal answers.
pub trait Policy: Send {
    /// Sees every turn, also those at which it is not asked.
    fn observe(&mut self, seen: &Observation) {
        let _ = seen;
    }

    /// Is asked once an interval, after `observe`.
    fn recommend(&mut self, seen: &Observation) -> Recommendation;

    /// The number of `recommend` and the limits that it meets, in its place where nobody reads the
    /// reasons. Only those who can do without putting them into words need their own.
    fn number(&mut self, seen: &Observation) -> (u32, Meets) {
        let said = self.recommend(seen);
        (said.step.replicas, said.meets)
    }

    /// Is told the bounds before the first turn and whenever they change; for products whose
    /// own rules depend on them.
    fn bounds(&mut self, min: u32, max: u32) {
        let _ = (min, max);
    }

    /// Whether it may look at latencies and waits. A simulation of years does not work them out
    /// for those that never do.
    fn reads_latency(&self) -> bool {
        true
    }

    /// All its settings, also those left at their defaults; `null` where there are none but what
    /// was configured.
    fn settings(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Programs whose answers it needs in [`SlowInputs`](crate::observation::SlowInputs).
    fn programs(&self) -> Vec<exec::Program> {
        Vec::new()
    }

    /// Its main signal at the turn seen last, for charts between two answers.
    fn measured(&self) -> Option<Measured> {
        None
    }
}

/// A policy's answer with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// How many, by which rule, because.
    pub step: Step,
    /// What kept it from asking for a change.
    pub blocked_by: Vec<Blocked>,
    /// Workers it left out.
    pub excluded: Vec<Excluded>,
    /// What would have changed its mind.
    pub nearest_flip: Option<Flip>,
    /// Its main signal.
    pub measured: Option<Measured>,
    /// What its formula gave before its own tolerance and checks.
    pub raw: Option<Step>,
    /// Alarms behind it.
    pub alarms: Vec<Alarm>,
    /// What members of a combination said.
    pub members: Vec<Member>,
    /// What it saw ahead, if it looks there.
    pub foresight: Option<Box<Foresight>>,
    /// Which limits the number still has to meet.
    pub meets: Meets,
}

impl Recommendation {
    /// This many replicas by this rule, with nothing else to say.
    pub fn hold(replicas: u32, rule: &'static str, because: Because) -> Self {
        Self {
            step: Step { rule: rule.into(), replicas, because },
            blocked_by: Vec::new(),
            excluded: Vec::new(),
            nearest_flip: None,
            measured: None,
            raw: None,
            alarms: Vec::new(),
            members: Vec::new(),
            foresight: None,
            meets: Meets::All,
        }
    }
}

/// A policy by name with its settings, as configured; unknown settings are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// A row of [`POLICIES`].
    pub name: String,
    /// Its own settings; those left out take their defaults.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Policies that weigh prices: they have the settings `kappa` and `slo_utilisation`.
const PRICED: [&str; 3] = ["auto", "mpc", "predictive"];

impl PolicyConfig {
    /// With these prices where the policy weighs prices and its settings name none: `kappa` for a
    /// worker-second of missing capacity, in worker-seconds, and the highest utilisation that still
    /// meets the objective.
    #[must_use]
    pub fn priced(mut self, kappa: f64, slo_utilisation: f64) -> Self {
        if PRICED.contains(&self.name.as_str()) {
            for (name, value) in [("kappa", kappa), ("slo_utilisation", slo_utilisation)] {
                self.settings.entry(name).or_insert_with(|| value.into());
            }
        }
        self
    }
}

/// A row of the registry.
pub struct Entry {
    /// What users type.
    pub name: &'static str,
    /// One line for `autoscale policy list`.
    pub about: &'static str,
    /// Makes one from its settings.
    pub build: fn(&PolicyConfig) -> Result<Built, ConfigError>,
}

/// A policy and the limits that belong to it.
pub struct Built {
    /// The policy.
    pub policy: Box<dyn Policy>,
    /// Its own limits; bounds come from the pool.
    pub limits: Rules,
}

impl Built {
    /// A policy without limits of its own.
    pub(crate) fn bare(policy: impl Policy + 'static) -> Self {
        Self { policy: Box::new(policy), limits: Rules::default() }
    }
}

/// Every policy there is, in the order in which they are listed.
pub static POLICIES: &[Entry] = &[
    threshold::ENTRY,
    hpa::ENTRY,
    step::ENTRY,
    simple::ENTRY,
    target_tracking::ENTRY,
    kpa::ENTRY,
    nomad::ENTRY,
    keda::ENTRY,
    busyness::ENTRY,
    weighted::ENTRY,
    queue::ENTRY,
    scheduled::ENTRY,
    predictive::ENTRY,
    auto::ENTRY,
    mpc::ENTRY,
    formula::ENTRY,
    exec::ENTRY,
    rl::ENTRY,
    combine::ANY,
    combine::ALL,
    combine::MAJORITY,
    combine::HIGHEST,
    combine::AWS,
];

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such policy.
    #[error("there is no policy `{0}`")]
    UnknownPolicy(String),
    /// A policy's settings cannot be read.
    #[error("policy `{policy}`: {because}")]
    Settings {
        /// Which policy.
        policy: String,
        /// The cause.
        because: String,
    },
    /// A value, or two together, make no sense.
    #[error("{0}")]
    Value(String),
}

/// Builds the policy that `config` names. The setting `limits` is understood for all of them
/// and replaces, key by key, the limits that the policy brings.
pub fn build(config: &PolicyConfig) -> Result<Built, ConfigError> {
    let entry = POLICIES
        .iter()
        .find(|entry| entry.name == config.name)
        .ok_or_else(|| ConfigError::UnknownPolicy(config.name.clone()))?;
    let refused = |because: String| ConfigError::Settings { policy: config.name.clone(), because };
    let mut own = config.clone();
    let limits = own.settings.remove(LIMITS);
    let mut built = (entry.build)(&own)?;
    if let Some(limits) = limits {
        let serde_json::Value::Object(limits) = limits else {
            return Err(refused(format!("{LIMITS} must be a table")));
        };
        let own = serde_json::to_value(&built.limits).map_err(|error| refused(error.to_string()))?;
        let serde_json::Value::Object(mut merged) = own else {
            return Err(refused(format!("{LIMITS} cannot be written down")));
        };
        merged.extend(limits);
        built.limits =
            serde_json::from_value(merged.into()).map_err(|error| refused(format!("{LIMITS}: {error}")))?;
    }
    built.limits.check().map_err(refused)?;
    Ok(built)
}

/// The setting that every policy understands.
const LIMITS: &str = "limits";

/// A policy's own settings as JSON, for [`Policy::settings`].
pub(crate) fn effective<T: Serialize>(own: &T) -> serde_json::Value {
    serde_json::to_value(own).unwrap_or_default()
}

/// Every setting of `config` with its value in force: what is configured, the policy's defaults
/// for the rest, and under `limits` the limits that it brings.
pub fn in_force(config: &PolicyConfig) -> Result<serde_json::Map<String, serde_json::Value>, ConfigError> {
    let built = build(config)?;
    let mut all = match built.policy.settings() {
        serde_json::Value::Object(own) => own,
        _ => serde_json::Map::new(),
    };
    all.extend(config.settings.clone());
    all.insert(LIMITS.to_owned(), effective(&built.limits));
    Ok(all)
}

/// Reads a policy's settings into its own type.
pub(crate) fn settings<T: DeserializeOwned>(config: &PolicyConfig) -> Result<T, ConfigError> {
    let settings = serde_json::Value::from(config.settings.clone());
    serde_path_to_error::deserialize(settings)
        .map_err(|error| ConfigError::Settings { policy: config.name.clone(), because: placed(&error) })
}

/// The error with the key that it belongs to, as in `metrics[0].target: invalid type …`.
pub(crate) fn placed(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (place, cause) = (error.path().to_string(), error.inner());
    if place == "." { cause.to_string() } else { format!("{place}: {cause}") }
}

/// As [`settings`], then refuses what `check` refuses.
pub(crate) fn checked<T: DeserializeOwned>(
    config: &PolicyConfig,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, ConfigError> {
    let own = settings(config)?;
    check(&own).map_err(|because| ConfigError::Settings { policy: config.name.clone(), because })?;
    Ok(own)
}
