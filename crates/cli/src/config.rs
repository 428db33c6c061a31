//! What the arguments, the file and the defaults amount to: no `Option` left, units checked.

mod file;
pub(crate) mod policy_file;
mod resolve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use control::ControllerConfig;

pub(crate) use resolve::{policy, refused, reload, resolve};

/// A run, settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) admin_token: Option<String>,
    /// What the controller decides by; recorded in the run file.
    pub(crate) control: ControllerConfig,
    pub(crate) pool: Pool,
    pub(crate) proxy: Proxy,
    pub(crate) record: Option<PathBuf>,
    /// `None`: from the clock.
    pub(crate) seed: Option<u64>,
    pub(crate) dry_run: bool,
    pub(crate) plain: bool,
}

/// The workers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pool {
    /// Empty: the demo worker.
    pub(crate) command: Vec<String>,
    pub(crate) worker_port: u16,
    /// In cores; a worker's CPU percent is of this.
    pub(crate) worker_cpus: f64,
    pub(crate) health_path: String,
    pub(crate) start_up_deadline: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) kill_deadline: Duration,
}

/// The balancer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proxy {
    pub(crate) algorithm: String,
    /// `None`: no limit.
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) queue_timeout: Duration,
}
