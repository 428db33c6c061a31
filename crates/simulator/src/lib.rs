//! Runs the live system's decisions on recorded or virtual time.

pub mod advise;
pub mod bootstrap;
pub mod bound;
pub mod contest;
pub mod curve;
pub mod des;
pub mod diagnose;
mod fingerprint;
pub mod fluid;
pub mod gym;
mod latency;
pub mod load;
mod number;
pub mod optimum;
pub mod outage;
pub mod price;
pub mod replay;
pub mod scenario;
pub mod score;
pub mod story;
pub mod tally;
pub mod trace;
pub mod train;
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
