//! One turn in a few numbers, kept far longer than the turn itself, and the names under which
//! they are asked for.

use control::{Cycle, Observation, WorkerSeen};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::Latency;

/// What charts need of a turn. `None`: not measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub(crate) at: Timestamp,
    pub(crate) length_s: Option<f64>,
    pub(crate) arrivals: u64,
    pub(crate) latency: Option<Latency>,
    cpu: Option<f64>,
    host_cpu: Option<f64>,
    signal: Option<f64>,
    failures: Option<f64>,
    in_flight: Option<u32>,
    queued: Option<u32>,
    queue_wait_ms: Option<f64>,
    memory_bytes: Option<f64>,
    desired: Option<u32>,
    ready: Option<u32>,
}

impl Sample {
    /// The turn in numbers.
    pub fn of(cycle: &Cycle) -> Self {
        let Cycle::Decided { seen, decision, .. } = cycle else { return Self::blind(cycle.at()) };
        let window = seen.traffic.as_ref();
        Self {
            length_s: window.map(|window| window.length.as_secs_f64()),
            arrivals: window.map_or(0, |window| window.arrivals),
            latency: window.and_then(|window| window.latency),
            cpu: workers_cpu(seen),
            host_cpu: host_cpu(seen),
            signal: decision.measured.as_ref().and_then(|measured| measured.value),
            failures: window.map(|window| window.failures as f64),
            in_flight: window.map(|window| window.in_flight),
            queued: window.map(|window| window.queued),
            queue_wait_ms: window.map(|window| window.queue_wait_max.as_secs_f64() * 1e3),
            memory_bytes: memory_bytes(&seen.workers),
            desired: Some(decision.desired()),
            ready: Some(seen.fleet.ready),
            ..Self::blind(seen.at)
        }
    }

    fn blind(at: Timestamp) -> Self {
        Self {
            at,
            length_s: None,
            arrivals: 0,
            latency: None,
            cpu: None,
            host_cpu: None,
            signal: None,
            failures: None,
            in_flight: None,
            queued: None,
            queue_wait_ms: None,
            memory_bytes: None,
            desired: None,
            ready: None,
        }
    }

    fn per_second(&self, count: f64) -> Option<f64> {
        self.length_s.filter(|length| *length > 0.0).map(|length| count / length)
    }
}

/// Mean CPU of the measured workers, in percent of their size.
pub(crate) fn workers_cpu(seen: &Observation) -> Option<f64> {
    let measured = seen.workers.iter().filter_map(|worker| worker.cpu_percent);
    let (sum, count) = measured.fold((0.0, 0_u32), |(sum, count), percent| (sum + percent, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// CPU of the whole machine in percent.
pub(crate) fn host_cpu(seen: &Observation) -> Option<f64> {
    seen.signals.get("host_cpu").map(|reading| reading.value)
}

fn memory_bytes(workers: &[WorkerSeen]) -> Option<f64> {
    let measured = workers.iter().filter_map(|worker| worker.memory_bytes);
    measured.map(|bytes| bytes as f64).reduce(|sum, bytes| sum + bytes)
}

/// A series that can be asked for.
#[derive(Clone, Copy)]
pub struct Metric {
    /// As in `cpu`.
    pub name: &'static str,
    /// As in `%`.
    pub unit: &'static str,
    /// One line for people.
    pub about: &'static str,
    read: fn(&Sample) -> Option<f64>,
}

fn milliseconds(sample: &Sample, which: fn(&Latency) -> std::time::Duration) -> Option<f64> {
    sample.latency.as_ref().map(|latency| which(latency).as_secs_f64() * 1e3)
}

/// Every series there is.
pub static METRICS: &[Metric] = &[
    Metric { name: "cpu", unit: "%", about: "mean CPU of the workers, of their size", read: |s| s.cpu },
    Metric { name: "host_cpu", unit: "%", about: "CPU of the whole machine", read: |s| s.host_cpu },
    Metric { name: "signal", unit: "", about: "what the policy decides by", read: |s| s.signal },
    Metric {
        name: "rps",
        unit: "1/s",
        about: "requests coming in",
        read: |s| s.per_second(s.arrivals as f64),
    },
    Metric {
        name: "failures",
        unit: "1/s",
        about: "requests that failed",
        read: |s| s.failures.and_then(|count| s.per_second(count)),
    },
    Metric {
        name: "latency_p50",
        unit: "ms",
        about: "half of the requests took at most this long",
        read: |s| milliseconds(s, |latency| latency.p50),
    },
    Metric {
        name: "latency_p95",
        unit: "ms",
        about: "95 % of the requests took at most this long",
        read: |s| milliseconds(s, |latency| latency.p95),
    },
    Metric {
        name: "latency_p99",
        unit: "ms",
        about: "99 % of the requests took at most this long",
        read: |s| milliseconds(s, |latency| latency.p99),
    },
    Metric {
        name: "desired",
        unit: "",
        about: "workers that there should be",
        read: |s| s.desired.map(f64::from),
    },
    Metric { name: "ready", unit: "", about: "workers that take requests", read: |s| s.ready.map(f64::from) },
    Metric {
        name: "in_flight",
        unit: "",
        about: "requests at workers",
        read: |s| s.in_flight.map(f64::from),
    },
    Metric {
        name: "queued",
        unit: "",
        about: "requests waiting for a worker",
        read: |s| s.queued.map(f64::from),
    },
    Metric { name: "queue_wait", unit: "ms", about: "longest wait for a worker", read: |s| s.queue_wait_ms },
    Metric { name: "memory", unit: "bytes", about: "memory of all workers", read: |s| s.memory_bytes },
];

/// One point of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub t: Timestamp,
    /// `None` when it was not measured.
    pub value: Option<f64>,
}

impl Metric {
    /// The metric of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// Its value at one turn.
    pub fn point(&self, sample: &Sample) -> Point {
        Point { t: sample.at, value: (self.read)(sample) }
    }
}
