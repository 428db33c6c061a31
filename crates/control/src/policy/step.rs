//! AWS step scaling: the further an alarm's signal is past its threshold, the larger the step.
//!
//! Instances that warm up are neither measured nor part of the capacity that a step starts
//! from, but they do count towards its outcome: a larger breach adds only what is still
//! missing. Nothing is taken away while some warm up (EC2 Auto Scaling User Guide, "Step and
//! simple scaling policies").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::capacity::{AdjustmentType, adjusted, warming};
use super::metric_alarm::{AlarmSpec, Comparison, MetricAlarm};
use super::signal::Signal;
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{AlarmState, Because, Blocked, Excluded, Flip, Measured, Text};
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "step",
    about: "AWS step scaling: larger steps for larger breaches (+1 above 60 % CPU, +2 above 80 %, -1 below 30 %)",
    build: |config| Ok(Built::bare(StepScaling::new(super::checked(config, Settings::check)?))),
};

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Short form: what both alarms watch.
    #[serde(alias = "metric")]
    signal: Signal,
    /// Short form: the threshold of the alarm that adds; two steps, +1 and, 20 above it, +2.
    up: f64,
    /// Short form: the threshold of the alarm that takes one away.
    down: f64,
    /// The policies as AWS has them; they replace the short form.
    #[serde(skip_serializing)]
    policies: Option<Vec<StepPolicy>>,
    /// Time after becoming ready in which an instance does not count.
    #[serde(with = "span", alias = "warmup", alias = "default_instance_warmup")]
    estimated_instance_warmup: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signal: Signal::WorkerCpu,
            up: 60.0,
            down: 30.0,
            policies: None,
            estimated_instance_warmup: Duration::from_secs(300),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepPolicy {
    alarm: AlarmSpec,
    #[serde(default)]
    adjustment_type: AdjustmentType,
    step_adjustments: Vec<StepAdjustment>,
    #[serde(default)]
    min_adjustment_magnitude: Option<u32>,
}

/// Bounds are relative to the threshold; none is infinity.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepAdjustment {
    #[serde(default, alias = "metric_interval_lower_bound")]
    lower_bound: Option<f64>,
    #[serde(default, alias = "metric_interval_upper_bound")]
    upper_bound: Option<f64>,
    #[serde(alias = "scaling_adjustment")]
    adjustment: i64,
}

impl StepAdjustment {
    fn low(self) -> f64 {
        self.lower_bound.unwrap_or(f64::NEG_INFINITY)
    }

    fn high(self) -> f64 {
        self.upper_bound.unwrap_or(f64::INFINITY)
    }

    /// Above the threshold the lower bound belongs to the step, below it the upper.
    fn holds(self, breach: f64, upward: bool) -> bool {
        if upward {
            self.low() <= breach && breach < self.high()
        } else {
            self.low() < breach && breach <= self.high()
        }
    }
}

impl StepPolicy {
    fn short(alarm: AlarmSpec, steps: &[(Option<f64>, Option<f64>, i64)]) -> Self {
        let step = |&(lower_bound, upper_bound, adjustment): &_| StepAdjustment {
            lower_bound,
            upper_bound,
            adjustment,
        };
        Self {
            alarm,
            adjustment_type: AdjustmentType::Change,
            step_adjustments: steps.iter().map(step).collect(),
            min_adjustment_magnitude: None,
        }
    }

    fn check(&self) -> Result<(), String> {
        self.alarm.check()?;
        let mut steps = self.step_adjustments.clone();
        steps.sort_by(|a, b| a.low().total_cmp(&b.low()));
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return Err("step_adjustments must not be empty".to_owned());
        };
        if steps.iter().any(|step| {
            step.low() >= step.high()
                || (step.lower_bound.is_none() && step.upper_bound.is_none() && steps.len() > 1)
        }) {
            return Err("the lower bound of a step must be below its upper bound".to_owned());
        }
        let meet = |pair: &[StepAdjustment]| {
            pair[0].upper_bound.is_some() && (pair[0].high() - pair[1].low()).abs() < 1e-12
        };
        if !steps.windows(2).all(meet) {
            return Err("steps must neither overlap nor leave a gap".to_owned());
        }
        if first.low() < 0.0 && first.lower_bound.is_some() {
            return Err("with a negative lower bound, one step must have none".to_owned());
        }
        if last.high() > 0.0 && last.upper_bound.is_some() {
            return Err("with a positive upper bound, one step must have none".to_owned());
        }
        let exact = self.adjustment_type == AdjustmentType::Exact;
        if exact && steps.iter().any(|step| step.adjustment < 0) {
            return Err("an exact capacity cannot be negative".to_owned());
        }
        Ok(())
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if self.policies.is_none() && (!self.up.is_finite() || !self.down.is_finite() || self.up <= self.down)
        {
            return Err(format!("up ({}) must be above down ({})", self.up, self.down));
        }
        self.policies.iter().flatten().try_for_each(StepPolicy::check)
    }

    fn resolved(&self) -> Vec<StepPolicy> {
        self.policies.clone().unwrap_or_else(|| {
            let alarm = |comparison, line| AlarmSpec::simple(self.signal.clone(), comparison, line);
            vec![
                StepPolicy::short(
                    alarm(Comparison::Above, self.up),
                    &[(Some(0.0), Some(20.0), 1), (Some(20.0), None, 2)],
                ),
                StepPolicy::short(alarm(Comparison::Below, self.down), &[(None, Some(0.0), -1)]),
            ]
        })
    }
}

