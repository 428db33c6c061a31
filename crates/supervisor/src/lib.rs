//! Local processes as a target of the control loop; the guardian.
//!
//! [`Local::start`] starts a pool: a task that drives [`control::Fleet`], and a guardian, the
//! parent of all workers. Routes go down through a callback, drained notices come up through a
//! channel; who balances requests is not known here.

mod config;
pub mod guardian;
pub mod leash;
mod leftovers;
mod local;
mod output;
mod probe;
mod process;
mod processes;
mod programs;
mod sockets;
mod task;
mod usage;

pub use config::{Routes, StartError, SupervisorConfig, Wires};
pub use guardian::link::GuardianCommand;
pub use leash::Leash;
pub use leftovers::state_directory;
pub use local::{Local, OrderError, Steering};
pub use output::{Line, Outputs, Stream};
pub use probe::{ProbeConfig, Progress};
pub use process::{CommandError, WorkerCommand};
pub use programs::Programs;
