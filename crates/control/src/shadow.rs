//! Shadows: policies that judge the same live traffic beside the acting one, each on a virtual
//! pool of its own.
//!
//! What comes in is measured on the real pool (`demand::Demand`) and flows to the shadow's
//! virtual workers, which start as slowly as the real ones. A shadow sees what its own pool would
//! have shown: CPU, waiting requests, latency. All of it follows from the observations, so a
//! recorded run replays its shadows too.

mod demand;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::{Latency, Window};

use self::demand::Demand;
use crate::controller::{Controller, ControllerConfig};
use crate::decision::{Blocked, Decision, Flip, Step, Text};
use crate::number;
use crate::observation::Observation;
use crate::policy::exec::Program;
use crate::policy::{ConfigError, PolicyConfig};
use crate::virtual_pool::flow::Flow;
use crate::virtual_pool::{VirtualPool, When};

/// More shadows than anybody can tell apart on a chart; each costs a decision a turn.
pub const SHADOWS_MAX: usize = 8;

/// Virtual workers of one shadow at most: what a policy without an upper bound asks for is
/// followed only this far.
const WORKERS_MAX: u32 = 10_000;

/// How long a request waits for a virtual worker before it leaves, in seconds: the balancer's own
/// default.
const PATIENCE_S: f64 = 5.0;

/// A stall longer than this is not made up for: the virtual pool goes on from where it was.
const ELAPSED_MAX_MS: u64 = 60_000;

/// A policy to run beside the acting one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowConfig {
    /// As the user wrote it, for tables and charts.
    pub label: String,
    /// Which policy, with its settings.
    pub policy: PolicyConfig,
}

/// What one shadow did at one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowTurn {
    /// As the user wrote it.
    pub label: Text,
    /// Its desired workers before this turn.
    pub current: u32,
    /// Its virtual workers that are ready.
    pub ready: u32,
    /// How busy they were since the last turn, in percent of their size; `None` without any.
    pub busy_percent: Option<f64>,
    /// Requests that would wait.
    pub queued: u32,
    /// Virtual worker-seconds since it began.
    pub worker_seconds: f64,
    /// What it decided; the number counts.
    pub decided: Step,
    /// What kept its number from changing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<Blocked>,
    /// What would have changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest_flip: Option<Flip>,
}

impl ShadowTurn {
    /// Its desired workers after this turn.
    pub fn desired(&self) -> u32 {
        self.decided.replicas
    }
}

/// All shadows of a run.
pub(crate) struct Shadows {
    demand: Demand,
    last: Option<Timestamp>,
    all: Vec<Shadow>,
}

struct Shadow {
    label: Text,
    controller: Controller,
    pool: VirtualPool,
    flow: Flow,
    /// Busy time of a worker that was ready all the time, in seconds.
    busy_s: f64,
    worker_seconds: f64,
}

/// What the virtual pool did since the last turn.
struct Passed {
    busy: Option<f64>,
    dropped: f64,
}

impl Shadows {
    /// Shadows of `config`, which must be checked; they share the acting policy's bounds.
    pub(crate) fn new(config: &ControllerConfig) -> Result<Self, ConfigError> {
        if config.shadows.len() > SHADOWS_MAX {
            let because = format!("{} shadows are too many, at most {SHADOWS_MAX}", config.shadows.len());
            return Err(ConfigError::Value(because));
        }
        let all =
            config.shadows.iter().map(|shadow| Shadow::new(shadow, config)).collect::<Result<_, _>>()?;
        Ok(Self { demand: Demand::default(), last: None, all })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Programs whose answers they need.
    pub(crate) fn programs(&self) -> Vec<Program> {
        self.all.iter().flat_map(|shadow| shadow.controller.programs()).collect()
    }

    /// One turn of each.
    pub(crate) fn turn(&mut self, seen: &Observation) -> Vec<ShadowTurn> {
        if self.all.is_empty() {
            return Vec::new();
        }
        self.demand.learn(seen);
        let now_ms = millis(seen.at);
        let from_ms = self.last.map_or(now_ms, millis).max(now_ms.saturating_sub(ELAPSED_MAX_MS)).min(now_ms);
        if self.last.is_none() {
            let first = seen.fleet.ready.max(seen.fleet.desired);
            self.all.iter_mut().for_each(|shadow| shadow.pool = VirtualPool::ready_from_start(first));
        }
        self.last = Some(seen.at);
        let demand = &self.demand;
        self.all.iter_mut().map(|shadow| shadow.turn(seen, demand, from_ms, now_ms)).collect()
    }
}

impl Shadow {
    fn new(shadow: &ShadowConfig, acting: &ControllerConfig) -> Result<Self, ConfigError> {
        let config =
            ControllerConfig { policy: shadow.policy.clone(), shadows: Vec::new(), ..acting.clone() };
        Ok(Self {
            label: shadow.label.clone().into(),
            controller: Controller::new(config)?,
            pool: VirtualPool::default(),
            flow: Flow::new(1.0, PATIENCE_S, 0.0),
            busy_s: 0.0,
            worker_seconds: 0.0,
        })
    }

