//! AWS simple scaling: one adjustment per alarm, then nothing until the change is complete and
//! a cool-down is over.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::capacity::{AdjustmentType, adjusted};
use super::metric_alarm::{AlarmSpec, Comparison, MetricAlarm};
use super::signal::Signal;
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{AlarmState, Because, Blocked, Excluded, Flip, Measured, Text};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "simple",
    about: "AWS simple scaling: one adjustment, then a cool-down of 300 s (+1 above 60 % CPU, -1 below 30 %)",
    build: |config| Ok(Built::bare(Simple::new(super::checked(config, Settings::check)?))),
};

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Short form: what both alarms watch.
    #[serde(alias = "metric")]
    signal: Signal,
    /// Short form: one more above this.
    up: f64,
    /// Short form: one fewer below this.
    down: f64,
    /// The policies as AWS has them; they replace the short form.
    #[serde(skip_serializing)]
    policies: Option<Vec<SimplePolicy>>,
    /// Time after a completed change in which there is no other.
    #[serde(with = "span", alias = "default_cooldown")]
    cooldown: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let (up, down) = (60.0, 30.0);
        Self { signal: Signal::WorkerCpu, up, down, policies: None, cooldown: Duration::from_secs(300) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SimplePolicy {
    alarm: AlarmSpec,
    #[serde(default)]
    adjustment_type: AdjustmentType,
    scaling_adjustment: i64,
    #[serde(default)]
    min_adjustment_magnitude: Option<u32>,
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.policies.is_none() && (!self.up.is_finite() || !self.down.is_finite() || self.up <= self.down)
        {
            return Err(format!("up ({}) must be above down ({})", self.up, self.down));
        }
        self.policies.iter().flatten().try_for_each(|policy| policy.alarm.check())
    }

    fn resolved(&self) -> Vec<SimplePolicy> {
        let short = |comparison, line, scaling_adjustment| SimplePolicy {
            alarm: AlarmSpec::simple(self.signal.clone(), comparison, line),
            adjustment_type: AdjustmentType::Change,
            scaling_adjustment,
            min_adjustment_magnitude: None,
        };
        self.policies.clone().unwrap_or_else(|| {
            vec![short(Comparison::Above, self.up, 1), short(Comparison::Below, self.down, -1)]
        })
    }
}

struct Lever {
    policy: SimplePolicy,
    alarm: MetricAlarm,
    acts: Text,
    holds: Text,
}

/// The policy.
struct Simple {
    own: Settings,
    levers: Vec<Lever>,
    excluded: Vec<Excluded>,
    desired: Option<u32>,
    /// When the last change was complete.
    changed: Option<Timestamp>,
    changing: bool,
}

impl Simple {
    fn new(own: Settings) -> Self {
        let lever = |policy: SimplePolicy| {
            let name = if policy.alarm.comparison_operator.upward() { "high" } else { "low" };
            let alarm = MetricAlarm::new(policy.alarm.clone(), name, Duration::ZERO);
            let acts = alarm.phrase("{signal} past {line}: {adjustment} to a capacity of {capacity}");
            let holds = alarm.phrase("{signal} past {line}, but the cool-down has {left} s left");
            Lever { policy, alarm, acts, holds }
        };
        let levers = own.resolved().into_iter().map(lever).collect();
        Self { own, levers, excluded: Vec::new(), desired: None, changed: None, changing: false }
    }

    /// When the cool-down ends, if it still runs.
    fn cooling(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.changed?.saturating_add(self.own.cooldown).ok()?;
        (until > now).then_some(until)
    }
}

impl Lever {
    fn pull(&self, desired: u32) -> u32 {
        let policy = &self.policy;
        adjusted(desired, policy.adjustment_type, policy.scaling_adjustment, policy.min_adjustment_magnitude)
    }

    fn act(&self, seen: &Observation, cooling: Option<Timestamp>) -> Recommendation {
        let desired = seen.fleet.desired;
        let replicas = self.pull(desired);
        let left = cooling.map_or(0.0, |until| until.duration_since(seen.at).as_secs_f64());
        let numbers = [
            ("value", self.alarm.value.unwrap_or(f64::NAN)),
            ("line", self.policy.alarm.threshold),
            ("adjustment", self.policy.scaling_adjustment as f64),
            ("capacity", f64::from(desired)),
            ("left", left),
        ];
        if let Some(until) = cooling {
            let because = Because::new(self.holds.clone(), numbers);
            let mut said = Recommendation::hold(desired, "cooldown", because.clone());
            let later = Because::new("in {left} s it may", [("left", left)]);
            said.nearest_flip = Some(Flip { replicas, because: later });
            said.blocked_by.push(Blocked { by: "cooldown".into(), until: Some(until), because });
            return said;
        }
        let rule = if replicas >= desired { "simple_out" } else { "simple_in" };
        Recommendation::hold(replicas, rule, Because::new(self.acts.clone(), numbers))
    }
}

impl Policy for Simple {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        let before = self.desired.replace(seen.fleet.desired);
        self.changing |= before.is_some_and(|before| before != seen.fleet.desired);
        if self.changing {
            // The cool-down begins when the last instance has started or gone.
            self.changed = Some(seen.at);
            self.changing = seen.fleet.starting > 0 || seen.fleet.draining > 0;
        }
        for lever in &mut self.levers {
            self.excluded.clear();
            lever.alarm.observe(seen, &mut self.excluded);
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let cooling = self.cooling(seen.at);
        let mut alarms = Vec::with_capacity(self.levers.len());
        let mut best: Option<Recommendation> = None;
        for lever in &mut self.levers {
            let alarm = lever.alarm.evaluate(seen);
            if alarm.state == AlarmState::Alarm {
                let said = lever.act(seen, cooling);
                if best.as_ref().is_none_or(|best| said.step.replicas > best.step.replicas) {
                    best = Some(said);
                }
            }
            alarms.push(alarm);
        }
        let mut said = best.unwrap_or_else(|| {
            let quiet = self
                .levers
                .first()
                .map_or_else(|| Because::plain("no policies"), |lever| lever.alarm.quiet());
            let read = self.levers.iter().any(|lever| lever.alarm.value.is_some());
            let mut said = Recommendation::hold(desired, if read { "within" } else { "no_reading" }, quiet);
            let flips = self.levers.iter().filter_map(|lever| lever.alarm.flip(lever.pull(desired)));
            said.nearest_flip = flips.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, flip)| flip);
            said
        });
        said.alarms = alarms;
        said.excluded.clone_from(&self.excluded);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        let line = |upward: bool| {
            let mut levers = self.levers.iter();
            let found = levers.find(|lever| lever.policy.alarm.comparison_operator.upward() == upward);
            found.map(|lever| lever.policy.alarm.threshold)
        };
        Some(self.levers.first()?.alarm.measured(line(true), line(false)))
    }
}
