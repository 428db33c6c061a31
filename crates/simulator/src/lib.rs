//! Runs the live system's decisions on recorded or virtual time.

mod number;
pub mod replay;
pub mod trace;

pub use trace::{Trace, TraceError};
