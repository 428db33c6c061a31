//! Pools in one line of text, for tables.

use std::time::Duration;

use control::{
    Controller, ControllerConfig, Decision, FleetStatus, History, MetricSeen, Observation, PolicyConfig,
    State, WorkerSeen,
};
use jiff::{SignedDuration, Timestamp};
use traffic::{Version, WorkerId};

/// The start of all made-up runs.
pub(crate) fn moment(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    start.checked_add(SignedDuration::from_secs_f64(seconds)).expect("a time in range")
}

/// A policy from 1 to 1,000 replicas (or `bounds`), asked at every turn.
pub(crate) fn controller(policy: &str, settings: serde_json::Value, bounds: (u32, u32)) -> Controller {
    let serde_json::Value::Object(settings) = settings else { panic!("settings are an object") };
    let (min, max) = bounds;
    let policy = PolicyConfig { name: policy.to_owned(), settings };
    Controller::new(ControllerConfig {
        policy,
        min,
        max,
        interval: Duration::from_millis(10),
        shadows: Vec::new(),
    })
    .expect("settings that are allowed")
}

/// Workers from words such as `300/1000` (usage/request of `metric`), `-/1000` (missing), with
/// prefixes: `s` starting, `u` running but not ready for an hour, `n` never ready, `h` ready
/// since 2 s ago and started 60 s ago, `b` unready within its initialisation, `d` draining,
/// `f` failed.
pub(crate) fn workers(words: &str, metric: &str, at: Timestamp) -> Vec<WorkerSeen> {
    let ago = |seconds| at - Duration::from_secs(seconds);
    words
        .split_whitespace()
        .zip(1..)
        .map(|(word, slot)| {
            let (state, started_at, since, rest) = match word.as_bytes()[0] {
                b's' => (State::Starting, ago(5), ago(5), &word[1..]),
                b'u' => (State::Unhealthy, ago(7_200), ago(3_600), &word[1..]),
                b'n' => (State::Unhealthy, ago(600), ago(590), &word[1..]),
                b'h' => (State::Ready, ago(60), ago(2), &word[1..]),
                b'b' => (State::Unhealthy, ago(60), ago(50), &word[1..]),
                b'd' => (State::Draining, ago(7_200), ago(5), &word[1..]),
                b'f' => (State::Backoff, ago(7_200), ago(5), &word[1..]),
                _ => (State::Ready, ago(7_200), ago(7_100), word),
            };
            let (value, request) = rest.split_once('/').unwrap_or((rest, ""));
            let metric = MetricSeen {
                name: metric.to_owned(),
                value: value.parse().ok(),
                request: request.parse().ok(),
                window_s: Some(10.0),
                ..MetricSeen::default()
            };
            WorkerSeen {
                id: WorkerId { slot, run: 1 },
                pid: None,
                address: None,
                state,
                since,
                started_at,
                ready_at: (state == State::Ready).then_some(since),
                first_request_at: None,
                cpu_percent: None,
                memory_bytes: None,
                in_flight: 0,
                requests: 0,
                restarts: 0,
                version: Version::default(),
                protected: false,
                metrics: vec![metric],
            }
        })
        .collect()
}

/// An observation of these workers; nothing is known of the past, so no window holds.
pub(crate) fn seen(at: f64, desired: u32, workers: Vec<WorkerSeen>) -> Observation {
    let count = |state| {
        u32::try_from(workers.iter().filter(|worker| worker.state == state).count()).expect("a small pool")
    };
    Observation {
        at: moment(at),
        traffic: None,
        fleet: FleetStatus {
            desired,
            starting: count(State::Starting),
            ready: count(State::Ready),
            unhealthy: count(State::Unhealthy),
            draining: count(State::Draining),
            backoff: count(State::Backoff),
            crashes: 0,
        },
        workers: workers.into(),
        signals: std::collections::BTreeMap::new(),
        transitions: Vec::new(),
        commands: Vec::new(),
        slow: control::SlowInputs::default(),
        history: Some(Box::new(History { recommendations: Some(Vec::new()), scale_events: Vec::new() })),
    }
}

/// Kubernetes' word for the state of one of a decision's conditions.
pub(crate) fn reason(decision: &Decision, kind: control::ConditionKind) -> String {
    let found = decision.conditions().into_iter().find(|condition| condition.kind == kind);
    found.map(|condition| condition.reason).unwrap_or_default()
}
