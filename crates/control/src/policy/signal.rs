//! The numbers that a policy can follow, and how each is read from an observation.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decision::{Because, Excluded};
use crate::fleet::status::State;
use crate::observation::{Observation, WorkerSeen};

/// A signal by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Mean CPU of the ready workers, in percent of a worker's size.
    WorkerCpu,
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
}

/// A reading and who was left out of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value {
    /// `None`: there is nothing to go by, and a policy holds.
    pub value: Option<f64>,
    /// Workers whose reading did not count.
    pub excluded: Vec<Excluded>,
}

impl Signal {
    /// Every signal, in the order in which they are listed.
    pub const ALL: [Self; 6] =
        [Self::WorkerCpu, Self::HostCpu, Self::Rps, Self::InFlight, Self::LatencyP95, Self::QueueWait];

    /// As users type it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkerCpu => "worker_cpu",
            Self::HostCpu => "host_cpu",
            Self::Rps => "rps",
            Self::InFlight => "in_flight",
            Self::LatencyP95 => "latency_p95",
            Self::QueueWait => "queue_wait",
        }
    }

    /// As it is written behind a value.
    pub fn unit(self) -> &'static str {
        match self {
            Self::WorkerCpu | Self::HostCpu => "%",
            Self::Rps => "requests/s per worker",
            Self::InFlight => "requests per worker",
            Self::LatencyP95 | Self::QueueWait => "ms",
        }
    }

    /// Fills `{signal}` with "cpu {value} %" and gives every line its unit.
    pub(super) fn phrase(self, sentence: &str) -> String {
        let label = match self {
            Self::WorkerCpu => "cpu",
            Self::HostCpu => "host cpu",
            Self::Rps => "load",
            Self::InFlight => "in flight",
            Self::LatencyP95 => "p95 latency",
            Self::QueueWait => "queue wait",
        };
        let unit = self.unit();
        let with_units = ["{line}", "{up}"]
            .iter()
            .fold(sentence.to_owned(), |text, line| text.replace(line, &format!("{line} {unit}")));
        with_units.replace("{signal}", &format!("{label} {{value}} {unit}"))
    }

    /// Reads the signal. Values that are no numbers count as not taken.
    pub(super) fn read(self, seen: &Observation, warm_up: Duration) -> Value {
        let per_worker = |count: f64| {
            let ready = f64::from(seen.fleet.ready);
            (ready > 0.0).then(|| count / ready)
        };
        let window = seen.traffic.as_ref();
        let value = match self {
            Self::WorkerCpu => return worker_cpu(seen, warm_up),
            Self::HostCpu => seen.signals.get("host_cpu").map(|reading| reading.value),
            Self::Rps => window.and_then(|window| per_worker(window.rate_per_second())),
            Self::InFlight => {
                window.and_then(|window| per_worker(f64::from(window.in_flight) + f64::from(window.queued)))
            }
            Self::LatencyP95 => {
                window.and_then(|window| window.latency).map(|latency| latency.p95.as_secs_f64() * 1e3)
            }
            Self::QueueWait => window.map(|window| window.queue_wait_max.as_secs_f64() * 1e3),
        };
        Value { value: value.filter(|value| value.is_finite()), excluded: Vec::new() }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Mean over ready workers. Those that warm up are left out: their start-up work is no load
/// (kubernetes/kubernetes#29989).
fn worker_cpu(seen: &Observation, warm_up: Duration) -> Value {
    let mut excluded = Vec::new();
    let (mut sum, mut count) = (0.0, 0.0);
    for worker in seen.workers.iter().filter(|worker| worker.state == State::Ready) {
        match counted(worker, seen, warm_up) {
            Ok(cpu) => {
                sum += cpu;
                count += 1.0;
            }
            Err(because) => excluded.push(Excluded { worker: worker.id, because }),
        }
    }
    Value { value: (count > 0.0).then(|| sum / count), excluded }
}

fn counted(worker: &WorkerSeen, seen: &Observation, warm_up: Duration) -> Result<f64, Because> {
    let age = worker.ready_at.map_or(0.0, |ready| seen.at.duration_since(ready).as_secs_f64());
    let left = warm_up.as_secs_f64() - age;
    if left > 0.0 {
        return Err(Because::new("warming, {left} s left", [("left", left)]));
    }
    match worker.cpu_percent {
        Some(cpu) if cpu.is_finite() && cpu >= 0.0 => Ok(cpu),
        _ => Err(Because::new("its CPU was not measured", [])),
    }
}
