//! A server on a free port, fed with made-up turns.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin::{
    AdminConfig, BackendOrder, BalancerOrder, BalancerSettings, Balancing, Board, Client, Handle, LogLine,
    LogTotals, Logs, Orders, OrdersError, Ports, TargetSeen, Totals, WorkerTotals,
};
use clock::Clock;
use control::{Command, Cycle, InForce};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// When every made-up run begins.
pub(crate) fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// One turn a second: 20 requests each, one worker ready, one starting; CPU rises by a percent.
pub(crate) fn turn(second: u32) -> Cycle {
    turn_with(second, |_| ())
}

/// A turn changed by hand before it is read.
pub(crate) fn turn_with(second: u32, change: impl FnOnce(&mut Value)) -> Cycle {
    let at = start() + Duration::from_secs(second.into());
    let mut json = json!({
        "seen": {
            "at": at,
            "traffic": {"length_s": 1.0, "arrivals": 20, "completions": 20, "failures": 0,
                "in_flight": 3, "queued": 0, "queue_wait_max_s": 0.0,
                "latency": {"p50_s": 0.012, "p95_s": 0.0201, "p99_s": 0.031}},
            "fleet": {"desired": 2, "starting": 1, "ready": 1, "unhealthy": 0, "draining": 0,
                "backoff": 0, "crashes": 0},
            "workers": [worker(1, second, "ready"), worker(2, second, "starting")],
            "signals": {"host_cpu": {"value": 22.0, "at": at}},
            "transitions": [], "commands": []},
        "decision": {"current": 2,
            "recommended": {"rule": "within", "replicas": 2, "because":
                {"sentence": "cpu {cpu} % lies within", "numbers": [["cpu", 40.0]]}},
            "limited": [], "blocked_by": [], "excluded": [], "nearest_flip": null,
            "measured": {"signal": "worker_cpu", "unit": "%", "value": 40.0, "up": 35.0, "down": 15.0},
            "in_force": {"policy": "threshold", "min": 1, "max": 5, "paused": false,
                "paused_until": null, "held": null, "held_until": null}},
        "applied": "ordered"});
    change(&mut json);
    serde_json::from_value(json!({"decided": json})).unwrap()
}

/// A turn that scales out, with everything in its trail.
pub(crate) fn scale_out(second: u32) -> Cycle {
    let until = start() + Duration::from_secs(u64::from(second) + 3);
    turn_with(second, |json| {
        json["decision"]["recommended"] = json!({"rule": "above_up", "replicas": 9, "because":
            {"sentence": "cpu {cpu} % > {up} %", "numbers": [["cpu", 81.25], ["up", 35.0]]}});
        json["decision"]["limited"] = json!([{"rule": "bounds", "replicas": 5, "because":
            {"sentence": "at most {max}", "numbers": [["max", 5.0]]}}]);
        json["decision"]["blocked_by"] = json!([{"by": "cooldown", "until": until, "because":
            {"sentence": "scaled out lately", "numbers": []}}]);
        json["decision"]["excluded"] = json!([{"worker": "w2.1", "because":
            {"sentence": "warming", "numbers": []}}]);
        json["decision"]["nearest_flip"] = json!({"replicas": 2, "because":
            {"sentence": "below {up} % it stays", "numbers": [["up", 35.0]]}});
        json["seen"]["commands"] = json!([{"command": "resume", "by": "cli"}]);
        json["seen"]["transitions"] = json!([{"at": until, "worker": "w1.1", "pid": 101,
            "from": "starting", "to": "ready", "because": "its probe passed"}]);
    })
}

fn worker(slot: u32, second: u32, state: &str) -> Value {
    let ready = state == "ready";
    json!({"id": format!("w{slot}.1"), "pid": 100 + slot, "address": {"tcp": format!("127.0.0.1:{}", 4_999 + slot)},
        "state": state, "since": start(), "started_at": start(),
        "ready_at": ready.then(start), "first_request_at": null,
        "cpu_percent": ready.then_some(f64::from(second)), "memory_bytes": 9_000_000,
        "in_flight": 1, "requests": if ready { second * 10 } else { 0 }, "restarts": 0, "version": 0})
}

/// Notes every order; knows the worker `w1` alone.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) taken: Mutex<Vec<String>>,
    pub(crate) busy: Mutex<bool>,
}

impl Notes {
    fn note(&self, what: String) -> Result<(), OrdersError> {
        if *self.busy.lock() {
            return Err(OrdersError::Busy);
        }
        self.taken.lock().push(what);
        Ok(())
    }

    fn known(&self, what: &str, worker: &str) -> Result<(), OrdersError> {
        if worker != "w1" {
            return Err(OrdersError::UnknownWorker(worker.to_owned()));
        }
        self.note(format!("{what} {worker}"))
    }
}

impl Orders for Notes {
    fn command(&self, command: Command) -> Result<(), OrdersError> {
        self.note(serde_json::to_string(&command).unwrap())
    }

    fn drain(&self, worker: &str) -> Result<(), OrdersError> {
        self.known("drain", worker)
    }

    fn kill(&self, worker: &str) -> Result<(), OrdersError> {
        self.known("kill", worker)
    }

    fn protect(&self, worker: &str, on: bool) -> Result<(), OrdersError> {
        self.known(if on { "protect" } else { "unprotect" }, worker)
    }

    fn upgrade(&self) -> Result<(), OrdersError> {
        Ok(())
    }

