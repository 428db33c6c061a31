//! What can be set, and why the defaults are what they are.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::access_log::AccessLog;
use crate::network::Network;
use crate::probe::HealthCheck;
use crate::tls::Tls;

/// One thread forwards tens of thousands of requests a second; a handful of local workers never
/// needs more than this many.
const THREADS_MAX: usize = 4;
/// Each takes one file descriptor, and one more while its request is at a worker; this leaves
/// room under the 20,000 that many machines allow.
const CONNECTIONS_MAX: usize = 8_192;
/// A waiting request costs its connection's buffers, some 20 KiB: this many are 20 MiB, and five
/// seconds of 200 requests a second.
const QUEUE_MAX: usize = 1_024;
/// Long enough for a worker to start, short enough for a person to wait.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// An honest client sends its head in one piece; a slow one on a bad line still manages.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Browsers keep connections for minutes; this is what most servers grant them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that takes nothing of its answer for this long is gone; until then it holds a place
/// at a worker.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// On one machine a connection is made in microseconds; a second passes only if the worker's
/// backlog overflows.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Slow reports take tens of seconds; this is what other balancers allow.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
/// Just below the five seconds after which widespread servers close idle connections, so that
/// hardly ever a request meets a connection that is being closed.
const UPSTREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Idle connections kept to each worker by each thread: more than a worker serves at once.
const UPSTREAM_IDLE_MAX: usize = 128;
/// Twice what the most generous of widespread servers accepts.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Settings of a [`Proxy`](crate::Proxy).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Threads that serve; at least 1.
    pub threads: NonZeroUsize,
    /// Seed of request ids and of chance in balancing.
    pub seed: u64,
    /// Client connections at once; idle ones give way to new ones, else more are refused with 503.
    pub connections_max: usize,
    /// Requests that wait for a worker at once; more are refused.
    pub queue_max: usize,
    /// How long a request waits for a worker, all its waits together.
    pub queue_timeout: Duration,
    /// How long a request's head may take from its first byte; also a new connection's first.
    pub header_timeout: Duration,
    /// How long a client's connection may lie idle between requests.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer that is ready for it.
    pub send_timeout: Duration,
    /// How long connecting to a worker may take.
    pub connect_timeout: Duration,
    /// How long a worker may take to begin its answer, from the last byte of the request; also to
    /// send the next piece of an answer that is held until whole.
    pub first_byte_timeout: Duration,
    /// How long a connection to a worker is kept without use.
    pub upstream_idle_timeout: Duration,
    /// How many such connections each thread keeps to each worker.
    pub upstream_idle_max: usize,
    /// Longest head of a request, in bytes; a longer one is answered with 431.
    pub head_bytes_max: usize,
    /// Longest body of a request, in bytes; a longer one is answered with 413. Bodies are streamed
    /// and cost no memory, so there is no limit by default.
    pub body_bytes_max: Option<u64>,
    /// How long a request may take until its answer begins, all waits and attempts together; then
    /// it is answered with 504. `None`: the other time-outs are enough.
    pub request_timeout: Option<Duration>,
    /// Who may connect; others are answered with 403. Empty: everybody.
    pub allowed: Vec<Network>,
    /// Whose `X-Forwarded-*` and `Forwarded` fields are believed. Empty: nobody's.
    pub trusted_proxies: Vec<Network>,
    /// Requests that one address may send; more are answered with 429.
    pub rate_limit: Option<Rate>,
    /// How backends are probed; `None` where whoever routes them does that.
    pub health_check: Option<HealthCheck>,
    /// Whether answers say in `Server-Timing` how long they waited and took.
    pub server_timing: bool,
    /// With it, clients are spoken to in TLS only; plain HTTP is sent there.
    pub tls: Option<Arc<Tls>>,
    /// Who begins each connection with a PROXY header that says whom it is for; from nobody else is
    /// one understood. Empty: nobody.
    pub proxy_protocol: Vec<Network>,
    /// Where each request is written down; `None`: nowhere.
    pub access_log: Option<Arc<AccessLog>>,
    /// Where else plain HTTP is taken, to be sent there.
    pub redirect_from: Option<SocketAddr>,
}

/// Requests over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// In the long run.
    pub per_second: f64,
    /// At once; at least 1.
    pub burst: f64,
}

impl Config {
    /// The defaults, listening on `listen`.
    pub fn new(listen: SocketAddr) -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            listen,
            threads: cores.min(NonZeroUsize::new(THREADS_MAX).unwrap_or(NonZeroUsize::MIN)),
            seed: 0,
            connections_max: CONNECTIONS_MAX,
            queue_max: QUEUE_MAX,
            queue_timeout: QUEUE_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            send_timeout: SEND_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            first_byte_timeout: FIRST_BYTE_TIMEOUT,
            upstream_idle_timeout: UPSTREAM_IDLE_TIMEOUT,
            upstream_idle_max: UPSTREAM_IDLE_MAX,
            head_bytes_max: HEAD_BYTES_MAX,
            body_bytes_max: None,
            request_timeout: None,
            allowed: Vec::new(),
            trusted_proxies: Vec::new(),
            rate_limit: None,
            health_check: None,
            server_timing: true,
            tls: None,
            access_log: None,
            redirect_from: None,
            proxy_protocol: Vec::new(),
        }
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|network| network.contains(address))
    }

    pub(crate) fn awaits_proxy_header(&self, address: IpAddr) -> bool {
        self.proxy_protocol.iter().any(|network| network.contains(address))
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}
