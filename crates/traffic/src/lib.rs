//! Data plane, pure: who takes the next request, and what requests cost.
//!
//! Time and chance are arguments. Nothing here knows of processes, sockets or replicas.

pub mod route;
pub mod window;

pub use route::{Address, Route, Version, WorkerId};
pub use window::{BackendSample, Latency, Sample, Window};
