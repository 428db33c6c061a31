//! What a client's connection is doing, since when, and for how long it may.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::Duration;

use clock::Clock;

use crate::Config;

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The first byte ever.
    Fresh,
    /// The next request.
    Idle,
    /// The rest of a request's head.
    Head,
    /// An answer, or its last byte.
    Busy,
}

/// Whether the connection may go on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Yes; look again after this long.
    Wait(Duration),
    /// No: it took too long over this.
    Expired(Phase),
}

/// A client that closes its side after its request may have gone, or wait for the answer: which, only
/// sending to it would tell. So a worker that has the request has this long to begin its answer.
const HALF_CLOSED: Duration = Duration::from_secs(2);
/// Never blocked; no connection can be so at the very first moment of a clock.
const NOT_BLOCKED: u64 = u64::MAX;

/// Shared by a connection's socket, its requests and its time-outs. Only one thread uses it, but
/// hyper wants to be able to send the socket of a tunnel to another.
#[derive(Debug)]
pub(super) struct Pulse {
    clock: Clock,
    phase: AtomicU8,
    /// When the phase began, or when an idle connection last took bytes; on the clock's uptime.
    since_nanos: AtomicU64,
    /// When the client began not to take what is ready for it.
    blocked_nanos: AtomicU64,
}

impl Pulse {
    pub(super) fn new(clock: Clock) -> Self {
        let pulse = Self {
            clock,
            phase: AtomicU8::new(0),
            since_nanos: AtomicU64::new(0),
            blocked_nanos: AtomicU64::new(NOT_BLOCKED),
        };
        pulse.set(Phase::Fresh);
        pulse
    }

    pub(super) fn phase(&self) -> Phase {
        [Phase::Fresh, Phase::Idle, Phase::Head, Phase::Busy][usize::from(self.phase.load(Relaxed))]
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since_nanos.store(self.now(), Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.uptime().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Resolves when a client that has ended its side is no longer believed to listen.
    pub(super) fn patience_with_half_closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let clock = self.clock;
        async move { clock.sleep(HALF_CLOSED).await }
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        if matches!(self.phase(), Phase::Fresh | Phase::Idle) {
            self.set(Phase::Head);
        }
    }

    /// Bytes were to go out, and the client had room for them or not.
    pub(super) fn sent(&self, taken: bool) {
        if !taken {
            let _ = self.blocked_nanos.compare_exchange(NOT_BLOCKED, self.now(), Relaxed, Relaxed);
            return;
        }
        self.blocked_nanos.store(NOT_BLOCKED, Relaxed);
        if self.phase() == Phase::Idle {
            // The last of an answer leaves after the answer has been handed over.
            self.since_nanos.store(self.now(), Relaxed);
        }
    }

    /// Whether it waits for its next request, with all that was said taken by the client.
    pub(super) fn is_at_rest(&self) -> bool {
        self.phase() == Phase::Idle && self.blocked_nanos.load(Relaxed) == NOT_BLOCKED
    }

    /// For how long it has been doing what it does.
    pub(super) fn phase_age(&self) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(self.since_nanos.load(Relaxed)))
    }

    pub(super) fn turn(this: &Arc<Self>) -> Turn {
        this.set(Phase::Busy);
        Turn(Arc::clone(this))
    }

    pub(super) fn judge(&self, config: &Config) -> Verdict {
        let elapsed =
            |since: &AtomicU64| Duration::from_nanos(self.now().saturating_sub(since.load(Relaxed)));
        // A client that stops reading holds a worker's place for nothing.
        if elapsed(&self.blocked_nanos) >= config.send_timeout {
            return Verdict::Expired(self.phase());
        }
        let phase = self.phase();
        let allowed = match phase {
            Phase::Fresh | Phase::Head => config.header_timeout,
            Phase::Idle => config.idle_timeout,
            Phase::Busy => return Verdict::Wait(config.header_timeout),
        };
        match allowed.checked_sub(elapsed(&self.since_nanos)) {
            // Never later than a head that begins now could expire, and not in a busy loop.
            Some(left) if !left.is_zero() => {
                Verdict::Wait(left.min(config.header_timeout).max(Duration::from_millis(1)))
            }
            _ => Verdict::Expired(phase),
        }
    }
}

/// A request under way on the connection.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Pulse>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(Phase::Idle);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_patience() {
        let config = Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let clock = Clock::start();
        let pulse = Arc::new(Pulse::new(clock));
        let second = Duration::from_secs(1);
        clock.sleep(config.header_timeout - second).await;
        assert_eq!(pulse.judge(&config), Verdict::Wait(second));
        pulse.received();
        assert_eq!(pulse.judge(&config), Verdict::Wait(config.header_timeout));
        clock.sleep(config.header_timeout).await;
        assert_eq!(pulse.judge(&config), Verdict::Expired(Phase::Head));
        let turn = Pulse::turn(&pulse);
        clock.sleep(config.idle_timeout * 2).await;
        assert_eq!(pulse.judge(&config), Verdict::Wait(config.header_timeout), "answers may take their time");
        pulse.sent(false);
        clock.sleep(config.send_timeout).await;
        assert_eq!(pulse.judge(&config), Verdict::Expired(Phase::Busy), "but must be read");
        pulse.sent(true);
        drop(turn);
        clock.sleep(config.idle_timeout - second).await;
        assert_eq!(pulse.judge(&config), Verdict::Wait(second));
        clock.sleep(second).await;
        assert_eq!(pulse.judge(&config), Verdict::Expired(Phase::Idle));
    }
}
