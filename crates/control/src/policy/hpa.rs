//! Kubernetes' Horizontal Pod Autoscaler, autoscaling/v2, rule for rule.
//!
//! `desired = ceil(ratio × pods)` with `ratio = value / target`, nothing within the tolerance;
//! of several metrics the largest counts, and none scales in while another cannot be read.
//! Utilization is a whole percentage of what was requested; here a worker's CPU against its
//! size. Windows and rates (`behavior`) are limits of the controller. Source:
//! kubernetes/kubernetes `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go`.

mod metric;
mod pods;
mod quantity;
mod spec;

use traffic::WorkerId;

use self::metric::{Metric, Source, Target};
use self::pods::{Group, Proposal, Tally};
use self::spec::Settings;
use super::{Built, Entry, Policy, Recommendation};
use crate::decision::{Because, Excluded, Flip, Measured, Step};
use crate::limits::Meets;
use crate::number;
use crate::observation::{Observation, WorkerSeen};

/// The registry row.
pub const ENTRY: Entry = Entry {
    name: "hpa",
    about: "Kubernetes' autoscaling/v2: value ÷ target × workers, 300 s before scaling in (70 % CPU)",
    build: |config| {
        let own: Settings = super::checked(config, Settings::check)?;
        let limits = own.limits();
        Ok(Built { policy: Box::new(Hpa::new(own)), limits })
    },
};

/// The policy. Its memory is only what tells maintenance from its own scaling to zero.
struct Hpa {
    own: Settings,
    metrics: Vec<Metric>,
    min: u32,
    max: u32,
    /// It has been seen at work, so that a zero is somebody's wish.
    begun: bool,
    /// It went to zero by itself.
    own_zero: bool,
    latest: Option<f64>,
}

impl Hpa {
    fn new(own: Settings) -> Self {
        let metrics = own.resolved();
        Self { own, metrics, min: 0, max: u32::MAX, begun: false, own_zero: false, latest: None }
    }

