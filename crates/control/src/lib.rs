//! Control plane, pure: how many replicas, and which worker is in which state.
//!
//! Time and randomness are arguments; nothing here sleeps, logs, reads a clock or does I/O.

pub mod advice;
mod because;
pub mod controller;
pub mod cycle;
pub mod decide;
pub mod decision;
pub mod fleet;
pub mod ledger;
pub mod limits;
pub mod lint;
mod manifest;
mod number;
pub mod observation;
pub mod outcome;
pub mod policy;
pub mod shadow;
pub mod soundness;
pub mod span;
pub mod virtual_pool;

#[cfg(test)]
mod made_up;

pub use advice::Advice;
pub use controller::{Controller, ControllerConfig};
pub use cycle::{Applied, Cycle};
pub use decision::{
    Alarm, AlarmState, Because, Blocked, Boost, Condition, ConditionKind, Decision, Excluded, Flip,
    Foresight, InForce, Measured, Member, Planned, RuleId, Standing, Step, Text, Trust,
};
pub use fleet::Fleet;
pub use fleet::config::FleetConfig;
pub use fleet::event::{Effect, Event};
pub use fleet::status::{Exit, FleetStatus, State, Transition};
pub use fleet::victim::Victims;
pub use observation::{
    Command, ForecastSeen, History, MetricSeen, Observation, PastRecommendation, Reading, ScaleEvent,
    ScaleTo, SlowInputs, WorkerSeen, Workers,
};
pub use policy::spec::{PRESETS, PolicySpec, Preset};
pub use policy::{ConfigError, POLICIES, Policy, PolicyConfig, Recommendation};
pub use shadow::{ShadowConfig, ShadowTurn};
pub use soundness::{Fault, Unsound};
