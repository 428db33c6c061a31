//! Local processes as a [`Target`] of the control loop, and the hands of people on them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use control::{FleetStatus, Reading, State, Transition, Victims, WorkerSeen};
use jiff::Timestamp;
use live::{Status, Target, TargetError};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use traffic::WorkerId;

use crate::config::{StartError, SupervisorConfig, Wires};
use crate::leftovers;
use crate::output::Outputs;
use crate::task::{self, HandOrder, Wanted};
use crate::usage::{Subject, Usage, UsageMeter};

/// Last words of a crashed worker that its transition quotes.
const LAST_WORDS: usize = 3;
/// The output of an ended worker is complete within a moment, unless a child of it holds the
/// stream; its story is not held back for longer.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(250);
/// Transitions kept for a loop that does not ask; the oldest go first.
const TRANSITIONS_MAX: usize = 1024;

/// Notices kept for somebody who does not ask; the oldest go first.
const NOTICES_MAX: usize = 64;

/// What the pool's task last saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) fleet: FleetStatus,
    pub(crate) workers: Vec<WorkerSeen>,
    pub(crate) guardian: Option<u32>,
    /// Why the pool can go on no longer.
    pub(crate) broken: Option<String>,
}

/// A transition, and whose last words belong to it.
pub(crate) struct Told {
    pub(crate) transition: Transition,
    pub(crate) crashed: Option<WorkerId>,
}

/// Transitions and notices on their way from the task to the loop.
#[derive(Default)]
pub(crate) struct Story {
    told: Mutex<VecDeque<Told>>,
    notices: Mutex<VecDeque<String>>,
}

impl Story {
    pub(crate) fn add(&self, told: Told) {
        let mut all = self.told.lock();
        if all.len() == TRANSITIONS_MAX {
            all.pop_front();
        }
        all.push_back(told);
    }

    pub(crate) fn notice(&self, text: String) {
        let mut all = self.notices.lock();
        if all.len() == NOTICES_MAX {
            all.pop_front();
        }
        all.push_back(text);
    }

    /// Those that can be told whole by now, in order.
    fn take(&self, now: Timestamp, outputs: &Outputs) -> Vec<Transition> {
        let mut all = self.told.lock();
        let can_be_told = |told: &Told| {
            let ripe = told.transition.at.saturating_add(LAST_WORDS_WITHIN).is_ok_and(|ripe| ripe <= now);
            ripe || told.crashed.is_none_or(|id| outputs.is_complete(id))
        };
        let count = all.iter().take_while(|told| can_be_told(told)).count();
        let finish = |Told { mut transition, crashed }: Told| {
            let words = crashed.map(|id| outputs.last_of(id, LAST_WORDS)).unwrap_or_default();
            if !words.is_empty() {
                transition.because = format!("{}; last output: {}", transition.because, words.join(" | "));
            }
            transition
        };
        all.drain(..count).map(finish).collect()
    }
}

/// An order by hand that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The slot has no worker.
    #[error("there is no worker w{0}")]
    NoSuchWorker(u32),
    /// The pool has ended or is about to.
    #[error("the pool is shutting down")]
    ShuttingDown,
}

/// Hands on a running pool; cheap to clone.
#[derive(Clone)]
pub struct Steering {
    orders: mpsc::Sender<HandOrder>,
    closing: Arc<watch::Sender<Option<Timestamp>>>,
    done: watch::Receiver<bool>,
    snapshot: watch::Receiver<Snapshot>,
    outputs: Arc<Outputs>,
    clock: Clock,
}

impl Steering {
    /// Lets the worker in this slot end its requests, then replaces it.
    pub async fn drain(&self, slot: u32) -> Result<WorkerId, OrderError> {
        let id = self.worker_in(slot)?;
        self.order(HandOrder::Drain(id)).await.map(|()| id)
    }

    /// Kills and replaces the worker in this slot.
    pub async fn kill(&self, slot: u32) -> Result<WorkerId, OrderError> {
        let id = self.worker_in(slot)?;
        self.order(HandOrder::Kill(id)).await.map(|()| id)
    }

    /// Keeps the worker in this slot from being chosen at a scale-in, or ends that.
    pub async fn protect(&self, slot: u32, on: bool) -> Result<WorkerId, OrderError> {
        let id = self.worker_in(slot)?;
        self.order(HandOrder::Protect(id, on)).await.map(|()| id)
    }

    /// Chooses from now on in another way who goes at a scale-in.
    pub async fn choose(&self, victims: Victims) -> Result<(), OrderError> {
        self.order(HandOrder::Choose(victims)).await
    }

    /// What workers print.
    pub fn outputs(&self) -> &Arc<Outputs> {
        &self.outputs
    }

    /// The pool in numbers and every worker now; usage and traffic figures are left empty.
    pub fn seen(&self) -> (FleetStatus, Vec<WorkerSeen>) {
        let snapshot = self.snapshot.borrow();
        (snapshot.fleet, snapshot.workers.clone())
    }

    /// Waits until the pool is as described.
    pub async fn until(&self, mut holds: impl FnMut(&FleetStatus, &[WorkerSeen]) -> bool) {
        let mut snapshot = self.snapshot.clone();
        // An error means that the pool has ended and will not change again.
        let _ = snapshot.wait_for(|snapshot| holds(&snapshot.fleet, &snapshot.workers)).await;
    }

