//! The numbers derived from the last turn and the recent ones.

use traffic::{Latency, WorkerId};

use super::{RATE_SPAN, Turn, View};
use crate::text::between;

impl View {
    /// Whether an order by hand stands above the policy or beside it, so that there is something
    /// to resume from.
    pub fn steered(&self) -> bool {
        let Some(last) = &self.last else { return false };
        let in_force = &last.decision.in_force;
        let paused = in_force.paused || in_force.scale_in_paused;
        paused || in_force.held.is_some() || last.decision.boost.is_some()
    }

    /// CPU of the pool in percent of a worker's size: what the policy measured, or else the mean
    /// over the workers measured and not left out.
    pub fn cpu_percent(&self) -> Option<f64> {
        let last = self.last.as_ref()?;
        if let Some(measured) = last.decision.measured.as_ref().filter(|m| m.signal == "worker_cpu")
            && measured.value.is_some()
        {
            return measured.value;
        }
        let left_out = |id| last.decision.excluded.iter().any(|excluded| excluded.worker == id);
        let readings: Vec<f64> = last
            .seen
            .workers
            .iter()
            .filter(|worker| !left_out(worker.id))
            .filter_map(|worker| worker.cpu_percent)
            .collect();
        (!readings.is_empty()).then(|| readings.iter().sum::<f64>() / readings.len() as f64)
    }

    /// CPU of the machine in percent, where measured.
    pub fn host_cpu_percent(&self) -> Option<f64> {
        self.last.as_ref()?.seen.signals.get("host_cpu").map(|reading| reading.value)
    }

    fn recent(&self) -> impl Iterator<Item = &Turn> {
        let now = self.now;
        self.turns
            .iter()
            .rev()
            .take_while(move |turn| now.is_some_and(|now| between(turn.at, now) < RATE_SPAN))
    }

    /// Requests that came in per second, over [`RATE_SPAN`].
    pub fn per_second(&self) -> Option<f64> {
        let (arrivals, seconds) = self.recent().fold((0, 0.0), |(arrivals, seconds), turn| {
            (arrivals + turn.arrivals, seconds + turn.measured.as_secs_f64())
        });
        (seconds > 0.0).then(|| arrivals as f64 / seconds)
    }

    /// Requests that came in per minute (RPM), over [`RATE_SPAN`].
    pub fn per_minute(&self) -> Option<f64> {
        self.per_second().map(|rate| rate * 60.0)
    }

    /// Requests per minute that `worker` ended, over [`RATE_SPAN`].
    pub fn worker_per_minute(&self, worker: WorkerId) -> Option<f64> {
        let marks = self.marks.get(&worker)?;
        let ((from, before), (to, after)) = (marks.front()?, marks.back()?);
        let minutes = between(*from, *to).as_secs_f64() / 60.0;
        (minutes > 0.0).then(|| after.saturating_sub(*before) as f64 / minutes)
    }

    /// Latency of the last turn at which requests ended, unless that is longer ago than
    /// [`RATE_SPAN`].
    pub fn latency(&self) -> Option<Latency> {
        self.recent().find_map(|turn| turn.latency)
    }

    /// Requests at workers now.
    pub fn in_flight(&self) -> Option<u32> {
        Some(self.last.as_ref()?.seen.traffic.as_ref()?.in_flight)
    }

    /// Requests waiting for a worker now.
    pub fn queued(&self) -> Option<u32> {
        Some(self.last.as_ref()?.seen.traffic.as_ref()?.queued)
    }
}
