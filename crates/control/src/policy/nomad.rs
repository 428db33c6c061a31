//! Nomad Autoscaler: checks with the strategies target-value, threshold, fixed-value and
//! pass-through; the safest check wins, then a cool-down of 5 min in both directions.
//!
//! target-value: `ceil(count × value / target)` beyond a share of 0.01; threshold: so many of
//! the datapoints of the query window within `[lower, upper)`. Source: hashicorp/nomad
//! `website/content/tools/autoscaling`.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signal::{Judge, Signal};
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Blocked, Excluded, Flip, Measured, Text};
use crate::number;
use crate::observation::Observation;
use crate::span;

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "nomad",
    about: "Nomad Autoscaler: target-value and threshold checks, the safest wins, cool-down 5 min (70 % CPU)",
    build: |config| Ok(Built::bare(Nomad::new(super::checked(config, Settings::check)?))),
};

/// Datapoints of a query window kept at most.
const POINTS_MAX: usize = 10_000;

/// Settings; those left out take these defaults.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Short form: a single target-value check of this signal.
    #[serde(alias = "metric")]
    signal: Signal,
    /// Short form: its target.
    target: f64,
    #[serde(skip_serializing)]
    checks: Option<Vec<Check>>,
    #[serde(with = "span")]
    cooldown: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { signal: Signal::WorkerCpu, target: 70.0, checks: None, cooldown: Duration::from_secs(300) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    name: Option<String>,
    #[serde(alias = "metric")]
    signal: Signal,
    /// Checks of one group are correlated: one that says nothing does not stop the others.
    group: Option<String>,
    #[serde(default = "minute", with = "span")]
    query_window: Duration,
    strategy: Strategy,
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Strategy {
    #[serde(alias = "target-value")]
    TargetValue {
        target: f64,
        #[serde(default = "hundredth")]
        threshold: f64,
    },
    Threshold {
        lower_bound: Option<f64>,
        upper_bound: Option<f64>,
        delta: Option<i64>,
        percentage: Option<f64>,
        value: Option<u32>,
        #[serde(default = "five")]
        within_bounds_trigger: usize,
    },
    #[serde(alias = "fixed-value")]
    FixedValue { value: u32 },
    #[serde(alias = "pass-through")]
    PassThrough {},
}

fn hundredth() -> f64 {
    0.01
}

fn five() -> usize {
    5
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        if !(self.target.is_finite() && self.target >= 0.0) {
            return Err("target must be 0 or more".to_owned());
        }
        for check in self.checks.iter().flatten() {
            if let Strategy::Threshold { lower_bound, upper_bound, delta, percentage, value, .. } =
                check.strategy
            {
                let given = [delta.is_some(), percentage.is_some(), value.is_some()];
                if given.iter().filter(|given| **given).count() != 1 {
                    return Err("a threshold needs exactly one of delta, percentage, value".to_owned());
                }
                if lower_bound.is_none() && upper_bound.is_none() {
                    return Err("a threshold needs lower_bound or upper_bound".to_owned());
                }
            }
        }
        Ok(())
    }

    fn resolved(&self) -> Vec<Check> {
        let strategy = Strategy::TargetValue { target: self.target, threshold: hundredth() };
        let short =
            Check { name: None, signal: self.signal.clone(), group: None, query_window: minute(), strategy };
        self.checks.clone().unwrap_or_else(|| vec![short])
    }
}

struct Probe {
    check: Check,
    points: VecDeque<(Timestamp, f64)>,
    latest: Option<f64>,
    acts: Text,
    quiet: Text,
    /// Sentences of the nearest flip, out and in.
    flips: (Text, Text),
}

/// What a check says.
enum Say {
    Count(u32),
    Nothing,
    Unknown,
}

