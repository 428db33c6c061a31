//! The pool at a glance: one structure for the server that writes it and the client that
//! reads it.

use std::sync::Arc;
use std::time::Duration;

use control::{Applied, Boost, Cycle, Decision, FleetStatus, Observation, State, WorkerSeen};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::board::{Board, CYCLES_KEPT};
use crate::explain::ShadowTold;
use crate::ports::{Ports, Totals};
use crate::sample::{Sample, host_cpu, workers_cpu};

/// Over which a rate a minute is measured.
const MINUTE: Duration = Duration::from_secs(60);

/// Over which a rate a second is measured; turns brought forward by an order are shorter.
const SECOND: Duration = Duration::from_secs(1);

/// Percentiles older than this say nothing about now: they are unknown.
const LATENCY_FRESH: Duration = Duration::from_secs(10);

/// The pool at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When this was put together.
    pub at: Timestamp,
    /// When the loop last turned; `None` before its first turn.
    pub turned_at: Option<Timestamp>,
    /// Version of autoscale.
    pub version: String,
    /// How many workers there should be.
    pub desired: u32,
    /// How many take requests.
    pub ready: u32,
    /// Lower bound.
    pub min: u32,
    /// Upper bound.
    pub max: u32,
    /// Name of the policy.
    pub policy: String,
    /// What it decides by.
    pub signal: String,
    /// Whether it is told to change nothing.
    pub paused: bool,
    /// Whether it is told to take no worker away.
    #[serde(default)]
    pub scale_in_paused: bool,
    /// When the pause, of whichever kind, ends by itself.
    pub paused_until: Option<Timestamp>,
    /// Replicas held by hand.
    pub held: Option<u32>,
    /// When the hold ends by itself.
    pub held_until: Option<Timestamp>,
    /// At least so many workers for a time.
    #[serde(default)]
    pub boost: Option<Boost>,
    /// Whether decisions are only recorded.
    pub dry_run: bool,
    /// The pool in numbers.
    pub fleet: FleetStatus,
    /// CPU, in percent.
    pub cpu: Cpu,
    /// Requests.
    pub requests: Requests,
    /// Every worker, in order of slot.
    pub workers: Vec<WorkerStatus>,
    /// What policies that only watch did at the last turn.
    #[serde(default)]
    pub shadows: Vec<ShadowTold>,
    /// How recording goes; `None` without a run file.
    pub record: Option<journal::Health>,
    /// What is wrong at present, in words for people; most often nothing.
    pub alarms: Vec<String>,
}

/// CPU in percent; `None` when it could not be measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Mean of the workers, of their size.
    pub workers_percent: Option<f64>,
    /// Of the whole machine.
    pub host_percent: Option<f64>,
}

/// Requests since the start and now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// Ended since the start.
    pub total: u64,
    /// Of them not well.
    pub failed: u64,
    /// At workers now.
    pub in_flight: u32,
    /// Waiting for a worker now.
    pub queued: u32,
    /// At one worker at most, by hand or learned; `None` without a limit.
    #[serde(default)]
    pub worker_limit: Option<u32>,
    /// Coming in, over the last second.
    pub per_second: f64,
    /// Coming in, over the last minute.
    pub per_minute: f64,
    /// Of those that ended lately.
    pub latency_ms: LatencyMs,
}

/// Latency percentiles in milliseconds; `None` when nothing ended lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyMs {
    /// Half took at most this long.
    pub p50: Option<f64>,
    /// 95 % took at most this long.
    pub p95: Option<f64>,
    /// 99 % took at most this long.
    pub p99: Option<f64>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its slot, as in `w1`.
    pub id: String,
    /// Its process, once it has one.
    pub pid: Option<u32>,
    /// Where it listens, once known.
    pub address: Option<String>,
    /// Its state now.
    pub state: State,
    /// CPU of its process tree in percent of its size.
    pub cpu_percent: Option<f64>,
    /// Memory of its process tree.
    pub memory_bytes: Option<u64>,
    /// Requests at it now.
    pub in_flight: u32,
    /// Requests it has ended.
    pub requests: u64,
    /// Of them over the last minute, or since it was ready.
    pub requests_per_minute: f64,
    /// Since its process was asked for, in seconds; 0 without a process.
    pub uptime_s: f64,
    /// How often its slot was restarted after a crash.
    pub restarts: u32,
    /// Whether it is kept from being chosen at a scale-in.
    #[serde(default)]
    pub protected: bool,
}

