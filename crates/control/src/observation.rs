//! All that a policy may know at one turn.
//!
//! A reading that was not taken is `None`: a policy that needs it holds, or does what its
//! product says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::{Address, Version, Window, WorkerId};

use crate::controller::ControllerConfig;
use crate::fleet::status::{FleetStatus, State, Transition};

/// One turn's input. Equal observations in equal order give equal decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// When it was made.
    pub at: Timestamp,
    /// Requests since the last turn; `None` when the source could not be read.
    pub traffic: Option<Window>,
    /// The pool in numbers.
    pub fleet: FleetStatus,
    /// Every worker, in order of slot.
    pub workers: Vec<WorkerSeen>,
    /// Other readings by name, such as `host_cpu`.
    #[serde(default)]
    pub signals: BTreeMap<String, Reading>,
    /// What workers went through since the last turn, oldest first.
    #[serde(default)]
    pub transitions: Vec<Transition>,
    /// Orders by hand or API since the last turn, oldest first. They enter here so that a
    /// recorded run replays.
    #[serde(default)]
    pub commands: Vec<Command>,
}

/// A named measurement and when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// In the signal's own unit.
    pub value: f64,
    /// When it was taken.
    pub at: Timestamp,
}

/// One worker as seen at one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerSeen {
    /// Identity; shown as `w1`.
    pub id: WorkerId,
    /// Process id, once it has one.
    pub pid: Option<u32>,
    /// Where it listens, once known.
    pub address: Option<Address>,
    /// Its state now.
    pub state: State,
    /// When it entered that state.
    pub since: Timestamp,
    /// When its process was asked for.
    pub started_at: Timestamp,
    /// When it first became ready.
    pub ready_at: Option<Timestamp>,
    /// When it was given its first request.
    pub first_request_at: Option<Timestamp>,
    /// CPU time of its process tree over the last turn, in percent of the worker's size (100 =
    /// all of it); `None` when it could not be measured.
    pub cpu_percent: Option<f64>,
    /// Resident memory of its process tree.
    pub memory_bytes: Option<u64>,
    /// Requests at it now.
    pub in_flight: u32,
    /// Requests it has ended.
    pub requests: u64,
    /// How often its slot has been restarted after a crash.
    pub restarts: u32,
    /// App version it runs.
    #[serde(default)]
    pub version: Version,
}

/// How many replicas an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleTo {
    /// Exactly this many.
    Exactly(u32),
    /// This many more, or fewer, than desired now.
    By(i32),
    /// As many as the bounds allow.
    Max,
}

/// An order by hand, key, signal or API. `by` says whose, for the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Hold this many replicas until then, whatever the policy says; `None`: until resumed.
    Scale {
        /// How many.
        to: ScaleTo,
        /// When the policy takes over again.
        until: Option<Timestamp>,
        /// Who ordered it.
        by: String,
    },
    /// Change nothing until then; `None`: until resumed.
    Pause {
        /// When the policy takes over again.
        until: Option<Timestamp>,
        /// Who ordered it.
        by: String,
    },
    /// End a hold or a pause.
    Resume {
        /// Who ordered it.
        by: String,
    },
    /// Go on under another configuration.
    Reload {
        /// The new configuration, already checked.
        config: Box<ControllerConfig>,
        /// Who ordered it.
        by: String,
    },
}
