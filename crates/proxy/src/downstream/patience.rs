//! How long a connection has been at what it does; one timer serves whatever that is.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use clock::{Clock, Timer};

/// Looking at the time more often would cost more than it gains; and a time-out comes at most so
/// much too late.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// No time-out is so short that it may be looked for without a pause.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(1);

/// The timer is not set for each thing that is waited for, but looks now and then at how long it has
/// been going on: most are over long before.
#[derive(Debug)]
pub(super) struct Patience {
    clock: Clock,
    timer: Timer,
    look_every: Duration,
    since: Duration,
}

impl Patience {
    /// `shortest` is the shortest of the time-outs.
    pub(super) fn new(clock: Clock, shortest: Duration) -> Self {
        let look_every = shortest.clamp(LOOK_EVERY_MIN, LOOK_EVERY);
        Self { clock, timer: clock.timer(look_every), look_every, since: clock.uptime() }
    }

    /// Something else begins.
    pub(super) fn begin(&mut self) {
        self.since = self.clock.uptime();
    }

    /// The same, of what is awaited to its end: that is noticed then, and not a little later.
    pub(super) fn begin_exactly(&mut self, length: Duration) {
        self.begin();
        self.timer.set(length);
    }

    /// Ready once it takes this long.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>, allowed: Duration) -> Poll<()> {
        while Pin::new(&mut self.timer).poll(cx).is_ready() {
            let left = allowed.saturating_sub(self.clock.uptime().saturating_sub(self.since));
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.timer.set(left.min(self.look_every));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_in_time_however_often_something_new_begins() {
        let clock = Clock::start();
        let (short, long) = (Duration::from_millis(200), Duration::from_secs(10));
        let mut patience = Patience::new(clock, short);
        for allowed in [long, short, long] {
            let begun = clock.uptime();
            patience.begin();
            std::future::poll_fn(|cx| patience.poll_over(cx, allowed)).await;
            let took = clock.uptime() - begun;
            assert!(took >= allowed && took <= allowed + short, "{took:?} for {allowed:?}");
        }
    }
}
