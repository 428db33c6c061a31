//! Inputs that take longer than a turn: shown each turn, asked for their latest values.

use control::policy::exec::Program;
use control::{ControllerConfig, Observation, SlowInputs};

/// Keeps the latest values of what takes longer than a turn. Neither call waits.
pub trait Slow: Send {
    /// The latest values, whatever their age.
    fn latest(&mut self) -> SlowInputs;

    /// This turn, and the programs that are to be asked about it.
    fn show(&mut self, seen: &Observation, config: &ControllerConfig, programs: Vec<Program>);
}

/// There are none.
#[derive(Clone, Copy, Debug)]
pub struct NoSlow;

impl Slow for NoSlow {
    fn latest(&mut self) -> SlowInputs {
        SlowInputs::default()
    }

    fn show(&mut self, _: &Observation, _: &ControllerConfig, _: Vec<Program>) {}
}
