//! Scale out by a step above one line, in by a step below another (AWS-style alarms: M of the
//! last N datapoints must breach; comparison is strict, so a value on a line does nothing).
//!
//! `desired' = desired + step` when `signal > up`, `desired - step` when `signal < down`, each
//! direction with its own cool-down: out, since the last scale-out; in, since any change.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alarm::{Evaluation, Period, Rule, Statistic, TreatMissingData};
use super::signal::{Judge, Signal};
use super::{Built, ConfigError, Entry, Policy, PolicyConfig, Recommendation};
use crate::decision::{AlarmState, Because, Blocked, Excluded, Flip, Measured, Text};
use crate::limits::{Meets, after};
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

/// What it makes of a datapoint, before that is put into words.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// There is nothing to go by.
    NoReading,
    /// Nothing is breached.
    Within(f64),
    /// A line is breached, and a cool-down forbids to act until then.
    Cooling { outward: bool, until: Timestamp },
    /// A line is breached.
    Act { outward: bool },
}

/// The policy's memory.
struct Threshold {
    own: Settings,
    phrases: Phrases,
    name: Text,
    period: Period,
    datapoints: VecDeque<Option<f64>>,
    /// Both alarms as they stand.
    up: Evaluation,
    down: Evaluation,
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
            up: Evaluation::default(),
            down: Evaluation::default(),
            latest: None,
            excluded: Vec::new(),
            before: None,
            last_out: None,
            last_change: None,
        })
    }

    /// Takes up the datapoint, if its period is over.
    fn take(&mut self, seen: &Observation) -> Option<(Option<f64>, Answer)> {
        let (value, gaps) = self.period.close(seen.at, self.own.period, self.own.statistic)?;
        let rule = self.own.rule();
        (0..gaps).for_each(|_| rule.keep(&mut self.datapoints, None));
        rule.keep(&mut self.datapoints, value);
        let (up, down) = (self.own.up, self.own.down);
        self.up = rule.evaluate(&self.datapoints, self.up.state, |value| value > up);
        self.down = rule.evaluate(&self.datapoints, self.down.state, |value| value < down);
        Some((value, self.answer(seen.at, value)))
    }

    fn answer(&self, now: Timestamp, value: Option<f64>) -> Answer {
        // An alarm may stand on older datapoints; to act without a present one is a setting.
        let blind = value.is_none() && self.own.treat_missing_data == TreatMissingData::Missing;
        if blind {
            Answer::NoReading
        } else if self.up.state == AlarmState::Alarm {
            cooled(now, true, self.last_out, self.own.cooldown_up)
        } else if self.down.state == AlarmState::Alarm {
            cooled(now, false, self.last_change, self.own.cooldown_down)
        } else {
            value.map_or(Answer::NoReading, Answer::Within)
        }
    }

    /// So many once it has acted.
    fn moved(&self, desired: u32, outward: bool) -> u32 {
        if outward { desired.saturating_add(self.own.step) } else { desired.saturating_sub(self.own.step) }
    }

    fn explain(&self, seen: &Observation, value: Option<f64>, answer: Answer) -> Recommendation {
        let (desired, phrases) = (seen.fleet.desired, &self.phrases);
        let value = value.unwrap_or(f64::NAN);
        match answer {
            Answer::NoReading => {
                Recommendation::hold(desired, "no_reading", Because::plain(phrases.no_reading.clone()))
            }
            Answer::Within(value) => self.within(desired, value),
            Answer::Cooling { outward, until } => {
                let left = until.duration_since(seen.at).as_secs_f64();
                let (line, sentence) = if outward {
                    (self.own.up, &phrases.above_cooling)
                } else {
                    (self.own.down, &phrases.below_cooling)
                };
                let numbers = [("value", value), ("line", line), ("left", left)];
                let because = Because::new(sentence.clone(), numbers);
                let mut said = Recommendation::hold(desired, "cooldown", because.clone());
                let later = Because::new("in {left} s it may", [("left", left)]);
                said.nearest_flip = Some(Flip { replicas: self.moved(desired, outward), because: later });
                said.blocked_by.push(Blocked { by: "cooldown".into(), until: Some(until), because });
                said
            }
            Answer::Act { outward } => {
                let (rule, line, sentence) = if outward {
                    ("above_up", self.own.up, &phrases.above)
                } else {
                    ("below_down", self.own.down, &phrases.below)
                };
                let because = Because::new(sentence.clone(), [("value", value), ("line", line)]);
                Recommendation::hold(self.moved(desired, outward), rule, because)
            }
        }
    }

    /// Nothing breached: says how near the nearer line is.
    fn within(&self, desired: u32, value: f64) -> Recommendation {
        let (up, down) = (self.own.up, self.own.down);
        let numbers = [("value", value), ("down", down), ("up", up)];
        let breached = value > up || value < down;
        let sentence = if breached { &self.phrases.waiting } else { &self.phrases.within };
        let mut said = Recommendation::hold(desired, "within", Because::new(sentence.clone(), numbers));
        let (line, replicas, sentence) = if up - value <= value - down {
            (up, self.moved(desired, true), &self.phrases.flip_above)
        } else {
            (down, self.moved(desired, false), &self.phrases.flip_below)
        };
        let because = Because::new(sentence.clone(), [("line", line), ("value", value)]);
        said.nearest_flip = Some(Flip { replicas, because });
        said
    }
}

/// A breach: acts, unless a cool-down since `last` forbids it.
fn cooled(now: Timestamp, outward: bool, last: Option<Timestamp>, cooldown: Duration) -> Answer {
    // Whether it is over costs less to tell than when.
    let until = last.filter(|last| after(*last, now, cooldown));
    let until = until.and_then(|last| last.saturating_add(cooldown).ok()).filter(|until| *until > now);
    until.map_or(Answer::Act { outward }, |until| Answer::Cooling { outward, until })
}

impl Policy for Threshold {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn reads_latency(&self) -> bool {
        self.own.signal.is_latency()
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
        let mut said = match self.take(seen) {
            Some((value, answer)) => {
                let said = self.explain(seen, value, answer);
                let rule = self.own.rule();
                Recommendation {
                    alarms: vec![rule.alarm("up", self.up), rule.alarm("down", self.down)],
                    ..said
                }
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

    fn number(&mut self, seen: &Observation) -> (u32, Meets) {
        let desired = seen.fleet.desired;
        let replicas = match self.take(seen) {
            Some((_, Answer::Act { outward })) => self.moved(desired, outward),
            _ => desired,
        };
        (replicas, Meets::All)
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
