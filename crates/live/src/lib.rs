//! The real-time loop and its two ports.

pub mod source;
pub mod target;

pub use source::{Source, SourceError};
pub use target::{Status, Target, TargetError};
