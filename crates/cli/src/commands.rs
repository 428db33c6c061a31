//! One file a command.

pub(crate) mod policy;
pub(crate) mod replay;
pub(crate) mod worker;
