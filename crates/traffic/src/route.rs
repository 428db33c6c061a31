//! What the control plane tells the data plane: which worker stands where.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Identity of one worker process: the `run`-th process in a slot of the pool.
///
/// Slots are few and reused (`w1`…`w5`), so they can label metrics; a process is never
/// reused, so a successor in the same slot is another backend. Shown to people as `w1`,
/// written in records as `w1.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId {
    /// Place in the pool, counted from 1.
    pub slot: u32,
    /// How many processes the slot has had, this one included; counted from 1.
    pub run: u32,
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.slot)
    }
}

/// Text that is no worker id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWorkerId(pub String);

impl fmt::Display for BadWorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no worker id (like w1.3: slot 1, third process)", self.0)
    }
}

impl std::error::Error for BadWorkerId {}

impl FromStr for WorkerId {
    type Err = BadWorkerId;

    fn from_str(text: &str) -> Result<Self, BadWorkerId> {
        let numbers = text.strip_prefix('w').and_then(|rest| rest.split_once('.'));
        numbers
            .and_then(|(slot, run)| Some(Self { slot: slot.parse().ok()?, run: run.parse().ok()? }))
            .ok_or_else(|| BadWorkerId(text.to_owned()))
    }
}

impl Serialize for WorkerId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("w{}.{}", self.slot, self.run))
    }
}

impl<'de> Deserialize<'de> for WorkerId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a worker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which version of the app a worker runs; workers of one pool may differ during a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

/// A worker that may be given requests. Its identity is `id`, not its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The worker.
    pub id: WorkerId,
    /// Where it listens.
    pub address: Address,
    /// Its share under weighted balancing, relative to the others; 1 by default.
    pub weight: u32,
    /// The app version it runs.
    pub version: Version,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_id_round_trips_and_refuses_nonsense() {
        let id = WorkerId { slot: 3, run: 7 };
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, r#""w3.7""#);
        assert_eq!(serde_json::from_str::<WorkerId>(&json).unwrap(), id);
        assert_eq!(id.to_string(), "w3");
        for bad in ["", "w", "w1", "3.7", "w3.", "w.7", "w-1.2", "w3.7.1"] {
            assert!(bad.parse::<WorkerId>().is_err(), "{bad}");
        }
    }
}
