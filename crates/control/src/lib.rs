//! Control plane, pure: how many replicas, and which worker is in which state.
//!
//! Time and randomness are arguments; nothing here sleeps, logs, reads a clock or does I/O.

pub mod controller;
pub mod cycle;
pub mod decision;
pub mod fleet;
pub mod ledger;
pub mod limits;
pub mod observation;
pub mod policy;
pub mod span;

#[cfg(test)]
mod made_up;

pub use controller::{Controller, ControllerConfig};
pub use cycle::{Applied, Cycle};
pub use decision::{Because, Blocked, Decision, Excluded, Flip, InForce, Measured, RuleId, Step};
pub use fleet::Fleet;
pub use fleet::config::FleetConfig;
pub use fleet::event::{Effect, Event};
pub use fleet::status::{Exit, FleetStatus, State, Transition};
pub use observation::{Command, Observation, Reading, ScaleTo, WorkerSeen};
pub use policy::{ConfigError, POLICIES, Policy, PolicyConfig, Recommendation};
