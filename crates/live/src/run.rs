//! Observe, decide, order: one turn after another until told to stop.

use std::time::Duration;

use clock::Clock;
use control::{Applied, Command, Controller, Cycle, Observation, SlowInputs, WorkerSeen};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use traffic::{BackendSample, Sample, Window};

use crate::forecasting::Forecasting;
use crate::slow::Slow;
use crate::source::Source;
use crate::target::{Status, Target};

/// Orders taken at one turn at most; the rest wait for the next.
const COMMANDS_PER_TURN: usize = 64;

/// Whether decisions are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Act,
    /// They are only recorded (`--dry-run`).
    Recommend,
}

/// What a loop runs on.
pub struct Loop<S, T> {
    /// Measures traffic.
    pub source: S,
    /// Is scaled.
    pub target: T,
    /// Decides.
    pub controller: Controller,
    /// Orders by hand; each brings the next turn forward.
    pub commands: mpsc::Receiver<Command>,
    /// Whether decisions are carried out.
    pub mode: Mode,
    /// A model beside it, where the policy has use for one.
    pub forecasting: Option<Forecasting>,
    /// What takes longer than a turn.
    pub slow: Box<dyn Slow>,
    /// Tells the time.
    pub clock: Clock,
}

impl<S: Source, T: Target> Loop<S, T> {
    /// Runs until `stop`, handing every cycle to `emit`; gives the target back, so that the
    /// caller can take it down. Nothing in it waits for anything slower than its two ports.
    pub async fn run(mut self, stop: CancellationToken, mut emit: impl FnMut(Cycle)) -> T {
        let mut next = self.clock.now();
        let mut commands = Vec::new();
        while self.wait(next, &stop, &mut commands).await {
            let now = self.clock.now();
            let turn = self.controller.config().turn();
            emit(self.turn(now, on_grid(next, now, turn), &mut commands).await);
            next = next.max(now.saturating_sub(turn).unwrap_or(now));
            next = next.saturating_add(turn).unwrap_or(Timestamp::MAX);
        }
        self.target
    }

    /// Waits for the turn or for an order; false when it is time to stop.
    async fn wait(&mut self, next: Timestamp, stop: &CancellationToken, commands: &mut Vec<Command>) -> bool {
        let order = tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            () = self.clock.sleep_until(next) => None,
            Some(command) = self.commands.recv() => Some(command),
        };
        commands.extend(order);
        while commands.len() < COMMANDS_PER_TURN
            && let Ok(command) = self.commands.try_recv()
        {
            commands.push(command);
        }
        true
    }

    /// One turn. Orders given while the target cannot be asked are kept for the next.
    async fn turn(&mut self, now: Timestamp, at: Timestamp, commands: &mut Vec<Command>) -> Cycle {
        let sample = self.source.sample(now).await;
        let status = match self.target.status().await {
            Ok(status) => status,
            Err(error) => return Cycle::Blind { at, because: error.to_string() },
        };
        let slow = self.slow.latest();
        let mut sample = sample.ok();
        let ledger = sample.as_mut().and_then(|sample| sample.ledger.take()).map(Box::new);
        let mut seen = observation(at, sample, status, (std::mem::take(commands), slow));
        if let Some(forecasting) = &self.forecasting {
            seen.slow.forecast = forecasting.take();
            forecasting.tell(at, seen.traffic.as_ref().map(Window::rate_per_second));
        }
        let decision = self.controller.decide(&seen);
        self.slow.show(&seen, self.controller.config(), self.controller.programs());
        let applied = match self.mode {
            Mode::Recommend => Applied::DryRun,
            Mode::Act => match self.target.scale_to(decision.desired(), &seen.workers).await {
                Ok(()) => Applied::Ordered,
                Err(error) => Applied::Failed(error.to_string()),
            },
        };
        Cycle::Decided { seen, decision, applied, ledger }
    }
}

/// The moment that a turn was meant for, if it is little late and not brought forward by an
/// order: timers wake a little late, each time by another little, and a cool-down of three
/// turns must be over three turns later.
fn on_grid(next: Timestamp, now: Timestamp, turn: Duration) -> Timestamp {
    let late = Duration::try_from(now.duration_since(next));
    if late.is_ok_and(|late| late < turn / 2) { next } else { now }
}

fn observation(
    now: Timestamp,
    sample: Option<Sample>,
    status: Status,
    (commands, slow): (Vec<Command>, SlowInputs),
) -> Observation {
    let (traffic, backends) = match sample {
        Some(Sample { window, backends, .. }) => (Some(window), backends),
        None => (None, Vec::new()),
    };
    let workers = status.workers.into_iter().map(|worker| with_traffic(worker, &backends)).collect();
    Observation {
        at: now,
        traffic,
        fleet: status.fleet,
        workers,
        signals: status.signals,
        transitions: status.transitions,
        commands,
        slow,
        history: None,
    }
}

/// Joins what the target knows of a worker with what the source knows of its requests.
fn with_traffic(mut worker: WorkerSeen, backends: &[BackendSample]) -> WorkerSeen {
    if let Some(backend) = backends.iter().find(|backend| backend.id == worker.id) {
        worker.in_flight = backend.in_flight;
        worker.requests = backend.requests;
        worker.first_request_at = backend.first_request_at;
    }
    worker
}
