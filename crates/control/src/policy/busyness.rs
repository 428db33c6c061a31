//! uWSGI's cheaper subsystem, algorithm busyness: above `busyness_max` a step more, after
//! enough idle cycles below `busyness_min` one fewer. A worker that is wanted back too soon
//! after one was let go lengthens the wait by a penalty, so that a pool that swings calms down
//! by itself. Source: unbit/uwsgi-docs `Cheaper.rst`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signal::{Judge, Signal};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Excluded, Flip, Measured, Text};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "busyness",
    about: "uWSGI cheaper: a step more above 50 % busy, one fewer after 10 idle cycles below 25 %",
    build: |config| Ok(Built::bare(Busyness::new(super::checked(config, Settings::check)?))),
};

/// Idle cycles that penalties can add up to: an hour of the default cycles.
const CYCLES_MAX: u32 = 1_200;

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    #[serde(alias = "metric")]
    signal: Signal,
    busyness_max: f64,
    busyness_min: f64,
    /// Workers per scale-out.
    step: u32,
    /// Length of a cycle.
    #[serde(with = "span")]
    overload: Duration,
    /// Idle cycles before one is let go.
    multiplier: u32,
    /// Cycles added when one is wanted back too soon.
    penalty: u32,
    /// Requests waiting that call for an emergency worker at once.
    backlog_alert: u32,
    backlog_step: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signal: Signal::WorkerCpu,
            busyness_max: 50.0,
            busyness_min: 25.0,
            step: 1,
            overload: Duration::from_secs(3),
            multiplier: 10,
            penalty: 1,
            backlog_alert: 33,
            backlog_step: 1,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if !(self.busyness_max.is_finite() && self.busyness_min < self.busyness_max) {
            return Err("busyness_max must be above busyness_min".to_owned());
        }
        if self.step == 0 || self.multiplier == 0 || self.multiplier > CYCLES_MAX {
            return Err(format!("step must be at least 1 and multiplier 1 to {CYCLES_MAX}"));
        }
        Ok(())
    }
}

struct Busyness {
    own: Settings,
    sum: f64,
    count: f64,
    ends: Option<Timestamp>,
    idle: u32,
    multiplier: u32,
    /// Cycles since one was let go.
    since_cheaped: Option<u32>,
    latest: Option<f64>,
    excluded: Vec<Excluded>,
    busy: Text,
    quiet: Text,
    cheap: Text,
    flip: Text,
}

impl Busyness {
    fn new(own: Settings) -> Self {
        Self {
            busy: own.signal.phrase("{signal} busy, above {line}"),
            quiet: own.signal.phrase("{signal} busy, {idle} of {needed} idle cycles below {line}"),
            cheap: own.signal.phrase("{signal} busy, below {line} for {needed} cycles"),
            flip: own.signal.phrase("above {line} it would have; {signal}"),
            multiplier: own.multiplier,
            own,
            sum: 0.0,
            count: 0.0,
            ends: None,
            idle: 0,
            since_cheaped: None,
            latest: None,
            excluded: Vec::new(),
        }
    }

    /// The mean of a cycle that is over.
    fn cycle(&mut self, now: Timestamp) -> Option<f64> {
        let next = now.saturating_add(self.own.overload).unwrap_or(Timestamp::MAX);
        if now < *self.ends.get_or_insert(now) || self.count <= 0.0 {
            return None;
        }
        self.ends = Some(next);
        let mean = self.sum / self.count;
        (self.sum, self.count) = (0.0, 0.0);
        mean.is_finite().then_some(mean)
    }

