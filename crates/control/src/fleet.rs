//! The lifecycle of all workers, without I/O: events in, effects out.
//!
//! Level-triggered: whatever happens, [`Fleet`] steers towards the desired count. The driver
//! calls one of `set_desired`, `handle`, `handle_timeout`, then does all that [`Fleet::poll`]
//! hands out, in order, then waits for the next event or for [`Fleet::wake_at`].

mod backoff;
pub mod config;
pub mod event;
pub mod status;
#[cfg(test)]
mod tests;
pub mod victim;
mod words;
mod worker;

use std::collections::VecDeque;

use jiff::Timestamp;
use rand_pcg::Pcg32;
use traffic::{Route, WorkerId};

use self::config::FleetConfig;
use self::event::{Effect, Event};
use self::status::{FleetStatus, State, Transition};
use self::victim::Victims;
use self::words::{exit_text, ordinal, seconds};
use self::worker::{After, Ending, Phase, Turn, Worker, between, later};
use crate::observation::WorkerSeen;

/// More workers than one machine can sensibly hold; an absurd order stops here.
pub const WORKERS_MAX: u32 = 1024;
/// Transitions kept for a driver that does not take them; the oldest go first.
const TRANSITIONS_MAX: usize = 1024;

/// A place in the pool. Its counters outlive the processes that it has had.
#[derive(Debug, Default)]
struct Slot {
    runs: u32,
    restarts: u32,
    /// Crashes in a row, none of them after a stable time.
    strikes: u32,
    worker: Option<Worker>,
}

/// All workers of one pool.
#[derive(Debug)]
pub struct Fleet {
    config: FleetConfig,
    random: Pcg32,
    desired: u32,
    /// Highest count ever desired; bounds the processes together with the surge.
    desired_peak: u32,
    slots: Vec<Slot>,
    births: u64,
    crashes: u64,
    /// What the balancer was last told.
    routed: Vec<Route>,
    effects: VecDeque<Effect>,
    transitions: VecDeque<Transition>,
}

impl Fleet {
    /// An empty pool. The seed decides the jitter of crash loops, nothing else.
    pub fn new(config: FleetConfig, seed: u64) -> Self {
        Self {
            config,
            random: Pcg32::new(seed, 0),
            desired: 0,
            desired_peak: 0,
            slots: Vec::new(),
            births: 0,
            crashes: 0,
            routed: Vec::new(),
            effects: VecDeque::new(),
            transitions: VecDeque::new(),
        }
    }

    /// Orders this many workers, at most [`WORKERS_MAX`]; 0 empties the pool.
    pub fn set_desired(&mut self, now: Timestamp, desired: u32) {
        self.desired = desired.min(WORKERS_MAX);
        self.desired_peak = self.desired_peak.max(self.desired);
        self.reconcile(now);
    }

    /// Ends all workers for good, the protected too.
    pub fn empty(&mut self, now: Timestamp) {
        self.slots.iter_mut().filter_map(|slot| slot.worker.as_mut()).for_each(|one| one.protected = false);
        self.set_desired(now, 0);
    }

    /// Chooses from now on in another way who goes.
    pub fn set_victims(&mut self, victims: Victims) {
        self.config.victims = victims;
    }

    /// Takes note of what the choice of who goes may depend on; of other workers nothing is known.
    pub fn observe(&mut self, seen: &[WorkerSeen]) {
        for worker in seen {
            if let Some(known) = self.worker_mut(worker.id) {
                (known.in_flight, known.memory_bytes) = (worker.in_flight, worker.memory_bytes);
            }
        }
    }

