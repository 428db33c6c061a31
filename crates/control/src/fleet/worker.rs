//! One worker's life: which phase follows which, and after how long.

use std::time::Duration;

use jiff::Timestamp;
use traffic::{Address, Version, WorkerId};

use super::config::FleetConfig;
use super::status::State;
use super::words::seconds;
use crate::observation::WorkerSeen;

/// What the end of a killed process means for the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It leaves for good.
    Gone,
    /// A successor takes its slot at once.
    Replace,
    /// It counts as a crash.
    Crash,
}

/// Finer than [`State`]: with the deadline that each phase has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting { passes: u32, deadline: Timestamp },
    Ready { failures: u32 },
    Unhealthy { passes: u32, deadline: Timestamp },
    Draining { deadline: Timestamp, failures: u32, revivable: bool },
    Stopping { deadline: Timestamp },
    Killed { deadline: Timestamp, after: After },
    Backoff { until: Timestamp },
}

impl Phase {
    pub(super) fn state(self) -> State {
        match self {
            Self::Starting { .. } => State::Starting,
            Self::Ready { .. } => State::Ready,
            Self::Unhealthy { .. } => State::Unhealthy,
            Self::Draining { .. } | Self::Stopping { .. } | Self::Killed { .. } => State::Draining,
            Self::Backoff { .. } => State::Backoff,
        }
    }

    /// Whether it counts towards the desired number. A killed worker whose successor will take
    /// its slot does.
    pub(super) fn is_wanted(self) -> bool {
        match self {
            Self::Starting { .. } | Self::Ready { .. } | Self::Unhealthy { .. } | Self::Backoff { .. } => {
                true
            }
            Self::Killed { after, .. } => after != After::Gone,
            Self::Draining { .. } | Self::Stopping { .. } => false,
        }
    }

    /// When it needs attention although nothing happens.
    pub(super) fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Ready { .. } => None,
            Self::Starting { deadline, .. }
            | Self::Unhealthy { deadline, .. }
            | Self::Draining { deadline, .. }
            | Self::Stopping { deadline }
            | Self::Killed { deadline, .. } => Some(deadline),
            Self::Backoff { until } => Some(until),
        }
    }

    /// How readily a worker is given up when there are too many, and none for one that is
    /// leaving already: first who serves nobody.
    pub(super) fn expendability(self) -> Option<u32> {
        match self {
            Self::Killed { after, .. } if after != After::Gone => Some(4),
            Self::Backoff { .. } => Some(3),
            Self::Starting { .. } => Some(2),
            Self::Unhealthy { .. } => Some(1),
            Self::Ready { .. } => Some(0),
            _ => None,
        }
    }
}

/// A way to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Terminate,
    Kill,
}

/// A worker's next phase, why, and what must be done to its process.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) phase: Phase,
    pub(super) because: String,
    pub(super) ending: Option<Ending>,
}

impl Turn {
    pub(super) fn to(phase: Phase, because: impl Into<String>) -> Self {
        Self { phase, because: because.into(), ending: None }
    }

    pub(super) fn terminate(now: Timestamp, because: impl Into<String>, config: &FleetConfig) -> Self {
        let phase = Phase::Stopping { deadline: later(now, config.kill_deadline) };
        Self { phase, because: because.into(), ending: Some(Ending::Terminate) }
    }

    pub(super) fn kill(
        now: Timestamp,
        after: After,
        because: impl Into<String>,
        config: &FleetConfig,
    ) -> Self {
        let phase = Phase::Killed { deadline: later(now, config.kill_deadline), after };
        Self { phase, because: because.into(), ending: Some(Ending::Kill) }
    }
}

/// One process of the pool, or the slot that waits to have one again.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    /// Order of birth in the whole pool; moments may be equal, this is not.
    pub(super) birth: u64,
    pub(super) phase: Phase,
    pub(super) since: Timestamp,
    pub(super) started_at: Timestamp,
    pub(super) ready_at: Option<Timestamp>,
    pub(super) pid: Option<u32>,
    pub(super) address: Option<Address>,
    /// It was given to the balancer, and its requests are not known to have ended.
    pub(super) may_hold_requests: bool,
    /// What its last failed probe said.
    pub(super) complaint: Option<String>,
    /// Never chosen when there are too many.
    pub(super) protected: bool,
    /// As last observed.
    pub(super) in_flight: u32,
    /// As last observed.
    pub(super) memory_bytes: Option<u64>,
    pub(super) version: Version,
}

impl Worker {
    pub(super) fn new(now: Timestamp, id: WorkerId, birth: u64, config: &FleetConfig) -> Self {
        Self {
            id,
            birth,
            phase: Phase::Starting { passes: 0, deadline: later(now, config.startup_deadline) },
            since: now,
            started_at: now,
            ready_at: None,
            pid: None,
            address: None,
            may_hold_requests: false,
            complaint: None,
            protected: false,
            in_flight: 0,
            memory_bytes: None,
            version: config.version,
        }
    }

