//! Scale out by a step above one line, in by a step below another (AWS-style alarms: M of the
//! last N datapoints must breach; comparison is strict, so a value on a line does nothing).
//!
//! `desired' = desired + step` when `signal > up`, `desired - step` when `signal < down`, each
//! direction with its own cool-down: out, since the last scale-out; in, since any change.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alarm::{Period, Rule, Statistic, TreatMissingData};
use super::signal::{Judge, Signal};
use super::{Built, ConfigError, Entry, Policy, PolicyConfig, Recommendation};
use crate::decision::{Alarm, AlarmState, Because, Blocked, Excluded, Flip, Measured, Text};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "threshold",
    about: "one more above the upper line, one fewer below the lower (35 % and 15 % CPU)",
    build: |config| Ok(Built::bare(Threshold::new(config)?)),
};

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is compared.
    #[serde(alias = "metric")]
    pub signal: Signal,
    /// How the samples of a period become one datapoint.
    pub statistic: Statistic,
    /// Length of a period; zero: every time it is asked.
    #[serde(with = "span")]
    pub period: Duration,
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
    /// What a missing datapoint means.
    pub treat_missing_data: TreatMissingData,
    /// Time after a scale-out in which there is no other.
    #[serde(with = "span")]
    pub cooldown_up: Duration,
    /// Time after any change in which there is no scale-in.
    #[serde(with = "span")]
    pub cooldown_down: Duration,
    /// Time after becoming ready in which a worker's CPU does not count.
    #[serde(with = "span")]
    pub warm_up: Duration,
    /// Age at which a named reading counts as not taken.
    #[serde(with = "span")]
    pub stale_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signal: Signal::WorkerCpu,
            statistic: Statistic::Average,
            period: Duration::ZERO,
            up: 35.0,
            down: 15.0,
            step: 1,
            evaluation_periods: 1,
            datapoints_to_alarm: 1,
            treat_missing_data: TreatMissingData::Missing,
            cooldown_up: Duration::from_secs(3),
            cooldown_down: Duration::from_secs(5),
            warm_up: Duration::from_secs(2),
            stale_after: Duration::from_secs(60),
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
        self.rule().check()
    }

    fn rule(&self) -> Rule {
        Rule {
            needed: self.datapoints_to_alarm,
            of: self.evaluation_periods,
            missing: self.treat_missing_data,
        }
    }
}

/// Its sentences, made when it is built.
struct Phrases {
    above: Text,
    below: Text,
    within: Text,
    above_cooling: Text,
    below_cooling: Text,
    flip_above: Text,
    flip_below: Text,
    no_reading: Text,
    waiting: Text,
}

impl Phrases {
    fn new(signal: &Signal) -> Self {
        Self {
            above: signal.phrase("{signal} above {line}"),
            below: signal.phrase("{signal} below {line}"),
            within: signal.phrase("{signal} between {down} and {up}"),
            above_cooling: signal.phrase("{signal} above {line}, but the cool-down has {left} s left"),
            below_cooling: signal.phrase("{signal} below {line}, but the cool-down has {left} s left"),
            flip_above: signal.phrase("above {line} it would have; {signal}"),
            flip_below: signal.phrase("below {line} it would have; {signal}"),
            no_reading: format!("no reading of {signal}: nothing is changed").into(),
            waiting: format!("the datapoints of {signal} say nothing yet: nothing is changed").into(),
        }
    }
}

/// The policy's memory.
struct Threshold {
    own: Settings,
    phrases: Phrases,
    name: Text,
    period: Period,
    datapoints: VecDeque<Option<f64>>,
    up: AlarmState,
    down: AlarmState,
    /// The latest turn's value and what was left out of it.
    latest: Option<f64>,
    excluded: Vec<Excluded>,
    /// The turn before this one, and what was desired then.
    before: Option<(Timestamp, u32)>,
    last_out: Option<Timestamp>,
    last_change: Option<Timestamp>,
}

impl Threshold {
    fn new(config: &PolicyConfig) -> Result<Self, ConfigError> {
        let own: Settings = super::checked(config, Settings::check)?;
        Ok(Self {
            phrases: Phrases::new(&own.signal),
            name: own.signal.name(),
            own,
            period: Period::default(),
            datapoints: VecDeque::new(),
            up: AlarmState::InsufficientData,
            down: AlarmState::InsufficientData,
            latest: None,
            excluded: Vec::new(),
            before: None,
            last_out: None,
            last_change: None,
        })
    }

    /// Both alarms after the newest datapoint.
    fn evaluate(&mut self) -> [Alarm; 2] {
        let (rule, line) = (self.own.rule(), (self.own.up, self.own.down));
        let up = rule.evaluate("up", &self.datapoints, self.up, |value| value > line.0);
        let down = rule.evaluate("down", &self.datapoints, self.down, |value| value < line.1);
        (self.up, self.down) = (up.state, down.state);
        [up, down]
    }

