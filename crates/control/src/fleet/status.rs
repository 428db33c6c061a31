//! What the fleet tells about itself.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::WorkerId;

/// Where a worker stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its process was asked for or runs, but is not ready yet.
    Starting,
    /// It passes its probe and is given requests.
    Ready,
    /// It ran well and now fails its probe; it is given no requests.
    Unhealthy,
    /// It is on its way out: given no new requests, then told to stop.
    Draining,
    /// It crashed again and again; its slot waits before the next try.
    Backoff,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Backoff => "backoff",
        })
    }
}

/// The pool in numbers. `ready + starting + unhealthy + backoff` tends to `desired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// How many there should be.
    pub desired: u32,
    /// How many are not ready yet.
    pub starting: u32,
    /// How many are given requests.
    pub ready: u32,
    /// How many fail their probe.
    pub unhealthy: u32,
    /// How many are on their way out.
    pub draining: u32,
    /// How many slots wait after a crash.
    pub backoff: u32,
    /// Workers that ended unasked since the start.
    pub crashes: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A worker went from one state to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Which worker.
    pub worker: WorkerId,
    /// Its process, where it had one.
    pub pid: Option<u32>,
    /// State before; `None` for a new worker.
    pub from: Option<State>,
    /// State after; `None` once its process is gone.
    pub to: Option<State>,
    /// Why, in words for people.
    pub because: String,
}