    pub(super) fn probe_passed(&mut self, config: &FleetConfig) -> Option<Turn> {
        self.address.as_ref()?;
        let ready = Phase::Ready { failures: 0 };
        match &mut self.phase {
            Phase::Starting { passes, .. } => {
                *passes += 1;
                (*passes >= config.startup_threshold).then(|| Turn::to(ready, "passed its probe"))
            }
            Phase::Unhealthy { passes, .. } => {
                *passes += 1;
                (*passes >= config.healthy_threshold).then(|| Turn::to(ready, "passes its probe again"))
            }
            Phase::Ready { failures } | Phase::Draining { failures, .. } => {
                *failures = 0;
                None
            }
            _ => None,
        }
    }

    pub(super) fn probe_failed(
        &mut self,
        now: Timestamp,
        because: String,
        config: &FleetConfig,
    ) -> Option<Turn> {
        let turn = match &mut self.phase {
            Phase::Starting { passes, .. } | Phase::Unhealthy { passes, .. } => {
                *passes = 0;
                None
            }
            Phase::Ready { .. } if now < later(self.started_at, config.grace_period) => None,
            Phase::Ready { failures } => {
                *failures += 1;
                let deadline = later(now, config.unhealthy_deadline);
                (*failures >= config.unhealthy_threshold).then(|| {
                    let because = format!("failed {failures} probes in a row: {because}");
                    Turn::to(Phase::Unhealthy { passes: 0, deadline }, because)
                })
            }
            Phase::Draining { failures, revivable, .. } => {
                *failures += 1;
                *revivable &= *failures < config.unhealthy_threshold;
                None
            }
            _ => None,
        };
        self.complaint = Some(because);
        turn
    }

    /// Takes it out of the pool for good: the gentlest way that its phase allows.
    pub(super) fn retire(&self, now: Timestamp, because: &str, by_hand: bool, config: &FleetConfig) -> Turn {
        if !self.may_hold_requests {
            return Turn::terminate(now, because, config);
        }
        let revivable = matches!(self.phase, Phase::Ready { .. }) && !by_hand;
        let deadline = later(now, config.drain_timeout);
        Turn::to(Phase::Draining { deadline, failures: 0, revivable }, because)
    }

    /// What a passed deadline leads to; `Backoff` is the fleet's affair.
    pub(super) fn overdue(&self, now: Timestamp, config: &FleetConfig) -> Option<Turn> {
        if self.phase.deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        let complaint = self.complaint.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
        match self.phase {
            Phase::Starting { .. } => {
                let limit = seconds(config.startup_deadline);
                let because = format!("was not ready within {limit}{complaint}; killed");
                Some(Turn::kill(now, After::Crash, because, config))
            }
            Phase::Unhealthy { .. } => {
                let limit = seconds(config.unhealthy_deadline);
                let because = format!("unhealthy for {limit}{complaint}; killed");
                Some(Turn::kill(now, After::Crash, because, config))
            }
            Phase::Draining { .. } => {
                let limit = seconds(config.drain_timeout);
                let because = format!("its requests did not end within {limit}; told to stop");
                Some(Turn::terminate(now, because, config))
            }
            Phase::Stopping { .. } => {
                let limit = seconds(config.kill_deadline);
                let because = format!("did not stop within {limit} of SIGTERM; killed");
                Some(Turn::kill(now, After::Gone, because, config))
            }
            // A process stuck in the kernel: no longer waited for, so its successor comes.
            Phase::Killed { .. } => {
                let limit = seconds(config.kill_deadline);
                let because = format!("not gone {limit} after SIGKILL; killed again");
                Some(Turn::kill(now, After::Gone, because, config))
            }
            Phase::Ready { .. } | Phase::Backoff { .. } => None,
        }
    }

    /// The worker as the control loop sees it; usage and traffic are filled in by others.
    pub(super) fn seen(&self, restarts: u32) -> WorkerSeen {
        WorkerSeen {
            id: self.id,
            pid: self.pid,
            address: self.address.clone(),
            state: self.phase.state(),
            since: self.since,
            started_at: self.started_at,
            ready_at: self.ready_at,
            first_request_at: None,
            cpu_percent: None,
            memory_bytes: None,
            in_flight: 0,
            requests: 0,
            restarts,
            version: self.version,
            protected: self.protected,
            metrics: Vec::new(),
        }
    }
}

/// `at` plus `length`, stopping at the end of time.
pub(super) fn later(at: Timestamp, length: Duration) -> Timestamp {
    at.saturating_add(length).unwrap_or(Timestamp::MAX)
}

/// The time from `from` to `to`; zero if `to` came first.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}