    fn turn(&mut self, seen: &Observation, demand: &Demand, from_ms: u64, now_ms: u64) -> ShadowTurn {
        let passed = self.pass(demand, from_ms, now_ms);
        let virtual_seen = self.observation(seen, demand, &passed);
        let decision = self.controller.decide(&virtual_seen);
        let when = When {
            now_ms,
            ready_ms: now_ms.saturating_add(whole_millis(demand.start_up())),
            gone_ms: now_ms,
            busy_s: self.busy_s,
        };
        self.pool.set_desired(decision.desired().min(WORKERS_MAX), &when);
        let Decision { current, blocked_by, nearest_flip, .. } = &decision;
        ShadowTurn {
            label: self.label.clone(),
            current: *current,
            ready: virtual_seen.fleet.ready,
            busy_percent: passed.busy.map(|busy| 100.0 * busy),
            queued: self.waiting(demand),
            worker_seconds: self.worker_seconds,
            decided: decision.deciding().clone(),
            blocked_by: blocked_by.clone(),
            nearest_flip: nearest_flip.clone(),
        }
    }

    /// Lets the demand flow to the virtual workers.
    fn pass(&mut self, demand: &Demand, from_ms: u64, now_ms: u64) -> Passed {
        let busy_before = self.busy_s;
        let (mut at_ms, mut dropped, mut served_s) = (from_ms, 0.0, 0.0);
        while at_ms < now_ms {
            let until_ms = self.pool.wake_at().map_or(now_ms, |wake| wake.clamp(at_ms + 1, now_ms));
            let length_s = (until_ms - at_ms) as f64 / 1e3;
            let ready = f64::from(self.pool.ready());
            let served = self.flow.run(demand.load(), ready, length_s);
            self.busy_s += served.busy_s;
            dropped += served.dropped;
            self.worker_seconds += f64::from(self.pool.existing()) * length_s;
            served_s += if ready > 0.0 { length_s } else { 0.0 };
            self.pool.wake(until_ms, self.busy_s);
            at_ms = until_ms;
        }
        let busy = (served_s > 0.0).then(|| ((self.busy_s - busy_before) / served_s).clamp(0.0, 1.0));
        Passed { busy, dropped }
    }

    /// Requests that wait in front of the virtual pool.
    fn waiting(&self, demand: &Demand) -> u32 {
        number::count(demand.requests(self.flow.backlog).round())
    }

    /// What the acting policy would have seen had it had this pool.
    fn observation(&self, seen: &Observation, demand: &Demand, passed: &Passed) -> Observation {
        let mut workers = self.pool.seen.clone();
        for worker in workers.iter_mut().filter(|worker| worker.ready_at.is_some()) {
            worker.cpu_percent = passed.busy.map(|busy| 100.0 * busy);
            worker.memory_bytes = demand.memory_bytes();
        }
        Observation {
            at: seen.at,
            traffic: seen.traffic.as_ref().map(|window| self.window(window, demand, passed)),
            fleet: self.pool.status(),
            workers,
            signals: seen.signals.clone(),
            transitions: Vec::new(),
            commands: Vec::new(),
            slow: seen.slow.clone(),
            history: None,
        }
    }

    /// What the balancer would have counted.
    fn window(&self, real: &Window, demand: &Demand, passed: &Passed) -> Window {
        let ready = self.pool.ready();
        let (wait_s, waiting) = (self.flow.wait_s(f64::from(ready)), self.waiting(demand));
        let slower = congestion(passed.busy.unwrap_or(0.0), ready);
        let stretched = |part: Duration| {
            Duration::try_from_secs_f64(part.as_secs_f64() * slower + wait_s).unwrap_or(Duration::MAX)
        };
        let failures = number::count(demand.requests(passed.dropped));
        let failures = u64::from(failures).min(real.arrivals);
        let at_workers = real.rate_per_second() * demand.service_s() * slower;
        let at_workers =
            if ready > 0 { number::count(at_workers.round()).saturating_add(waiting) } else { 0 };
        Window {
            length: real.length,
            arrivals: real.arrivals,
            completions: real.arrivals - failures,
            failures,
            in_flight: at_workers,
            queued: if ready > 0 { 0 } else { waiting },
            latency: demand.latency().filter(|_| ready > 0 && real.arrivals > 0).map(|alone| Latency {
                p50: stretched(alone.p50),
                p95: stretched(alone.p95),
                p99: stretched(alone.p99),
            }),
            queue_wait_max: if ready > 0 { Duration::ZERO } else { stretched(Duration::ZERO) },
        }
    }
}

/// How much slower a request is than alone, with so many workers this busy (Sakasegawa 1977, the
/// closed form for M/M/c).
fn congestion(busy: f64, workers: u32) -> f64 {
    /// Beyond, the backlog speaks.
    const BUSY_MAX: f64 = 0.95;
    let (busy, workers) = (busy.min(BUSY_MAX), f64::from(workers.max(1)));
    1.0 + busy.powf((2.0 * (workers + 1.0)).sqrt() - 1.0) / (workers * (1.0 - busy))
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

fn whole_millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "shadow/tests.rs"]
mod tests;
