//! What a model is made from, and the name that follows from it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use forecast::{Budget, Series, Settings};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Raised by hand whenever training would give other bytes for the same data and recipe.
pub const CODE_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+forecast.2");

/// What to train, as a manifest states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// A row of `forecast::FORECASTERS`.
    pub model: String,
    /// For models that draw lots.
    #[serde(default)]
    pub seed: u64,
    /// Rounds of learning.
    #[serde(default = "default_iterations")]
    pub iterations: u32,
    /// Horizons to learn, in steps, ascending.
    #[serde(default = "default_horizons")]
    pub horizons: Vec<usize>,
    /// Lengths after which the series may repeat, in seconds, ascending.
    #[serde(default = "default_seasons")]
    pub seasons_seconds: Vec<u64>,
    /// Where a day begins: an IANA name.
    #[serde(default = "default_zone")]
    pub time_zone: String,
}

fn default_iterations() -> u32 {
    Budget::default().iterations
}

fn default_horizons() -> Vec<usize> {
    vec![1, 5, 15]
}

fn default_seasons() -> Vec<u64> {
    vec![3_600, 86_400, 604_800]
}

fn default_zone() -> String {
    "UTC".to_owned()
}

/// What is wrong with a recipe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// No such row.
    #[error("there is no model `{name}` (there are {known})")]
    UnknownModel {
        /// Asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A neural model, in a program without them.
    #[error("`{0}` is a neural model, and this program was built without them: build it with --features nn")]
    NotBuilt(String),
    /// No such zone.
    #[error("`{0}` is no time zone")]
    TimeZone(String),
    /// Horizons are missing, zero, too far, or not ascending.
    #[error("horizons must be ascending steps from 1 to {HORIZON_MAX}, {HORIZONS_MAX} of them at most")]
    Horizons,
    /// Seasons are not ascending.
    #[error("seasons must be ascending, {SEASONS_MAX} of them at most, and none of no length")]
    Seasons,
}

/// A forecast further ahead than this many steps is no forecast of load.
const HORIZON_MAX: usize = 1_000;
/// Each horizon is learnt on its own: more of them cost time in every update.
const HORIZONS_MAX: usize = 16;
/// Each season adds features to every model.
const SEASONS_MAX: usize = 6;

impl Recipe {
    /// For this model, everything else as it is unless told otherwise.
    pub fn of(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            seed: 0,
            iterations: default_iterations(),
            horizons: default_horizons(),
            seasons_seconds: default_seasons(),
            time_zone: default_zone(),
        }
    }

    /// The settings for steps of this length.
    ///
    /// # Errors
    /// When the recipe names what there is not, or its numbers make no sense.
    pub fn settings(&self, step: Duration) -> Result<Settings, RecipeError> {
        let ascending = |values: &[usize]| values.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = |&horizon: &usize| (1..=HORIZON_MAX).contains(&horizon);
        if self.horizons.is_empty()
            || self.horizons.len() > HORIZONS_MAX
            || !self.horizons.iter().all(in_range)
            || !ascending(&self.horizons)
        {
            return Err(RecipeError::Horizons);
        }
        let seasons = &self.seasons_seconds;
        if seasons.len() > SEASONS_MAX
            || seasons.first() == Some(&0)
            || !seasons.windows(2).all(|pair| pair[0] < pair[1])
        {
            return Err(RecipeError::Seasons);
        }
        let time_zone =
            TimeZone::get(&self.time_zone).map_err(|_| RecipeError::TimeZone(self.time_zone.clone()))?;
        Ok(Settings {
            step,
            horizons: self.horizons.clone(),
            seasons: seasons.iter().copied().map(Duration::from_secs).collect(),
            time_zone,
            seed: self.seed,
        })
    }

    /// The row of the registry that the recipe names.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&self) -> Result<&'static forecast::Entry, RecipeError> {
        entries().find(|entry| entry.name == self.model).ok_or_else(|| {
            if neural::NAMES.contains(&self.model.as_str()) {
                return RecipeError::NotBuilt(self.model.clone());
            }
            RecipeError::UnknownModel {
                name: self.model.clone(),
                known: entries().map(|entry| entry.name).collect::<Vec<_>>().join(", "),
            }
        })
    }

    /// How much a fit may do.
    pub fn budget(&self) -> Budget {
        Budget { iterations: self.iterations }
    }
}

/// Every model that there is: the classical ones, and the neural ones if they were built.
pub fn entries() -> impl Iterator<Item = &'static forecast::Entry> {
    forecast::FORECASTERS.iter().chain(neural::FORECASTERS)
}

/// The hash of a series: its grid and every bit of its values.
pub fn data_hash(series: &Series) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&series.start().as_nanosecond().to_le_bytes());
    hasher.update(&series.step().as_nanos().to_le_bytes());
    let mut column = |name: &str, values: &[f64]| {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(values.len() as u64).to_le_bytes());
        for value in values {
            // All gaps are alike, whichever bits their "not a number" has.
            let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
            hasher.update(&bits.to_le_bytes());
        }
    };
    column("", series.values());
    for covariate in series.covariates() {
        column(&covariate.name, &covariate.values);
    }
    hasher.finalize().to_hex().to_string()
}

/// A model's name: the hash of data, recipe and code version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelId(String);

impl ModelId {
    pub(crate) fn of(data_hash: &str, recipe: &Recipe, code_version: &str) -> Self {
        let recipe = serde_json::to_string(recipe).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        for part in [data_hash, &recipe, code_version] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hasher.finalize().to_hex().to_string())
    }

    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first twelve digits: enough to tell models apart by eye.
impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..12).unwrap_or(&self.0))
    }
}

impl FromStr for ModelId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hexadecimal = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hexadecimal {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("`{text}` is no model id"))
        }
    }
}
