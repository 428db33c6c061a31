//! Which pods count, and how: `groupPods` and the arithmetic on it, in whole thousandths.

use std::time::Duration;

use traffic::WorkerId;

use super::metric::{Metric, Own, Source, Target};
use super::quantity::milli;
use super::spec::Settings;
use crate::fleet::status::State;
use crate::limits::after;
use crate::number;
use crate::observation::{MetricSeen, Observation, WorkerSeen};

/// What one metric proposes, with what led to it.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) replicas: u32,
    /// Before tolerance and checks.
    pub(super) raw: f64,
    /// As shown: percent, or the average per pod, or the value itself.
    pub(super) value: f64,
    /// The last ratio computed.
    pub(super) ratio: f64,
    /// Pods in the last computation.
    pub(super) counted: u32,
    /// Ratio × counted.
    pub(super) product: f64,
    pub(super) missing: u32,
    pub(super) unready: u32,
    /// Those two count, as the cautious case has it.
    pub(super) all: bool,
    /// Counting the missing and the unready would have turned the direction.
    pub(super) reversed: bool,
}

impl Proposal {
    pub(super) fn new(replicas: u32, raw: f64, value: f64, ratio: f64, counted: u32) -> Self {
        Self {
            replicas,
            raw,
            value,
            ratio,
            counted,
            product: raw,
            missing: 0,
            unready: 0,
            all: false,
            reversed: false,
        }
    }
}

/// A group of pods, summed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Group {
    pods: u32,
    value: i128,
    request: i128,
}

impl Group {
    /// The workers that are alike, all at once, where the youngest of them counts; and the others.
    // As lines of its caller: alone it hands sums of 128 bits through memory, for as much as they cost.
    #[inline(always)]
    pub(super) fn of_alike<'a>(
        metric: &Metric,
        own: &Settings,
        seen: &'a Observation,
    ) -> Option<(Self, &'a [WorkerSeen])> {
        let (one, others) = seen.workers.alike()?;
        let (value, request, seen_as) = metric.read_whole(one);
        let request = if metric.needs_request() { request? } else { request.unwrap_or(0.0) };
        let Kind::Ready(value) = group(metric, own, seen, one, value, seen_as) else { return None };
        let pods = number::len(seen.workers.len() - others.len());
        let all = |each: f64| i128::from(milli(each)) * i128::from(pods);
        Some((Self { pods, value: all(value), request: all(request) }, others))
    }

    fn add(&mut self, value: i64, request: i64) {
        self.pods = self.pods.saturating_add(1);
        self.value += i128::from(value);
        self.request += i128::from(request);
    }

    fn with(self, other: Self) -> Self {
        Self {
            pods: self.pods.saturating_add(other.pods),
            value: self.value + other.value,
            request: self.request + other.request,
        }
    }

    /// What it proposes where nobody else counts; `None` where nothing was requested.
    pub(super) fn propose(
        self,
        target: Target,
        desired: u32,
        within: impl Fn(f64) -> bool,
    ) -> Option<Proposal> {
        let (used, ratio) = self.ratio(target)?;
        let raw = ratio * f64::from(self.pods);
        let value = if let Target::Utilization(_) = target { used } else { used / 1e3 };
        let replicas = if within(ratio) { desired } else { number::count_up(raw) };
        Some(Proposal::new(replicas, raw, value, ratio, self.pods))
    }

    /// Value and ratio to the target; `None` where nothing was requested.
    fn ratio(self, target: Target) -> Option<(f64, f64)> {
        match target {
            Target::Utilization(percent) => {
                let used = number::quotient(self.value * 100, self.request)?;
                Some((used, used / percent as f64))
            }
            Target::AverageValue(target) | Target::Value(target) => {
                let used = number::quotient(self.value, self.pods.into())?;
                Some((used, used / target as f64))
            }
        }
    }
}