impl Status {
    /// Puts the status together as of `now`.
    pub(crate) fn of(ports: &Ports, now: Timestamp) -> Self {
        let turns = ports.board.own(CYCLES_KEPT);
        let newest = turns.last().map(AsRef::as_ref);
        let decided = turns.iter().rev().find_map(|cycle| match cycle.as_ref() {
            Cycle::Decided { seen, decision, applied, .. } => Some((seen, decision, applied)),
            Cycle::Blind { .. } => None,
        });
        let in_force = decided.map_or(&ports.in_force, |(_, decision, _)| &decision.in_force);
        let measured = decided.and_then(|(_, decision, _)| decision.measured.as_ref());
        let seen = decided.map(|(seen, _, _)| seen);
        let fleet = seen.map(|seen| seen.fleet).unwrap_or_default();
        let record = ports.record.as_ref().map(|health| health());
        Self {
            at: now,
            turned_at: newest.map(Cycle::at),
            version: ports.version.to_owned(),
            desired: decided.map_or(in_force.min, |(_, decision, _)| decision.desired()),
            ready: fleet.ready,
            min: in_force.min,
            max: in_force.max,
            policy: in_force.policy.clone(),
            signal: measured.map_or(&ports.signal, |measured| &measured.signal).to_string(),
            paused: in_force.paused,
            scale_in_paused: in_force.scale_in_paused,
            paused_until: in_force.paused_until,
            held: in_force.held,
            held_until: in_force.held_until,
            boost: decided.and_then(|(_, decision, _)| decision.boost),
            dry_run: matches!(decided, Some((_, _, Applied::DryRun))),
            fleet,
            cpu: Cpu { workers_percent: seen.and_then(workers_cpu), host_percent: seen.and_then(host_cpu) },
            requests: Requests::of(&ports.board, &(ports.totals)(), newest.map_or(now, Cycle::at)),
            workers: seen.map(|seen| workers(seen, &turns, now)).unwrap_or_default(),
            shadows: decided.map(shadows).unwrap_or_default(),
            alarms: alarms(newest, record.as_ref()),
            record,
        }
    }
}

fn shadows((seen, decision, _): (&Observation, &Decision, &Applied)) -> Vec<ShadowTold> {
    decision.shadows.iter().map(|shadow| ShadowTold::of(shadow, seen.at)).collect()
}

impl Requests {
    fn of(board: &Board, totals: &Totals, newest: Timestamp) -> Self {
        let since = newest.saturating_sub(MINUTE).unwrap_or(Timestamp::MIN);
        let samples = board.samples(since);
        let fresh = newest.saturating_sub(LATENCY_FRESH).unwrap_or(Timestamp::MIN);
        let latency = samples
            .iter()
            .rev()
            .take_while(|sample| sample.at >= fresh)
            .find_map(|sample| sample.latency)
            .map(|latency| LatencyMs {
                p50: Some(latency.p50.as_secs_f64() * 1e3),
                p95: Some(latency.p95.as_secs_f64() * 1e3),
                p99: Some(latency.p99.as_secs_f64() * 1e3),
            });
        Self {
            total: totals.requests,
            failed: totals.failed,
            in_flight: totals.in_flight,
            queued: totals.queued,
            worker_limit: totals.limit,
            per_second: rate_per_second(&samples, SECOND),
            per_minute: rate_per_second(&samples, MINUTE) * 60.0,
            latency_ms: latency.unwrap_or_default(),
        }
    }
}

