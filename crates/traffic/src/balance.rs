//! Which ready backend takes the next request: one trait, one file an algorithm, one table.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::{Backend, WorkerId};

mod least_connections;
mod round_robin;

pub use least_connections::LeastConnections;
pub use round_robin::RoundRobin;

/// The algorithm used when none is named: it alone takes slow requests and new workers into
/// account, and equals round robin while all requests are alike.
pub const DEFAULT: &str = "least_connections";

/// Every algorithm, by name.
pub const BALANCERS: &[Entry] = &[least_connections::ENTRY, round_robin::ENTRY];

/// A row of [`BALANCERS`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What users write.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    /// Makes one, for one pool.
    pub build: fn() -> Box<dyn Balancer>,
}

/// Makes the algorithm called `name`.
///
/// # Errors
/// When there is none of that name; the message lists those there are.
pub fn build(name: &str) -> Result<Box<dyn Balancer>, UnknownBalancer> {
    let entry = BALANCERS.iter().find(|entry| entry.name == name);
    entry.map(|entry| (entry.build)()).ok_or_else(|| UnknownBalancer(name.to_owned()))
}

/// No algorithm has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBalancer(pub String);

impl fmt::Display for UnknownBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = BALANCERS.iter().map(|entry| entry.name).collect();
        write!(f, "`{}` is no balancing algorithm (there are {})", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownBalancer {}

/// Chance and time for one choice, handed in, so that it can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Now.
    pub at: Timestamp,
    /// Evenly distributed bits.
    pub random: u64,
    /// What requests that belong together share; equal keys may be sent to equal backends.
    pub key: u64,
}

/// Chooses among ready backends. Called by many threads at once.
pub trait Balancer: Send + Sync + fmt::Debug {
    /// The index of the backend that takes the next request; `None` when none is eligible.
    fn pick(&self, ready: Candidates<'_>, draw: Draw) -> Option<usize>;
}

/// The ready backends as a balancer sees them: those that may not take this request (full,
/// retired a moment ago, or to be avoided) keep their index but cannot be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    ready: &'a [Arc<Backend>],
    avoid: Option<WorkerId>,
}

impl<'a> Candidates<'a> {
    /// All of `ready` but `avoid`.
    pub fn new(ready: &'a [Arc<Backend>], avoid: Option<WorkerId>) -> Self {
        Self { ready, avoid }
    }

    /// How many indices there are, eligible or not.
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether there is no index at all.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// The backend at `index`, if it may take the request.
    pub fn get(&self, index: usize) -> Option<&'a Backend> {
        let backend = self.ready.get(index)?;
        let eligible = Some(backend.id()) != self.avoid && !backend.is_retired() && !backend.is_full();
        eligible.then_some(backend)
    }
}
