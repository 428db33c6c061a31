//! What a session says about itself.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where the cycles of a session come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Real time, real workers.
    Live,
    /// Virtual time.
    Simulated,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Simulated => "simulated",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "live" => Ok(Self::Live),
            "simulated" => Ok(Self::Simulated),
            other => Err(format!("`{other}` is no kind of session")),
        }
    }
}

/// What is known when a session begins; enough to run it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Live or simulated.
    pub kind: Kind,
    /// When it began.
    pub started_at: Timestamp,
    /// Version of autoscale.
    pub version: String,
    /// Seed of every generator of chance.
    pub seed: u64,
    /// The whole resolved configuration.
    pub config: serde_json::Value,
}

/// A session as found in a run file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Counted from 1 within the file.
    pub id: i64,
    /// What was known when it began.
    #[serde(flatten)]
    pub header: Header,
    /// When it was closed in good order; `None` while it runs, and after a crash.
    pub ended_at: Option<Timestamp>,
    /// How many of its cycles the file holds.
    pub cycles: u64,
    /// Number of the first cycle held; 0 when there is none.
    pub first_seq: u64,
    /// Number of the last cycle held; 0 when there is none.
    pub last_seq: u64,
    /// Cycles that could not be recorded, as far as the session was closed in good order.
    pub dropped: u64,
    /// What was said when it was closed in good order: the ledger after the last request. `None`
    /// also in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<serde_json::Value>,
}

impl Session {
    /// Whether every turn from the first to the last one held is there: only then can a
    /// replay be expected to decide the same.
    pub fn is_complete(&self) -> bool {
        self.cycles == self.last_seq && (self.cycles == 0 || self.first_seq == 1)
    }
}
