//! Runs the live system's decisions on recorded or virtual time.

pub mod bootstrap;
pub mod bound;
pub mod contest;
pub mod curve;
pub mod des;
mod fingerprint;
pub mod fluid;
mod latency;
pub mod load;
mod number;
pub mod optimum;
pub mod replay;
pub mod scenario;
pub mod score;
pub mod tally;
pub mod trace;
pub mod tune;

pub use bound::Bound;
pub use contest::{Contest, ContestError, Contestant, ContestantKind, Engine};
pub use curve::{Column, Curve};
pub use des::Des;
pub use load::Load;
pub use optimum::{Optimum, Plan};
pub use scenario::{Scenario, ScenarioError, Size};
pub use score::Score;
pub use tally::Tally;
pub use trace::{Trace, TraceError};