    /// Takes an event in. One about a process that is no longer there changes nothing.
    pub fn handle(&mut self, now: Timestamp, event: Event) {
        let id = event.id();
        let Some(worker) = self.worker_mut(id) else { return };
        match event {
            Event::Started { pid, address, .. } => {
                worker.pid = Some(pid);
                worker.address = Some(address);
            }
            Event::ProbePassed { .. } => {
                let config = &self.config;
                let turn = worker_of(&mut self.slots, id).and_then(|worker| worker.probe_passed(config));
                self.enter(now, id, turn);
            }
            Event::ProbeFailed { because, .. } => {
                let config = &self.config;
                let turn = worker_of(&mut self.slots, id)
                    .and_then(|worker| worker.probe_failed(now, because, config));
                self.enter(now, id, turn);
            }
            Event::Drained { .. } => self.drained(now, id),
            Event::Drain { .. } => self.retire(now, id, "drained by hand", true),
            Event::Kill { .. } => self.kill_by_hand(now, id),
            Event::Protect { on, .. } => self.protect(now, id, on),
            Event::SpawnFailed { because, .. } => {
                self.ended(now, id, &format!("could not be started: {because}"));
            }
            Event::Exited { exit, .. } => {
                let age = seconds(between(worker.started_at, now));
                let asked = matches!(worker.phase, Phase::Stopping { .. } | Phase::Killed { .. });
                self.ended(now, id, &format!("{} after {age}", exit_text(exit, asked)));
            }
        }
        self.reconcile(now);
    }