impl Probe {
    fn new(check: Check) -> Self {
        let name = check.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let phrase = |sentence: &str| -> Text { format!("{name}{}", &*check.signal.phrase(sentence)).into() };
        let (acts, quiet) = match check.strategy {
            Strategy::TargetValue { .. } => (
                phrase("{signal} / target {target} × {count} → {replicas}"),
                phrase("{signal} / target {target}, within the threshold"),
            ),
            Strategy::Threshold { .. } => (
                phrase("{signal}, {inside} datapoints within the bounds → {replicas}"),
                phrase("{signal}, {inside} datapoints within the bounds are too few"),
            ),
            _ => (phrase("{replicas} asked for"), phrase("{replicas} asked for")),
        };
        let flips = (
            phrase("above {line} it would have; there was {signal}"),
            phrase("from {line} down it would have; there was {signal}"),
        );
        Self { check, points: VecDeque::new(), latest: None, acts, quiet, flips }
    }

    fn observe(&mut self, seen: &Observation, excluded: &mut Vec<Excluded>) {
        let judge = Judge { warm_up: Duration::ZERO, stale_after: self.check.query_window };
        self.latest = self.check.signal.mean(seen, judge, excluded);
        let window = self.check.query_window;
        while self.points.pop_front_if(|(at, _)| !crate::limits::after(*at, seen.at, window)).is_some() {}
        if let Some(value) = self.latest {
            if self.points.len() >= POINTS_MAX {
                self.points.pop_front();
            }
            self.points.push_back((seen.at, value));
        }
    }

    fn inside(&self) -> usize {
        let Strategy::Threshold { lower_bound, upper_bound, .. } = self.check.strategy else { return 0 };
        let (low, high) = (lower_bound.unwrap_or(f64::NEG_INFINITY), upper_bound.unwrap_or(f64::INFINITY));
        self.points.iter().filter(|(_, value)| low <= *value && *value < high).count()
    }

    fn say(&self, count: u32) -> Say {
        let moved = |replicas: u32| if replicas == count { Say::Nothing } else { Say::Count(replicas) };
        if let Strategy::FixedValue { value } = self.check.strategy {
            return moved(value);
        }
        let Some(value) = self.latest else { return Say::Unknown };
        match self.check.strategy {
            Strategy::TargetValue { target, threshold } => {
                let factor = if target > 0.0 { value / target } else { value };
                if count == 0 {
                    return moved(number::count_up(factor));
                }
                if (1.0 - threshold..=1.0 + threshold).contains(&factor) {
                    return Say::Nothing;
                }
                moved(number::count_up(f64::from(count) * factor))
            }
            Strategy::Threshold { delta, percentage, value, within_bounds_trigger, .. } => {
                if self.inside() < within_bounds_trigger {
                    return Say::Nothing;
                }
                moved(share(count, delta, percentage, value))
            }
            Strategy::PassThrough {} => moved(number::count_up(value)),
            Strategy::FixedValue { .. } => Say::Nothing,
        }
    }

    /// The nearest value, or the datapoints still needed, for another number.
    fn flip(&self, count: u32) -> Option<Flip> {
        let value = self.latest?;
        match self.check.strategy {
            Strategy::TargetValue { target, threshold } if target > 0.0 => {
                let held = f64::from(count);
                let up = target * (1.0 + threshold);
                let down = (target * (1.0 - threshold)).min(target * (held - 1.0) / held);
                let above = up - value <= value - down || count <= 1;
                let line = if above { up } else { down };
                let sentence = if above { &self.flips.0 } else { &self.flips.1 };
                let replicas = match number::count_up(held * line / target) {
                    more if above => more.max(count.saturating_add(1)),
                    fewer => fewer.min(count.saturating_sub(1)),
                };
                let because = Because::new(sentence.clone(), [("line", line), ("value", value)]);
                Some(Flip { replicas, because })
            }
            Strategy::Threshold { delta, percentage, value: exact, within_bounds_trigger, .. } => {
                let missing = within_bounds_trigger.saturating_sub(self.inside());
                let replicas = share(count, delta, percentage, exact);
                let sentence = "{missing} more datapoints within the bounds and it would have";
                let because = Because::new(sentence, [("missing", missing as f64)]);
                (missing > 0 && replicas != count).then_some(Flip { replicas, because })
            }
            _ => None,
        }
    }

