//! Scale out by a step above one line, in by a step below another (AWS-style alarms: M of the
//! last N datapoints must breach; comparison is strict, so a value on a line does nothing).
//!
//! `desired' = desired + step` when `signal > up`, `desired - step` when `signal < down`, each
//! direction with its own cool-down: out, since the last scale-out; in, since any change.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::signal::{Signal, Value};
use super::{ConfigError, Entry, Policy, PolicyConfig, Recommendation};
use crate::decision::{Because, Blocked, Flip, Measured};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "threshold",
    about: "one more above the upper line, one fewer below the lower (35 % and 15 % CPU)",
    build: |config| Ok(Box::new(Threshold::new(config)?)),
};

/// Datapoints that are kept at most; bounds `evaluation_periods`.
const DATAPOINTS_MAX: usize = 1_000;

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is compared.
    pub signal: Signal,
    /// Scale out above this, in the signal's unit.
    pub up: f64,
    /// Scale in below this, in the signal's unit.
    pub down: f64,
    /// Replicas per action.
    pub step: u32,
    /// N: how many of the latest datapoints count.
    pub evaluation_periods: usize,
    /// M: how many of them must breach.
    pub datapoints_to_alarm: usize,
    /// Time after a scale-out in which there is no other.
    #[serde(with = "span")]
    pub cooldown_up: Duration,
    /// Time after any change in which there is no scale-in.
    #[serde(with = "span")]
    pub cooldown_down: Duration,
    /// Time after becoming ready in which a worker's CPU does not count.
    #[serde(with = "span")]
    pub warm_up: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signal: Signal::WorkerCpu,
            up: 35.0,
            down: 15.0,
            step: 1,
            evaluation_periods: 1,
            datapoints_to_alarm: 1,
            cooldown_up: Duration::from_secs(3),
            cooldown_down: Duration::from_secs(5),
            warm_up: Duration::from_secs(2),
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if !(self.up.is_finite() && self.down.is_finite()) {
            return Err("up and down must be finite numbers".to_owned());
        }
        if self.up <= self.down {
            return Err(format!(
                "up ({}) must be above down ({}), or the pool would grow and shrink at once",
                self.up, self.down
            ));
        }
        if self.step == 0 {
            return Err("step must be at least 1".to_owned());
        }
        if !(1..=DATAPOINTS_MAX).contains(&self.evaluation_periods) {
            return Err(format!("evaluation_periods must be 1 to {DATAPOINTS_MAX}"));
        }
        if !(1..=self.evaluation_periods).contains(&self.datapoints_to_alarm) {
            return Err(format!("datapoints_to_alarm must be 1 to {}", self.evaluation_periods));
        }
        Ok(())
    }
}

/// The policy's memory.
struct Threshold {
    own: Settings,
    /// Values of the turns since the last datapoint.
    period: Vec<f64>,
    datapoints: VecDeque<f64>,
    /// The latest turn's value and what was left out of it.
    latest: Value,
    desired: Option<u32>,
    last_out: Option<Timestamp>,
    last_change: Option<Timestamp>,
}

impl Threshold {
    fn new(config: &PolicyConfig) -> Result<Self, ConfigError> {
        let own: Settings = super::settings(config)?;
        own.check().map_err(|because| ConfigError::Settings { policy: config.name.clone(), because })?;
        Ok(Self {
            own,
            period: Vec::new(),
            datapoints: VecDeque::new(),
            latest: Value::default(),
            desired: None,
            last_out: None,
            last_change: None,
        })
    }

    /// Closes the period: the mean of its turns is the next datapoint.
    fn next_datapoint(&mut self) -> Option<f64> {
        let count = self.period.len();
        let mean = self.period.drain(..).sum::<f64>() / count as f64;
        if count == 0 || !mean.is_finite() {
            return None;
        }
        self.datapoints.push_back(mean);
        while self.datapoints.len() > self.own.evaluation_periods {
            self.datapoints.pop_front();
        }
        Some(mean)
    }

    /// Whether enough of the latest datapoints satisfy `breach`.
    fn breached(&self, breach: impl Fn(f64) -> bool) -> bool {
        self.datapoints.iter().filter(|&&value| breach(value)).count() >= self.own.datapoints_to_alarm
    }

