//! What a pool of local workers needs to know, and to whom it is wired.

use std::path::PathBuf;
use std::sync::Arc;

use control::FleetConfig;
use tokio::sync::mpsc;
use traffic::{Route, WorkerId};

use crate::guardian::link::GuardianCommand;
use crate::leftovers::state_directory;
use crate::probe::{ProbeConfig, Progress};
use crate::process::{CommandError, WorkerCommand};

/// All that can be set.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// What each worker runs.
    pub command: WorkerCommand,
    /// First port tried: the worker in slot `i` gets `worker_port + i - 1` or a later one; 0
    /// takes any free port.
    pub worker_port: u16,
    /// How many cores a worker is said to have; its CPU percent is of that.
    pub worker_cpus: f64,
    /// How to ask workers how they are.
    pub probe: ProbeConfig,
    /// Deadlines and thresholds of the lifecycle.
    pub fleet: FleetConfig,
    /// Decides the jitter of crash loops, nothing else.
    pub seed: u64,
    /// Where to keep the record that lets the next start find leftovers.
    pub state_directory: PathBuf,
    /// How to start the guardian.
    pub guardian: GuardianCommand,
}

impl SupervisorConfig {
    /// The defaults for a command. An error when the system cannot say where our own binary is.
    pub fn new(command: WorkerCommand) -> std::io::Result<Self> {
        Ok(Self {
            command,
            worker_port: 5000,
            worker_cpus: 1.0,
            probe: ProbeConfig::default(),
            fleet: FleetConfig::default(),
            seed: 0,
            state_directory: state_directory(),
            guardian: GuardianCommand::ourselves()?,
        })
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        self.command.check()?;
        let path = &self.probe.path;
        if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(StartError::BadHealthPath(path.clone()));
        }
        if !(self.worker_cpus.is_finite() && self.worker_cpus > 0.0) {
            return Err(StartError::BadWorkerCpus(self.worker_cpus));
        }
        Ok(())
    }
}

/// Takes all workers that may be given requests.
pub type Routes = Arc<dyn Fn(&[Route]) + Send + Sync>;

/// The wires to the balancer.
pub struct Wires {
    /// Called whenever it changes who may be given requests. It must not block.
    pub routes: Routes,
    /// Brings the workers whose last request has ended after they were taken out of rotation.
    pub drained: mpsc::Receiver<WorkerId>,
    /// Says how many requests a worker has ended, so that a busy one is not taken for a dead one.
    pub progress: Option<Progress>,
}

/// A pool that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The workers' command cannot be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The health path is no path.
    #[error("`{0}` is no path to probe; hint: it begins with a slash, as in /healthz")]
    BadHealthPath(String),
    /// The size of a worker is no size.
    #[error("a worker cannot have {0} cores; hint: a number above 0")]
    BadWorkerCpus(f64),
    /// The directory for workers' sockets could not be made.
    #[error("no directory for the workers' sockets: {0}; hint: TMPDIR says where it is made")]
    Sockets(std::io::Error),
    /// The guardian does not run.
    #[error("the guardian `{}` could not be started: {cause}", .program.display())]
    Guardian {
        /// What was to be its program.
        program: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
}