    /// Does what is due by `now`. Calling it early changes nothing.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for index in 0..self.slots.len() {
            let Some(worker) = &self.slots[index].worker else { continue };
            let id = worker.id;
            if matches!(worker.phase, Phase::Backoff { until } if until <= now) {
                self.spawn(now, index, "next try after its crash");
            } else {
                let turn = worker.overdue(now, &self.config);
                self.enter(now, id, turn);
            }
        }
        self.reconcile(now);
    }

    /// When [`Fleet::handle_timeout`] is next due; `None` while only events can change anything.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.workers_iter().filter_map(|worker| worker.phase.deadline()).min()
    }

    /// The next thing to do. Changes of rotation come before starts and ends of processes, so
    /// that no worker is stopped or replaced while it is still given requests.
    pub fn poll(&mut self) -> Option<Effect> {
        let routes = self.routes();
        if routes == self.routed {
            return self.effects.pop_front();
        }
        for route in &routes {
            if let Some(worker) = self.worker_mut(route.id) {
                worker.may_hold_requests = true;
            }
        }
        self.routed.clone_from(&routes);
        Some(Effect::Route(routes))
    }

    /// The pool in numbers.
    pub fn status(&self) -> FleetStatus {
        let mut status =
            FleetStatus { desired: self.desired, crashes: self.crashes, ..FleetStatus::default() };
        for worker in self.workers_iter() {
            *match worker.phase.state() {
                State::Starting => &mut status.starting,
                State::Ready => &mut status.ready,
                State::Unhealthy => &mut status.unhealthy,
                State::Draining => &mut status.draining,
                State::Backoff => &mut status.backoff,
            } += 1;
        }
        status
    }

    /// Every worker, in order of slot; usage and traffic figures are left empty.
    pub fn workers(&self) -> Vec<WorkerSeen> {
        let seen = |slot: &Slot| slot.worker.as_ref().map(|worker| worker.seen(slot.restarts));
        self.slots.iter().filter_map(seen).collect()
    }

    /// What workers went through since the last call, oldest first.
    pub fn take_transitions(&mut self) -> Vec<Transition> {
        self.transitions.drain(..).collect()
    }

    /// Steers towards the desired count: too many are retired, too few revived or spawned.
    fn reconcile(&mut self, now: Timestamp) {
        loop {
            let wanted = self.count(|worker| worker.phase.is_wanted());
            if wanted > self.desired {
                let chosen = victim::choose(self.workers_iter(), self.config.victims);
                // All that are left are protected.
                let Some((victim, because)) = chosen else { return };
                let because = format!("no longer needed: {} desired; {because}", self.desired);
                self.retire(now, victim, &because, false);
            } else if wanted == self.desired || !(self.revive(now) || self.spawn_another(now)) {
                return;
            }
        }
    }

    /// Puts the oldest worker that still drains and was not told to stop back in rotation.
    fn revive(&mut self, now: Timestamp) -> bool {
        let drains = |worker: &&Worker| matches!(worker.phase, Phase::Draining { revivable: true, .. });
        let Some(worker) = self.workers_iter().filter(drains).min_by_key(|worker| worker.birth) else {
            return false;
        };
        let Phase::Draining { failures, .. } = worker.phase else { return false };
        let id = worker.id;
        self.enter(now, id, Some(Turn::to(Phase::Ready { failures }, "needed again before it stopped")));
        true
    }

    /// Starts one more in the lowest free slot, unless too many processes are still stopping.
    fn spawn_another(&mut self, now: Timestamp) -> bool {
        // Slots in backoff count: their next process is on its way.
        if self.count(|_| true) >= self.desired.saturating_add(self.config.surge) {
            return false;
        }
        let index = self.slots.iter().position(|slot| slot.worker.is_none()).unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        });
        self.spawn(now, index, &format!("{} desired", self.desired));
        true
    }

    fn spawn(&mut self, now: Timestamp, index: usize, because: &str) {
        self.births += 1;
        let slot = &mut self.slots[index];
        slot.runs = slot.runs.saturating_add(1);
        let number = u32::try_from(index + 1).expect("slots are bounded by WORKERS_MAX and the surge");
        let id = WorkerId { slot: number, run: slot.runs };
        let from = slot.worker.as_ref().map(|before| before.phase.state());
        slot.worker = Some(Worker::new(now, id, self.births, &self.config));
        let live = self.count(|_| true);
        assert!(live <= self.desired_peak.saturating_add(self.config.surge), "more workers than allowed");
        self.effects.push_back(Effect::Spawn(id));
        self.record(now, id, None, (from, Some(State::Starting)), because.to_owned());
    }

    fn retire(&mut self, now: Timestamp, id: WorkerId, because: &str, by_hand: bool) {
        let config = &self.config;
        let Some(worker) = worker_of(&mut self.slots, id) else { return };
        match &mut worker.phase {
            Phase::Backoff { .. } => {
                self.record(now, id, None, (Some(State::Backoff), None), because.to_owned());
                self.slots[place(id)].worker = None;
            }
            Phase::Killed { after, .. } => *after = After::Gone,
            Phase::Draining { revivable, .. } => *revivable &= !by_hand,
            Phase::Stopping { .. } => {}
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } => {
                let turn = worker.retire(now, because, by_hand, config);
                self.enter(now, id, Some(turn));
            }
        }
    }

    fn kill_by_hand(&mut self, now: Timestamp, id: WorkerId) {
        let config = &self.config;
        let Some(worker) = worker_of(&mut self.slots, id) else { return };
        let after = match worker.phase {
            Phase::Backoff { .. } => return self.retire(now, id, "its wait was cut short by hand", true),
            Phase::Killed { after, .. } => after,
            phase if phase.is_wanted() => After::Replace,
            _ => After::Gone,
        };
        let turn = Turn::kill(now, after, "killed by hand", config);
        self.enter(now, id, Some(turn));
    }

    fn protect(&mut self, now: Timestamp, id: WorkerId, on: bool) {
        let is_there = |worker: &&mut Worker| !matches!(worker.phase, Phase::Backoff { .. });
        let Some(worker) = self.worker_mut(id).filter(is_there).filter(|worker| worker.protected != on)
        else {
            return;
        };
        worker.protected = on;
        let (state, pid) = (Some(worker.phase.state()), worker.pid);
        let because = if on { "protected from scale-in by hand" } else { "protected no longer" };
        self.record(now, id, pid, (state, state), because.to_owned());
    }

    fn drained(&mut self, now: Timestamp, id: WorkerId) {
        // Still in rotation as far as the balancer knows: a late word about an earlier retreat.
        if self.routed.iter().any(|route| route.id == id) {
            return;
        }
        let config = &self.config;
        let Some(worker) = worker_of(&mut self.slots, id) else { return };
        worker.may_hold_requests = false;
        if matches!(worker.phase, Phase::Draining { .. }) {
            let turn = Turn::terminate(now, "its requests have ended; told to stop", config);
            self.enter(now, id, Some(turn));
        }
    }

    /// A process is gone, or never came: makes room for it or starts a successor.
    fn ended(&mut self, now: Timestamp, id: WorkerId, how: &str) {
        let index = place(id);
        let Some(worker) = self.slots[index].worker.clone() else { return };
        let from = Some(worker.phase.state());
        let asked = match worker.phase {
            Phase::Backoff { .. } => return,
            Phase::Stopping { .. } | Phase::Killed { after: After::Gone | After::Replace, .. } => true,
            _ => false,
        };
        if !asked {
            self.crashes += 1;
        }
        if !worker.phase.is_wanted() || asked {
            self.record(now, id, worker.pid, (from, None), how.to_owned());
            self.slots[index].worker = None;
            if matches!(worker.phase, Phase::Killed { after: After::Replace, .. }) {
                self.spawn(now, index, "replaces the one killed by hand");
            }
            return;
        }
        let stable = worker.ready_at.is_some_and(|at| between(at, now) >= self.config.stable_after);
        let slot = &mut self.slots[index];
        slot.restarts = slot.restarts.saturating_add(1);
        slot.strikes = if stable { 1 } else { slot.strikes.saturating_add(1) };
        let wait = backoff::delay(slot.strikes, &self.config, &mut self.random);
        if wait.is_zero() {
            slot.worker = None;
            self.record(now, id, worker.pid, (from, None), format!("{how}; replaced at once"));
            return self.spawn(now, index, "replaces a crashed one");
        }
        let because = format!("{how}; {}; next try in {}", ordinal(slot.strikes), seconds(wait));
        let phase = Phase::Backoff { until: later(now, wait) };
        // Who protected the process has nothing left to protect, and what waits must not be kept.
        let gone = Worker { pid: None, address: None, protected: false, ..worker.clone() };
        slot.worker = Some(Worker { phase, since: now, ..gone });
        self.record(now, id, worker.pid, (from, Some(State::Backoff)), because);
    }

    /// Carries out a worker's turn.
    fn enter(&mut self, now: Timestamp, id: WorkerId, turn: Option<Turn>) {
        let (Some(turn), Some(worker)) = (turn, worker_of(&mut self.slots, id)) else { return };
        let (from, to) = (worker.phase.state(), turn.phase.state());
        worker.phase = turn.phase;
        if from != to {
            worker.since = now;
        }
        if to == State::Ready {
            worker.ready_at.get_or_insert(now);
        }
        let pid = worker.pid;
        match turn.ending {
            Some(Ending::Terminate) => self.effects.push_back(Effect::Terminate(id)),
            Some(Ending::Kill) => self.effects.push_back(Effect::Kill(id)),
            None => {}
        }
        self.record(now, id, pid, (Some(from), Some(to)), turn.because);
    }

    fn record(
        &mut self,
        at: Timestamp,
        worker: WorkerId,
        pid: Option<u32>,
        (from, to): (Option<State>, Option<State>),
        because: String,
    ) {
        if self.transitions.len() == TRANSITIONS_MAX {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition { at, worker, pid, from, to, because });
    }

    fn routes(&self) -> Vec<Route> {
        let ready = self.workers_iter().filter(|worker| matches!(worker.phase, Phase::Ready { .. }));
        let route = |worker: &Worker| {
            let address = worker.address.clone()?;
            Some(Route { id: worker.id, address, weight: 1, version: worker.version })
        };
        ready.filter_map(route).collect()
    }

    fn workers_iter(&self) -> impl Iterator<Item = &Worker> {
        self.slots.iter().filter_map(|slot| slot.worker.as_ref())
    }

    fn worker_mut(&mut self, id: WorkerId) -> Option<&mut Worker> {
        worker_of(&mut self.slots, id)
    }

    fn count(&self, which: impl Fn(&Worker) -> bool) -> u32 {
        u32::try_from(self.workers_iter().filter(|worker| which(worker)).count())
            .expect("workers are bounded by WORKERS_MAX and the surge")
    }
}

fn worker_of(slots: &mut [Slot], id: WorkerId) -> Option<&mut Worker> {
    slots.get_mut(place(id))?.worker.as_mut().filter(|worker| worker.id == id)
}

/// Where the slot of this worker stands; out of range for a slot number 0.
fn place(id: WorkerId) -> usize {
    id.slot.checked_sub(1).and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX)
}
