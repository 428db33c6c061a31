//! Drives the fleet in real time: one task that waits, dispatches and does as it is told.

mod hands;

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use control::{Event, Exit, Fleet, Victims, WorkerSeen};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use traffic::WorkerId;

use self::hands::{Hands, News};
use crate::config::{StartError, SupervisorConfig, Wires};
use crate::guardian::protocol::Report;
use crate::local::{Snapshot, Story, Told};
use crate::output::Outputs;
/// Orders by hand on their way; more at once than people give.
pub(crate) const HAND_ORDERS_MAX: usize = 64;
/// Probe results on their way; a prober that finds no room waits.
const PROBES_MAX: usize = 256;
/// After a forced shutdown, workers that the kernel does not let go are left to the guardian.
const LET_GO_AFTER: Duration = Duration::from_secs(5);

/// An order by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HandOrder {
    Drain(WorkerId),
    Kill(WorkerId),
    Protect(WorkerId, bool),
    Choose(Victims),
}

/// How many workers there should be, and the workers by which that was decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) replicas: u32,
    pub(crate) seen: Vec<WorkerSeen>,
}

/// The task's ends of all channels to [`crate::Local`].
pub(crate) struct Ports {
    pub(crate) wanted: watch::Receiver<Wanted>,
    pub(crate) orders: mpsc::Receiver<HandOrder>,
    /// When to have ended everything, once it is to end.
    pub(crate) closing: watch::Receiver<Option<Timestamp>>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
    pub(crate) done: watch::Sender<bool>,
    pub(crate) story: Arc<Story>,
    pub(crate) outputs: Arc<Outputs>,
}

/// Starts guardian and task.
pub(crate) async fn start(
    config: SupervisorConfig,
    keeps_record: bool,
    clock: Clock,
    wires: Wires,
    ports: Ports,
) -> Result<(), StartError> {
    let (told, probes) = mpsc::channel(PROBES_MAX);
    let fleet = Fleet::new(config.fleet.clone(), config.seed);
    let outputs = Arc::clone(&ports.outputs);
    let hands = Hands::start(config, keeps_record, clock, wires, outputs, told).await?;
    let pool = Pool {
        fleet,
        hands,
        ports,
        probes,
        clock,
        closing: None,
        is_steered: true,
        desired_open: true,
        forced: false,
    };
    pool.publish();
    tokio::spawn(pool.run());
    Ok(())
}

struct Pool {
    fleet: Fleet,
    hands: Hands,
    ports: Ports,
    probes: mpsc::Receiver<Event>,
    clock: Clock,
    closing: Option<Timestamp>,
    /// Somebody is left who could give orders by hand.
    is_steered: bool,
    desired_open: bool,
    /// Everything was killed for a shutdown.
    forced: bool,
}

impl Pool {
    async fn run(mut self) {
        while !self.is_over() {
            let wake = self.wake_at();
            tokio::select! {
                biased;
                news = self.hands.news() => match news {
                    News::Report(report) => self.reported(report),
                    News::GuardianGone => self.lose_guardian().await,
                    News::Drained(id) => self.tell(Some(Event::Drained { id })),
                },
                event = self.probes.recv() => self.tell(event),
                changed = self.ports.closing.changed(), if self.is_steered => {
                    self.is_steered = changed.is_ok();
                    let deadline = self.ports.closing.borrow_and_update().filter(|_| changed.is_ok());
                    // With nobody left to steer, nobody wants the pool either.
                    self.close(deadline.unwrap_or_else(|| self.clock.now()));
                }
                Some(order) = self.ports.orders.recv() => self.take(order),
                changed = self.ports.wanted.changed(), if self.desired_open => {
                    self.desired_open = changed.is_ok();
                    self.follow_desired();
                }
                () = sleep_until(self.clock, wake) => {
                    self.fleet.handle_timeout(self.clock.now());
                    self.force_if_due();
                }
            }
            self.settle();
        }
        self.hands.finish().await;
        self.ports.done.send_replace(true);
    }

