//! Runs against a tiny server: every request is accounted for, whatever the server does.

#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use clock::Clock;
use loadgen::{Load, LoadConfig, Rate, Report, Shape, Verdict};
use server::{Manner, Server};
use tokio_util::sync::CancellationToken;

/// No run here takes this long, however slow the machine.
const DEADLINE: Duration = Duration::from_secs(60);

fn to(address: SocketAddr, shape: Shape) -> LoadConfig {
    let target = format!("http://{address}/path").parse().expect("a URL");
    LoadConfig { shape, grace: DEADLINE, timeout: DEADLINE, ..LoadConfig::new(target) }
}

fn per_second(rate: f64) -> Shape {
    Shape::Rate(Rate::per_second(rate).expect("a rate"))
}

async fn run(config: LoadConfig) -> Report {
    let load = loadgen::run(config, Clock::start(), CancellationToken::new(), |_| {});
    let report = tokio::time::timeout(DEADLINE, load).await.expect("it ends").expect("it runs");
    assert_eq!(report.sent, report.succeeded + report.failed, "{report}");
    let answered: u64 = report.statuses.values().sum();
    assert_eq!(report.sent, answered + report.errors.values().sum::<u64>(), "{report}");
    report
}

#[tokio::test]
async fn an_open_loop_sends_what_was_planned() {
    let server = Server::start(Manner::default()).await;
    let stages = "0s:100,500ms:hold,500ms:200".parse().unwrap();
    let report = run(to(server.address, Shape::Stages { start: Rate::ZERO, stages })).await;
    assert_eq!((report.sent, report.dropped, report.failed), (125, 0, 0), "{report}");
    assert_eq!(server.requests(), 125);
    assert_eq!(report.statuses, BTreeMap::from([(200, 125)]));
    assert_eq!(report.workers, BTreeMap::from([("w1".to_owned(), 125)]));
    assert_eq!(report.bytes, 125 * 5);
    assert!((report.rate_asked.unwrap() - 125.0).abs() < 1e-6, "{report}");
    let (corrected, uncorrected) = (report.latency_ms.unwrap(), report.uncorrected_latency_ms.unwrap());
    assert!(corrected.max >= uncorrected.max && uncorrected.p50 > 0.0, "{report}");
}

#[tokio::test]
async fn requests_that_wait_for_a_slow_server_are_late_from_when_they_were_due() {
    let delay = Duration::from_millis(20);
    let server = Server::start(Manner { delay, ..Manner::default() }).await;
    let config = LoadConfig {
        connections: Some(1),
        duration: Some(Duration::from_millis(500)),
        ..to(server.address, per_second(100.0))
    };
    let report = run(config).await;
    assert_eq!((report.succeeded, report.dropped), (50, 0), "{report}");
    assert_eq!(server.connections(), 1);
    // Fifty answers of 20 ms, one after another, to the last request, due after 490 ms.
    let (corrected, uncorrected) = (report.latency_ms.unwrap(), report.uncorrected_latency_ms.unwrap());
    assert!(corrected.max >= 505.0, "{report}");
    assert!(corrected.p50 > uncorrected.p50 && uncorrected.p50 >= 20.0, "{report}");
}

