//! The simulator on recorded traces.

mod looking_ahead;
mod public;
mod reference;
mod scenarios;
