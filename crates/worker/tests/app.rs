//! A worker as its clients see it: answers, counts, probes beside work, and the way it ends.

#[path = "support/client.rs"]
mod client;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use client::{DEADLINE, get, receive, send};
use clock::Clock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use worker::{Worker, WorkerConfig, WorkerError};

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    async fn stopped(self) -> Result<(), WorkerError> {
        self.stop.send(()).expect("it still runs");
        tokio::time::timeout(DEADLINE, self.ended).await.expect("ended in time").expect("no panic")
    }
}

fn start(config: WorkerConfig) -> Running {
    let worker = Worker::bind(WorkerConfig { port: 0, ..config }, Clock::start()).expect("a free port");
    let address = worker.address();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(worker.serve(async {
        let _ = stopped.await;
    }));
    Running { address, stop, ended }
}

async fn metric(address: SocketAddr, name: &str) -> u64 {
    let text = get(address, "/metrics").await.body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("the metric");
    line.parse().expect("a whole number")
}

async fn until_metric(address: SocketAddr, name: &str, wanted: u64) {
    let waiting = async { while metric(address, name).await < wanted {} };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{name} never reached {wanted}"));
}

#[tokio::test]
async fn answers_say_who_did_what() {
    let running = start(WorkerConfig { id: "w7".to_owned(), ..WorkerConfig::default() });
    let answer = get(running.address, "/?cpu_ms=2").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("x-worker: w7"), "{}", answer.head);
    assert!(answer.head.contains(&format!("x-worker-pid: {}", std::process::id())), "{}", answer.head);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body["cpu_ms"].as_f64().unwrap() >= 2.0, "{body}");
    assert!(body["took_ms"].as_f64().unwrap() >= body["cpu_ms"].as_f64().unwrap(), "{body}");

    let head = receive(send(running.address, "HEAD", "/?cpu_ms=0&bytes=10", "").await).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("content-length: 10"), "{}", head.head);
    let filler = get(running.address, "/?cpu_ms=0&bytes=100000").await;
    assert_eq!(filler.body.len(), 100_000);
    let post = receive(send(running.address, "POST", "/?cpu_ms=0", &"x".repeat(100_000)).await).await;
    assert_eq!(post.status, 200);
    assert_eq!(metric(running.address, "worker_requests_total").await, 4);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn only_work_is_counted() {
    let running = start(WorkerConfig { cpu_ms: 0.0, ..WorkerConfig::default() });
    for path in ["/healthz", "/livez", "/readyz", "/metrics", "/requests"] {
        assert_eq!(get(running.address, path).await.status, 200, "{path}");
    }
    for _ in 0..3 {
        assert_eq!(get(running.address, "/").await.status, 200);
    }
    assert_eq!(get(running.address, "/requests").await.body, "{\"count\":3}\n");
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn bad_requests_are_told_why() {
    let running = start(WorkerConfig::default());
    let bad = get(running.address, "/?cpu_ms=lots").await;
    assert_eq!((bad.status, bad.body.as_str()), (400, "cpu_ms=lots: expected a number from 0 to 10000\n"));
    assert_eq!(get(running.address, "/nowhere").await.status, 404);
    let delete = receive(send(running.address, "DELETE", "/", "").await).await;
    assert_eq!(delete.status, 405);
    assert!(delete.head.contains("allow: get, head, post"), "{}", delete.head);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn probes_and_later_requests_do_not_wait_for_a_client_that_has_gone() {
    let running = start(WorkerConfig { cpus: 0.05, ..WorkerConfig::default() });
    // Two hundred seconds of wall time at this size.
    let gone = send(running.address, "GET", "/?cpu_ms=10000", "").await;
    until_metric(running.address, "worker_requests_in_flight", 1).await;
    assert_eq!(get(running.address, "/healthz").await.status, 200);
    assert_eq!(get(running.address, "/readyz").await.status, 200);
    drop(gone);
    until_metric(running.address, "worker_requests_skipped_total", 1).await;
    assert_eq!(get(running.address, "/?cpu_ms=0.1").await.status, 200);
    assert_eq!(metric(running.address, "worker_requests_in_flight").await, 0);
    running.stopped().await.unwrap();
}

#[tokio::test]
async fn a_stop_lets_accepted_requests_finish() {
    let running = start(WorkerConfig::default());
    let sleeping = send(running.address, "GET", "/?cpu_ms=1&sleep_ms=300", "").await;
    let queued = send(running.address, "GET", "/?cpu_ms=100", "").await;
    until_metric(running.address, "worker_requests_total", 2).await;
    let address = running.address;
    running.stopped().await.unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "the listener is closed");
    assert_eq!(receive(sleeping).await.status, 200);
    assert_eq!(receive(queued).await.status, 200);
}

#[tokio::test]
async fn a_stop_answers_what_the_kernel_had_accepted() {
    let config = WorkerConfig { port: 0, ..WorkerConfig::default() };
    let worker = Worker::bind(config, Clock::start()).unwrap();
    let mut waiting = std::net::TcpStream::connect(worker.address()).unwrap();
    waiting.write_all(b"GET /?cpu_ms=0 HTTP/1.1\r\nhost: worker\r\n\r\n").unwrap();
    worker.serve(std::future::ready(())).await.unwrap();
    let mut text = String::new();
    waiting.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let config = WorkerConfig { drain_deadline: Duration::from_millis(50), ..WorkerConfig::default() };
    let running = start(config);
    let _waiting = send(running.address, "GET", "/?cpu_ms=0&sleep_ms=60000", "").await;
    until_metric(running.address, "worker_requests_in_flight", 1).await;
    let error = running.stopped().await.unwrap_err();
    assert!(matches!(error, WorkerError::DrainDeadline { unfinished: 1, .. }), "{error}");
}

#[tokio::test]
async fn settings_that_cannot_be_met_are_named() {
    let first = Worker::bind(WorkerConfig { port: 0, ..WorkerConfig::default() }, Clock::start()).unwrap();
    let port = first.address().port();
    let bind = |config: WorkerConfig| Worker::bind(config, Clock::start()).err().unwrap();
    let taken = bind(WorkerConfig { port, ..WorkerConfig::default() });
    assert_eq!(taken.to_string(), format!("port {port} is taken on 127.0.0.1"));
    assert!(taken.hint().is_some());
    for cpus in [0.0, -1.0, 1.5, f64::NAN] {
        let error = bind(WorkerConfig { port: 0, cpus, ..WorkerConfig::default() });
        assert!(error.to_string().contains("share of one core"), "{error}");
    }
    let id = bind(WorkerConfig { port: 0, id: "a\nb".to_owned(), ..WorkerConfig::default() });
    assert!(id.to_string().contains("header"), "{id}");
}
