//! Alarms as CloudWatch knows them: OK, ALARM, INSUFFICIENT_DATA, and what they rest on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::because::Text;

/// State of an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// Enough datapoints do not breach.
    Ok,
    /// Enough datapoints breach.
    Alarm,
    /// There is nothing to go by.
    #[default]
    InsufficientData,
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        })
    }
}

/// An alarm at one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// As in `up` and `down`.
    pub name: Text,
    /// Its state.
    pub state: AlarmState,
    /// Datapoints that breach among those that count.
    pub breaching: u32,
    /// Datapoints that are missing among those that count.
    pub missing: u32,
    /// Datapoints that must breach.
    pub needed: u32,
    /// Latest datapoints that count.
    pub of: u32,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, state, breaching, missing, needed, of } = self;
        write!(f, "{name} {state}: {breaching} of the last {of} datapoints breach, {needed} needed")?;
        if *missing > 0 { write!(f, ", {missing} missing") } else { Ok(()) }
    }
}
