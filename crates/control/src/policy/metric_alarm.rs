//! One alarm on one signal: settings, memory and sentences, shared by the AWS policies.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize;

use super::alarm::{Period, Rule, Statistic, TreatMissingData};
use super::signal::{Judge, Signal};
use crate::decision::{Alarm, AlarmState, Because, Excluded, Flip, Measured, Text};
use crate::observation::Observation;
use crate::span;

/// How a datapoint is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Comparison {
    /// `>`
    #[serde(rename = "GreaterThanThreshold", alias = ">")]
    Above,
    /// `>=`
    #[serde(rename = "GreaterThanOrEqualToThreshold", alias = ">=")]
    AtLeast,
    /// `<`
    #[serde(rename = "LessThanThreshold", alias = "<")]
    Below,
    /// `<=`
    #[serde(rename = "LessThanOrEqualToThreshold", alias = "<=")]
    AtMost,
}

impl Comparison {
    /// Whether it fires above its threshold.
    pub(super) fn upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }

    fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

/// Settings of an alarm.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlarmSpec {
    /// What is compared.
    #[serde(default = "worker_cpu", alias = "metric", alias = "metric_name")]
    pub(super) signal: Signal,
    /// How the samples of a period become one datapoint.
    #[serde(default)]
    pub(super) statistic: Statistic,
    /// Length of a period; zero: every time it is asked.
    #[serde(default, with = "span")]
    pub(super) period: Duration,
    /// With what it is compared, in the signal's unit.
    pub(super) threshold: f64,
    /// How.
    #[serde(alias = "comparison")]
    pub(super) comparison_operator: Comparison,
    /// N: how many of the latest datapoints count.
    #[serde(default = "one")]
    pub(super) evaluation_periods: usize,
    /// M: how many of them must breach; as many as count where left out.
    #[serde(default)]
    pub(super) datapoints_to_alarm: Option<usize>,
    /// What a missing datapoint means.
    #[serde(default)]
    pub(super) treat_missing_data: TreatMissingData,
}

fn worker_cpu() -> Signal {
    Signal::WorkerCpu
}

fn one() -> usize {
    1
}

impl AlarmSpec {
    /// `signal` compared with `threshold`, one datapoint of one.
    pub(super) fn simple(signal: Signal, comparison_operator: Comparison, threshold: f64) -> Self {
        Self {
            signal,
            statistic: Statistic::Average,
            period: Duration::ZERO,
            threshold,
            comparison_operator,
            evaluation_periods: 1,
            datapoints_to_alarm: None,
            treat_missing_data: TreatMissingData::Missing,
        }
    }

    fn rule(&self) -> Rule {
        Rule {
            needed: self.datapoints_to_alarm.unwrap_or(self.evaluation_periods),
            of: self.evaluation_periods,
            missing: self.treat_missing_data,
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.threshold.is_finite() {
            return Err("threshold must be a finite number".to_owned());
        }
        self.rule().check()
    }
}

/// An alarm with its memory.
pub(super) struct MetricAlarm {
    pub(super) spec: AlarmSpec,
    name: &'static str,
    judge: Judge,
    period: Period,
    datapoints: VecDeque<Option<f64>>,
    state: AlarmState,
    /// The newest datapoint.
    pub(super) value: Option<f64>,
    latest: Option<f64>,
    signal: Text,
    phrases: Phrases,
}

struct Phrases {
    flip: Text,
    quiet: Text,
    no_reading: Text,
}

impl MetricAlarm {
    /// `name` as it is shown; workers count from `warm_up` after they became ready.
    pub(super) fn new(spec: AlarmSpec, name: &'static str, warm_up: Duration) -> Self {
        let word = if spec.comparison_operator.upward() { "above" } else { "below" };
        let phrases = Phrases {
            flip: spec.signal.phrase(&format!("{word} {{line}} it would have; {{signal}}")),
            quiet: spec.signal.phrase("{signal}, no alarm"),
            no_reading: format!("no reading of {}: nothing is changed", spec.signal).into(),
        };
        Self {
            name,
            judge: Judge { warm_up, stale_after: STALE_AFTER },
            period: Period::default(),
            datapoints: VecDeque::new(),
            state: AlarmState::InsufficientData,
            value: None,
            latest: None,
            signal: spec.signal.name(),
            spec,
            phrases,
        }
    }

    /// A sentence of the caller's with this alarm's signal, made when it is built.
    pub(super) fn phrase(&self, sentence: &str) -> Text {
        self.spec.signal.phrase(sentence)
    }

    /// Takes this turn's samples.
    pub(super) fn observe(&mut self, seen: &Observation, excluded: &mut Vec<Excluded>) {
        let what = (&self.spec.signal, self.spec.statistic);
        self.latest = self.period.take_turn(what, seen, self.judge, excluded);
    }

    /// The alarm now; closes the period if it is over.
    pub(super) fn evaluate(&mut self, seen: &Observation) -> Alarm {
        let rule = self.spec.rule();
        if let Some((value, gaps)) = self.period.close(seen.at, self.spec.period, self.spec.statistic) {
            (0..gaps).for_each(|_| rule.keep(&mut self.datapoints, None));
            rule.keep(&mut self.datapoints, value);
            self.value = value;
        }
        let (comparison, threshold) = (self.spec.comparison_operator, self.spec.threshold);
        let breaches = |value| comparison.breaches(value, threshold);
        let alarm = rule.alarm(self.name, rule.evaluate(&self.datapoints, self.state, breaches));
        self.state = alarm.state;
        alarm
    }

    /// Why nothing is done, in its words.
    pub(super) fn quiet(&self) -> Because {
        match self.value {
            Some(value) => Because::new(self.phrases.quiet.clone(), [("value", value)]),
            None => Because::plain(self.phrases.no_reading.clone()),
        }
    }

    /// What would have raised it, and how far away that is.
    pub(super) fn flip(&self, replicas: u32) -> Option<(f64, Flip)> {
        let value = self.value?;
        let numbers = [("line", self.spec.threshold), ("value", value)];
        let because = Because::new(self.phrases.flip.clone(), numbers);
        Some(((self.spec.threshold - value).abs(), Flip { replicas, because }))
    }

    /// This turn's value.
    pub(super) fn measured(&self, up: Option<f64>, down: Option<f64>) -> Measured {
        let signal = match &self.signal {
            Text::Fixed(name) => (*name).into(),
            Text::Shared(name) => name.to_string().into(),
        };
        Measured { signal, unit: self.spec.signal.unit().into(), value: self.latest, up, down }
    }
}

/// Age at which a named reading counts as not taken: five minutes, CloudWatch's basic period.
const STALE_AFTER: Duration = Duration::from_secs(300);
