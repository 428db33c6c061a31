//! The real-time loop and its two ports.

pub mod forecasting;
pub mod run;
pub mod slow;
pub mod source;
pub mod target;

pub use forecasting::Forecasting;
pub use run::{Loop, Mode};
pub use slow::{NoSlow, Slow};
pub use source::{Source, SourceError};
pub use target::{Status, Target, TargetError};
