//! `autoscale.toml`: keys in snake_case with the field's names. An unknown key is an error.

pub(crate) mod balancer;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::span;
use serde::{Deserialize, Deserializer};

use balancer::{EjectionTable, HealthTable, ProxyTable};

/// The whole file; every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) pool: PoolTable,
    #[serde(alias = "balancer")]
    pub(crate) proxy: ProxyTable,
    pub(crate) health_check: HealthTable,
    pub(crate) ejection: EjectionTable,
    pub(crate) policy: PolicyTable,
    pub(crate) admin: AdminTable,
    /// Policies that only watch, as with `--shadow`.
    pub(crate) shadow: Option<String>,
    /// Model of the signal, as with `--forecast`.
    pub(crate) forecast: Option<String>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) seed: Option<u64>,
}

/// `[pool]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PoolTable {
    pub(crate) command: Option<Vec<String>>,
    pub(crate) min_replicas: Option<u32>,
    pub(crate) max_replicas: Option<u32>,
    pub(crate) worker_port: Option<u16>,
    pub(crate) worker_cpus: Option<f64>,
    pub(crate) health_path: Option<String>,
    pub(crate) start_up_deadline: Option<Span>,
    pub(crate) drain_timeout: Option<Span>,
    pub(crate) kill_deadline: Option<Span>,
    pub(crate) liveness_timeout: Option<Span>,
    pub(crate) victims: Option<String>,
}

/// `[policy]`: `name`, `interval`, and the policy's own settings beside them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyTable {
    pub(crate) name: Option<String>,
    pub(crate) interval: Option<Span>,
    /// Checked by the policy itself.
    #[serde(flatten)]
    pub(crate) settings: serde_json::Map<String, serde_json::Value>,
}

/// `[admin]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdminTable {
    pub(crate) listen: Option<Address>,
    pub(crate) token: Option<String>,
}

/// `"3s"`, or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        span::deserialize(from).map(Self)
    }
}

/// `"127.0.0.1:8000"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Address(pub(crate) SocketAddr);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        crate::args::parse::address(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Why a file cannot be used. The text says what and where; `hint` how to mend it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It cannot be opened or read; the message names it.
    #[error("{0}")]
    Unreadable(std::io::Error),
    /// Its text is no configuration.
    #[error("{path}: {because}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What and in which line.
        because: String,
        /// What was probably meant.
        meant: Option<String>,
    },
}

impl ReadError {
    /// How to mend it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unreadable(_) => "name a file that exists and can be read with --config".to_owned(),
            Self::Malformed { meant: Some(meant), .. } => format!("did you mean `{meant}`?"),
            Self::Malformed { .. } => "examples/quickstart.toml shows every table".to_owned(),
        }
    }
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<File, ReadError> {
    let text = fs_err::read_to_string(path).map_err(ReadError::Unreadable)?;
    toml::from_str(&text).map_err(|error| ReadError::Malformed {
        path: path.to_owned(),
        meant: meant(error.message()),
        because: error.to_string().trim_end().to_owned(),
    })
}

/// Finds the known key nearest to an unknown one in serde's "unknown field `x`, expected one of
/// `a`, `b`".
pub(crate) fn meant(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    if !message.contains("unknown") {
        return None;
    }
    nearest(typed, quoted)
}

/// The candidate that looks most like `typed`, if any does.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    /// Below this, a guess is more likely to mislead than to help.
    const LIKENESS_MIN: f64 = 0.7;
    candidates
        .map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_table() {
        let text = r#"
            record = "run.db"
            [pool]
            command = ["python3", "app.py"]
            min_replicas = 2
            drain_timeout = "5s"
            [proxy]
            listen = ":8080"
            queue_timeout = 2.5
            [policy]
            name = "threshold"
            interval = "500ms"
            up = 80
            cooldown_up = "10s"
        "#;
        let file: File = toml::from_str(text).unwrap();
        assert_eq!(file.pool.min_replicas, Some(2));
        assert_eq!(file.pool.drain_timeout, Some(Span(Duration::from_secs(5))));
        assert_eq!(file.proxy.queue_timeout, Some(Span(Duration::from_millis(2_500))));
        assert_eq!(file.policy.settings["cooldown_up"], "10s");
        assert!(!file.policy.settings.contains_key("interval"));
    }

    #[test]
    fn an_unknown_key_is_named_with_what_was_meant() {
        let error = toml::from_str::<File>("[pool]\nmin_replica = 2").unwrap_err();
        assert_eq!(meant(error.message()), Some("min_replicas".to_owned()), "{error}");
        let error = toml::from_str::<File>("[poool]").unwrap_err();
        assert_eq!(meant(error.message()), Some("pool".to_owned()));
        let error = toml::from_str::<File>("[pool]\nmin_replicas = \"two\"").unwrap_err();
        assert_eq!(meant(error.message()), None, "{error}");
    }
}
