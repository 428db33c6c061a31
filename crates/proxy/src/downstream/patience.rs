//! How long a connection has been at what it does; one timer serves whatever that is.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use clock::{Clock, Timer};

/// The timer is not set for each thing that is waited for, as most are over long before: where one
/// must end sooner than the timer, the timer is brought forward; where it may take longer, the timer
/// goes off once for nothing and is set to its end.
#[derive(Debug)]
pub(super) struct Patience {
    clock: Clock,
    timer: Timer,
    /// When the timer goes off, as uptime.
    alarm_at: Duration,
    since: Duration,
}

impl Patience {
    /// Something begins that is allowed to take so long.
    pub(super) fn new(clock: Clock, allowed: Duration) -> Self {
        let since = clock.uptime();
        Self { clock, timer: clock.timer(allowed), alarm_at: since + allowed, since }
    }

    /// Something else begins.
    pub(super) fn begin(&mut self) {
        self.since = self.clock.uptime();
    }

    /// Ready once it takes this long.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>, allowed: Duration) -> Poll<()> {
        let end = self.since.saturating_add(allowed);
        if self.alarm_at > end {
            self.set(end);
        }
        while Pin::new(&mut self.timer).poll(cx).is_ready() {
            if self.clock.uptime() >= end {
                return Poll::Ready(());
            }
            self.set(end);
        }
        Poll::Pending
    }

    fn set(&mut self, end: Duration) {
        self.alarm_at = end;
        self.timer.set(end.saturating_sub(self.clock.uptime()));
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
            // The runtime's timers go by whole milliseconds.
            assert!(
                took >= allowed && took <= allowed + Duration::from_millis(2),
                "{took:?} for {allowed:?}"
            );
        }
    }
}