/// Arrivals a second over the newest turns that together are `over` long, or over what there
/// is.
fn rate_per_second(samples: &[Sample], over: Duration) -> f64 {
    // A turn of a second may be measured as a microsecond less; it is to be enough by itself.
    let enough = over.as_secs_f64() * 0.95;
    let (mut arrivals, mut length) = (0, 0.0);
    for sample in samples.iter().rev() {
        arrivals += sample.arrivals;
        length += sample.length_s.unwrap_or_default();
        if length >= enough {
            break;
        }
    }
    if length > 0.0 { arrivals as f64 / length } else { 0.0 }
}

fn workers(seen: &Observation, turns: &[Arc<Cycle>], now: Timestamp) -> Vec<WorkerStatus> {
    let since = seen.at.saturating_sub(MINUTE).unwrap_or(Timestamp::MIN);
    let start = turns.partition_point(|cycle| cycle.at() < since);
    let of = |worker: &WorkerSeen| WorkerStatus {
        id: worker.id.to_string(),
        pid: worker.pid,
        address: worker.address.as_ref().map(ToString::to_string),
        state: worker.state,
        cpu_percent: worker.cpu_percent,
        memory_bytes: worker.memory_bytes,
        in_flight: worker.in_flight,
        requests: worker.requests,
        requests_per_minute: requests_per_minute(worker, seen.at, &turns[start..]),
        uptime_s: worker.pid.map_or(0.0, |_| seconds_between(worker.started_at, now)),
        restarts: worker.restarts,
        protected: worker.protected,
    };
    seen.workers.iter().map(of).collect()
}

/// Against the first turn of the last minute that saw the worker, or against its birth where
/// that was later.
fn requests_per_minute(worker: &WorkerSeen, at: Timestamp, minute: &[Arc<Cycle>]) -> f64 {
    let first = minute.iter().find_map(|cycle| match cycle.as_ref() {
        Cycle::Decided { seen, .. } => {
            seen.workers.iter().find(|then| then.id == worker.id).map(|then| (seen.at, then.requests))
        }
        Cycle::Blind { .. } => None,
    });
    let Some((first_at, first_requests)) = first else { return 0.0 };
    let born = worker.ready_at.filter(|ready| first_requests == 0 && *ready > first_at);
    let length = seconds_between(born.unwrap_or(first_at), at);
    let ended = worker.requests.saturating_sub(first_requests);
    // Less than half a second is no basis for a minute.
    if length >= 0.5 { ended as f64 * 60.0 / length } else { 0.0 }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

fn alarms(newest: Option<&Cycle>, record: Option<&journal::Health>) -> Vec<String> {
    let mut alarms = Vec::new();
    match newest {
        Some(Cycle::Blind { because, .. }) => alarms.push(format!("cannot see the pool: {because}")),
        Some(Cycle::Decided { seen, decision, applied, .. }) => {
            if let Applied::Failed(because) = applied {
                alarms.push(format!("order for {} workers refused: {because}", decision.desired()));
            }
            if seen.traffic.is_none() {
                alarms.push("traffic could not be measured".to_owned());
            }
            alarms.extend(decision.unsound.iter().filter(|one| one.dropped).map(|unsound| {
                let whose = unsound.worker.map(|worker| format!(" of {worker}")).unwrap_or_default();
                format!("{}{whose} is not believed: {}", unsound.signal, unsound.because)
            }));
            alarms.extend(seen.workers.iter().filter_map(|worker| {
                let what = match worker.state {
                    State::Backoff => "crashed again and again and waits before its next start",
                    State::Unhealthy => "fails its health probe",
                    _ => return None,
                };
                Some(format!("{} {what}; see `autoscale logs {}`", worker.id, worker.id))
            }));
        }
        None => {}
    }
    if let Some(error) = record.and_then(|health| health.error.as_ref()) {
        alarms.push(format!("not recording: {error}"));
    }
    alarms
}
