//! The balancer from outside, over real sockets.
#![expect(clippy::unwrap_used, reason = "clippy does not take the functions that tests share for tests")]

mod access_log;
mod admission;
mod backlog;
mod change;
mod conformance;
mod drain;
mod forwarding;
mod half_close;
mod headers;
mod http2;
mod kills;
mod overload;
mod places;
mod probes;
mod proxy_header;
mod rest;
mod retry;
mod shutdown;
mod support;
mod upgrade;
mod waiting;