    fn cooling(&self, now: Timestamp, since: Option<Timestamp>, length: Duration) -> Option<Timestamp> {
        let until = since?.saturating_add(length).ok()?;
        (until > now).then_some(until)
    }

    /// A breach: acts, or says which cool-down forbids it.
    fn act(&self, now: Timestamp, desired: u32, value: f64, outward: bool) -> Recommendation {
        let (rule, line, replicas, sentence) = if outward {
            ("above_up", self.own.up, desired.saturating_add(self.own.step), "{signal} above {line}")
        } else {
            ("below_down", self.own.down, desired.saturating_sub(self.own.step), "{signal} below {line}")
        };
        let words = self.own.signal.phrase(sentence);
        let because = Because::new("", [("value", value), ("line", line)]);
        let because = Because { sentence: words.into(), ..because };
        let cooling = if outward {
            self.cooling(now, self.last_out, self.own.cooldown_up)
        } else {
            self.cooling(now, self.last_change, self.own.cooldown_down)
        };
        let Some(until) = cooling else {
            return Recommendation::hold(replicas, rule, because);
        };
        let left = until.duration_since(now).as_secs_f64();
        let mut said = Recommendation::hold(desired, "cooldown", because.clone());
        let blocked = Because {
            sentence: format!("{}, but the cool-down has {{left}} s left", because.sentence).into(),
            numbers: [because.numbers, vec![("left".into(), left)]].concat(),
        };
        said.step.because = blocked.clone();
        said.nearest_flip =
            Some(Flip { replicas, because: Because::new("in {left} s it may", [("left", left)]) });
        said.blocked_by.push(Blocked { by: "cooldown".into(), until: Some(until), because: blocked });
        said
    }

    /// Nothing breached: says how near the nearer line is.
    fn within(&self, desired: u32, value: f64) -> Recommendation {
        let (up, down) = (self.own.up, self.own.down);
        let numbers = [("value", value), ("down", down), ("up", up)];
        let because = Because::new("", numbers);
        let sentence = self.own.signal.phrase("{signal} between {down} and {up}");
        let mut said =
            Recommendation::hold(desired, "within", Because { sentence: sentence.into(), ..because });
        let out = up - value <= value - down;
        let (line, replicas, sentence) = if out {
            (up, desired.saturating_add(self.own.step), "above {line} it would have; {signal}")
        } else {
            (down, desired.saturating_sub(self.own.step), "below {line} it would have; {signal}")
        };
        said.nearest_flip = Some(Flip {
            replicas,
            because: Because {
                sentence: self.own.signal.phrase(sentence).into(),
                numbers: vec![("line".into(), line), ("value".into(), value)],
            },
        });
        said
    }
}

impl Policy for Threshold {
    fn observe(&mut self, seen: &Observation) {
        if let Some(before) = self.desired.replace(seen.fleet.desired)
            && before != seen.fleet.desired
        {
            self.last_change = Some(seen.at);
            if seen.fleet.desired > before {
                self.last_out = Some(seen.at);
            }
        }
        self.latest = self.own.signal.read(seen, self.own.warm_up);
        if let Some(value) = self.latest.value
            && self.period.len() < DATAPOINTS_MAX
        {
            self.period.push(value);
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let mut said = match self.next_datapoint() {
            None => {
                let because = Because::text(format!("no reading of {}: nothing is changed", self.own.signal));
                Recommendation::hold(desired, "no_reading", because)
            }
            Some(value) if self.breached(|value| value > self.own.up) => {
                self.act(seen.at, desired, value, true)
            }
            Some(value) if self.breached(|value| value < self.own.down) => {
                self.act(seen.at, desired, value, false)
            }
            Some(value) => self.within(desired, value),
        };
        said.excluded.clone_from(&self.latest.excluded);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        Some(Measured {
            signal: self.own.signal.name().into(),
            unit: self.own.signal.unit().into(),
            value: self.latest.value,
            up: Some(self.own.up),
            down: Some(self.own.down),
        })
    }
}

#[cfg(test)]
#[path = "threshold/tests.rs"]
mod tests;
