//! What the server needs from the rest of the program, joined by whoever starts it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use control::{Command, InForce};
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::balancing::Balancing;
use crate::board::Board;
use crate::prediction::Prediction;

/// Everything that the server shows and steers.
pub struct Ports {
    /// Past and coming turns.
    pub board: Arc<Board>,
    /// Requests since the start.
    pub totals: Arc<dyn Fn() -> Totals + Send + Sync>,
    /// Takes orders.
    pub orders: Arc<dyn Orders>,
    /// Sees and steers the balancer.
    pub balancing: Arc<dyn Balancing>,
    /// Keeps the workers' output.
    pub logs: Arc<dyn Logs>,
    /// How recording goes; `None` without a run file.
    pub record: Option<Arc<dyn Fn() -> journal::Health + Send + Sync>>,
    /// What is expected of the signal; `None` where nothing is forecast.
    pub prediction: Option<Arc<dyn Fn() -> Prediction + Send + Sync>>,
    /// In force until the first turn says so itself.
    pub in_force: InForce,
    /// The signal to be shown until the first turn, as in `worker_cpu`.
    pub signal: Cow<'static, str>,
    /// Version of autoscale.
    pub version: &'static str,
    /// The page at `/`.
    pub page: Cow<'static, str>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("version", &self.version).finish_non_exhaustive()
    }
}

/// What the balancer has done since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests that have ended.
    pub requests: u64,
    /// Those of them that did not end well.
    pub failed: u64,
    /// Requests at workers now.
    pub in_flight: u32,
    /// Requests waiting for a worker now.
    pub queued: u32,
    /// Tries on another worker.
    pub retries: u64,
    /// Ended requests by class of status: `("2xx", 1200)`; few and fixed.
    pub classes: Vec<(&'static str, u64)>,
    /// Client connections now.
    pub connections: u64,
    /// Requests and clients that were refused, by reason; few and fixed.
    pub refused: Vec<(&'static str, u64)>,
    /// Requests at one worker at most now, by hand or learned.
    pub limit: Option<u32>,
    /// `closed`, `open` or `half_open`; `None` without a circuit breaker.
    pub circuit: Option<&'static str>,
    /// Second attempts beside first ones, and how many of them answered first.
    pub hedges: (u64, u64),
    /// Latency histogram: upper bound in seconds and how many requests took at most that
    /// long, ascending. The last bound may be infinite.
    pub latency_buckets: Vec<(f64, u64)>,
    /// Sum of all latencies in seconds.
    pub latency_sum_s: f64,
    /// How many latencies were measured.
    pub latency_count: u64,
    /// The same of each worker that is routed, by name: time that requests were at it.
    pub workers: Vec<WorkerTotals>,
    /// Lines of the access log, where there is one.
    pub access_log: Option<LogTotals>,
}

/// Time that requests were at one worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerTotals {
    /// As in `w1`.
    pub worker: String,
    /// As [`Totals::latency_buckets`].
    pub buckets: Vec<(f64, u64)>,
    /// In seconds.
    pub sum_s: f64,
    /// How many.
    pub count: u64,
}

/// How the access log fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTotals {
    /// Lines written.
    pub written: u64,
    /// Lines lost.
    pub dropped: u64,
}

/// Why an order was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrdersError {
    /// Too many orders wait for the next turn.
    #[error("too many orders are waiting for the next turn")]
    Busy,
    /// There is no such worker.
    #[error("there is no worker `{0}`")]
    UnknownWorker(String),
    /// What it says cannot be.
    #[error("{0}")]
    Bad(String),
    /// The order makes no sense here, or could not be carried out.
    #[error("{0}")]
    Refused(String),
}

/// Takes orders without waiting for their being carried out. A worker is named by its slot
/// (`w1`) or by slot and run (`w1.3`).
pub trait Orders: Send + Sync {
    /// Passes a command on to the next turn.
    fn command(&self, command: Command) -> Result<(), OrdersError>;
    /// Takes a worker out of rotation, lets it finish, ends it; another takes its place.
    fn drain(&self, worker: &str) -> Result<(), OrdersError>;
    /// Ends a worker at once; another takes its place.
    fn kill(&self, worker: &str) -> Result<(), OrdersError>;
    /// Keeps a worker from being chosen at a scale-in, or ends that.
    fn protect(&self, worker: &str, on: bool) -> Result<(), OrdersError>;
    /// Ends the whole program in good order.
    fn stop(&self) -> Result<(), OrdersError>;
    /// Starts a new process that takes over the sockets, to leave when it serves.
    fn upgrade(&self) -> Result<(), OrdersError>;
    /// Reads the configuration file again; a wrong one is refused and changes nothing.
    fn reload(&self) -> Result<(), OrdersError>;
}

/// A line that a worker wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was read.
    pub at: Timestamp,
    /// `stdout` or `stderr`.
    pub stream: Cow<'static, str>,
    /// Without the line break.
    pub text: String,
}

/// Keeps the workers' output. A worker is named as in [`Orders`].
pub trait Logs: Send + Sync {
    /// The last `n` lines, oldest first; `None` when there is no such worker.
    fn last(&self, worker: &str, n: usize) -> Option<Vec<LogLine>>;
    /// The last `n` lines and then each new one; `None` when there is no such worker.
    fn follow(&self, worker: &str, n: usize) -> Option<BoxStream<'static, LogLine>>;
}
