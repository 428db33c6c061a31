//! Data plane, pure: who takes the next request, and what requests cost.
//!
//! Time and chance are arguments. Nothing here knows of processes, sockets or replicas.
//!
//! A request's way through it: [`Shard::arrive`] → [`Pool::lease`] (one atomic load, one
//! [`Balancer`] pick) → [`Lease::finish`] → [`Arrival::finish`]. What was counted is read with
//! [`Sample::take`], and must add up in a [`Ledger`].

pub mod adaptive;
pub mod backend;
pub mod balance;
pub mod breaker;
mod budget;
mod elapsed;
pub mod health;
pub mod hedge;
pub mod ledger;
mod matcher;
pub mod meter;
#[cfg(all(test, loom))]
mod model;
mod occupancy;
pub mod pool;
mod rate;
mod recent;
pub mod route;
mod sync;
mod tally;
pub mod window;
mod writers;

pub use adaptive::{ADAPTIVE_LIMITS, AdaptiveRule};
pub use backend::Backend;
pub use balance::{BALANCERS, Balancer, Candidates, Draw};
pub use breaker::Circuit;
pub use budget::RetryBudget;
pub use health::{Ejection, ProbeCount, Probed, TargetHealth};
pub use hedge::HedgeAfter;
pub use ledger::{Handed, Ledger, WorkerLedger};
pub use matcher::{BadMatcher, Matcher};
pub use meter::{Arrival, Meter, Outcome, Reading, Shard};
pub use pool::{Lease, Pool, Snapshot, Watcher};
pub use rate::RateLimit;
pub use route::{Address, Route, Version, WorkerId};
pub use window::{BackendSample, Latency, Sample, Window};