    /// What it comes to, and in words nothing yet; `leave_out` is told of workers that do not count.
    fn outcome(&self, seen: &Observation, leave_out: impl FnMut(WorkerId, &'static str)) -> Outcome<'_> {
        let desired = seen.fleet.desired;
        if desired == 0 && self.min > 0 {
            let disabled = self.own.maintenance_at_zero && self.begun && !self.own_zero;
            return if disabled { Outcome::Disabled } else { Outcome::FromZero };
        }
        if desired > self.max {
            return Outcome::AboveMax;
        }
        if desired < self.min {
            return Outcome::BelowMin;
        }
        self.compute(seen, leave_out)
    }

    /// Every metric's proposal; the largest counts.
    fn compute(&self, seen: &Observation, mut leave_out: impl FnMut(WorkerId, &'static str)) -> Outcome<'_> {
        let mut failed: Option<&Metric> = None;
        let mut best: Option<(&Metric, Proposal)> = None;
        for metric in &self.metrics {
            match propose(metric, &self.own, seen, &mut leave_out) {
                Some(proposal) => {
                    let larger = best
                        .as_ref()
                        .is_none_or(|(_, best)| best.replicas == 0 || proposal.replicas > best.replicas);
                    if larger {
                        best = Some((metric, proposal));
                    }
                }
                None => failed = failed.or(Some(metric)),
            }
        }
        let blocked = best.as_ref().is_none_or(|(_, best)| best.replicas < seen.fleet.desired);
        match (failed, best) {
            (Some(failed), _) if blocked => Outcome::Failed(failed),
            (_, Some((metric, proposal))) => Outcome::Proposed(metric, proposal),
            (_, None) => Outcome::NoMetrics,
        }
    }

    /// How many, and which limits that still has to meet.
    fn number_of(&self, outcome: &Outcome, desired: u32) -> (u32, Meets) {
        match outcome {
            Outcome::Disabled => (0, Meets::None),
            Outcome::FromZero | Outcome::BelowMin => (self.min, Meets::Bounds),
            Outcome::AboveMax => (self.max, Meets::Bounds),
            Outcome::Failed(_) => (desired, Meets::Bounds),
            Outcome::Proposed(_, proposal) => (proposal.replicas, Meets::All),
            Outcome::NoMetrics => (desired, Meets::All),
        }
    }

    fn explain(&self, outcome: &Outcome, desired: u32) -> Recommendation {
        let (replicas, meets) = self.number_of(outcome, desired);
        let (min, max, now) = (f64::from(self.min), f64::from(self.max), f64::from(desired));
        let (rule, because) = match outcome {
            Outcome::Disabled => {
                let sentence = "scaling is disabled since the replica count of the target is zero";
                ("ScalingDisabled", Because::plain(sentence))
            }
            Outcome::FromZero => {
                ("below_min", Because::new("0 replicas, at least {min} required", [("min", min)]))
            }
            Outcome::AboveMax => {
                let sentence = "{desired} replicas are above the maximum of {max}";
                ("above_max", Because::new(sentence, [("desired", now), ("max", max)]))
            }
            Outcome::BelowMin => {
                let sentence = "{desired} replicas are below the minimum of {min}";
                ("below_min", Because::new(sentence, [("desired", now), ("min", min)]))
            }
            Outcome::Failed(metric) => (metric.failure, Because::plain(metric.no_reading.clone())),
            Outcome::Proposed(metric, proposal) => return metric.explain(proposal, &self.own, desired),
            Outcome::NoMetrics => ("FailedGetMetric", Because::plain("no metrics are given")),
        };
        Recommendation { meets, ..Recommendation::hold(replicas, rule, because) }
    }

    fn begin(&mut self, seen: &Observation) {
        self.begun |= seen.fleet.desired > 0 || seen.history.is_some();
        self.own_zero &= seen.fleet.desired == 0;
    }

    fn end(&mut self, seen: &Observation, replicas: u32, latest: Option<f64>) {
        self.own_zero |= replicas == 0 && seen.fleet.desired > 0;
        self.latest = latest;
    }
}

/// What a turn comes to, before it is put into words.
enum Outcome<'a> {
    /// It does not look at metrics: zero replicas are somebody's wish.
    Disabled,
    /// Nor here: from zero to what is required.
    FromZero,
    /// Nor with more than are allowed,
    AboveMax,
    /// or with fewer than are required.
    BelowMin,
    /// Nothing may be taken away while this one cannot be had.
    Failed(&'a Metric),
    /// This one's proposal counts.
    Proposed(&'a Metric, Proposal),
    NoMetrics,
}

impl Outcome<'_> {
    fn value(&self) -> Option<f64> {
        if let Self::Proposed(_, proposal) = self { Some(proposal.value) } else { None }
    }
}

impl Policy for Hpa {
    fn settings(&self) -> serde_json::Value {
        super::effective(&self.own)
    }

    fn bounds(&mut self, min: u32, max: u32) {
        (self.min, self.max) = (min, max);
    }

    fn reads_latency(&self) -> bool {
        false
    }

    fn recommend(&mut self, seen: &Observation) -> Recommendation {
        self.begin(seen);
        let mut excluded = Vec::new();
        let outcome = self.outcome(seen, |worker, because| {
            excluded.push(Excluded { worker, because: Because::plain(because) });
        });
        let (said, latest) = (self.explain(&outcome, seen.fleet.desired), outcome.value());
        self.end(seen, said.step.replicas, latest);
        Recommendation { excluded, measured: self.measured(), ..said }
    }

    fn number(&mut self, seen: &Observation) -> (u32, Meets) {
        self.begin(seen);
        let outcome = self.outcome(seen, |_, _| {});
        let (number, latest) = (self.number_of(&outcome, seen.fleet.desired), outcome.value());
        self.end(seen, number.0, latest);
        number
    }

    fn measured(&self) -> Option<Measured> {
        let metric = self.metrics.first()?;
        let target = metric.target.shown();
        Some(Measured {
            signal: metric.signal.to_string().into(),
            unit: metric.unit().into(),
            value: self.latest,
            up: Some(target * (1.0 + self.own.tolerance_up())),
            down: Some(target * (1.0 - self.own.tolerance_down())),
        })
    }
}

/// What one metric proposes; `None` if it cannot be had.
fn propose(
    metric: &Metric,
    own: &Settings,
    seen: &Observation,
    leave_out: impl FnMut(WorkerId, &'static str),
) -> Option<Proposal> {
    if let Source::Object { name } | Source::External { name } = &metric.source {
        return propose_outside(name, metric.target, own, seen);
    }
    match Group::of_alike(metric, own, seen) {
        Some((all, [])) => {
            all.propose(metric.target, seen.fleet.desired, |ratio| own.within_tolerance(ratio))
        }
        alike => propose_mixed(metric, own, seen, alike, leave_out),
    }
}

/// What a metric proposes whose pods are not all alike. By itself, as below.
#[inline(never)]
fn propose_mixed(
    metric: &Metric,
    own: &Settings,
    seen: &Observation,
    alike: Option<(Group, &[WorkerSeen])>,
    leave_out: impl FnMut(WorkerId, &'static str),
) -> Option<Proposal> {
    let tally = Tally::of(metric, own, seen, alike, leave_out)?;
    tally.propose(metric.target, seen.fleet.desired, |ratio| own.within_tolerance(ratio))
}

/// What a metric proposes that belongs to no pod. By itself, or those that follow the pods would
/// work out in advance what only this one needs.
#[inline(never)]
fn propose_outside(name: &str, target: Target, own: &Settings, seen: &Observation) -> Option<Proposal> {
    let desired = seen.fleet.desired;
    let within = |ratio: f64| own.within_tolerance(ratio);
    let usage = pods::outside(seen, name)?;
    match target {
        Target::Value(target) => {
            let ready = pods::ready(seen);
            let ratio = usage as f64 / target as f64;
            let raw = if desired == 0 { ratio } else { ratio * f64::from(ready) };
            let replicas = if desired != 0 && within(ratio) { desired } else { number::count_up(raw) };
            let counted = if desired == 0 { 1 } else { ready };
            Some(Proposal::new(replicas, raw, usage as f64 / 1e3, ratio, counted))
        }
        Target::AverageValue(target) => {
            let present = pods::present(seen);
            let ratio = usage as f64 / (target as f64 * f64::from(present));
            let raw = usage as f64 / target as f64;
            let replicas = if within(ratio) { present } else { number::count_up(raw) };
            let each = if present == 0 { 0.0 } else { usage as f64 / 1e3 / f64::from(present) };
            Some(Proposal::new(replicas, raw, each, ratio, present))
        }
        Target::Utilization(_) => None,
    }
}

impl Metric {
    /// The proposal with its reason and what would have made it another.
    fn explain(&self, proposal: &Proposal, own: &Settings, desired: u32) -> Recommendation {
        let target = self.target.shown();
        let numbers = [
            ("value", proposal.value),
            ("target", target),
            ("ratio", proposal.ratio),
            ("counted", f64::from(proposal.counted)),
            ("product", proposal.product),
            ("replicas", f64::from(proposal.replicas)),
            ("missing", f64::from(proposal.missing)),
            ("unready", f64::from(proposal.unready)),
        ];
        let phrases = &self.phrases;
        let (within, product) = if proposal.all {
            (&phrases.within_all, &phrases.product_all)
        } else {
            (&phrases.within, &phrases.product)
        };
        let (rule, sentence) = if own.within_tolerance(proposal.ratio) {
            ("within_tolerance", within)
        } else if proposal.reversed {
            ("missing_metrics", &phrases.reversed)
        } else if proposal.ratio > 1.0 {
            ("above_target", product)
        } else {
            ("below_target", product)
        };
        let because = Because::new(sentence.clone(), numbers);
        let mut said = Recommendation::hold(proposal.replicas, rule, because);
        let raw = number::count_up(proposal.raw);
        if raw != proposal.replicas {
            let numbers = [("value", proposal.value), ("target", target), ("raw", proposal.raw)];
            let because = Because::new(self.phrases.raw.clone(), numbers);
            said.raw = Some(Step { rule: "ratio".into(), replicas: raw, because });
        }
        if proposal.replicas == desired {
            said.nearest_flip = self.flip(proposal, own, desired);
        }
        said
    }

    /// The nearer of the two values at which the number would change, every pod counted.
    fn flip(&self, proposal: &Proposal, own: &Settings, desired: u32) -> Option<Flip> {
        let (target, value) = (self.target.shown(), proposal.value);
        let each = target / f64::from(proposal.counted.max(1));
        let up = (target * (1.0 + own.tolerance_up())).max(each * f64::from(desired));
        let down = (target * (1.0 - own.tolerance_down())).min(each * f64::from(desired.saturating_sub(1)));
        let whole = matches!(self.target, Target::Utilization(_));
        let (line, sentence) = if up - value <= value - down || desired == 0 {
            (if whole { up.floor() + 1.0 } else { up }, &self.phrases.flip_up)
        } else {
            (if whole { down.ceil() - 1.0 } else { down }, &self.phrases.flip_down)
        };
        if !line.is_finite() || line < 0.0 {
            return None;
        }
        let replicas = number::count_up(line / target * f64::from(proposal.counted));
        let numbers = [("line", line), ("value", value), ("replicas", f64::from(replicas))];
        Some(Flip { replicas, because: Because::new(sentence.clone(), numbers) })
    }
}

#[cfg(test)]
#[path = "hpa/tests.rs"]
mod tests;
