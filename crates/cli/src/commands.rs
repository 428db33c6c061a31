//! One file a command.

pub(crate) mod advise;
pub(crate) mod ask;
pub(crate) mod balance;
pub(crate) mod balancer;
pub(crate) mod decide;
pub(crate) mod demo;
pub(crate) mod diagnose;
pub(crate) mod doctor;
pub(crate) mod forecast;
pub(crate) mod gym;
pub(crate) mod load;
mod play;
pub(crate) mod policy;
mod reach;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod steer;
mod steps;
mod summary;
pub(crate) mod tls;
pub(crate) mod top;
pub(crate) mod train_rl;
pub(crate) mod tune;
pub(crate) mod verify;
pub(crate) mod worker;
