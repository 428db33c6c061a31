//! An observation as a person or another program writes it: lenient about what can be left
//! out, strict about what it does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use traffic::window::Latency;
use traffic::{Version, Window, WorkerId};

use crate::fleet::status::{FleetStatus, State};
use crate::number;
use crate::observation::{Command, History, MetricSeen, Observation, Reading, WorkerSeen};

/// A pool that is not described otherwise has run for so long.
const OLD: Duration = Duration::from_secs(86_400);

/// What is known when a line is read.
pub(super) struct Before {
    pub(super) desired: Option<u32>,
    pub(super) min: u32,
    pub(super) at: Option<Timestamp>,
    pub(super) first: bool,
}

/// A moment: a timestamp, or seconds since 1970.
#[derive(Clone, Copy)]
struct Moment(Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(from)? {
            Value::Number(seconds) => {
                let seconds = seconds.as_f64().filter(|seconds| seconds.abs() < 1e11);
                let seconds = seconds.ok_or_else(|| D::Error::custom("a time is out of range"))?;
                Timestamp::from_nanosecond(i128::from(number::whole((seconds * 1e6).round())) * 1_000)
                    .map(Self)
                    .map_err(D::Error::custom)
            }
            Value::String(text) => text.parse().map(Self).map_err(D::Error::custom),
            _ => Err(D::Error::custom("a time is a timestamp or a number of seconds")),
        }
    }
}

