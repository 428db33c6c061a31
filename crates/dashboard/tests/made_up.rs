//! A made-up run: the real controller on a pool that obeys a few lines of arithmetic.

use std::time::Duration;

use control::{
    Applied, Command, Controller, ControllerConfig, Cycle, FleetStatus, Observation, PolicyConfig,
    PolicySpec, Reading, ShadowConfig, State, Transition, WorkerSeen,
};
use dashboard::View;
use jiff::{SignedDuration, Timestamp};
use traffic::{Address, Latency, Window, WorkerId};

/// CPU percent that one request a second costs a worker: 5 ms of a quarter of a core.
const PERCENT_PER_REQUEST: f64 = 2.0;

/// From the order to ready.
const START_UP: f64 = 1.2;

/// From the order to gone.
const DRAIN: f64 = 0.8;

pub(crate) fn moment(seconds: f64) -> Timestamp {
    let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs_f64(seconds)).unwrap()
}

/// A run that is continued turn by turn.
pub(crate) struct MadeUp {
    controller: Controller,
    desired: u32,
    turn: u32,
    workers: Vec<WorkerSeen>,
    transitions: Vec<Transition>,
    runs: [u32; 10],
    /// Orders for the next turn.
    pub(crate) commands: Vec<Command>,
    /// What becomes of the next turns' orders.
    pub(crate) applied: Applied,
    /// Failures at each turn.
    pub(crate) failures: u64,
}

impl MadeUp {
    pub(crate) fn new() -> Self {
        Self::with(serde_json::json!({}), 1)
    }

    /// Settings of the threshold policy, and seconds between its turns.
    pub(crate) fn with(settings: serde_json::Value, interval: u64) -> Self {
        Self::beside(settings, interval, "")
    }

    /// As [`Self::with`], with policies that only watch.
    pub(crate) fn beside(settings: serde_json::Value, interval: u64, shadows: &str) -> Self {
        let shadows = PolicySpec::parse_list(shadows).unwrap_or_default().into_iter();
        let shadows = shadows.map(|spec| ShadowConfig { label: spec.label, policy: spec.config }).collect();
        let serde_json::Value::Object(settings) = settings else { panic!("settings are an object") };
        let controller = Controller::new(ControllerConfig {
            policy: PolicyConfig { name: "threshold".to_owned(), settings },
            min: 1,
            max: 5,
            interval: Duration::from_secs(interval),
            shadows,
        });
        let mut run = Self {
            controller: controller.unwrap(),
            desired: 1,
            turn: 0,
            workers: Vec::new(),
            transitions: Vec::new(),
            runs: [0; 10],
            commands: Vec::new(),
            applied: Applied::Ordered,
            failures: 0,
        };
        run.start(-5.0, 0);
        run
    }

    fn start(&mut self, at: f64, restarts: u32) {
        let used = |slot: &u32| self.workers.iter().all(|worker| worker.id.slot != *slot);
        let slot = (1..).find(used).unwrap();
        let place = slot as usize;
        self.runs[place] += 1;
        let id = WorkerId { slot, run: self.runs[place] };
        let port = 4_999 + u16::try_from(slot).unwrap();
        // From a record, so that fields which no dashboard shows need not be listed here.
        let record = serde_json::json!({
            "id": id, "pid": 4_200 + slot * 10 + id.run, "address": Address::Tcp(([127, 0, 0, 1], port).into()),
            "state": State::Starting, "since": moment(at), "started_at": moment(at),
            "memory_bytes": 9_000_000 + slot * 123_456, "in_flight": 0, "requests": 0, "restarts": restarts,
        });
        let worker: WorkerSeen = serde_json::from_value(record).unwrap();
        self.workers.push(worker);
        self.workers.sort_by_key(|worker| worker.id.slot);
    }

    /// Ends a worker as `kill -9` would; its successor starts at once.
    pub(crate) fn crash(&mut self, slot: u32) {
        let at = f64::from(self.turn) - 0.4;
        let place = self.workers.iter().position(|worker| worker.id.slot == slot).unwrap();
        let worker = self.workers.remove(place);
        self.transitions.push(Transition {
            at: moment(at),
            worker: worker.id,
            pid: worker.pid,
            from: Some(worker.state),
            to: None,
            because: "ended by signal 9, replaced at once".to_owned(),
        });
        self.start(at, worker.restarts + 1);
    }

    /// Puts a slot into a state that does not pass by itself.
    pub(crate) fn set_state(&mut self, slot: u32, state: State) {
        let at = moment(f64::from(self.turn) - 0.2);
        let worker = self.workers.iter_mut().find(|worker| worker.id.slot == slot).unwrap();
        worker.state = state;
        worker.since = at;
        if state == State::Backoff {
            (worker.pid, worker.cpu_percent, worker.memory_bytes) = (None, None, None);
        }
    }

