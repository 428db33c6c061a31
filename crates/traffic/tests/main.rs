//! The data plane from outside.
#![expect(clippy::unwrap_used, reason = "clippy does not take the functions that tests share for tests")]

mod adaptive;
mod fairness;
mod health;
mod ledger;
mod meter;
mod pool;
mod stress;
mod support;