/// A reading: a number, or a number and its time.
#[derive(Deserialize)]
#[serde(untagged)]
enum GivenReading {
    Bare(Option<f64>),
    Dated { value: Option<f64>, at: Option<Moment> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    at: Option<Moment>,
    /// Short for `fleet.desired`.
    #[serde(alias = "current", alias = "replicas")]
    desired: Option<u32>,
    fleet: Option<GivenFleet>,
    #[serde(default)]
    workers: Vec<GivenWorker>,
    #[serde(default)]
    signals: BTreeMap<String, GivenReading>,
    traffic: Option<GivenTraffic>,
    #[serde(default)]
    transitions: Vec<crate::fleet::status::Transition>,
    #[serde(default)]
    commands: Vec<Command>,
    #[serde(default)]
    slow: crate::observation::SlowInputs,
    history: Option<GivenHistory>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GivenFleet {
    desired: Option<u32>,
    starting: Option<u32>,
    ready: Option<u32>,
    unhealthy: Option<u32>,
    draining: Option<u32>,
    backoff: Option<u32>,
    crashes: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenWorker {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    pid: Option<u32>,
    #[serde(default)]
    address: Option<traffic::Address>,
    state: Option<State>,
    since: Option<Moment>,
    started_at: Option<Moment>,
    ready_at: Option<Moment>,
    first_request_at: Option<Moment>,
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
    #[serde(default)]
    in_flight: u32,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    restarts: u32,
    #[serde(default)]
    version: Version,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    metrics: Vec<GivenMetric>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenMetric {
    name: String,
    container: Option<String>,
    value: Option<f64>,
    request: Option<f64>,
    at: Option<Moment>,
    window_s: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenTraffic {
    length_s: Option<f64>,
    #[serde(default)]
    arrivals: u64,
    #[serde(default)]
    completions: u64,
    #[serde(default)]
    failures: u64,
    #[serde(default)]
    in_flight: u32,
    #[serde(default)]
    queued: u32,
    latency: Option<Latency>,
    #[serde(default)]
    queue_wait_max_s: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenHistory {
    recommendations: Option<Vec<GivenRecommendation>>,
    #[serde(default)]
    scale_events: Vec<GivenEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenRecommendation {
    at: Moment,
    replicas: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenEvent {
    at: Moment,
    change: i32,
}

impl Given {
    /// Fills in what was left out.
    pub(super) fn observation(self, before: &Before) -> Result<Observation, String> {
        let at = self.at.map(|at| at.0).or(before.at).unwrap_or(Timestamp::UNIX_EPOCH);
        let traffic = self.traffic.map(|traffic| traffic.window()).transpose()?;
        let workers: Vec<WorkerSeen> =
            self.workers.into_iter().enumerate().map(|(index, worker)| worker.seen(at, index)).collect();
        let fleet = self.fleet.unwrap_or_default();
        let count = |state| number::len(workers.iter().filter(|worker| worker.state == state).count());
        let existing = number::len(workers.iter().filter(|worker| worker.state != State::Draining).count());
        let listed = (!workers.is_empty()).then_some(existing);
        let desired = fleet.desired.or(self.desired).or(before.desired).or(listed).unwrap_or(before.min);
        // Without a word on workers the pool is as it should be.
        let ready = fleet.ready.unwrap_or(if workers.is_empty() { desired } else { count(State::Ready) });
        let signals = self.signals.into_iter().filter_map(|(name, reading)| {
            let (value, taken) = match reading {
                GivenReading::Bare(value) => (value, at),
                GivenReading::Dated { value, at: taken } => (value, taken.map_or(at, |taken| taken.0)),
            };
            Some((name, Reading { value: value?, at: taken }))
        });
        let history = self.history.map(GivenHistory::history);
        Ok(Observation {
            at,
            traffic,
            fleet: FleetStatus {
                desired,
                starting: fleet.starting.unwrap_or_else(|| count(State::Starting)),
                ready,
                unhealthy: fleet.unhealthy.unwrap_or_else(|| count(State::Unhealthy)),
                draining: fleet.draining.unwrap_or_else(|| count(State::Draining)),
                backoff: fleet.backoff.unwrap_or_else(|| count(State::Backoff)),
                crashes: fleet.crashes,
            },
            signals: signals.collect(),
            workers: workers.into(),
            transitions: self.transitions,
            commands: self.commands,
            // The pool was there before the first line; of its past nothing is known.
            slow: self.slow,
            history: history.or_else(|| before.first.then(History::default)).map(Box::new),
        })
    }
}

impl GivenWorker {
    fn seen(self, at: Timestamp, index: usize) -> WorkerSeen {
        let slot = number::len(index).saturating_add(1);
        let state = self.state.unwrap_or(State::Ready);
        let old = at.saturating_sub(OLD).unwrap_or(Timestamp::MIN);
        let known = self.ready_at.or(self.since).or(self.started_at);
        let since = self.since.or(if state == State::Ready { self.ready_at } else { None }).or(known);
        let since = since.map_or(old, |since| since.0);
        let ready_at = self.ready_at.map(|ready| ready.0).or((state == State::Ready).then_some(since));
        WorkerSeen {
            id: self.id.and_then(|id| id.parse().ok()).unwrap_or(WorkerId { slot, run: 1 }),
            pid: self.pid,
            address: self.address,
            state,
            since,
            started_at: self.started_at.map_or(since, |started| started.0),
            ready_at,
            first_request_at: self.first_request_at.map(|first| first.0),
            cpu_percent: self.cpu_percent,
            memory_bytes: self.memory_bytes,
            in_flight: self.in_flight,
            requests: self.requests,
            restarts: self.restarts,
            version: self.version,
            protected: self.protected,
            metrics: self.metrics.into_iter().map(GivenMetric::seen).collect(),
        }
    }
}

impl GivenMetric {
    fn seen(self) -> MetricSeen {
        let Self { name, container, value, request, at, window_s } = self;
        MetricSeen { name, container, value, request, at: at.map(|at| at.0), window_s }
    }
}

impl GivenTraffic {
    fn window(self) -> Result<Window, String> {
        let seconds = |seconds: f64, name: &str| {
            Duration::try_from_secs_f64(seconds).map_err(|_| format!("{name} must be 0 or more"))
        };
        Ok(Window {
            length: seconds(self.length_s.unwrap_or(1.0), "length_s")?,
            arrivals: self.arrivals,
            completions: self.completions,
            failures: self.failures,
            in_flight: self.in_flight,
            queued: self.queued,
            latency: self.latency,
            queue_wait_max: seconds(self.queue_wait_max_s, "queue_wait_max_s")?,
        })
    }
}

impl GivenHistory {
    fn history(self) -> History {
        use crate::observation::{PastRecommendation, ScaleEvent};
        let past =
            |given: GivenRecommendation| PastRecommendation { at: given.at.0, replicas: given.replicas };
        let event = |given: GivenEvent| ScaleEvent { at: given.at.0, change: given.change };
        History {
            recommendations: self.recommendations.map(|all| all.into_iter().map(past).collect()),
            scale_events: self.scale_events.into_iter().map(event).collect(),
        }
    }
}
