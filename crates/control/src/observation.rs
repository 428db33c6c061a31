//! All that a policy may know at one turn.
//!
//! A reading that was not taken is `None`: a policy that needs it holds, or does what its
//! product says.

mod slow;
mod workers;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::{Address, Version, Window, WorkerId};

use crate::controller::ControllerConfig;
use crate::fleet::status::{FleetStatus, State, Transition};
pub use crate::observation::slow::{ForecastSeen, SlowInputs};
pub use crate::observation::workers::Workers;

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
    pub workers: Workers,
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
    /// Latest values of what takes longer than a turn: forecasts, answers of programs.
    #[serde(default, skip_serializing_if = "SlowInputs::is_empty")]
    pub slow: SlowInputs,
    /// What happened before the first observation, for `decide` and tests; `None` in a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<History>>,
}

/// What a controller that takes over a pool is told of its past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Recommendations before limits, oldest first. `None`: not known, so the present number
    /// counts as recommended when the controller began, as in Kubernetes.
    #[serde(default)]
    pub recommendations: Option<Vec<PastRecommendation>>,
    /// Changes carried out, oldest first.
    #[serde(default)]
    pub scale_events: Vec<ScaleEvent>,
}

/// A recommendation of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastRecommendation {
    /// When.
    pub at: Timestamp,
    /// How many.
    pub replicas: u32,
}

/// A change of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleEvent {
    /// When.
    pub at: Timestamp,
    /// Replicas more (or fewer).
    pub change: i32,
}

/// A named measurement and when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// In the signal's own unit; NaN where the source gave no number, written as null.
    #[serde(with = "crate::number::or_null")]
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
    /// Ordered by hand: it is not chosen at a scale-in.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protected: bool,
    /// Named measurements of this worker beyond the above, such as a container's CPU against
    /// what it requested. Where one is listed for `cpu` or `memory`, it stands in place of
    /// `cpu_percent` and `memory_bytes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSeen>,
}

/// A named measurement of one worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricSeen {
    /// As in `cpu` or `requests_per_second`.
    pub name: String,
    /// Which of the worker's containers; `None`: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// In the metric's own unit; `None`: missing.
    #[serde(default)]
    pub value: Option<f64>,
    /// What was requested of that resource, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<f64>,
    /// When it was taken; `None`: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Seconds over which it was taken; `None`: since the last turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<f64>,
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
        /// Only nothing is taken away; more may come.
        #[serde(default, skip_serializing_if = "is_false")]
        scale_in_only: bool,
        /// Hold this many meanwhile; `None`: as many as there are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u32>,
        /// Who ordered it.
        by: String,
    },
    /// At least this many replicas until then, on top of whatever the policy says.
    Boost {
        /// How many.
        min: u32,
        /// When it ends.
        until: Timestamp,
        /// Who ordered it.
        by: String,
    },
    /// End a hold, a pause or a boost.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
