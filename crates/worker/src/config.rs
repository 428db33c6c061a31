//! What a worker can be told, what it does when told nothing, and why it may refuse.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The environment variable that names a worker; the caller puts its value into
/// [`WorkerConfig::id`].
pub const ID_VARIABLE: &str = "AUTOSCALE_WORKER_ID";

/// How one worker listens and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerConfig {
    /// Address to listen on. Default 127.0.0.1.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one. Default 5000.
    pub port: u16,
    /// The name in `x-worker`. Default `w0`.
    pub id: String,
    /// Size: the share of one core that the whole process may take, above 0 and at most 1.
    /// Default 1.
    pub cpus: f64,
    /// CPU time of a request that does not name its own, in milliseconds. Default 5.
    pub cpu_ms: f64,
    /// How long `/readyz` answers 503 after the start, as an app that warms up would. Default 0.
    pub start_up: Duration,
    /// How long requests may take to finish once the worker is told to stop. Default 30 s.
    pub drain_deadline: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 5000,
            id: "w0".to_owned(),
            cpus: 1.0,
            cpu_ms: 5.0,
            start_up: Duration::ZERO,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

/// Why a worker did not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// Someone else listens there.
    #[error("port {} is taken on {}", .0.port(), .0.ip())]
    PortTaken(SocketAddr),
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {because}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The cause.
        because: io::Error,
    },
    /// The thread that does the work could not be started.
    #[error("cannot start the thread that does the work: {0}")]
    Thread(io::Error),
    /// The deadline of the shutdown passed before all requests were answered.
    #[error("{unfinished} requests were not answered within {} s of being told to stop", .deadline.as_secs_f64())]
    DrainDeadline {
        /// Requests that were cut off.
        unfinished: u64,
        /// The time they had.
        deadline: Duration,
    },
}

impl WorkerError {
    /// What the user may try, if there is something; shown after `hint:`.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PortTaken(_) => Some("choose another with --port, or --port 0 for any free one"),
            Self::Listen { because, .. } if because.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 need special rights; choose a higher one")
            }
            Self::Listen { because, .. } if because.kind() == io::ErrorKind::AddrNotAvailable => {
                Some("this machine has no such address; 127.0.0.1 always works")
            }
            _ => None,
        }
    }
}