    fn answer(&self, seen: &Observation, value: Option<f64>) -> Recommendation {
        let desired = seen.fleet.desired;
        // An alarm may stand on older datapoints; to act without a present one is a setting.
        let blind = value.is_none() && self.own.treat_missing_data == TreatMissingData::Missing;
        if blind {
            Recommendation::hold(desired, "no_reading", Because::plain(self.phrases.no_reading.clone()))
        } else if self.up == AlarmState::Alarm {
            self.act(seen.at, desired, value, true)
        } else if self.down == AlarmState::Alarm {
            self.act(seen.at, desired, value, false)
        } else if let Some(value) = value {
            self.within(desired, value)
        } else {
            Recommendation::hold(desired, "no_reading", Because::plain(self.phrases.no_reading.clone()))
        }
    }

    /// A breach: acts, or says which cool-down forbids it.
    fn act(&self, now: Timestamp, desired: u32, value: Option<f64>, outward: bool) -> Recommendation {
        let (rule, line, replicas) = if outward {
            ("above_up", self.own.up, desired.saturating_add(self.own.step))
        } else {
            ("below_down", self.own.down, desired.saturating_sub(self.own.step))
        };
        let value = value.unwrap_or(f64::NAN);
        let (since, length) = if outward {
            (self.last_out, self.own.cooldown_up)
        } else {
            (self.last_change, self.own.cooldown_down)
        };
        let until = since.and_then(|since| since.saturating_add(length).ok()).filter(|until| *until > now);
        let phrases = &self.phrases;
        let Some(until) = until else {
            let sentence = if outward { &phrases.above } else { &phrases.below };
            let because = Because::new(sentence.clone(), [("value", value), ("line", line)]);
            return Recommendation::hold(replicas, rule, because);
        };
        let left = until.duration_since(now).as_secs_f64();
        let sentence = if outward { &phrases.above_cooling } else { &phrases.below_cooling };
        let because = Because::new(sentence.clone(), [("value", value), ("line", line), ("left", left)]);
        let mut said = Recommendation::hold(desired, "cooldown", because.clone());
        said.nearest_flip =
            Some(Flip { replicas, because: Because::new("in {left} s it may", [("left", left)]) });
        said.blocked_by.push(Blocked { by: "cooldown".into(), until: Some(until), because });
        said
    }

    /// Nothing breached: says how near the nearer line is.
    fn within(&self, desired: u32, value: f64) -> Recommendation {
        let (up, down) = (self.own.up, self.own.down);
        let numbers = [("value", value), ("down", down), ("up", up)];
        let breached = value > up || value < down;
        let sentence = if breached { &self.phrases.waiting } else { &self.phrases.within };
        let mut said = Recommendation::hold(desired, "within", Because::new(sentence.clone(), numbers));
        let (line, replicas, sentence) = if up - value <= value - down {
            (up, desired.saturating_add(self.own.step), &self.phrases.flip_above)
        } else {
            (down, desired.saturating_sub(self.own.step), &self.phrases.flip_below)
        };
        let because = Because::new(sentence.clone(), [("line", line), ("value", value)]);
        said.nearest_flip = Some(Flip { replicas, because });
        said
    }
}

impl Policy for Threshold {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        // What is seen to have changed by now was decided the turn before: cool-downs run from
        // there, or they would be longer than configured by the time between two turns.
        if let Some((decided_at, before)) = self.before.replace((seen.at, seen.fleet.desired))
            && before != seen.fleet.desired
        {
            self.last_change = Some(decided_at);
            if seen.fleet.desired > before {
                self.last_out = Some(decided_at);
            }
        }
        self.excluded.clear();
        let judge = Judge { warm_up: self.own.warm_up, stale_after: self.own.stale_after };
        let what = (&self.own.signal, self.own.statistic);
        self.latest = self.period.take_turn(what, seen, judge, &mut self.excluded);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let closed = self.period.close(seen.at, self.own.period, self.own.statistic);
        let mut said = match closed {
            Some((value, gaps)) => {
                let rule = self.own.rule();
                (0..gaps).for_each(|_| rule.keep(&mut self.datapoints, None));
                rule.keep(&mut self.datapoints, value);
                let alarms = self.evaluate();
                let mut said = self.answer(seen, value);
                said.alarms = alarms.into();
                said
            }
            None => {
                let because = Because::plain("the period still runs");
                Recommendation::hold(seen.fleet.desired, "within_period", because)
            }
        };
        said.excluded.clone_from(&self.excluded);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        let signal = match &self.name {
            Text::Fixed(name) => (*name).into(),
            Text::Shared(name) => name.to_string().into(),
        };
        Some(Measured {
            signal,
            unit: self.own.signal.unit().into(),
            value: self.latest,
            up: Some(self.own.up),
            down: Some(self.own.down),
        })
    }
}

#[cfg(test)]
#[path = "threshold/tests.rs"]
mod tests;
