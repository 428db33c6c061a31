//! What is scaled.

use std::collections::BTreeMap;
use std::future::Future;

use control::{FleetStatus, Reading, Transition, WorkerSeen};

/// A port: anything that has replicas. Level-triggered: asking twice is harmless.
pub trait Target: Send {
    /// Its state now. Transitions are handed out once each, oldest first.
    fn status(&mut self) -> impl Future<Output = Result<Status, TargetError>> + Send;

    /// Orders `desired` replicas; returns once the order is taken, not once it is carried out.
    /// `seen` are the workers as the decision saw them, by which it may choose who goes.
    fn scale_to(
        &mut self,
        desired: u32,
        seen: &[WorkerSeen],
    ) -> impl Future<Output = Result<(), TargetError>> + Send;
}

/// What a target tells each turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The pool in numbers.
    pub fleet: FleetStatus,
    /// Every worker; traffic figures (`in_flight`, `requests`, `first_request_at`) are filled
    /// in by the loop.
    pub workers: Vec<WorkerSeen>,
    /// Readings of the target's machine by name, as in `host_cpu`.
    pub signals: BTreeMap<String, Reading>,
    /// What workers went through since the last call, oldest first.
    pub transitions: Vec<Transition>,
}

/// The target could not be asked, or refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub String);
