//! When a request is tried at a second worker while the first still has it: Dean and Barroso, "The
//! Tail at Scale" (2013).
//!
//! After the time that most requests have long ended by, a second attempt costs a few percent more
//! work, and cuts off the tail that one slow worker makes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;

use crate::recent::Recent;
use crate::sync::AtomicU64;
use crate::{Backend, Pool};

/// How long a request is at its first worker until a second is asked too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeAfter {
    /// So long.
    Time(Duration),
    /// Longer than this share (0–1) of recent requests took.
    Quantile(f64),
}

/// A share is learned from so long a time,
const WINDOW: Duration = Duration::from_secs(5);
/// in which there must be so many requests: one in a hundred is then one at least.
const REQUESTS_MIN: u64 = 100;
/// Below this the second attempt would begin before the first could have been answered.
const LEAST: Duration = Duration::from_millis(1);
/// While nothing is known, and where nothing is hedged. No test of a request's costs more than this
/// comparison.
pub(crate) const NEVER: u64 = 0;

/// How the time is known.
#[derive(Debug, Default)]
pub(crate) struct Hedging {
    rule: Option<HedgeAfter>,
    recent: Recent,
}

impl Hedging {
    /// Learns from what requests did until `at`.
    pub(crate) fn learn(&mut self, at: Timestamp, ready: &[Arc<Backend>], after_nanos: &AtomicU64) {
        let Some(HedgeAfter::Quantile(share)) = self.rule else { return };
        let Some(ended) = self.recent.end(at, ready, WINDOW, REQUESTS_MIN) else { return };
        if let Some(after) = ended.durations.quantile(share) {
            after_nanos.store(nanos(after), Relaxed);
        }
    }
}

fn nanos(after: Duration) -> u64 {
    u64::try_from(after.max(LEAST).as_nanos()).unwrap_or(u64::MAX)
}

impl Pool {
    /// Has requests tried at a second backend after this; `None`: never.
    pub fn set_hedge_after(&self, rule: Option<HedgeAfter>) {
        let mut hedging = self.hedging.lock();
        if hedging.rule == rule {
            return;
        }
        let known = match rule {
            Some(HedgeAfter::Time(after)) => nanos(after),
            Some(HedgeAfter::Quantile(_)) | None => NEVER,
        };
        *hedging = Hedging { rule, recent: Recent::default() };
        self.shared.hedge_after_nanos.store(known, Relaxed);
    }

    /// After which time a second backend is asked; `None`: not at all, or nothing is known yet.
    pub fn hedge_after(&self) -> Option<Duration> {
        let nanos = self.shared.hedge_after_nanos.load(Relaxed);
        (nanos != NEVER).then(|| Duration::from_nanos(nanos))
    }
}
