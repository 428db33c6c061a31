//! Metrics as text. Two dialects: OpenMetrics for who asks for it, else Prometheus' older
//! text format. They differ in a counter's family name, which one wants without `_total` and
//! the other with it, so that no single text satisfies both strictly.

mod page;

use axum::http::HeaderValue;
use control::State;
use jiff::Timestamp;

pub use page::Dialect;

use self::page::{Kind, Page};
use crate::board::Tallies;
use crate::ports::{Ports, Totals};
use crate::status::Status;

const STATES: [State; 5] = [State::Starting, State::Ready, State::Unhealthy, State::Draining, State::Backoff];

impl Dialect {
    /// What a request's `Accept` header asks for.
    pub(crate) fn accepted(header: Option<&HeaderValue>) -> Self {
        let asked = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
        if asked.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// The whole page of metrics.
pub fn render(ports: &Ports, now: Timestamp, dialect: Dialect) -> String {
    let status = Status::of(ports, now);
    let mut page = Page::new(dialect);
    pool(&mut page, &status);
    signal(&mut page, ports);
    prediction(&mut page, ports);
    decisions(&mut page, &ports.board.tallies());
    workers(&mut page, &status);
    proxy(&mut page, &(ports.totals)());
    record(&mut page, &status);
    page.finish()
}

fn pool(page: &mut Page, status: &Status) {
    page.family("autoscale_build_info", Kind::Gauge, "Version of autoscale; always 1.");
    page.sample(&[("version", &status.version)], 1.0);
    let counts = [
        ("autoscale_desired_replicas", "Workers that there should be.", status.desired),
        ("autoscale_min_replicas", "Lower bound of the pool.", status.min),
        ("autoscale_max_replicas", "Upper bound of the pool.", status.max),
        ("autoscale_paused", "Whether an order keeps the pool as it is.", u32::from(status.paused)),
        ("autoscale_held", "Whether a number set by hand is held.", u32::from(status.held.is_some())),
    ];
    for (name, about, count) in counts {
        page.gauge(name, about, f64::from(count));
    }
    page.family("autoscale_workers", Kind::Gauge, "Workers by state.");
    for state in STATES {
        let count = status.workers.iter().filter(|worker| worker.state == state).count();
        page.sample(&[("state", &state.to_string())], count as f64);
    }
    if let Some(percent) = status.cpu.host_percent {
        page.gauge("autoscale_host_cpu_ratio", "CPU in use of the whole machine.", percent / 100.0);
    }
    if let Some(turned_at) = status.turned_at {
        let about = "When the control loop last turned, in Unix time.";
        page.gauge("autoscale_last_turn_timestamp_seconds", about, turned_at.as_millisecond() as f64 / 1e3);
    }
}

fn prediction(page: &mut Page, ports: &Ports) {
    let Some(prediction) = ports.prediction.as_ref().map(|prediction| prediction()) else { return };
    let about = "What the signal is expected to be, by seconds ahead and quantile.";
    page.family("autoscale_forecast_value", Kind::Gauge, about);
    for ahead in &prediction.horizons {
        let seconds = ahead.seconds.to_string();
        let levels = [("0.1", ahead.q10), ("0.5", Some(ahead.q50)), ("0.9", ahead.q90)];
        for (level, value) in levels.into_iter().filter_map(|(level, value)| Some((level, value?))) {
            page.sample(&[("ahead_seconds", &seconds), ("quantile", level)], value);
        }
    }
    page.family("autoscale_forecast_trusted", Kind::Gauge, "Whether the model has earned trust.");
    page.sample(&[("model", &prediction.model)], f64::from(u8::from(prediction.trust == "trusted")));
    page.family("autoscale_forecast_coverage_ratio", Kind::Gauge, "Outcomes at or below the 0.9 quantile.");
    for score in &prediction.scores {
        page.sample(&[("ahead_seconds", &score.seconds.to_string())], score.coverage_90);
    }
    let about = "Mean absolute error over that of repeating the last reading.";
    page.family("autoscale_forecast_relative_error", Kind::Gauge, about);
    for score in &prediction.scores {
        page.sample(&[("ahead_seconds", &score.seconds.to_string())], score.relative_mae);
    }
}

fn signal(page: &mut Page, ports: &Ports) {
    let Some(newest) = ports.board.newest() else { return };
    let control::Cycle::Decided { decision, .. } = newest.as_ref() else { return };
    let Some(measured) = &decision.measured else { return };
    if let Some(value) = measured.value {
        page.family("autoscale_signal_value", Kind::Gauge, "What the policy decides by, in its own unit.");
        page.sample(&[("signal", &measured.signal)], value);
    }
    let lines = [("up", measured.up), ("down", measured.down)];
    if lines.iter().any(|(_, line)| line.is_some()) {
        page.family("autoscale_signal_target", Kind::Gauge, "Lines that the signal is held against.");
        for (name, line) in lines {
            if let Some(line) = line {
                page.sample(&[("signal", &measured.signal), ("line", name)], line);
            }
        }
    }
}

fn decisions(page: &mut Page, tallies: &Tallies) {
    page.family("autoscale_decisions", Kind::Counter, "Turns by what was decided, by which rule and policy.");
    for ((action, rule, policy), count) in &tallies.decisions {
        page.sample(&[("action", action), ("reason", rule), ("engine", policy)], *count as f64);
    }
    page.counter("autoscale_blind_turns", "Turns at which the pool could not be seen.", tallies.blind as f64);
    page.counter("autoscale_refused_orders", "Orders that the pool refused.", tallies.refused as f64);
    let about = "Workers existing times how long they did.";
    page.counter("autoscale_worker_seconds", about, tallies.ledger.worker_seconds);
}

fn workers(page: &mut Page, status: &Status) {
    let about = "Workers that ended unasked.";
    page.counter("autoscale_worker_crashes", about, status.fleet.crashes as f64);
    page.family("autoscale_worker_info", Kind::Gauge, "Process of a worker; always 1.");
    for worker in &status.workers {
        if let Some(pid) = worker.pid {
            page.sample(&[("worker", &worker.id), ("pid", &pid.to_string())], 1.0);
        }
    }
    type Read = fn(&crate::status::WorkerStatus) -> Option<f64>;
    let families: [(&str, Kind, &str, Read); 6] = [
        ("autoscale_worker_cpu_ratio", Kind::Gauge, "CPU in use of a worker's size.", |worker| {
            worker.cpu_percent.map(|percent| percent / 100.0)
        }),
        (
            "autoscale_worker_resident_memory_bytes",
            Kind::Gauge,
            "Memory of a worker's processes.",
            |worker| worker.memory_bytes.map(|bytes| bytes as f64),
        ),
        ("autoscale_worker_inflight", Kind::Gauge, "Requests at a worker now.", |worker| {
            Some(f64::from(worker.in_flight))
        }),
        ("autoscale_worker_uptime_seconds", Kind::Gauge, "Age of a worker's process.", |worker| {
            worker.pid.map(|_| worker.uptime_s)
        }),
        ("autoscale_worker_requests", Kind::Counter, "Requests that a worker has ended.", |worker| {
            Some(worker.requests as f64)
        }),
        ("autoscale_worker_restarts", Kind::Counter, "Restarts of a slot after a crash.", |worker| {
            Some(f64::from(worker.restarts))
        }),
    ];
    for (name, kind, about, read) in families {
        page.family(name, kind, about);
        for worker in &status.workers {
            if let Some(value) = read(worker) {
                page.sample(&[("worker", &worker.id)], value);
            }
        }
    }
}

fn proxy(page: &mut Page, totals: &Totals) {
    page.family("autoscale_proxy_requests", Kind::Counter, "Requests ended, by class of status.");
    for (class, count) in &totals.classes {
        page.sample(&[("code", class)], *count as f64);
    }
    page.counter("autoscale_proxy_failed_requests", "Requests that did not end well.", totals.failed as f64);
    page.counter("autoscale_proxy_retries", "Tries on another worker.", totals.retries as f64);
    page.gauge("autoscale_proxy_inflight", "Requests at workers now.", f64::from(totals.in_flight));
    page.gauge("autoscale_proxy_queue_depth", "Requests waiting for a worker.", f64::from(totals.queued));
    if let Some(limit) = totals.limit {
        let about = "Requests at one worker at most, set by hand or learned.";
        page.gauge("autoscale_proxy_worker_limit", about, f64::from(limit));
    }
    if let Some(circuit) = totals.circuit {
        page.family("autoscale_proxy_circuit", Kind::Gauge, "Whether the circuit breaker is in this state.");
        for state in traffic::Circuit::ALL.map(traffic::Circuit::name) {
            page.sample(&[("state", state)], f64::from(u8::from(state == circuit)));
        }
    }
    let (hedges, won) = totals.hedges;
    page.counter("autoscale_proxy_hedges", "Second attempts beside slow first ones.", hedges as f64);
    page.counter("autoscale_proxy_hedges_won", "Those of them that answered first.", won as f64);
    page.family("autoscale_proxy_refused", Kind::Counter, "Requests and clients refused, by reason.");
    for (reason, count) in &totals.refused {
        page.sample(&[("reason", reason)], *count as f64);
    }
    page.gauge("autoscale_proxy_connections", "Client connections now.", totals.connections as f64);
    let about = "From the first byte of a request to the last of its answer.";
    page.family("autoscale_proxy_request_duration_seconds", Kind::Histogram, about);
    page.histogram(&[], &totals.latency_buckets, totals.latency_sum_s, totals.latency_count);
    let about = "Time that a request is at its worker.";
    page.family("autoscale_worker_request_duration_seconds", Kind::Histogram, about);
    for worker in &totals.workers {
        page.histogram(&[("worker", &worker.worker)], &worker.buckets, worker.sum_s, worker.count);
    }
    let Some(log) = &totals.access_log else { return };
    let about = "Lines written to the access log.";
    page.counter("autoscale_access_log_lines", about, log.written as f64);
    let about = "Lines that the access log lost, because they came too fast or could not be written.";
    page.counter("autoscale_access_log_dropped_lines", about, log.dropped as f64);
}

fn record(page: &mut Page, status: &Status) {
    let Some(health) = &status.record else { return };
    page.counter("autoscale_run_file_cycles", "Turns written to the run file.", health.recorded as f64);
    let about = "Turns that could not be written to the run file.";
    page.counter("autoscale_run_file_dropped_cycles", about, health.dropped as f64);
}
