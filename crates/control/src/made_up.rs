//! Observations for tests.

use std::time::Duration;

use jiff::Timestamp;
use traffic::{Version, Window, WorkerId};

use crate::controller::ControllerConfig;
use crate::fleet::status::{FleetStatus, State};
use crate::observation::{Observation, Reading, WorkerSeen};
use crate::policy::PolicyConfig;

/// The start of all made-up runs.
pub(crate) fn moment(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start.checked_add(jiff::SignedDuration::from_secs_f64(seconds)).unwrap()
}

/// A pool of workers that have long been ready, each with this CPU.
pub(crate) fn pool(at_seconds: f64, cpu_percent: &[f64]) -> Observation {
    let at = moment(at_seconds);
    let long_ago = moment(-3_600.0);
    let workers: Vec<WorkerSeen> = (1u32..)
        .zip(cpu_percent)
        .map(|(slot, &cpu)| WorkerSeen {
            id: WorkerId { slot, run: 1 },
            pid: Some(1_000 + slot),
            address: None,
            state: State::Ready,
            since: long_ago,
            started_at: long_ago,
            ready_at: Some(long_ago),
            first_request_at: None,
            cpu_percent: Some(cpu),
            memory_bytes: Some(9_000_000),
            in_flight: 1,
            requests: 600,
            restarts: 0,
            version: Version::default(),
            protected: false,
            metrics: Vec::new(),
        })
        .collect();
    let ready = u32::try_from(workers.len()).unwrap();
    Observation {
        at,
        traffic: Some(window()),
        fleet: FleetStatus { desired: ready, ready, ..FleetStatus::default() },
        workers: workers.into(),
        signals: [("host_cpu".to_owned(), Reading { value: 20.0, at })].into(),
        transitions: Vec::new(),
        commands: Vec::new(),
        slow: crate::observation::SlowInputs::default(),
        history: None,
    }
}

pub(crate) fn window() -> Window {
    Window {
        length: Duration::from_secs(1),
        arrivals: 20,
        completions: 20,
        failures: 0,
        in_flight: 2,
        queued: 0,
        latency: None,
        queue_wait_max: Duration::ZERO,
    }
}

/// `policy` with these settings, 1 to 5 replicas, asked each second.
pub(crate) fn config(policy: &str, settings: serde_json::Value) -> ControllerConfig {
    let serde_json::Value::Object(settings) = settings else { panic!("settings are an object") };
    ControllerConfig {
        policy: PolicyConfig { name: policy.to_owned(), settings },
        min: 1,
        max: 5,
        interval: Duration::from_secs(1),
        shadows: Vec::new(),
    }
}

/// Runs `decide` each second for `seconds` under a wave between 1 and 4 workers that repeats every
/// 60 s, on a pool that starts workers in 3 s and does what is decided; `decide` is told the
/// observation and the load 4 s later, in workers at 85 %.
pub(crate) fn wave(seconds: u32, decide: impl FnMut(&Observation, f64) -> u32) {
    let load = |second: f64| 2.5 - 1.5 * (second / 60.0 * std::f64::consts::TAU).cos();
    run(seconds, load, decide);
}

/// As [`wave`], under any load in workers at 85 %.
pub(crate) fn run(seconds: u32, load: impl Fn(f64) -> f64, mut decide: impl FnMut(&Observation, f64) -> u32) {
    // Worker, and the second in which it is ready.
    let mut workers: Vec<(u32, f64)> = vec![(1, -100.0), (2, -100.0), (3, -100.0)];
    let mut next = 4;
    for second in (0..seconds).map(f64::from) {
        let ready = workers.iter().filter(|(_, at)| *at <= second).count();
        let busy = load(second) * 0.85;
        let cpu = 100.0 * (busy / f64::from(u32::try_from(ready.max(1)).unwrap())).min(1.0);
        let mut seen = pool(second, &vec![cpu; workers.len()]);
        for (worker, (slot, at)) in seen.workers.iter_mut().zip(&workers) {
            worker.id.slot = *slot;
            worker.started_at = moment(at - 3.0);
            worker.ready_at = (*at <= second).then(|| moment(*at));
            if *at > second {
                (worker.state, worker.cpu_percent) = (State::Starting, None);
            }
        }
        seen.fleet.ready = u32::try_from(ready).unwrap();
        seen.fleet.starting = seen.fleet.desired - seen.fleet.ready;
        // A request takes 10 ms of a worker.
        let arrivals = u64::from(crate::number::count(busy * 100.0));
        seen.traffic = Some(Window { arrivals, completions: arrivals, ..window() });
        let wanted = usize::try_from(decide(&seen, load(second + 4.0))).unwrap();
        while workers.len() < wanted {
            workers.push((next, second + 3.0));
            next += 1;
        }
        workers.truncate(wanted);
    }
}