    fn obey(&mut self, at: f64) {
        let serving = |worker: &&mut WorkerSeen| worker.state != State::Draining;
        while self.workers.iter().filter(|worker| worker.state != State::Draining).count()
            < self.desired as usize
        {
            self.start(at, 0);
        }
        let surplus = self.workers.iter_mut().filter(serving).count() - self.desired as usize;
        for worker in self.workers.iter_mut().rev().filter(|w| w.state != State::Draining).take(surplus) {
            worker.state = State::Draining;
            worker.since = moment(at);
        }
    }

    fn live(&mut self, now: f64, rate: f64) {
        let ready_at = |worker: &WorkerSeen| {
            worker.started_at.checked_add(SignedDuration::from_secs_f64(START_UP)).unwrap()
        };
        self.workers.retain(|worker| {
            worker.state != State::Draining || moment(now).duration_since(worker.since).as_secs_f64() < DRAIN
        });
        for worker in &mut self.workers {
            if worker.state == State::Starting && ready_at(worker) <= moment(now) {
                worker.state = State::Ready;
                worker.ready_at = Some(ready_at(worker));
                worker.since = ready_at(worker);
                let soon = SignedDuration::from_millis(30);
                worker.first_request_at = Some(ready_at(worker).checked_add(soon).unwrap());
            }
        }
        let ready = self.workers.iter().filter(|worker| worker.state == State::Ready).count();
        let share = rate / ready.max(1) as f64;
        for worker in self.workers.iter_mut().filter(|worker| worker.state == State::Ready) {
            let wobble = (f64::from(worker.id.slot) * 1.7 + now).sin();
            worker.cpu_percent = Some((share * PERCENT_PER_REQUEST + wobble).clamp(0.0, 100.0));
            worker.requests += dashboard::text::rounded(share);
            worker.in_flight = u32::from(share > 15.0);
        }
    }

    fn observe(&mut self, now: f64, rate: f64) -> Observation {
        let count = |state| u32::try_from(self.workers.iter().filter(|w| w.state == state).count()).unwrap();
        let arrivals = dashboard::text::rounded(rate);
        let slow = 4.0 + rate / 10.0;
        let latency = |factor: f64| Duration::from_secs_f64(slow * factor / 1e3);
        let record = serde_json::json!({
            "at": moment(now), "workers": self.workers,
            "fleet": FleetStatus {
                desired: self.desired,
                starting: count(State::Starting),
                ready: count(State::Ready),
                unhealthy: count(State::Unhealthy),
                draining: count(State::Draining),
                backoff: count(State::Backoff),
                crashes: 0,
            },
        });
        let mut seen: Observation = serde_json::from_value(record).unwrap();
        seen.traffic = Some(Window {
            length: Duration::from_secs(1),
            arrivals,
            completions: arrivals - self.failures,
            failures: self.failures,
            in_flight: self.workers.iter().map(|worker| worker.in_flight).sum(),
            queued: 0,
            latency: Some(Latency { p50: latency(1.0), p95: latency(1.7), p99: latency(2.5) }),
            queue_wait_max: Duration::ZERO,
        });
        seen.signals.insert("host_cpu".to_owned(), Reading { value: 12.5, at: moment(now) });
        seen.transitions = std::mem::take(&mut self.transitions);
        seen.commands = std::mem::take(&mut self.commands);
        seen
    }

    /// One turn a second at this many requests a second.
    pub(crate) fn turn(&mut self, rate: f64) -> Cycle {
        let now = f64::from(self.turn);
        self.live(now, rate);
        let seen = self.observe(now, rate);
        let decision = self.controller.decide(&seen);
        if self.applied == Applied::Ordered {
            self.desired = decision.desired();
            self.obey(now + 0.1);
        }
        self.turn += 1;
        Cycle::Decided { seen, decision, applied: self.applied.clone(), ledger: None }
    }

    /// As many turns at this rate, shown.
    pub(crate) fn show(&mut self, view: &mut View, turns: u32, rate: f64) {
        for _ in 0..turns {
            let cycle = self.turn(rate);
            view.apply(&cycle);
        }
    }
}

/// Calm, then a step that takes the pool to five, as in the demo.
pub(crate) fn busy() -> (MadeUp, View) {
    let (mut run, mut view) = (MadeUp::new(), View::default());
    run.show(&mut view, 8, 6.0);
    run.show(&mut view, 8, 80.0);
    (run, view)
}

/// The whole way: 1 → 5 → 1.
pub(crate) fn whole() -> View {
    let (mut run, mut view) = busy();
    run.show(&mut view, 30, 80.0);
    run.show(&mut view, 44, 12.0);
    view
}
