//! What goes into the fleet and what comes out.

use traffic::{Address, Route, WorkerId};

use super::status::Exit;

/// Something happened to a worker, or was ordered by hand. Events about a worker that is no
/// longer there are ignored, so late ones do no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Its process runs.
    Started {
        /// Which.
        id: WorkerId,
        /// Process id.
        pid: u32,
        /// Where it was told to listen.
        address: Address,
    },
    /// Its process could not be started.
    SpawnFailed {
        /// Which.
        id: WorkerId,
        /// Why, in words for people.
        because: String,
    },
    /// It answered its probe well.
    ProbePassed {
        /// Which.
        id: WorkerId,
    },
    /// It answered its probe badly or not at all.
    ProbeFailed {
        /// Which.
        id: WorkerId,
        /// Why, in words for people.
        because: String,
    },
    /// Its last request ended after it was taken out of rotation.
    Drained {
        /// Which.
        id: WorkerId,
    },
    /// Its process ended.
    Exited {
        /// Which.
        id: WorkerId,
        /// How.
        exit: Exit,
    },
    /// Ordered by hand: let its requests end, then replace it.
    Drain {
        /// Which.
        id: WorkerId,
    },
    /// Ordered by hand: kill and replace it.
    Kill {
        /// Which.
        id: WorkerId,
    },
    /// Ordered by hand: never choose it when there are too many, or do so again.
    Protect {
        /// Which.
        id: WorkerId,
        /// Whether it is protected from now on.
        on: bool,
    },
}

impl Event {
    /// The worker that the event is about.
    pub fn id(&self) -> WorkerId {
        match self {
            Self::Started { id, .. }
            | Self::SpawnFailed { id, .. }
            | Self::ProbePassed { id }
            | Self::ProbeFailed { id, .. }
            | Self::Drained { id }
            | Self::Exited { id, .. }
            | Self::Drain { id }
            | Self::Kill { id }
            | Self::Protect { id, .. } => *id,
        }
    }
}

/// Something that the driver must do, in the order in which it is handed out.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// From now on exactly these workers are given requests.
    Route(Vec<Route>),
    /// Start this worker; answered by `Started` or `SpawnFailed`.
    Spawn(WorkerId),
    /// Ask this worker to stop; answered by `Exited`.
    Terminate(WorkerId),
    /// End this worker by force; answered by `Exited`.
    Kill(WorkerId),
}