/// The pods of one metric by kind. Of missing ones `value` is what a scale-down takes them to use.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ready: Group,
    unready: Group,
    missing: Group,
}

impl Tally {
    /// Sorts the workers beyond those that are alike; `None` where the metric cannot be had.
    /// `leave_out` is told who does not count.
    pub(super) fn of(
        metric: &Metric,
        own: &Settings,
        seen: &Observation,
        alike: Option<(Group, &[WorkerSeen])>,
        mut leave_out: impl FnMut(WorkerId, &'static str),
    ) -> Option<Self> {
        let (ready, others) = alike.unwrap_or((Group::default(), &seen.workers));
        let mut tally = Self { ready, ..Self::default() };
        let needs_request = metric.needs_request();
        // Workers of one pool request alike: one that says nothing is taken to be as the others.
        let common = if needs_request {
            seen.workers.iter().find_map(|worker| metric.read_whole(worker).1)
        } else {
            None
        };
        let (mut milli_value, mut milli_request) = (Thousandths::default(), Thousandths::default());
        for worker in others {
            let (value, request, seen_as) = metric.read_whole(worker);
            let request = match request.or(common) {
                Some(request) => milli_request.of(request),
                None if needs_request => return None,
                None => 0,
            };
            match group(metric, own, seen, worker, value, seen_as) {
                Kind::Ignored => {}
                Kind::Unready => {
                    tally.unready.add(0, request);
                    leave_out(worker.id, "not ready, or its CPU not measured since it became so");
                }
                Kind::Missing => {
                    tally.missing.add(metric.target.fallback(request), request);
                    leave_out(worker.id, "the metric is missing");
                }
                Kind::Ready(value) => tally.ready.add(milli_value.of(value), request),
            }
        }
        (tally.ready.pods > 0).then_some(tally)
    }

    pub(super) fn propose(
        &self,
        target: Target,
        desired: u32,
        within: impl Fn(f64) -> bool,
    ) -> Option<Proposal> {
        let alone = self.ready.propose(target, desired, &within)?;
        let ratio = alone.ratio;
        let mut proposal = Proposal { missing: self.missing.pods, unready: self.unready.pods, ..alone };
        let up_with_unready = self.unready.pods > 0 && ratio > 1.0;
        if !up_with_unready && self.missing.pods == 0 {
            return Some(proposal);
        }
        proposal.replicas = desired;
        let mut all = self.ready;
        if ratio < 1.0 {
            all = all.with(self.missing);
        } else if ratio > 1.0 {
            all = all.with(Group { value: 0, ..self.missing });
        }
        if up_with_unready {
            all = all.with(self.unready);
        }
        let (_, again) = all.ratio(target)?;
        proposal.all = true;
        proposal.ratio = again;
        proposal.counted = all.pods;
        proposal.product = again * f64::from(all.pods);
        if within(again) {
            return Some(proposal);
        }
        let replicas = number::count_up(proposal.product);
        proposal.reversed = (ratio < 1.0 && again > 1.0)
            || (ratio > 1.0 && again < 1.0)
            || (again < 1.0 && replicas > desired)
            || (again > 1.0 && replicas < desired);
        if !proposal.reversed {
            proposal.replicas = replicas;
        }
        Some(proposal)
    }
}

/// [`milli`] of numbers that are often the one before: workers of one pool are alike.
#[derive(Debug, Default)]
struct Thousandths {
    bits: u64,
    milli: i64,
}

impl Thousandths {
    fn of(&mut self, value: f64) -> i64 {
        if value.to_bits() != self.bits {
            (self.bits, self.milli) = (value.to_bits(), milli(value));
        }
        self.milli
    }
}

enum Kind {
    Ignored,
    Unready,
    Missing,
    Ready(f64),
}

/// A worker on its way out is a deleted pod, one in backoff a failed one, one that starts a
/// pending one, and one that fails its probe a running one that is not ready.
// As lines of its callers, as `of_alike`.
#[inline(always)]
fn group(
    metric: &Metric,
    own: &Settings,
    seen: &Observation,
    worker: &WorkerSeen,
    value: Option<f64>,
    seen_as: Option<&MetricSeen>,
) -> Kind {
    match worker.state {
        State::Draining | State::Backoff => return Kind::Ignored,
        State::Starting => return Kind::Unready,
        State::Ready | State::Unhealthy => {}
    }
    let Some(value) = value.filter(|value| value.is_finite()) else { return Kind::Missing };
    if !metric.is_cpu {
        return Kind::Ready(value);
    }
    let ready = worker.state == State::Ready;
    let unready = if after(worker.started_at, seen.at, own.cpu_initialization_period) {
        let turn = seen.traffic.as_ref().map_or(Duration::ZERO, |window| window.length);
        let given = seen_as.and_then(|metric| metric.window_s);
        let window = given.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(turn);
        let taken = seen_as.and_then(|metric| metric.at).unwrap_or(seen.at);
        !ready || after(worker.since, taken, window)
    } else {
        !ready && after(worker.started_at, worker.since, own.initial_readiness_delay)
    };
    if unready { Kind::Unready } else { Kind::Ready(value) }
}

impl Metric {
    fn needs_request(&self) -> bool {
        matches!(self.target, Target::Utilization(_))
    }

