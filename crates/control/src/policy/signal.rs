//! The numbers that a policy can follow, and how each is read from an observation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use crate::decision::{Because, Excluded, Text};
use crate::fleet::status::State;
use crate::observation::{Observation, WorkerSeen};

/// A signal by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// CPU of the ready workers, in percent of a worker's size.
    WorkerCpu,
    /// Memory of the ready workers, in MiB.
    WorkerMemory,
    /// CPU of the whole machine, in percent. It moves with everything that runs there.
    HostCpu,
    /// Requests a second per ready worker.
    Rps,
    /// Requests at workers and waiting, per ready worker.
    InFlight,
    /// 95th percentile of latency, in milliseconds.
    LatencyP95,
    /// Longest wait for a worker, in milliseconds.
    QueueWait,
    /// Requests waiting for a worker.
    Queued,
    /// A reading from outside by its name, written `custom:NAME`.
    Custom(Arc<str>),
}

/// How readings are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judge {
    /// Time after becoming ready in which a worker's own readings do not count.
    pub(crate) warm_up: Duration,
    /// Age at which a named reading counts as not taken.
    pub(crate) stale_after: Duration,
}

/// The built-in signals by name, in the order in which they are listed.
const NAMES: [(Signal, &str, &str, &str); 8] = [
    (Signal::WorkerCpu, "worker_cpu", "cpu", "%"),
    (Signal::WorkerMemory, "worker_memory", "memory", "MiB"),
    (Signal::HostCpu, "host_cpu", "host cpu", "%"),
    (Signal::Rps, "rps", "load", "requests/s per worker"),
    (Signal::InFlight, "in_flight", "in flight", "requests per worker"),
    (Signal::LatencyP95, "latency_p95", "p95 latency", "ms"),
    (Signal::QueueWait, "queue_wait", "queue wait", "ms"),
    (Signal::Queued, "queued", "queued", "requests"),
];

const MIB: f64 = 1_048_576.0;

impl Signal {
    /// Names of the built-in signals.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name, _, _)| *name)
    }

    /// As users type it.
    pub fn name(&self) -> Text {
        match self {
            Self::Custom(name) => Text::Shared(name.clone()),
            known => known.row().0.into(),
        }
    }

    /// Whether it is a latency or a wait.
    pub(crate) fn is_latency(&self) -> bool {
        matches!(self, Self::LatencyP95 | Self::QueueWait)
    }

    /// As it is written behind a value.
    pub fn unit(&self) -> &'static str {
        self.row().2
    }

    /// Name, label and unit.
    fn row(&self) -> (&'static str, &'static str, &'static str) {
        let found = NAMES.iter().find(|(signal, ..)| signal == self);
        found.map_or(("custom", "", ""), |(_, name, label, unit)| (name, label, unit))
    }

    /// Fills `{signal}` with "cpu {value} %" and gives every line its unit; done once, when a
    /// policy is built.
    pub(crate) fn phrase(&self, sentence: &str) -> Text {
        let (_, label, unit) = self.row();
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let label = if let Self::Custom(name) = self { name } else { label };
        let with_units = ["{line}", "{up}", "{target}"]
            .iter()
            .fold(sentence.to_owned(), |text, line| text.replace(line, &format!("{line}{unit}")));
        with_units.replace("{signal}", &format!("{label} {{value}}{unit}")).into()
    }

    /// Hands every sample of this turn to `take`, equal ones at once with their number: one for
    /// each worker, or a single one. Those that are no numbers, or negative where that cannot be,
    /// count as not taken.
    pub(crate) fn samples(
        &self,
        seen: &Observation,
        judge: Judge,
        excluded: &mut Vec<Excluded>,
        mut take: impl FnMut(f64, usize),
    ) {
        let per_worker = |count: f64| {
            let ready = f64::from(seen.fleet.ready);
            (ready > 0.0).then(|| count / ready)
        };
        let window = seen.traffic.as_ref();
        let value = match self {
            Self::WorkerCpu => return each_ready(seen, judge, excluded, |worker| worker.cpu_percent, take),
            Self::WorkerMemory => {
                let memory = |worker: &WorkerSeen| worker.memory_bytes.map(|bytes| bytes as f64 / MIB);
                return each_ready(seen, judge, excluded, memory, take);
            }
            Self::HostCpu => named(seen, "host_cpu", judge),
            // A window without length has no rate, not one of 0.
            Self::Rps => window
                .filter(|window| !window.length.is_zero())
                .and_then(|window| per_worker(window.rate_per_second())),
            Self::InFlight => {
                window.and_then(|window| per_worker(f64::from(window.in_flight) + f64::from(window.queued)))
            }
            Self::LatencyP95 => {
                window.and_then(|window| window.latency).map(|latency| latency.p95.as_secs_f64() * 1e3)
            }
            Self::QueueWait => window.map(|window| window.queue_wait_max.as_secs_f64() * 1e3),
            Self::Queued => window.map(|window| f64::from(window.queued)),
            Self::Custom(name) => named(seen, name, judge),
        };
        let possible = |value: &f64| value.is_finite() && (*value >= 0.0 || matches!(self, Self::Custom(_)));
        if let Some(value) = value.filter(possible) {
            take(value, 1);
        }
    }

    /// Its value at this turn, as policies see it by default, workers that warm up included.
    pub fn value(&self, seen: &Observation) -> Option<f64> {
        let judge = Judge { warm_up: Duration::ZERO, stale_after: Duration::from_secs(60) };
        self.mean(seen, judge, &mut Vec::new())
    }

    /// The mean of this turn's samples.
    pub(crate) fn mean(&self, seen: &Observation, judge: Judge, excluded: &mut Vec<Excluded>) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        self.samples(seen, judge, excluded, |value, times| {
            sum = with_each(sum, value, times);
            count += times as f64;
        });
        (count > 0.0).then(|| sum / count)
    }
}