    fn is_over(&self) -> bool {
        let Some(deadline) = self.closing else { return false };
        let all_gone = self.fleet.workers().is_empty();
        let given_up = deadline.saturating_add(LET_GO_AFTER).is_ok_and(|at| at <= self.clock.now());
        all_gone || (self.forced && given_up)
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let force = self.closing.map(|deadline| match self.forced {
            false => deadline,
            true => deadline.saturating_add(LET_GO_AFTER).unwrap_or(Timestamp::MAX),
        });
        [self.fleet.wake_at(), force].into_iter().flatten().min()
    }

    fn follow_desired(&mut self) {
        let wanted = self.ports.wanted.borrow_and_update();
        if self.closing.is_none() && self.hands.broken().is_none() {
            self.fleet.observe(&wanted.seen);
            self.fleet.set_desired(self.clock.now(), wanted.replicas);
        }
    }

    fn take(&mut self, order: HandOrder) {
        match order {
            HandOrder::Drain(id) => self.tell(Some(Event::Drain { id })),
            HandOrder::Kill(id) => self.tell(Some(Event::Kill { id })),
            HandOrder::Protect(id, on) => self.tell(Some(Event::Protect { id, on })),
            HandOrder::Choose(victims) => self.fleet.set_victims(victims),
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Spawned { id, pid } => {
                let event = self.hands.started(id, pid);
                self.tell(event);
            }
            Report::Failed { id, because } => {
                self.hands.ended(id);
                self.tell(Some(Event::SpawnFailed { id, because }));
            }
            Report::Exited { id, exit } => {
                self.hands.ended(id);
                self.tell(Some(Event::Exited { id, exit }));
            }
            Report::Trouble(text) => self.ports.story.notice(text),
            Report::Here { .. } => {}
        }
    }

    /// Takes an event to the fleet, and what comes of it to the story.
    fn tell(&mut self, event: Option<Event>) {
        let Some(event) = event else { return };
        let (id, crashes) = (event.id(), self.fleet.status().crashes);
        self.fleet.handle(self.clock.now(), event);
        let crashed = (self.fleet.status().crashes > crashes).then_some(id);
        self.narrate(crashed);
    }

    fn narrate(&mut self, mut crashed: Option<WorkerId>) {
        for transition in self.fleet.take_transitions() {
            // The first word about it is how it ended.
            let crashed = crashed.take_if(|id| *id == transition.worker);
            self.ports.story.add(Told { transition, crashed });
        }
    }

    /// Does all that the fleet asks for, and shows the result.
    fn settle(&mut self) {
        loop {
            while let Some(effect) = self.fleet.poll() {
                self.hands.perform(effect);
            }
            match self.hands.take_followup() {
                Some(event) => self.tell(Some(event)),
                None => break,
            }
        }
        self.narrate(None);
        self.publish();
    }

    fn publish(&self) {
        self.ports.snapshot.send_replace(Snapshot {
            fleet: self.fleet.status(),
            workers: self.fleet.workers(),
            guardian: self.hands.guardian_pid(),
            broken: self.hands.broken().map(str::to_owned),
        });
    }

    /// The guardian is dead, and all workers with it or soon: out of rotation first, then a new
    /// guardian, then new workers.
    async fn lose_guardian(&mut self) {
        for worker in self.fleet.workers() {
            self.hands.ended(worker.id);
            if worker.state != control::State::Backoff {
                self.tell(Some(Event::Exited { id: worker.id, exit: Exit::Signal(9) }));
            }
        }
        self.hands.withhold();
        self.settle();
        let closing = self.closing.is_some();
        if let Some(notice) = self.hands.replace_guardian(closing).await {
            self.ports.story.notice(notice);
        }
        if self.hands.broken().is_some() {
            self.fleet.empty(self.clock.now());
        }
    }

    fn close(&mut self, deadline: Timestamp) {
        self.closing = Some(deadline);
        self.fleet.empty(self.clock.now());
        self.force_if_due();
    }

    fn force_if_due(&mut self) {
        if self.forced || self.closing.is_none_or(|deadline| deadline > self.clock.now()) {
            return;
        }
        self.forced = true;
        for worker in self.fleet.workers() {
            self.tell(Some(Event::Kill { id: worker.id }));
        }
    }
}

/// Waits for a moment; forever if there is none.
async fn sleep_until(clock: Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
