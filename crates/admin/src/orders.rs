//! Orders as they come in over the API, shared by server and client.

use std::time::Duration;

use control::{Command, ScaleTo};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long a number set by hand holds where nothing else is said.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(60);

/// Longest name of who orders; it stands in every record of the order.
const BY_MAX: usize = 64;

/// Set the number of workers by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleOrder {
    /// How many: `3`, `"+1"`, `"-1"` or `"max"`.
    #[serde(with = "replicas")]
    pub replicas: ScaleTo,
    /// Seconds until the policy takes over again; `null`: until resumed. 60 when left out.
    #[serde(default = "default_hold_s")]
    pub hold_s: Option<f64>,
    /// Who orders it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Change nothing for a while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseOrder {
    /// Seconds until the policy takes over again; left out: until resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<f64>,
    /// The same as a length of time, as in `"10m"`.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// Only nothing is taken away; more may come.
    #[serde(default)]
    pub scale_in_only: bool,
    /// Hold this many meanwhile; left out: as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u32>,
    /// Who orders it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// At least so many workers for a time, whatever the policy says: ahead of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoostOrder {
    /// How many.
    pub min: u32,
    /// For how long, as in `"10m"`.
    #[serde(rename = "for")]
    pub length: Length,
    /// Who orders it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A length of time as users write it: `"10m"`, or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Length(#[serde(with = "control::span")] pub Duration);

/// Any other order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainOrder {
    /// Who orders it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Keep a worker from being chosen at a scale-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtectOrder {
    /// `false` ends the protection. `true` when left out.
    #[serde(default = "protects")]
    pub protected: bool,
    /// Who orders it, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Default for ProtectOrder {
    fn default() -> Self {
        Self { protected: protects(), by: None }
    }
}

/// An order was taken; it is carried out at the next turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// What was taken, in words for people.
    pub text: String,
    /// When it ends by itself.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl ScaleOrder {
    /// The command as of `now`.
    pub(crate) fn command(self, now: Timestamp) -> Result<Command, String> {
        let until = self.hold_s.map(|seconds| later("hold_s", now, seconds)).transpose()?;
        Ok(Command::Scale { to: self.replicas, until, by: name(self.by)? })
    }
}

impl PauseOrder {
    /// The command as of `now`.
    pub(crate) fn command(self, now: Timestamp) -> Result<Command, String> {
        if self.scale_in_only && self.at.is_some() {
            return Err("`at` holds a number, `scale_in_only` does not: send one of them".to_owned());
        }
        let until = match (self.for_s, self.length) {
            (Some(_), Some(_)) => return Err("`for_s` and `for` are the same: send one of them".to_owned()),
            (Some(seconds), None) => Some(later("for_s", now, seconds)?),
            (None, Some(Length(length))) => Some(later("for", now, length.as_secs_f64())?),
            (None, None) => None,
        };
        Ok(Command::Pause { until, scale_in_only: self.scale_in_only, at: self.at, by: name(self.by)? })
    }
}

impl BoostOrder {
    /// The command as of `now`.
    pub(crate) fn command(self, now: Timestamp) -> Result<Command, String> {
        if self.min == 0 {
            return Err("`min` must be at least 1".to_owned());
        }
        let until = later("for", now, self.length.0.as_secs_f64())?;
        Ok(Command::Boost { min: self.min, until, by: name(self.by)? })
    }
}

impl PlainOrder {
    /// An order to resume.
    pub(crate) fn resume(self) -> Result<Command, String> {
        Ok(Command::Resume { by: name(self.by)? })
    }
}

/// Reads `3`, `+1`, `-1` or `max`.
///
/// # Errors
/// Says what would have been right.
pub fn parse_replicas(text: &str) -> Result<ScaleTo, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is no number of workers (try 3, +1, -1 or max)");
    if text == "max" {
        return Ok(ScaleTo::Max);
    }
    if text.starts_with(['+', '-']) {
        return text.parse().map(ScaleTo::By).map_err(|_| wrong());
    }
    text.parse().map(ScaleTo::Exactly).map_err(|_| wrong())
}

fn later(what: &str, now: Timestamp, seconds: f64) -> Result<Timestamp, String> {
    let wrong = || format!("`{what}` must be a positive number of seconds, not {seconds}");
    let length = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    if length.is_zero() {
        return Err(wrong());
    }
    now.checked_add(length).map_err(|_| wrong())
}