    fn stop(&self) -> Result<(), OrdersError> {
        self.note("stop".to_owned())
    }

    fn reload(&self) -> Result<(), OrdersError> {
        Err(OrdersError::Refused("autoscale.toml:3: min > max".to_owned()))
    }
}

impl Balancing for Notes {
    fn settings(&self) -> BalancerSettings {
        BalancerSettings { algorithm: "least_connections".to_owned(), ..BalancerSettings::default() }
    }

    fn change(&self, order: &BalancerOrder) -> Result<(), OrdersError> {
        if order.algorithm.as_deref() == Some("none") {
            return Err(OrdersError::Bad("`none` is no balancing algorithm".to_owned()));
        }
        self.note(serde_json::to_string(order).unwrap())
    }

    fn weigh(&self, worker: &str, weight: Option<u32>) -> Result<(), OrdersError> {
        self.known(&format!("weigh {weight:?}"), worker)
    }

    fn add(&self, order: &BackendOrder) -> Result<String, OrdersError> {
        self.note(format!("add {}", order.backend))?;
        Ok("w7".to_owned())
    }

    fn remove(&self, worker: &str) -> Result<(), OrdersError> {
        self.known("remove", worker)
    }

    fn requests(&self, id: &str) -> Option<Vec<serde_json::Value>> {
        (id != "nowhere")
            .then(|| (id == "abc").then(|| serde_json::json!({"status": 200})).into_iter().collect())
    }

    fn targets(&self) -> Vec<TargetSeen> {
        Vec::new()
    }
}

struct Output;

fn line(number: usize) -> LogLine {
    LogLine { at: start(), stream: Cow::Borrowed("stdout"), text: format!("line {number}") }
}

impl Logs for Output {
    fn last(&self, worker: &str, n: usize) -> Option<Vec<LogLine>> {
        (worker == "w1").then(|| (0..n.min(3)).map(line).collect())
    }

    fn follow(&self, worker: &str, n: usize) -> Option<BoxStream<'static, LogLine>> {
        let past = stream::iter(self.last(worker, n)?);
        Some(past.chain(stream::once(async { line(99) })).chain(stream::pending()).boxed())
    }
}

/// A server at work.
pub(crate) struct Pool {
    pub(crate) board: Arc<Board>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) shutdown: CancellationToken,
}

/// Serves a pool whose clock stands `seconds` into the run.
pub(crate) async fn pool(seconds: u64) -> Pool {
    pool_with(seconds, None).await
}

/// The same behind a token.
pub(crate) async fn pool_with(seconds: u64, token: Option<&str>) -> Pool {
    let notes = Arc::new(Notes::default());
    let ports = Ports { orders: notes.clone(), balancing: notes.clone(), ..ports() };
    let board = Arc::clone(&ports.board);
    let config = AdminConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        token: token.map(str::to_owned),
        hosts: Vec::new(),
    };
    let clock = Clock::at(start() + Duration::from_secs(seconds));
    let shutdown = CancellationToken::new();
    let handle = admin::serve(config, Arc::new(ports), clock, shutdown.clone()).await.unwrap();
    let address = handle.local_addr;
    let client = Client::new(&address.to_string(), token.map(str::to_owned), "test").unwrap();
    Pool { board, notes, client, address, handle, shutdown }
}

/// What a server without traffic is joined to.
pub(crate) fn ports() -> Ports {
    Ports {
        board: Arc::new(Board::new()),
        totals: Arc::new(totals),
        orders: Arc::new(Notes::default()),
        balancing: Arc::new(Notes::default()),
        logs: Arc::new(Output),
        record: Some(Arc::new(|| journal::Health { recorded: 7, dropped: 0, error: None })),
        prediction: None,
        in_force: InForce {
            policy: "threshold".to_owned(),
            min: 1,
            max: 5,
            paused: false,
            scale_in_paused: false,
            paused_until: None,
            held: None,
            held_until: None,
        },
        signal: Cow::Borrowed("worker_cpu"),
        version: "0.1.0",
        page: Cow::Borrowed("<!doctype html><title>autoscale</title>"),
    }
}

fn totals() -> Totals {
    Totals {
        requests: 1_200,
        failed: 1,
        in_flight: 3,
        queued: 0,
        retries: 2,
        classes: vec![("2xx", 1_199), ("5xx", 1)],
        circuit: Some("half_open"),
        hedges: (3, 1),
        connections: 4,
        limit: Some(16),
        refused: vec![("queue_full", 1)],
        latency_buckets: vec![(0.005, 200), (0.01, 900), (f64::INFINITY, 1_200)],
        latency_sum_s: 14.5,
        latency_count: 1_200,
        workers: vec![WorkerTotals {
            worker: "w1".to_owned(),
            buckets: vec![(0.1, 2)],
            sum_s: 0.5,
            count: 3,
        }],
        access_log: Some(LogTotals { written: 7, dropped: 1 }),
    }
}

impl Pool {
    /// Asks without the client: status and body.
    pub(crate) async fn raw(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = http.get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Sends an order without the client.
    pub(crate) async fn post(&self, path: &str, body: impl Into<String>) -> (u16, Value) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(format!("http://{}{path}", self.address)).body(body.into());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// An answer's JSON.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.raw(path, &[]).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// The deadline only bounds a failure.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let within = Clock::start().timeout(Duration::from_secs(20), what).await;
    within.expect("comes within twenty seconds")
}
