//! The admin API over real connections, asked through its own client.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod ask;
mod follow;
mod guard;
mod metrics;
mod schema;
mod steer;
mod support;