fn name(by: Option<String>) -> Result<String, String> {
    let by = by.unwrap_or_else(|| "api".to_owned());
    if by.len() > BY_MAX || by.chars().any(char::is_control) {
        return Err(format!("`by` must be at most {BY_MAX} printable bytes"));
    }
    Ok(by)
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the type of the field")]
fn default_hold_s() -> Option<f64> {
    Some(DEFAULT_HOLD.as_secs_f64())
}

fn protects() -> bool {
    true
}

mod replicas {
    use super::{Deserialize, Deserializer, ScaleTo, Serializer, parse_replicas};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "replicas must be a number like 3, or \"+1\", \"-1\" or \"max\"")]
    enum Typed {
        Number(u32),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(to: &ScaleTo, into: S) -> Result<S::Ok, S::Error> {
        match to {
            ScaleTo::Exactly(replicas) => into.serialize_u32(*replicas),
            ScaleTo::By(change) => into.collect_str(&format_args!("{change:+}")),
            ScaleTo::Max => into.serialize_str("max"),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ScaleTo, D::Error> {
        match Typed::deserialize(from)? {
            Typed::Number(replicas) => Ok(ScaleTo::Exactly(replicas)),
            Typed::Text(text) => parse_replicas(&text).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_users_write_them() {
        let read = |json: &str| serde_json::from_str::<ScaleOrder>(json);
        let cases = [
            (r#"{"replicas":3}"#, ScaleTo::Exactly(3), Some(60.0)),
            (r#"{"replicas":"3","hold_s":5}"#, ScaleTo::Exactly(3), Some(5.0)),
            (r#"{"replicas":"+1","hold_s":null}"#, ScaleTo::By(1), None),
            (r#"{"replicas":"-2"}"#, ScaleTo::By(-2), Some(60.0)),
            (r#"{"replicas":"max"}"#, ScaleTo::Max, Some(60.0)),
        ];
        for (json, to, hold_s) in cases {
            let order = read(json).unwrap();
            assert_eq!((order.replicas, order.hold_s), (to, hold_s), "{json}");
            let again = serde_json::to_string(&order).unwrap();
            assert_eq!(read(&again).unwrap(), order);
        }
        for bad in [r#"{"replicas":-1}"#, r#"{"replicas":1.5}"#, r#"{"replicas":"lots"}"#, "{}", r#"{"r":1}"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hold_must_lie_in_the_future() {
        for hold_s in [0.0, -1.0, 1e300, f64::NAN] {
            let order = ScaleOrder { replicas: ScaleTo::Max, hold_s: Some(hold_s), by: None };
            assert!(order.command(Timestamp::UNIX_EPOCH).is_err(), "{hold_s}");
        }
        let named = PauseOrder { for_s: Some(1.5), by: Some("key".to_owned()), ..PauseOrder::default() };
        let until = Timestamp::UNIX_EPOCH + Duration::from_millis(1_500);
        let pause =
            Command::Pause { until: Some(until), scale_in_only: false, at: None, by: "key".to_owned() };
        assert_eq!(named.command(Timestamp::UNIX_EPOCH), Ok(pause));
        assert!(PlainOrder { by: Some("x".repeat(65)) }.resume().is_err());
    }

    #[test]
    fn boosts_and_pauses_of_every_kind() {
        let start = Timestamp::UNIX_EPOCH;
        let boost: BoostOrder = serde_json::from_str(r#"{"min":4,"for":"10m"}"#).unwrap();
        let until = start + Duration::from_secs(600);
        assert_eq!(boost.command(start), Ok(Command::Boost { min: 4, until, by: "api".to_owned() }));
        let pause = |json: &str| {
            let order: PauseOrder = serde_json::from_str(json).map_err(|error| error.to_string())?;
            order.command(start)
        };
        let expected =
            Command::Pause { until: None, scale_in_only: false, at: Some(3), by: "api".to_owned() };
        assert_eq!(pause(r#"{"at":3}"#), Ok(expected));
        let expected =
            Command::Pause { until: Some(until), scale_in_only: true, at: None, by: "api".to_owned() };
        assert_eq!(pause(r#"{"scale_in_only":true,"for":"10m"}"#), Ok(expected));
        for bad in [r#"{"for":"10m","for_s":600}"#, r#"{"at":3,"scale_in_only":true}"#, r#"{"for":"soon"}"#] {
            assert!(pause(bad).is_err(), "{bad}");
        }
        for bad in [r#"{"min":4}"#, r#"{"for":"1m"}"#, r#"{"min":4,"for":"-1m"}"#] {
            assert!(serde_json::from_str::<BoostOrder>(bad).is_err(), "{bad}");
        }
    }
}
