//! HTTP in, HTTP out, through a pool.
//!
//! A [`Proxy`] is a few threads, each with its own runtime, listener and connections to workers;
//! no lock is taken on a request's path while a worker is free. It knows backends by address and
//! id, never processes: routes come down through [`Router::replace`], drained workers go up
//! through a [`DrainNotice`].
//!
//! Life of a request: `downstream` (a client's connection) → `forward` (one request) → `headers`
//! (what may pass) → `retry` (attempts) → `waiting` (a lease) → `upstream` (a connection to the
//! worker) → `body` (the answer, streamed or held).
//!
//! **Strictness.** `strict` judges every byte of HTTP/1 from either side, and divides only clean
//! messages into heads and pieces of bodies: none that could be understood in two ways gets further.
//!
//! **The seam.** Only `downstream` knows whether clients speak HTTP/1.1, or HTTP/2,
//! plain or in TLS; from there on a request is an `http::Request` with a
//! `RequestBody`, an answer an `http::Response` with an `AnswerBody`.

mod access_log;
mod account;
mod answer;
mod body;
mod config;
mod date;
mod downstream;
#[cfg(test)]
#[path = "../../../tests/fuzz/edits.rs"]
mod edits;
mod fields;
mod forward;
#[cfg(test)]
mod fuzz;
mod gather;
mod headers;
mod learning;
mod lines;
mod listen;
mod network;
mod places;
mod probe;
mod proxy_header;
mod redirect;
mod refusal;
mod request;
mod retire;
mod retry;
mod serve;
mod settings;
mod strict;
mod tls;
mod tunnel;
mod upstream;
mod waiting;

pub use access_log::{AccessLog, Entry, LogFormat};
pub use config::{Config, Rate};
pub use listen::Sockets;
pub use network::{BadNetwork, Network};
pub use probe::HealthCheck;
pub use retire::{DrainNotice, Router};
pub use serve::{Proxy, Shutdown, StartError};
pub use tls::{Tls, TlsError};
pub use traffic::Matcher;