    fn numbers(&self, value: f64, line: f64) -> [(&'static str, f64); 4] {
        [
            ("value", value),
            ("line", line),
            ("idle", f64::from(self.idle)),
            ("needed", f64::from(self.multiplier)),
        ]
    }

    fn judge(&mut self, desired: u32, value: f64) -> Recommendation {
        self.since_cheaped = self.since_cheaped.map(|cycles| cycles.saturating_add(1));
        let (max, min) = (self.own.busyness_max, self.own.busyness_min);
        if value > max {
            self.idle = 0;
            if self.since_cheaped.take().is_some_and(|cycles| cycles < self.multiplier) {
                self.multiplier = self.multiplier.saturating_add(self.own.penalty).min(CYCLES_MAX);
            }
            let because = Because::new(self.busy.clone(), self.numbers(value, max));
            return Recommendation::hold(desired.saturating_add(self.own.step), "busy", because);
        }
        if value >= min {
            self.idle = 0;
        } else {
            self.idle += 1;
            if self.idle >= self.multiplier {
                let because = Because::new(self.cheap.clone(), self.numbers(value, min));
                self.idle = 0;
                self.since_cheaped = Some(0);
                return Recommendation::hold(desired.saturating_sub(1), "idle", because);
            }
        }
        let because = Because::new(self.quiet.clone(), self.numbers(value, min));
        let mut said = Recommendation::hold(desired, "within", because);
        let because = Because::new(self.flip.clone(), [("line", max), ("value", value)]);
        said.nearest_flip = Some(Flip { replicas: desired.saturating_add(self.own.step), because });
        said
    }
}

impl Policy for Busyness {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        self.excluded.clear();
        let judge = Judge { warm_up: Duration::ZERO, stale_after: Duration::from_secs(60) };
        self.latest = self.own.signal.mean(seen, judge, &mut self.excluded);
        if let Some(value) = self.latest {
            self.sum += value;
            self.count += 1.0;
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let queued = seen.traffic.as_ref().map_or(0, |window| window.queued);
        let mut said = if queued > self.own.backlog_alert && seen.fleet.starting == 0 {
            let numbers = [("queued", f64::from(queued)), ("alert", f64::from(self.own.backlog_alert))];
            let because =
                Because::new("{queued} requests wait, more than {alert}: an emergency worker", numbers);
            Recommendation::hold(desired.saturating_add(self.own.backlog_step), "emergency", because)
        } else if self.latest.is_none() {
            // A cycle that ends in a gap is judged at the next reading: its end is older by then.
            Recommendation::hold(desired, "no_reading", Because::plain("no reading: nothing is changed"))
        } else if let Some(value) = self.cycle(seen.at) {
            self.judge(desired, value)
        } else {
            Recommendation::hold(desired, "within_cycle", Because::plain("the cycle still runs"))
        };
        said.excluded.clone_from(&self.excluded);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        Some(Measured {
            signal: self.own.signal.name().to_string().into(),
            unit: self.own.signal.unit().into(),
            value: self.latest,
            up: Some(self.own.busyness_max),
            down: Some(self.own.busyness_min),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::made_up::{config, pool};

    /// A turn each 3 s, that is a cycle each; the pool does what is asked.
    fn run(settings: serde_json::Value, start: usize, values: &[f64]) -> Vec<u32> {
        let mut policy = crate::policy::build(&config("busyness", settings).policy).unwrap().policy;
        let mut desired = start;
        let mut all = Vec::new();
        for (value, turn) in values.iter().zip(0_u16..) {
            let seen = pool(f64::from(turn) * 3.0, &vec![*value; desired]);
            policy.observe(&seen);
            let replicas = policy.recommend(&seen).step.replicas;
            desired = usize::try_from(replicas).unwrap().max(1);
            all.push(replicas);
        }
        all
    }

    #[test]
    fn cases() {
        assert_eq!(run(json!({}), 1, &[51.0, 50.0, 80.0]), [2, 2, 3]);
        assert_eq!(run(json!({"multiplier": 3}), 3, &[10.0, 10.0, 10.0, 10.0]), [3, 3, 2, 2]);
        assert_eq!(
            run(json!({"multiplier": 3}), 3, &[10.0, 10.0, 30.0, 10.0, 10.0]),
            [3; 5],
            "a busy cycle starts anew"
        );
        assert_eq!(run(json!({"step": 2}), 1, &[90.0]), [3]);
        assert_eq!(run(json!({}), 2, &[f64::NAN]), [2]);
    }

    #[test]
    fn one_wanted_back_too_soon_lengthens_the_wait() {
        let values = [10.0, 10.0, 90.0, 10.0, 10.0, 10.0, 10.0];
        assert_eq!(
            run(json!({"multiplier": 2}), 3, &values),
            [3, 2, 3, 3, 3, 2, 2],
            "then three cycles, not two"
        );
    }

    #[test]
    fn a_backlog_calls_for_an_emergency_worker() {
        let mut policy = crate::policy::build(&config("busyness", json!({})).policy).unwrap().policy;
        let mut seen = pool(0.0, &[5.0; 2]);
        seen.traffic.as_mut().unwrap().queued = 34;
        policy.observe(&seen);
        let step = policy.recommend(&seen).step;
        assert_eq!((step.replicas, step.rule.as_ref()), (3, "emergency"));
    }
}