    /// Ends the pool: drains, terminates and, after `within`, kills. Returns once all workers
    /// and the guardian are gone. May be called again with less patience.
    pub async fn shutdown(&self, within: Duration) {
        let deadline = self.clock.now().saturating_add(within).unwrap_or(Timestamp::MAX);
        self.closing.send_modify(|closing| {
            *closing = Some(closing.map_or(deadline, |earlier| earlier.min(deadline)));
        });
        let mut done = self.done.clone();
        // An error means that the task is gone, and with it the guardian's reason to live.
        let _ = done.wait_for(|done| *done).await;
    }

    fn worker_in(&self, slot: u32) -> Result<WorkerId, OrderError> {
        let snapshot = self.snapshot.borrow();
        let worker = snapshot.workers.iter().find(|worker| worker.id.slot == slot);
        worker.map(|worker| worker.id).ok_or(OrderError::NoSuchWorker(slot))
    }

    async fn order(&self, order: HandOrder) -> Result<(), OrderError> {
        self.orders.send(order).await.map_err(|_| OrderError::ShuttingDown)
    }
}

/// A pool of workers on this machine. Dropping it and all its [`Steering`]s ends it by force.
pub struct Local {
    wanted: watch::Sender<Wanted>,
    snapshot: watch::Receiver<Snapshot>,
    story: Arc<Story>,
    usage: Arc<Mutex<UsageMeter>>,
    steering: Steering,
    clock: Clock,
}

impl Local {
    /// Ends what a dead owner left, starts the guardian and an empty pool.
    pub async fn start(config: SupervisorConfig, clock: Clock, wires: Wires) -> Result<Self, StartError> {
        config.check()?;
        let story = Arc::new(Story::default());
        let prepared = leftovers::prepare(&config.state_directory);
        let keeps_record = prepared.is_ok();
        if let Err(error) = prepared {
            story.notice(format!("no record of running workers is kept: {error}"));
        } else {
            let ended = leftovers::end_all(&config.state_directory, clock).await;
            ended.into_iter().for_each(|text| story.notice(text));
        }
        let (wanted, wanted_seen) = watch::channel(Wanted::default());
        let (snapshot_out, snapshot) = watch::channel(Snapshot::default());
        let (closing, closing_seen) = watch::channel(None);
        let (done_out, done) = watch::channel(false);
        let (orders, orders_in) = mpsc::channel(task::HAND_ORDERS_MAX);
        let outputs = Outputs::new(clock);
        let usage = Arc::new(Mutex::new(UsageMeter::new(config.worker_cpus)));
        let ports = task::Ports {
            wanted: wanted_seen,
            orders: orders_in,
            closing: closing_seen,
            snapshot: snapshot_out,
            done: done_out,
            story: Arc::clone(&story),
            outputs: Arc::clone(&outputs),
        };
        task::start(config, keeps_record, clock, wires, ports).await?;
        let closing = Arc::new(closing);
        let steering = Steering { orders, closing, done, snapshot: snapshot.clone(), outputs, clock };
        Ok(Self { wanted, snapshot, story, usage, steering, clock })
    }

    /// Hands for people and signals.
    pub fn steering(&self) -> Steering {
        self.steering.clone()
    }

    /// What people should know beyond the workers' own story, such as leftovers of an earlier
    /// run that were ended, or a guardian that died; each once, oldest first.
    pub fn take_notices(&mut self) -> Vec<String> {
        self.story.notices.lock().drain(..).collect()
    }

    fn can_go_on(&self) -> Result<(), TargetError> {
        match (&self.snapshot.borrow().broken, self.snapshot.has_changed()) {
            (Some(because), _) => Err(TargetError(because.clone())),
            (None, Err(_)) => Err(TargetError("the pool has ended".to_owned())),
            (None, Ok(_)) => Ok(()),
        }
    }

    async fn measure(&self, snapshot: &Snapshot) -> Usage {
        let subject = |worker: &WorkerSeen| {
            Some(Subject { id: worker.id, pid: worker.pid?, started_at: worker.started_at })
        };
        let subjects: Vec<Subject> = snapshot.workers.iter().filter_map(subject).collect();
        let (usage, guardian, clock) = (Arc::clone(&self.usage), snapshot.guardian, self.clock);
        let measured =
            tokio::task::spawn_blocking(move || usage.lock().sample(clock.now(), guardian, &subjects));
        // Cancelled only when the runtime ends: then there is no reading.
        measured.await.unwrap_or_default()
    }
}

impl Target for Local {
    async fn status(&mut self) -> Result<Status, TargetError> {
        let snapshot = self.snapshot.borrow_and_update().clone();
        self.can_go_on()?;
        let usage = self.measure(&snapshot).await;
        let mut workers = snapshot.workers;
        for worker in &mut workers {
            if let Some(used) = usage.workers.get(&worker.id).filter(|_| worker.state != State::Backoff) {
                worker.cpu_percent = used.cpu_percent;
                worker.memory_bytes = Some(used.memory_bytes);
            }
        }
        let mut signals = BTreeMap::new();
        if let (Some(value), Some(at)) = (usage.host_percent, usage.at) {
            signals.insert("host_cpu".to_owned(), Reading { value, at });
        }
        let transitions = self.story.take(self.clock.now(), &self.steering.outputs);
        // An order that the task has not taken up yet is an order all the same: seen without it,
        // the next decision would start from the number before and take it back.
        let fleet = FleetStatus { desired: self.wanted.borrow().replicas, ..snapshot.fleet };
        Ok(Status { fleet, workers, signals, transitions })
    }

    async fn scale_to(&mut self, desired: u32, seen: &[WorkerSeen]) -> Result<(), TargetError> {
        // `send_replace` would also wake the task for nothing.
        self.wanted.send_if_modified(|now| {
            now.seen = seen.to_vec();
            std::mem::replace(&mut now.replicas, desired) != desired
        });
        self.can_go_on()
    }
}
