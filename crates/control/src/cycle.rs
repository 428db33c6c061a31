//! One turn of the loop: what was seen, what was decided, what came of it. One cycle is one
//! row of the run file and one frame of a dashboard.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::observation::Observation;

/// One turn. There is exactly one for each, also when nothing was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every cycle is the large one")]
pub enum Cycle {
    /// The loop saw and decided.
    Decided {
        /// What it saw.
        seen: Observation,
        /// What it decided.
        decision: Decision,
        /// What became of the order.
        applied: Applied,
        /// Where every request went so far, for `verify no-loss`; no policy sees it. `None` where
        /// no books are kept: in simulations, and in records of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ledger: Option<Box<traffic::Ledger>>,
    },
    /// The target could not be asked, so nothing was decided.
    Blind {
        /// When.
        at: Timestamp,
        /// Why.
        because: String,
    },
}

impl Cycle {
    /// When the turn took place.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Decided { seen, .. } => seen.at,
            Self::Blind { at, .. } => *at,
        }
    }
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// The target took the order.
    Ordered,
    /// Only recorded (`--dry-run`).
    DryRun,
    /// The target refused it; the next turn asks again.
    Failed(String),
}
