//! The balancer's meter as a source of the control loop, and as totals of the admin API.

use std::sync::Arc;
use std::time::Duration;

use admin::Totals;
use jiff::Timestamp;
use live::{Source, SourceError};
use traffic::meter::Reading;
use traffic::{Meter, Pool, Sample};

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
        Ok(Sample { window, backends: self.pool.backends() })
    }
}

/// Everything since the start.
pub(super) fn totals(reading: &Reading) -> Totals {
    let latency = &reading.latency;
    let bucket = |millis: &u64| {
        let bound = Duration::from_millis(*millis);
        (bound.as_secs_f64(), latency.at_most(bound))
    };
    let at_workers = reading.open().saturating_sub(reading.queued);
    Totals {
        requests: reading.completions + reading.failures,
        failed: reading.failures,
        in_flight: u32::try_from(at_workers).unwrap_or(u32::MAX),
        queued: u32::try_from(reading.queued).unwrap_or(u32::MAX),
        retries: reading.retries,
        classes: classes(reading),
        latency_buckets: BOUNDS_MS.iter().map(bucket).collect(),
        latency_sum_s: latency.sum().as_secs_f64(),
        latency_count: latency.count(),
    }
}

fn classes(reading: &Reading) -> Vec<(&'static str, u64)> {
    ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(reading.statuses).collect()
}