#[tokio::test]
async fn a_closed_loop_sends_as_many_as_it_was_told_on_few_connections() {
    let server = Server::start(Manner::default()).await;
    let config = LoadConfig { connections: Some(4), requests: Some(57), ..to(server.address, Shape::Closed) };
    let report = run(config).await;
    assert_eq!((report.sent, report.succeeded, server.requests()), (57, 57, 57), "{report}");
    assert!(server.connections() <= 4);
    assert_eq!(report.rate_asked, None);
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_costs_no_request() {
    let server = Server::start(Manner { closes: true, ..Manner::default() }).await;
    let config = LoadConfig { connections: Some(3), requests: Some(30), ..to(server.address, Shape::Closed) };
    let report = run(config).await;
    assert_eq!((report.succeeded, server.connections()), (30, 30), "{report}");
}

#[tokio::test]
async fn a_dead_server_is_in_the_report() {
    let address = Server::start(Manner::default()).await.address;
    // The port is free again once the accepting task is gone.
    let gone = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
    let config = LoadConfig { requests: Some(20), ..to(address, per_second(100.0)) };
    let report = run(config).await;
    assert_eq!((report.sent, report.failed), (20, 20), "{report}");
    assert_eq!(report.errors, BTreeMap::from([("connection_refused", 20)]));
    assert_eq!((report.latency_ms, report.verdict), (None, Verdict::Inconclusive));
    let config = LoadConfig { requests: Some(20), ..to(address, Shape::Closed) };
    assert_eq!(run(config).await.errors, BTreeMap::from([("connection_refused", 20)]));
}

#[tokio::test]
async fn refusals_are_failures_without_a_latency() {
    let server = Server::start(Manner { status: 503, ..Manner::default() }).await;
    let report = run(LoadConfig { requests: Some(10), ..to(server.address, per_second(100.0)) }).await;
    assert_eq!((report.failed, report.latency_ms), (10, None), "{report}");
    assert_eq!(report.statuses, BTreeMap::from([(503, 10)]));
}

#[tokio::test]
async fn a_silent_server_runs_into_the_time_out_which_counts_as_latency() {
    let server = Server::start(Manner { silent: true, ..Manner::default() }).await;
    let timeout = Duration::from_millis(100);
    let config = LoadConfig { timeout, requests: Some(5), ..to(server.address, per_second(100.0)) };
    let report = run(config).await;
    assert_eq!(report.errors, BTreeMap::from([("timed_out", 5)]));
    assert!(report.latency_ms.unwrap().p50 >= 99.9, "{report}");
}

#[tokio::test]
async fn what_is_still_under_way_after_the_grace_is_given_up_and_counted() {
    let server = Server::start(Manner { silent: true, ..Manner::default() }).await;
    let grace = Duration::from_millis(50);
    let config = LoadConfig { grace, requests: Some(5), ..to(server.address, per_second(100.0)) };
    assert_eq!(run(config).await.errors, BTreeMap::from([("unfinished", 5)]));
    let config = LoadConfig {
        grace,
        connections: Some(2),
        duration: Some(Duration::from_millis(50)),
        ..to(server.address, Shape::Closed)
    };
    assert_eq!(run(config).await.errors, BTreeMap::from([("unfinished", 2)]));
}

#[tokio::test]
async fn requests_beyond_the_bound_are_dropped_and_counted() {
    let server = Server::start(Manner { silent: true, ..Manner::default() }).await;
    let grace = Duration::from_millis(50);
    let config =
        LoadConfig { grace, in_flight_max: 3, requests: Some(20), ..to(server.address, per_second(200.0)) };
    let report = run(config.clone()).await;
    assert_eq!((report.sent, report.dropped), (3, 17), "{report}");
    assert!(report.reasons.iter().any(|reason| reason.contains("slower than the rate")), "{report}");
    let report = run(LoadConfig { connections: Some(1), ..config }).await;
    assert_eq!((report.sent, report.dropped), (1, 19), "those waiting for a connection too: {report}");
}

#[tokio::test]
async fn the_rate_can_be_changed_and_the_run_stopped() {
    let server = Server::start(Manner::default()).await;
    let config =
        LoadConfig { duration: Some(Duration::from_secs(3600)), ..to(server.address, per_second(0.0)) };
    let load = Load::new(config).unwrap();
    let (throttle, stop) = (load.throttle(), CancellationToken::new());
    let seen = Mutex::new(Vec::new());
    let running = load.run(Clock::start(), stop.clone(), |progress| seen.lock().unwrap().push(progress));
    let steering = async {
        assert_eq!(throttle.rate(), None);
        throttle.set_rate(Rate::per_second(50.0).unwrap());
        while server.requests() < 5 || seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(throttle.rate(), Rate::per_second(50.0));
        stop.cancel();
    };
    let both = async { tokio::join!(running, steering).0.unwrap() };
    let report = tokio::time::timeout(DEADLINE, both).await.expect("it stops");
    assert_eq!((report.sent, report.failed), (server.requests(), 0), "{report}");
    let asked = report.rate_asked.unwrap();
    assert!(asked > 0.0 && asked <= 50.0, "the mean of 0 and 50: {report}");
    assert!(seen.into_inner().unwrap()[0].elapsed >= Duration::from_secs(1));
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let address = "127.0.0.1:9".parse().unwrap();
    let config = || to(address, Shape::Closed);
    let cases = [
        (LoadConfig { connections: Some(0), ..config() }, "0 connections: expected 1 to 20000"),
        (LoadConfig { requests: Some(0), ..config() }, "nothing to do"),
        (LoadConfig { in_flight_max: 0, ..config() }, "0 requests in flight"),
        (LoadConfig { timeout: Duration::ZERO, ..config() }, "the time-out of a request"),
    ];
    for (config, expected) in cases {
        let error = Load::new(config).err().expect("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let config = LoadConfig::new("http://no-such-host.invalid/".parse().unwrap());
    let error = loadgen::run(config, Clock::start(), CancellationToken::new(), |_| {}).await.unwrap_err();
    assert!(
        error.to_string().starts_with("there is no address for the host `no-such-host.invalid`"),
        "{error}"
    );
}
