//! `[proxy]`, `[health_check]`, `[ejection]`: the balancer's tables, the same for every command.

use std::path::PathBuf;

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Address, Span};
use crate::args::{self, BackendArg, HealthPreset, LogFormatArg};

/// `[proxy]`, also as `[balancer]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProxyTable {
    pub(crate) listen: Option<Address>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) redirect_from: Option<Address>,
    pub(crate) proxy_protocol: Vec<Parsed<proxy::Network>>,
    /// For `balance` alone.
    pub(crate) backends: Vec<Backend>,
    pub(crate) algorithm: Option<String>,
    pub(crate) split: Option<String>,
    pub(crate) slow_start: Option<Span>,
    pub(crate) threads: Option<u32>,
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) adaptive_limit: Option<String>,
    pub(crate) adaptive_latency: Option<Span>,
    pub(crate) circuit_breaker: Option<f64>,
    pub(crate) hedge_after: Option<String>,
    pub(crate) queue: Option<u32>,
    pub(crate) queue_timeout: Option<Span>,
    pub(crate) request_timeout: Option<Span>,
    pub(crate) first_byte_timeout: Option<Span>,
    pub(crate) connect_timeout: Option<Span>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) header_timeout: Option<Span>,
    pub(crate) idle_timeout: Option<Span>,
    pub(crate) send_timeout: Option<Span>,
    pub(crate) max_header: Option<u32>,
    pub(crate) max_body: Option<u64>,
    pub(crate) rate_limit: Option<f64>,
    pub(crate) rate_burst: Option<f64>,
    pub(crate) allow: Vec<Parsed<proxy::Network>>,
    pub(crate) trusted_proxies: Vec<Parsed<proxy::Network>>,
    pub(crate) server_timing: Option<bool>,
    pub(crate) access_log: Option<String>,
    pub(crate) access_log_format: Option<LogFormatArg>,
}

/// `[health_check]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HealthTable {
    pub(crate) preset: Option<HealthPreset>,
    pub(crate) path: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) interval: Option<Span>,
    pub(crate) timeout: Option<Span>,
    pub(crate) healthy_threshold: Option<u32>,
    pub(crate) unhealthy_threshold: Option<u32>,
    pub(crate) matcher: Option<Parsed<proxy::Matcher>>,
    pub(crate) grace_period: Option<Span>,
}

/// `[ejection]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EjectionTable {
    pub(crate) consecutive: Option<u32>,
    pub(crate) failure_ratio: Option<f64>,
    pub(crate) volume_min: Option<u32>,
    pub(crate) window: Option<Span>,
    pub(crate) base: Option<Span>,
    pub(crate) longest: Option<Span>,
}

/// A value written as text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parsed<T>(pub(crate) T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// `"127.0.0.1:5001,weight=3"`, as `--backend` takes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backend(pub(crate) BackendArg);

impl<'de> Deserialize<'de> for Backend {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        args::backend(&text).map(Self).map_err(serde::de::Error::custom)
    }
}
