//! The demo web app: burns real CPU for each request, within a size of its own.
//!
//! `/` does the work in `burn`, one job after another, never taking more of a core than the
//! worker's size. Everything else (probes, counts, metrics) is answered by the thread that reads
//! the sockets and so never waits behind work.

mod app;
mod body;
mod burn;
mod config;
mod counters;
mod pace;
mod serve;
mod work;

pub use config::{ID_VARIABLE, WorkerConfig, WorkerError};
pub use serve::{Worker, run};
