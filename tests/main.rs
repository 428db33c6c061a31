//! The whole program from outside: real processes, real requests, real signals.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "clippy does not take the functions that tests share for tests")]

mod harness;

mod drain;
mod kill_nine;
mod orphans;
mod ramp;
mod stand_in;
mod steering;
