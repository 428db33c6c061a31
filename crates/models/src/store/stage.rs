//! The stages of a model's life.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far a model has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Trained, not looked at.
    Candidate,
    /// Forecasts beside the champion; nobody acts on it.
    Shadow,
    /// Decides.
    Champion,
    /// Has decided, or was passed over.
    Retired,
}

impl Stage {
    /// As users read and write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Shadow => "shadow",
            Self::Champion => "champion",
            Self::Retired => "retired",
        }
    }

    /// The stage that a promotion leads to; a champion has none.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Candidate => Some(Self::Shadow),
            Self::Shadow | Self::Retired => Some(Self::Champion),
            Self::Champion => None,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Candidate, Self::Shadow, Self::Champion, Self::Retired]
            .into_iter()
            .find(|stage| stage.name() == text)
            .ok_or_else(|| format!("`{text}` is no stage"))
    }
}
