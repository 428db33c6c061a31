//! The only place that reads time: wall-anchored, monotonic, obedient to tokio's paused time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, Sleep};

/// Reads time and waits for it. Cheap to copy; all copies agree.
///
/// Wall time is read once, at [`Clock::start`]; from then on time only moves with the
/// monotonic clock, so a machine whose clock is stepped back or forward neither repeats a
/// turn nor skips one. Under `tokio::time::pause` it follows the paused time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
}

/// A deadline passed before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("deadline passed")
    }
}

impl std::error::Error for Elapsed {}

impl Clock {
    /// Anchors a clock to the machine's wall time, now.
    pub fn start() -> Self {
        Self::at(Timestamp::now())
    }

    /// A clock that reads `wall` now; for tests and for continuing a recorded run.
    pub fn at(wall: Timestamp) -> Self {
        Self { wall, started: Instant::now() }
    }

    /// The present moment; never earlier than any moment read before.
    pub fn now(&self) -> Timestamp {
        self.wall.saturating_add(self.started.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// Time since this clock was started.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until `at`; returns at once if it has passed.
    pub async fn sleep_until(&self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        tokio::time::sleep(wait).await;
    }

    /// Waits for `length`.
    pub async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }

    /// A wait for `length` that can be set again.
    pub fn timer(&self, length: Duration) -> Timer {
        Timer(Box::pin(tokio::time::sleep(length)))
    }

    /// Runs `work`, dropping it when it takes longer than `after`.
    pub async fn timeout<F: Future>(&self, after: Duration, work: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(after, work).await.map_err(|_| Elapsed)
    }
}

/// A wait that can be set again, for what waits often and seldom to the end: it costs less than a
/// new one each time. Polled when it is over, it is still over.
#[derive(Debug)]
pub struct Timer(Pin<Box<Sleep>>);

impl Timer {
    /// Waits for `length` from now.
    pub fn set(&mut self, length: Duration) {
        self.0.as_mut().reset(Instant::now() + length);
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time() {
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::at(wall);
        clock.sleep_until(wall + Duration::from_secs(90)).await;
        assert_eq!(clock.now(), wall + Duration::from_secs(90));
        clock.sleep_until(wall).await;
        assert_eq!(clock.now(), wall + Duration::from_secs(90), "a past moment is not waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_ends_work() {
        let clock = Clock::start();
        let never = std::future::pending::<()>();
        assert_eq!(clock.timeout(Duration::from_secs(1), never).await, Err(Elapsed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_is_set_again() {
        let clock = Clock::start();
        let mut timer = clock.timer(Duration::from_secs(1));
        (&mut timer).await;
        timer.set(Duration::from_secs(2));
        timer.await;
        assert_eq!(clock.uptime(), Duration::from_secs(3));
    }
}
