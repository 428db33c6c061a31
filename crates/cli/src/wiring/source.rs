//! The balancer's meter as a source of the control loop, and as totals of the admin API.

use std::sync::Arc;
use std::time::Duration;

use admin::{LogTotals, Totals, WorkerTotals};
use jiff::Timestamp;
use live::{Source, SourceError};
use proxy::Router;
use traffic::meter::{Distribution, Reading};
use traffic::{Backend, Circuit, Ledger, Meter, Pool, Sample};

/// Bounds of the latency histogram in `/metrics`, in milliseconds: OpenTelemetry's for HTTP
/// servers, with finer ones below 5 ms, where a balancer lives.
const BOUNDS_MS: &[u64] = &[1, 2, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];

/// Reads the window since it was last asked.
pub(super) struct MeterSource {
    pool: Arc<Pool>,
    meter: Arc<Meter>,
    last: Reading,
}

impl MeterSource {
    pub(super) fn new(pool: Arc<Pool>, meter: Arc<Meter>, now: Timestamp) -> Self {
        Self { pool, meter, last: Reading::empty(now) }
    }
}

impl Source for MeterSource {
    async fn sample(&mut self, now: Timestamp) -> Result<Sample, SourceError> {
        let reading = self.meter.read(now);
        let window = reading.since(&self.last);
        self.last = reading;
        let ledger = Ledger::of(&self.last, &self.pool);
        Ok(Sample { window, backends: self.pool.backends(), ledger: Some(ledger) })
    }
}

/// Everything since the start.
pub(super) fn totals(reading: &Reading, router: &Router) -> Totals {
    let latency = &reading.latency;
    let log = router.config().access_log;
    let worker = |backend: &Arc<Backend>| {
        let durations = backend.durations();
        WorkerTotals {
            worker: backend.id().to_string(),
            buckets: buckets(&durations),
            sum_s: durations.sum().as_secs_f64(),
            count: durations.count(),
        }
    };
    let at_workers = reading.open().saturating_sub(reading.queued);
    Totals {
        requests: reading.completions + reading.failures(),
        failed: reading.failures(),
        in_flight: u32::try_from(at_workers).unwrap_or(u32::MAX),
        queued: u32::try_from(reading.queued).unwrap_or(u32::MAX),
        retries: reading.retries,
        classes: classes(reading),
        connections: u64::try_from(router.connections()).unwrap_or(u64::MAX),
        circuit: router.pool().circuit(reading.at).map(Circuit::name),
        hedges: router.hedged(),
        refused: refused(reading, router),
        limit: router.pool().in_flight_max(),
        latency_buckets: buckets(latency),
        latency_sum_s: latency.sum().as_secs_f64(),
        latency_count: latency.count(),
        workers: router.pool().ready().iter().map(worker).collect(),
        access_log: log.map(|log| LogTotals { written: log.written(), dropped: log.dropped() }),
    }
}

/// Requests, and clients that had not asked anything yet, that were refused.
fn refused(reading: &Reading, router: &Router) -> Vec<(&'static str, u64)> {
    let mut refused = reading.refused.clone();
    for (reason, count) in router.clients_refused() {
        *refused.entry(reason).or_default() += count;
    }
    refused.into_iter().collect()
}

fn buckets(durations: &Distribution) -> Vec<(f64, u64)> {
    let bounds = BOUNDS_MS.iter().map(|millis| Duration::from_millis(*millis));
    bounds.map(|bound| (bound.as_secs_f64(), durations.at_most(bound))).collect()
}

fn classes(reading: &Reading) -> Vec<(&'static str, u64)> {
    ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(reading.statuses).collect()
}