/// A sum with `value` added so many times, each by itself: its last bits depend on how it was made.
#[inline]
pub(crate) fn with_each(sum: f64, value: f64, times: usize) -> f64 {
    (0..times).fold(sum, |sum, _| sum + value)
}

/// A reading by name, unless it is too old.
pub(crate) fn named(seen: &Observation, name: &str, judge: Judge) -> Option<f64> {
    let reading = seen.signals.get(name)?;
    let age = Duration::try_from(seen.at.duration_since(reading.at)).unwrap_or_default();
    (age <= judge.stale_after && reading.value.is_finite()).then_some(reading.value)
}

/// A reading of each ready worker. Those that warm up are left out: their start-up work is no
/// load (kubernetes/kubernetes#29989).
fn each_ready(
    seen: &Observation,
    judge: Judge,
    excluded: &mut Vec<Excluded>,
    read: impl Fn(&WorkerSeen) -> Option<f64>,
    mut take: impl FnMut(f64, usize),
) {
    // Whole seconds settle nearly all cases, and cost next to nothing.
    let warm_up_s = i64::try_from(judge.warm_up.as_secs()).unwrap_or(i64::MAX / 2);
    let long_ago_s = seen.at.as_second() - warm_up_s - 1;
    let counted = |worker: &WorkerSeen| {
        let long_ready = worker.ready_at.is_some_and(|ready| ready.as_second() < long_ago_s);
        let value = read(worker).filter(|value| value.is_finite() && *value >= 0.0);
        value.filter(|_| long_ready || warm_up_left(seen.at, worker, judge) <= 0.0)
    };
    let mut others = &seen.workers[..];
    if let Some((one, unlike)) = seen.workers.alike()
        && let Some(value) = counted(one)
    {
        take(value, others.len() - unlike.len());
        others = unlike;
    }
    for worker in others.iter().filter(|worker| worker.state == State::Ready) {
        match counted(worker) {
            Some(value) => take(value, 1),
            None => excluded.push(leave_out(seen, worker, judge)),
        }
    }
}

/// Says why a worker's reading does not count.
#[cold]
fn leave_out(seen: &Observation, worker: &WorkerSeen, judge: Judge) -> Excluded {
    let left = warm_up_left(seen.at, worker, judge);
    let because = if left > 0.0 {
        Because::new("warming, {left} s left", [("left", left)])
    } else {
        Because::plain("it was not measured")
    };
    Excluded { worker: worker.id, because }
}

/// Time for which a worker's readings do not count yet, in seconds; below 0 afterwards.
fn warm_up_left(now: jiff::Timestamp, worker: &WorkerSeen, judge: Judge) -> f64 {
    let age = worker.ready_at.map_or(0.0, |ready| now.duration_since(ready).as_secs_f64());
    judge.warm_up.as_secs_f64() - age
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Custom(_) = self {
            f.write_str("custom:")?;
        }
        f.write_str(&self.name())
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &[&str] = &[
            "worker_cpu",
            "worker_memory",
            "host_cpu",
            "rps",
            "in_flight",
            "latency_p95",
            "queue_wait",
            "queued",
            "custom:NAME",
        ];
        let text = String::deserialize(from)?;
        if let Some(name) = text.strip_prefix("custom:").filter(|name| !name.is_empty()) {
            return Ok(Self::Custom(name.into()));
        }
        let found = NAMES.iter().find(|(_, name, ..)| *name == text);
        found.map(|(signal, ..)| signal.clone()).ok_or_else(|| Error::unknown_variant(&text, EXPECTED))
    }
}
