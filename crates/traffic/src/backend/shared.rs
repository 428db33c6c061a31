//! What all backends of a pool share, and the pool may change under load.

use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;

use crate::breaker::Breaker;
use crate::health::Ejection;
use crate::hedge;
use crate::sync::{AtomicU32, AtomicU64};
use crate::writers::Writers;

/// Read by every request, and rarely written, but for `waiting`.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Requests waiting for a lease; here, so that a lease that ends asks it without going through
    /// the pool.
    pub(crate) waiting: CachePadded<AtomicU32>,
    pub(crate) in_flight_max: AtomicU32,
    /// Who leases and ends leases.
    pub(crate) writers: Writers,
    /// Whether the balancer will ask how long requests take.
    pub(crate) learns_latency: AtomicBool,
    pub(crate) slow_start_micros: AtomicU64,
    pub(crate) ejection: ArcSwap<Ejection>,
    /// Its window; what every answer needs of it.
    pub(crate) judged_over_micros: AtomicU64,
    pub(crate) breaker: Breaker,
    pub(crate) hedge_after_nanos: AtomicU64,
}

impl Shared {
    /// Without slow start, breaker and hedging.
    pub(crate) fn new(
        writers: Writers,
        learns_latency: bool,
        in_flight_max: u32,
        ejection: Ejection,
    ) -> Self {
        Self {
            waiting: CachePadded::default(),
            in_flight_max: AtomicU32::new(in_flight_max),
            writers,
            learns_latency: AtomicBool::new(learns_latency),
            slow_start_micros: AtomicU64::new(0),
            judged_over_micros: AtomicU64::new(ejection.judged_over_micros()),
            ejection: ArcSwap::from_pointee(ejection),
            breaker: Breaker::default(),
            hedge_after_nanos: AtomicU64::new(hedge::NEVER),
        }
    }
}
