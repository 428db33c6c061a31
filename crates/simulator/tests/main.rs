//! The simulator on recorded traces.

mod public;
mod reference;
mod scenarios;