    fn because(&self, count: u32, replicas: Option<u32>) -> Because {
        let target =
            if let Strategy::TargetValue { target, .. } = self.check.strategy { target } else { f64::NAN };
        let numbers = [
            ("value", self.latest.unwrap_or(f64::NAN)),
            ("target", target),
            ("count", f64::from(count)),
            ("inside", self.inside() as f64),
            ("replicas", f64::from(replicas.unwrap_or(count))),
        ];
        Because::new(if replicas.is_some() { self.acts.clone() } else { self.quiet.clone() }, numbers)
    }
}

/// What a threshold's action makes of `count`.
fn share(count: u32, delta: Option<i64>, percentage: Option<f64>, value: Option<u32>) -> u32 {
    match (delta, percentage) {
        (Some(delta), _) => number::changed(count, delta),
        (None, Some(percent)) => number::count_up(f64::from(count) * (1.0 + percent / 100.0)),
        (None, None) => value.unwrap_or(count),
    }
}

struct Nomad {
    own: Settings,
    probes: Vec<Probe>,
    excluded: Vec<Excluded>,
    desired: Option<u32>,
    changed: Option<Timestamp>,
}

impl Nomad {
    fn new(own: Settings) -> Self {
        let probes = own.resolved().into_iter().map(Probe::new).collect();
        Self { own, probes, excluded: Vec::new(), desired: None, changed: None }
    }

    /// The check that is safest: more before nothing before fewer.
    fn safest(&self, count: u32) -> Option<(&Probe, Option<u32>)> {
        let mut best: Option<(&Probe, Option<u32>)> = None;
        for probe in &self.probes {
            let said = match probe.say(count) {
                Say::Count(replicas) => Some(replicas),
                Say::Nothing => None,
                Say::Unknown => continue,
            };
            let grouped = said.is_none() && probe.check.group.is_some();
            let others_act = self.probes.iter().any(|other| {
                other.check.group == probe.check.group && matches!(other.say(count), Say::Count(_))
            });
            if grouped && others_act {
                continue;
            }
            if best.is_none_or(|(_, best)| said.unwrap_or(count) > best.unwrap_or(count)) {
                best = Some((probe, said));
            }
        }
        best
    }
}

impl Policy for Nomad {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn observe(&mut self, seen: &Observation) {
        if self.desired.replace(seen.fleet.desired).is_some_and(|before| before != seen.fleet.desired) {
            self.changed = Some(seen.at);
        }
        for probe in &mut self.probes {
            self.excluded.clear();
            probe.observe(seen, &mut self.excluded);
        }
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        let count = seen.fleet.desired;
        let Some((probe, said)) = self.safest(count) else {
            let because = Because::plain("no check could be read: nothing is changed");
            return Recommendation::hold(count, "no_reading", because);
        };
        let because = probe.because(count, said);
        let cooled = self.changed.and_then(|changed| changed.saturating_add(self.own.cooldown).ok());
        let mut answer = match (said, cooled.filter(|until| *until > seen.at)) {
            (None, _) => Recommendation {
                nearest_flip: probe.flip(count),
                ..Recommendation::hold(count, "within", because)
            },
            (Some(replicas), None) => {
                let rule = if replicas > count { "check_out" } else { "check_in" };
                Recommendation::hold(replicas, rule, because)
            }
            (Some(replicas), Some(until)) => {
                let left = until.duration_since(seen.at).as_secs_f64();
                let mut answer = Recommendation::hold(count, "cooldown", because.clone());
                answer.blocked_by.push(Blocked { by: "cooldown".into(), until: Some(until), because });
                let because = Because::new("in {left} s it may", [("left", left)]);
                answer.nearest_flip = Some(Flip { replicas, because });
                answer
            }
        };
        answer.excluded.clone_from(&self.excluded);
        answer.measured = self.measured();
        answer
    }

    fn measured(&self) -> Option<Measured> {
        let probe = self.probes.first()?;
        let target =
            if let Strategy::TargetValue { target, .. } = probe.check.strategy { Some(target) } else { None };
        Some(Measured {
            signal: probe.check.signal.name().to_string().into(),
            unit: probe.check.signal.unit().into(),
            value: probe.latest,
            up: target,
            down: target,
        })
    }
}

#[cfg(test)]
#[path = "nomad/tests.rs"]
mod tests;
