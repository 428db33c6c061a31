//! What the real pool teaches of the traffic: how much work comes in, how long a request takes
//! when nothing is in its way, and how long a worker takes to start.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use traffic::Latency;

use crate::limits::after;
use crate::observation::Observation;

/// Work of one request is an average over about this long, in seconds.
const MEMORY_S: f64 = 20.0;

/// The least latency seen counts as that of a request alone for this long.
const ALONE_FOR: Duration = Duration::from_secs(120);

/// Starts that are remembered; their median counts.
const STARTS_KEPT: usize = 9;

/// Before any start was seen: a small process and its probes.
const START_UP_UNKNOWN: Duration = Duration::from_secs(2);

/// Requests that must have ended before their work is believed.
const ENDED_MIN: f64 = 3.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Demand {
    /// Busy worker-seconds and requests ended, both fading.
    busy_s: f64,
    ended: f64,
    /// Work that comes in, in workers.
    load: f64,
    alone: Option<(Timestamp, Latency)>,
    starts: VecDeque<Duration>,
    /// The latest worker to become ready that `starts` knows.
    known_until: Option<Timestamp>,
    memory_bytes: Option<u64>,
}

impl Demand {
    /// Takes in one turn of the real pool.
    pub(super) fn learn(&mut self, seen: &Observation) {
        self.learn_starts(seen);
        let memory: Vec<u64> = seen.workers.iter().filter_map(|worker| worker.memory_bytes).collect();
        let sum = memory.iter().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        self.memory_bytes = sum.checked_div(memory.len() as u64).or(self.memory_bytes);
        let Some(window) = &seen.traffic else { return };
        let length_s = window.length.as_secs_f64();
        if length_s <= 0.0 {
            return;
        }
        let cpu = seen.workers.iter().filter_map(|worker| worker.cpu_percent);
        let busy = cpu.filter(|cpu| cpu.is_finite() && *cpu > 0.0).sum::<f64>() / 100.0;
        let fade = (-length_s / MEMORY_S).exp();
        self.busy_s = self.busy_s * fade + busy * length_s;
        self.ended = self.ended * fade + (window.completions as f64 + window.failures as f64);
        // A pool at its limit does less than comes in; what a request costs does not change by that.
        self.load = match self.work_s() {
            Some(work_s) => window.rate_per_second() * work_s,
            None => busy,
        };
        if let Some(latency) = window.latency {
            let stale = self
                .alone
                .is_none_or(|(at, least)| latency.p50 < least.p50 || !after(at, seen.at, ALONE_FOR));
            if stale {
                self.alone = Some((seen.at, latency));
            }
        }
    }

    fn learn_starts(&mut self, seen: &Observation) {
        let known = self.known_until;
        let mut latest = known;
        for worker in &seen.workers {
            let Some(ready_at) = worker.ready_at else { continue };
            if known.is_some_and(|known| ready_at <= known) {
                continue;
            }
            latest = latest.max(Some(ready_at));
            if let Ok(length) = Duration::try_from(ready_at.duration_since(worker.started_at)) {
                if self.starts.len() >= STARTS_KEPT {
                    self.starts.pop_front();
                }
                self.starts.push_back(length);
            }
        }
        self.known_until = latest;
    }

    /// Work of one request, in seconds of a worker.
    fn work_s(&self) -> Option<f64> {
        (self.ended >= ENDED_MIN && self.busy_s > 0.0).then(|| self.busy_s / self.ended)
    }

    /// Work that comes in, in workers.
    pub(super) fn load(&self) -> f64 {
        self.load
    }

    /// How many requests so much work is, in seconds of a worker.
    pub(super) fn requests(&self, work_s: f64) -> f64 {
        self.work_s().map_or(0.0, |one| work_s / one)
    }

    /// Median time from the order to ready.
    pub(super) fn start_up(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.starts.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(START_UP_UNKNOWN)
    }

    /// Latency of requests that nothing was in the way of.
    pub(super) fn latency(&self) -> Option<Latency> {
        self.alone.map(|(_, latency)| latency)
    }

    /// Half of the requests take at most this long when alone, in seconds; 0 before any ended.
    pub(super) fn service_s(&self) -> f64 {
        self.latency().map_or(0.0, |latency| latency.p50.as_secs_f64())
    }

    /// Memory of a worker.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        self.memory_bytes
    }
}
