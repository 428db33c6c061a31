//! The admin API: a server that shows and steers a running pool, and the client that the
//! commands use. It knows neither processes nor the proxy: what it needs is handed in as
//! [`Ports`].

mod api;
pub mod balancing;
pub mod board;
pub mod client;
pub mod events;
pub mod explain;
mod failure;
mod guard;
pub mod metrics;
pub mod orders;
pub mod ports;
pub mod prediction;
pub mod sample;
mod serve;
mod stall;
pub mod status;

pub use balancing::{BackendOrder, BalancerOrder, BalancerSettings, Balancing, TargetSeen, WeightOrder};
pub use board::Board;
pub use client::{Client, ClientError};
pub use events::{Event, EventKind};
pub use explain::Record;
pub use orders::{Accepted, BoostOrder, DEFAULT_HOLD, Length, PauseOrder, ScaleOrder};
pub use ports::{LogLine, LogTotals, Logs, Orders, OrdersError, Ports, Totals, WorkerTotals};
pub use prediction::{PredictedAhead, Prediction, PredictionScore};
pub use sample::Point;
pub use serve::{AdminConfig, Handle, ServeError, serve, serve_on};
pub use status::Status;
