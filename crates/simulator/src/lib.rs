//! Runs the live system's decisions on recorded or virtual time.

pub mod replay;
