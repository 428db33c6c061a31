//! Power of two choices: of two backends by lot, the one that promises the shorter wait.

use super::{Balancer, Candidates, Draw, Entry, spread};
use crate::Backend;

pub(super) const ENTRY: Entry = Entry {
    name: "p2c_peak_ewma",
    about: "Of two ready workers by lot, the one with the lower latency × requests in flight.",
    build: || Box::new(P2cPeakEwma),
};

/// Latencies of equal workers differ by chance, and chance must not starve whoever was slowest a
/// moment ago: within this factor they count as equal, and only requests in flight decide.
const ALIKE: f64 = 2.0;
/// One request in so many takes the first lot's backend, whatever it promises: a worker that was
/// slow once is tried again even where the others leave it nothing.
const EXPLORE_ONE_IN: u64 = 32;

/// Mitzenmacher, "The power of two choices in randomized load balancing" (2001); the estimate is
/// Finagle's peak EWMA: it jumps to a slow answer at once and comes down over time.
#[derive(Debug, Default)]
pub(super) struct P2cPeakEwma;

impl Balancer for P2cPeakEwma {
    fn pick(&self, ready: Candidates<'_>, draw: &Draw) -> Option<usize> {
        let first_lot = spread(draw.random);
        let second_lot = spread(first_lot);
        let first = ready.by_lot(first_lot, None)?;
        if spread(second_lot).is_multiple_of(EXPLORE_ONE_IN) {
            return Some(first);
        }
        let Some(second) = ready.by_lot(second_lot, Some(first)) else { return Some(first) };
        // One that filled meanwhile costs nothing to pass over: the pool picks again.
        let (Some(a), Some(b)) = (ready.get(first), ready.get(second)) else { return Some(first) };
        Some(if promises_less(b, a, draw) { second } else { first })
    }

    fn reads_latency(&self) -> bool {
        true
    }
}

/// Whether a request would wait less long at `b` than at `a`.
fn promises_less(b: &Backend, a: &Backend, draw: &Draw) -> bool {
    let (latency_a, latency_b) = (latency(a, draw), latency(b, draw));
    let (ahead_a, ahead_b) = (ahead(a), ahead(b));
    if latency_a < latency_b * ALIKE && latency_b < latency_a * ALIKE {
        return ahead_b < ahead_a;
    }
    latency_b * ahead_b < latency_a * ahead_a
}

/// In seconds; where nothing is known yet, next to nothing, so that it soon is.
fn latency(backend: &Backend, draw: &Draw) -> f64 {
    backend.latency(draw.at).as_secs_f64().max(1e-6)
}

/// The requests before this one and itself, per unit of weight.
fn ahead(backend: &Backend) -> f64 {
    (f64::from(backend.in_flight()) + 1.0) / f64::from(backend.weight().max(1))
}
