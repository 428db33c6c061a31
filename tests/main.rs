//! The whole program from outside: real processes, real requests, real signals.
#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "what a pool said is shown where its test fails")]
#![expect(clippy::unwrap_used, reason = "clippy does not take the functions that tests share for tests")]

mod harness;

mod apps;
mod commands;
mod demo;
mod drain;
mod faults;
mod forecast;
mod kill_nine;
mod ledger;
mod load;
mod metrics;
mod orphans;
mod policies;
mod ramp;
mod replay;
mod simulate;
mod stand_in;
mod steering;
mod upgrade;
