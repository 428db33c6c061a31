//! Says "now" for each request of a plan, on a thread of its own.
//!
//! tokio's timers tick in milliseconds, which would be a visible part of a fast server's
//! latency; a sleeping thread wakes within some 0.1 ms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::Clock;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::tally::{Drop, Tally};
use crate::plan::Schedule;
use crate::units::Rate;

/// Longest sleep, so that a stop or a changed rate is noticed at once.
const NAP_MAX: Duration = Duration::from_millis(20);

/// Changes the rate of a run under way. All clones turn the same wheel.
#[derive(Clone, Debug)]
pub struct Throttle {
    wanted: Arc<Mutex<Option<Rate>>>,
    /// The bits of the rate set last; NaN before that.
    current: Arc<AtomicU64>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { wanted: Arc::default(), current: Arc::new(AtomicU64::new(f64::NAN.to_bits())) }
    }

    /// From now to the end of the run, this rate instead of what was planned. The closed loop
    /// knows no rate and pays no heed.
    pub fn set_rate(&self, rate: Rate) {
        self.current.store(rate.as_per_second().to_bits(), Ordering::Relaxed);
        *self.wanted.lock() = Some(rate);
    }

    /// The rate that was set last; `None` while the plan holds.
    pub fn rate(&self) -> Option<Rate> {
        Rate::per_second(f64::from_bits(self.current.load(Ordering::Relaxed)))
    }
}

/// Hands out the moment at which each request is due, when it is due; returns the schedule at
/// its end, or when told to stop. Blocks.
pub(crate) fn pace(
    mut schedule: Schedule,
    throttle: &Throttle,
    (clock, began): (Clock, Duration),
    tickets: &mpsc::Sender<Duration>,
    tally: &Tally,
    stop: &CancellationToken,
) -> Schedule {
    while !stop.is_cancelled() {
        let now = clock.uptime().saturating_sub(began);
        if let Some(rate) = throttle.wanted.lock().take() {
            schedule.set_rate(now, rate.as_per_second());
        }
        match schedule.due() {
            Some(due) if due <= now => {
                schedule.advance();
                match tickets.try_send(due) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => tally.drop_one(Drop::Late),
                    Err(mpsc::error::TrySendError::Closed(_)) => break,
                }
            }
            Some(due) => std::thread::sleep((due - now).min(NAP_MAX)),
            None if schedule.is_over(now) => break,
            None => std::thread::sleep(NAP_MAX),
        }
    }
    schedule
}