    /// Value, request, and the listed measurement that they come from.
    // As lines of its callers, as `of_alike`.
    #[inline(always)]
    fn read_whole<'a>(&self, worker: &'a WorkerSeen) -> (Option<f64>, Option<f64>, Option<&'a MetricSeen>) {
        if let Some(metric) = worker.metrics.iter().find(|metric| self.is_listed_as(metric)) {
            return (metric.value, metric.request, Some(metric));
        }
        match self.own {
            Own::Cpu => (worker.cpu_percent.filter(|cpu| *cpu >= 0.0), Some(100.0), None),
            Own::Memory => (worker.memory_bytes.map(|bytes| bytes as f64), None, None),
            Own::InFlight => (Some(f64::from(worker.in_flight)), None, None),
            Own::None => (None, None, None),
        }
    }

    fn is_listed_as(&self, metric: &MetricSeen) -> bool {
        let (name, container) = match &self.source {
            Source::Resource { name, container } => (name, container.as_ref()),
            Source::Pods { name } | Source::Object { name } | Source::External { name } => (name, None),
        };
        metric.name == *name && metric.container.as_ref() == container
    }
}

/// A metric that belongs to no pod, in thousandths: a reading by name, or one of the
/// balancer's own totals.
pub(super) fn outside(seen: &Observation, name: &str) -> Option<i64> {
    let own = || {
        let window = seen.traffic.as_ref()?;
        match name {
            "requests_per_second" | "rps" => Some(window.rate_per_second()),
            "in_flight" => Some(f64::from(window.in_flight) + f64::from(window.queued)),
            "queued" => Some(f64::from(window.queued)),
            _ => None,
        }
    };
    let value = seen.signals.get(name).map(|reading| reading.value).or_else(own)?;
    value.is_finite().then(|| milli(value))
}

/// Pods that run and are ready.
pub(super) fn ready(seen: &Observation) -> u32 {
    if seen.workers.is_empty() {
        return seen.fleet.ready;
    }
    number::len(seen.workers.iter().filter(|worker| worker.state == State::Ready).count())
}

/// Pods that there are, `status.replicas`.
pub(super) fn present(seen: &Observation) -> u32 {
    if seen.workers.is_empty() {
        let fleet = &seen.fleet;
        let counted = [fleet.ready, fleet.starting, fleet.unhealthy, fleet.backoff];
        return counted.into_iter().fold(0, u32::saturating_add);
    }
    number::len(seen.workers.iter().filter(|worker| worker.state != State::Draining).count())
}
