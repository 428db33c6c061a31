//! AWS target tracking: keeps a signal near a target by two alarms of its own, one that is
//! quick to add (3 datapoints above) and one that is slow to take away (15 datapoints more
//! than 10 % below).
//!
//! `desired = ceil(capacity × value / target)`; instances that warm up are not part of the
//! capacity, and nothing is taken away while there are some.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alarm::{Statistic, TreatMissingData};
use super::capacity::warming;
use super::metric_alarm::{AlarmSpec, Comparison, MetricAlarm};
use super::signal::Signal;
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{AlarmState, Because, Blocked, Excluded, Measured, Text};
use crate::number;
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "target_tracking",
    about: "AWS target tracking: 3 datapoints above the target add, 15 below 90 % of it take away (50 % CPU)",
    build: |config| Ok(Built::bare(Tracking::new(super::checked(config, Settings::check)?))),
};

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// What is kept near the target.
    #[serde(alias = "metric")]
    signal: Signal,
    /// In the signal's unit.
    #[serde(alias = "target_value")]
    target: f64,
    /// How the samples of a period become one datapoint.
    statistic: Statistic,
    /// Length of a period; zero: every time it is asked. AWS: 60 s.
    #[serde(with = "span")]
    period: Duration,
    /// Only ever adds.
    disable_scale_in: bool,
    /// Datapoints above the target before it adds.
    scale_out_datapoints: usize,
    /// Datapoints below before it takes away.
    scale_in_datapoints: usize,
    /// Below this share of the target it takes away.
    scale_in_ratio: f64,
    /// Time after becoming ready in which an instance does not count.
    #[serde(with = "span", alias = "warmup", alias = "default_instance_warmup")]
    estimated_instance_warmup: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signal: Signal::WorkerCpu,
            target: 50.0,
            statistic: Statistic::Average,
            period: Duration::ZERO,
            disable_scale_in: false,
            scale_out_datapoints: 3,
            scale_in_datapoints: 15,
            scale_in_ratio: 0.9,
            estimated_instance_warmup: Duration::from_secs(300),
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if !(self.target.is_finite() && self.target > 0.0) {
            return Err("target must be above 0".to_owned());
        }
        if !(0.0..=1.0).contains(&self.scale_in_ratio) {
            return Err("scale_in_ratio must be 0 to 1".to_owned());
        }
        self.alarm(true).check()?;
        self.alarm(false).check()
    }

    fn alarm(&self, out: bool) -> AlarmSpec {
        let (comparison_operator, threshold, evaluation_periods) = if out {
            (Comparison::Above, self.target, self.scale_out_datapoints)
        } else {
            (Comparison::Below, self.target * self.scale_in_ratio, self.scale_in_datapoints)
        };
        AlarmSpec {
            signal: self.signal.clone(),
            statistic: self.statistic,
            period: self.period,
            threshold,
            comparison_operator,
            evaluation_periods,
            datapoints_to_alarm: None,
            treat_missing_data: TreatMissingData::Missing,
        }
    }
}

/// The policy.
struct Tracking {
    own: Settings,
    high: MetricAlarm,
    low: MetricAlarm,
    excluded: Vec<Excluded>,
    acts: Text,
    holds: Text,
    disabled: Text,
}

impl Tracking {
    fn new(own: Settings) -> Self {
        let warm_up = own.estimated_instance_warmup;
        let high = MetricAlarm::new(own.alarm(true), "high", warm_up);
        let low = MetricAlarm::new(own.alarm(false), "low", warm_up);
        Self {
            acts: high.phrase("{signal} / target {target} × {capacity} = {product} → {replicas}"),
            holds: high.phrase("{signal} / target {target}: {warming} warm up, nothing is changed meanwhile"),
            disabled: high.phrase("{signal} / target {target}: scaling in is disabled"),
            own,
            high,
            low,
            excluded: Vec::new(),
        }
    }

    fn act(&self, seen: &Observation, value: f64, out: bool) -> Recommendation {
        let desired = seen.fleet.desired;
        let (warming, until) = warming(seen, self.own.estimated_instance_warmup);
        let capacity = if out { desired.saturating_sub(warming) } else { desired };
        let product = f64::from(capacity) * value / self.own.target;
        let wanted = number::count_up(product);
        let replicas = if out { wanted.max(desired) } else { wanted.min(desired) };
        let numbers = [
            ("value", value),
            ("target", self.own.target),
            ("capacity", f64::from(capacity)),
            ("product", product),
            ("replicas", f64::from(replicas)),
            ("warming", f64::from(warming)),
        ];
        if !out && self.own.disable_scale_in {
            let because = Because::new(self.disabled.clone(), numbers);
            let mut said = Recommendation::hold(desired, "scale_in_disabled", because.clone());
            said.blocked_by.push(Blocked { by: "scale_in_disabled".into(), until: None, because });
            return said;
        }
        if warming > 0 && (!out || replicas == desired) {
            let because = Because::new(self.holds.clone(), numbers);
            let mut said = Recommendation::hold(desired, "warming", because.clone());
            said.blocked_by.push(Blocked { by: "warming".into(), until, because });
            return said;
        }
        let rule = if out { "above_target" } else { "below_target" };
        Recommendation::hold(replicas, rule, Because::new(self.acts.clone(), numbers))
    }
}

impl Policy for Tracking {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        self.excluded.clear();
        self.low.observe(seen, &mut self.excluded);
        self.excluded.clear();
        self.high.observe(seen, &mut self.excluded);
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let desired = seen.fleet.desired;
        let (high, low) = (self.high.evaluate(seen), self.low.evaluate(seen));
        let mut said = match self.high.value {
            Some(value) if high.state == AlarmState::Alarm => self.act(seen, value, true),
            Some(value) if low.state == AlarmState::Alarm => self.act(seen, value, false),
            Some(_) => {
                let mut said = Recommendation::hold(desired, "within", self.high.quiet());
                let flips =
                    [self.high.flip(desired.saturating_add(1)), self.low.flip(desired.saturating_sub(1))];
                let nearest = flips.into_iter().flatten().min_by(|(a, _), (b, _)| a.total_cmp(b));
                said.nearest_flip = nearest.map(|(_, flip)| flip);
                said
            }
            None => Recommendation::hold(desired, "no_reading", self.high.quiet()),
        };
        said.alarms = vec![high, low];
        said.excluded.clone_from(&self.excluded);
        said.measured = self.measured();
        said
    }

    fn measured(&self) -> Option<Measured> {
        Some(self.high.measured(Some(self.own.target), Some(self.own.target * self.own.scale_in_ratio)))
    }
}