/// One policy with its alarm and sentences.
struct Ladder {
    policy: StepPolicy,
    alarm: MetricAlarm,
    acts: Text,
    holds: Text,
}

/// The policy.
struct StepScaling {
    own: Settings,
    ladders: Vec<Ladder>,
    excluded: Vec<Excluded>,
}

impl StepScaling {
    fn new(own: Settings) -> Self {
        let ladder = |policy: StepPolicy| {
            let upward = policy.alarm.comparison_operator.upward();
            let name = if upward { "high" } else { "low" };
            let alarm = MetricAlarm::new(policy.alarm.clone(), name, own.estimated_instance_warmup);
            let acts =
                alarm.phrase("{signal}, {breach} past {line}: {adjustment} to a capacity of {capacity}");
            let holds = alarm.phrase("{signal}, {breach} past {line}: {warming} warm up and count already");
            Ladder { policy, alarm, acts, holds }
        };
        let ladders = own.resolved().into_iter().map(ladder).collect();
        Self { own, ladders, excluded: Vec::new() }
    }
}

impl Ladder {
    /// What this policy asks for, its alarm being up.
    fn climb(&self, seen: &Observation, warm_up: Duration) -> Option<Recommendation> {
        let value = self.alarm.value?;
        let upward = self.policy.alarm.comparison_operator.upward();
        let threshold = self.policy.alarm.threshold;
        let breach = value - threshold;
        let step = self.policy.step_adjustments.iter().find(|step| step.holds(breach, upward))?;
        let (kind, least) = (self.policy.adjustment_type, self.policy.min_adjustment_magnitude);
        let desired = seen.fleet.desired;
        let (warming, until) = warming(seen, warm_up);
        let exact = kind == AdjustmentType::Exact;
        let outward = if exact { step.adjustment > i64::from(desired) } else { step.adjustment > 0 };
        // Ending instances are still part of what a step takes from, so that it takes no more.
        let capacity = if outward || exact {
            desired.saturating_sub(warming)
        } else {
            desired.saturating_add(seen.fleet.draining)
        };
        let wanted = adjusted(capacity, kind, step.adjustment, least);
        let replicas = if outward { wanted.max(desired) } else { wanted.min(desired) };
        let numbers = [
            ("value", value),
            ("breach", breach.abs()),
            ("line", threshold),
            ("adjustment", step.adjustment as f64),
            ("capacity", f64::from(capacity)),
            ("warming", f64::from(warming)),
        ];
        let rule = if outward { "step_out" } else { "step_in" };
        if !outward && warming > 0 && replicas < desired {
            let because = Because::new(self.holds.clone(), numbers);
            let mut said = Recommendation::hold(desired, "warming", because.clone());
            said.blocked_by.push(Blocked { by: "warming".into(), until, because });
            return Some(said);
        }
        let already = outward && replicas == desired && warming > 0;
        let sentence = if already { &self.holds } else { &self.acts };
        let because = Because::new(sentence.clone(), numbers);
        let mut said = Recommendation::hold(replicas, rule, because.clone());
        if already {
            said.blocked_by.push(Blocked { by: "warming".into(), until, because });
        }
        Some(said)
    }

    /// The step that would have followed a breach just now.
    fn next(&self, desired: u32) -> Option<(f64, Flip)> {
        let upward = self.policy.alarm.comparison_operator.upward();
        let nearest = if upward { f64::MIN_POSITIVE } else { -f64::MIN_POSITIVE };
        let step = self.policy.step_adjustments.iter().find(|step| step.holds(nearest, upward))?;
        let least = self.policy.min_adjustment_magnitude;
        self.alarm.flip(adjusted(desired, self.policy.adjustment_type, step.adjustment, least))
    }
}

impl Policy for StepScaling {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        self.excluded.clear();
        for ladder in &mut self.ladders {
            self.excluded.clear();
            ladder.alarm.observe(seen, &mut self.excluded);
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let warm_up = self.own.estimated_instance_warmup;
        let mut alarms = Vec::with_capacity(self.ladders.len());
        let mut best: Option<Recommendation> = None;
        for ladder in &mut self.ladders {
            let alarm = ladder.alarm.evaluate(seen);
            if alarm.state == AlarmState::Alarm
                && let Some(said) = ladder.climb(seen, warm_up)
                && best.as_ref().is_none_or(|best| said.step.replicas > best.step.replicas)
            {
                best = Some(said);
            }
            alarms.push(alarm);
        }
        let mut said = best.unwrap_or_else(|| {
            let quiet = self
                .ladders
                .first()
                .map_or_else(|| Because::plain("no policies"), |ladder| ladder.alarm.quiet());
            let read = self.ladders.iter().any(|ladder| ladder.alarm.value.is_some());
            let mut said = Recommendation::hold(desired, if read { "within" } else { "no_reading" }, quiet);
            let flips = self.ladders.iter().filter_map(|ladder| ladder.next(desired));
            let nearest = flips.min_by(|(a, _), (b, _)| a.total_cmp(b));
            said.nearest_flip = nearest.map(|(_, flip)| flip);
            said
        });
        said.alarms = alarms;
        said.excluded.clone_from(&self.excluded);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        let line = |upward: bool| {
            let mut ladders = self.ladders.iter();
            let found = ladders.find(|ladder| ladder.policy.alarm.comparison_operator.upward() == upward);
            found.map(|ladder| ladder.policy.alarm.threshold)
        };
        Some(self.ladders.first()?.alarm.measured(line(true), line(false)))
    }
}
