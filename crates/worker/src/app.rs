//! Answers requests: which path does what.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clock::Clock;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde_json::json;

use crate::body::Answer;
use crate::burn::{Burner, process_cpu};
use crate::config::WorkerConfig;
use crate::counters::{Counters, Metric, render};
use crate::work;

/// Bodies are read and dropped; a longer one is refused rather than read for ever.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A body must arrive within this time, so that a silent client does not hold its slot.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

const X_WORKER: HeaderName = HeaderName::from_static("x-worker");
const X_WORKER_PID: HeaderName = HeaderName::from_static("x-worker-pid");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Everything that answering needs, shared by all connections.
pub(crate) struct App {
    config: WorkerConfig,
    name: HeaderValue,
    burner: Burner,
    clock: Clock,
    ready_from: Duration,
    draining: AtomicBool,
    counters: Arc<Counters>,
}

impl App {
    /// An app that is ready once the configured start-up time has passed.
    pub(crate) fn new(config: WorkerConfig, name: HeaderValue, burner: Burner, clock: Clock) -> Self {
        let ready_from = clock.uptime() + config.start_up;
        let draining = AtomicBool::new(false);
        Self { config, name, burner, clock, ready_from, draining, counters: Arc::default() }
    }

    /// From now on `/readyz` says no.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Answers one request; every answer names the worker.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let known = [Method::GET, Method::HEAD, Method::POST].contains(request.method());
        let mut response = match request.uri().path() {
            "/" | "/requests" | "/healthz" | "/livez" | "/readyz" | "/metrics" if !known => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "use GET, HEAD or POST\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                response
            }
            "/" => self.work(request).await,
            "/requests" => json_body(&json!({ "count": self.counters.requests() })),
            "/healthz" | "/livez" => plain(StatusCode::OK, "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" => typed(StatusCode::OK, METRICS, Answer::text(render(&self.metrics()))),
            _ => plain(
                StatusCode::NOT_FOUND,
                "there is nothing here; try /, /requests, /healthz, /readyz or /metrics\n",
            ),
        };
        response.headers_mut().insert(X_WORKER, self.name.clone());
        response.headers_mut().insert(X_WORKER_PID, HeaderValue::from(std::process::id()));
        Ok(response)
    }

    fn ready(&self) -> Response<Answer> {
        if self.draining.load(Ordering::Relaxed) {
            plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        } else if self.clock.uptime() < self.ready_from {
            plain(StatusCode::SERVICE_UNAVAILABLE, "starting\n")
        } else {
            plain(StatusCode::OK, "ready\n")
        }
    }

    async fn work(&self, request: Request<Incoming>) -> Response<Answer> {
        let _in_flight = self.counters.begin();
        let began = self.clock.uptime();
        let query = request.uri().query().unwrap_or("");
        let work = match work::parse(query, self.config.cpu_ms) {
            Ok(work) => work,
            Err(wrong) => return plain(StatusCode::BAD_REQUEST, format!("{wrong}\n")),
        };
        if let Err((status, text)) = self.drop_body(request.into_body()).await {
            return plain(status, text);
        }
        let mut burned = None;
        if !work.cpu.is_zero() {
            let Ok(done) = self.burner.submit(work.cpu) else { return self.full() };
            let Ok(cost) = done.await else {
                return plain(StatusCode::SERVICE_UNAVAILABLE, "the worker is stopping\n");
            };
            burned = Some(cost);
        }
        // Even a sleep of nothing would last to the next tick of tokio's timer, a millisecond.
        if !work.sleep.is_zero() {
            self.clock.sleep(work.sleep).await;
        }
        if let Some(bytes) = work.bytes {
            return typed(StatusCode::OK, TEXT, Answer::Filler(bytes));
        }
        let took = self.clock.uptime().saturating_sub(began);
        json_body(&json!({
            "worker": self.config.id,
            "pid": std::process::id(),
            "took_ms": milliseconds(took),
            "queued_ms": milliseconds(burned.map_or(Duration::ZERO, |burned| burned.queued)),
            "cpu_ms": milliseconds(burned.map_or(Duration::ZERO, |burned| burned.cpu)),
        }))
    }

    fn full(&self) -> Response<Answer> {
        self.counters.refuse();
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "the worker's queue is full\n");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }

    /// Reads a body to its end, so that the connection can be used again.
    async fn drop_body(&self, mut body: Incoming) -> Result<(), (StatusCode, &'static str)> {
        let mut read = 0_u64;
        let reading = async {
            while !body.is_end_stream() {
                match body.frame().await {
                    None => break,
                    Some(Err(_)) => return Err((StatusCode::BAD_REQUEST, "the body broke off\n")),
                    Some(Ok(frame)) => {
                        let length = frame.data_ref().map_or(0, |piece| piece.len());
                        read = read.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                    }
                }
                if read > BODY_BYTES_MAX {
                    return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 8 MiB\n"));
                }
            }
            Ok(())
        };
        let late = (StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive\n");
        self.clock.timeout(BODY_TIME_MAX, reading).await.unwrap_or(Err(late))
    }

    fn metrics(&self) -> [Metric; 9] {
        let counter = |name, help, value| Metric { name, help, kind: "counter", value };
        let gauge = |name, help, value| Metric { name, help, kind: "gauge", value };
        let burnt = self.burner.counts();
        let ready = self.ready().status() == StatusCode::OK;
        [
            counter("worker_requests_total", "Work requests received.", self.counters.requests() as f64),
            counter(
                "worker_requests_refused_total",
                "Work requests answered 503 because the queue was full.",
                self.counters.refused() as f64,
            ),
            counter(
                "worker_requests_skipped_total",
                "Work requests given up because their client had gone.",
                burnt.skipped() as f64,
            ),
            counter("worker_cpu_seconds_total", "CPU time burnt for requests.", burnt.cpu().as_secs_f64()),
            counter(
                "process_cpu_seconds_total",
                "CPU time of the whole process.",
                process_cpu().as_secs_f64(),
            ),
            gauge(
                "worker_requests_in_flight",
                "Work requests not yet answered.",
                f64::from(self.counters.in_flight()),
            ),
            gauge(
                "worker_requests_queued",
                "Work requests waiting for the CPU.",
                self.burner.waiting() as f64,
            ),
            gauge("worker_size_cores", "Share of a core that the worker may take.", self.config.cpus),
            gauge("worker_ready", "1 when the worker takes requests.", f64::from(u8::from(ready))),
        ]
    }
}

fn milliseconds(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e3
}

fn plain(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Answer> {
    typed(status, TEXT, Answer::text(text))
}

fn json_body(value: &serde_json::Value) -> Response<Answer> {
    typed(StatusCode::OK, JSON, Answer::text(format!("{value}\n")))
}

fn typed(status: StatusCode, kind: HeaderValue, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(start_up: Duration, clock: Clock) -> App {
        let config = WorkerConfig { start_up, ..WorkerConfig::default() };
        let burner = Burner::start(1.0, clock).unwrap();
        App::new(config, HeaderValue::from_static("w0"), burner, clock)
    }

    #[tokio::test(start_paused = true)]
    async fn ready_only_between_start_up_and_draining() {
        let clock = Clock::start();
        let app = app(Duration::from_secs(2), clock);
        assert_eq!(app.ready().status(), StatusCode::SERVICE_UNAVAILABLE);
        clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(app.ready().status(), StatusCode::OK);
        app.drain();
        assert_eq!(app.ready().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
