//! Counts what the worker did and writes it for Prometheus.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counts of work requests; probes and other paths are not among them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    refused: AtomicU64,
    in_flight: AtomicU32,
}

impl Counters {
    /// A work request came in; it counts as in flight until the guard drops.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// A work request was refused because the queue was full.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Work requests that came in so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Work requests not yet answered.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Work requests answered 503 for want of room.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// One work request between its arrival and its answer, or its client's leaving.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Counters>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One metric as Prometheus reads it.
pub(crate) struct Metric {
    /// Name with its unit; a counter's ends in `_total`.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
    /// `counter` or `gauge`.
    pub(crate) kind: &'static str,
    /// The reading.
    pub(crate) value: f64,
}

/// The text format, version 0.0.4.
pub(crate) fn render(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for Metric { name, help, kind, value } in metrics {
        // Writing into a String cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_flight_until_its_guard_drops() {
        let counters = Arc::new(Counters::default());
        let (one, two) = (counters.begin(), counters.begin());
        assert_eq!((counters.requests(), counters.in_flight()), (2, 2));
        drop(one);
        assert_eq!((counters.requests(), counters.in_flight()), (2, 1));
        drop(two);
        assert_eq!((counters.requests(), counters.in_flight()), (2, 0));
    }

    #[test]
    fn metrics_are_written_for_prometheus() {
        let metric = Metric { name: "a_total", help: "Things.", kind: "counter", value: 3.5 };
        assert_eq!(render(&[metric]), "# HELP a_total Things.\n# TYPE a_total counter\na_total 3.5\n");
    }
}
