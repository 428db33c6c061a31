//! Closed- and open-loop load, with latency from the intended send time.
//!
//! [`plan`] says, without any I/O, when each request should go; [`Load`] sends them and keeps
//! to that plan whatever the answers do; [`Report`] says what came back, and whether the
//! generator itself was quick enough for the numbers to mean anything.

mod config;
mod drive;
pub mod plan;
mod report;
mod target;
mod threshold;
mod tls;
mod units;

pub use config::{LoadConfig, LoadError, Shape};
pub use drive::{Load, Progress, Throttle, run};
pub use report::{Percentiles, Report, Verdict};
pub use target::{Target, TargetError};
pub use threshold::{Breach, Threshold, ThresholdError, Thresholds};
pub use tls::Trust;
pub use units::{Rate, RateError, parse_duration};
