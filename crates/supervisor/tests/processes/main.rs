//! Real processes: their lives, and that none outlives its owner.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod lifecycle;
mod orphans;
