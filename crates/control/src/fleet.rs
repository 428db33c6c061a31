//! The lifecycle of all workers, without I/O: events in, effects out.

pub mod status;
