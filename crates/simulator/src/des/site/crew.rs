//! The fleet's hands in the simulation: processes that start, end, crash and hang.

use std::sync::Arc;

use control::{Effect, Event, Exit};
use traffic::{Address, WorkerId};

use super::super::credits::{Account, LOOK_EVERY_NS};
use super::super::schedule::NEVER;
use super::{Seat, Site, Station, What, place};

/// Time between two probes of a worker that hangs.
const PROBE_EVERY_NS: u64 = 1_000_000_000;
/// Signal that no process survives.
const SIGKILL: i32 = 9;

impl Site<'_> {
    /// Has this many workers ready before anything else happens.
    pub(super) fn begin_with(&mut self, workers: u32) {
        let now = self.moment();
        self.fleet.set_desired(now, workers);
        while let Some(effect) = self.fleet.poll() {
            match effect {
                Effect::Spawn(id) => {
                    self.seat(id);
                    self.fleet.handle(now, started(id));
                    self.ready(id);
                }
                other => self.carry_out(other),
            }
        }
        self.obey();
    }

    /// Orders this many workers.
    pub(super) fn order(&mut self, desired: u32) {
        let now = self.moment();
        self.fleet.set_desired(now, desired);
        self.obey();
    }

    /// Does all that the fleet asks for.
    pub(super) fn obey(&mut self) {
        while let Some(effect) = self.fleet.poll() {
            self.carry_out(effect);
        }
        let wake = self.fleet.wake_at().map(|at| at.as_nanosecond());
        self.fleet_wake_ns =
            wake.map_or(NEVER, |at| u64::try_from(at).unwrap_or(self.now_ns)).max(self.now_ns);
        self.look_ahead();
        self.enter_supply();
    }

    /// Enters in the books who is there. A throttled worker carries what it is allowed, and is paid for
    /// whole.
    fn enter_supply(&mut self) {
        let status = self.fleet.status();
        let mut ready = f64::from(status.ready);
        if self.des.credits.is_some() {
            let at_work = self.stations.iter().filter(|seat| seat.routed);
            ready = ready.min(at_work.map(|seat| seat.station.allowed()).sum());
        }
        self.books.supply(self.now_ns / 1_000_000, &status, ready);
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Route(routes) => {
                self.pool.replace(&routes);
                self.routes = self.pool.snapshot();
                let mut empty = Vec::new();
                let ready = self.pool.ready();
                for seat in &mut self.stations {
                    let backend = ready.iter().find(|backend| backend.id() == seat.id);
                    let routed = backend.is_some();
                    if let Some(backend) = backend {
                        seat.backend = Some(Arc::clone(backend));
                    }
                    if std::mem::replace(&mut seat.routed, routed) && !routed && seat.station.is_empty() {
                        empty.push(seat.id);
                    }
                }
                let now = self.moment();
                for id in empty {
                    self.fleet.handle(now, Event::Drained { id });
                }
                self.let_in();
            }
            Effect::Spawn(id) => {
                self.seat(id);
                let mean_s = self.scenario.start_up.as_secs_f64();
                let delay_s = self.des.start_up.draw(mean_s, &mut self.start_ups);
                self.put(self.now_ns, What::Started(id));
                self.put(self.after(delay_s), What::Ready(id));
            }
            Effect::Terminate(id) => {
                let at_ns = self.after(self.scenario.drain.as_secs_f64());
                self.put(at_ns, What::Gone(id));
            }
            Effect::Kill(id) => self.put(self.now_ns, What::Killed(id)),
        }
    }

    /// Something whose time has come.
    pub(super) fn happen(&mut self, what: What) {
        let now = self.moment();
        match what {
            What::Started(id) => self.fleet.handle(now, started(id)),
            What::Ready(id) if self.is_seated(id) => self.ready(id),
            What::Warm(id) if self.is_seated(id) => self.set_speed(id, 1.0),
            What::Hang(id) if self.is_seated(id) => {
                self.set_speed(id, 0.0);
                self.put(self.now_ns + PROBE_EVERY_NS, What::ProbeFails(id));
            }
            What::ProbeFails(id) if self.is_seated(id) => {
                self.fleet.handle(now, Event::ProbeFailed { id, because: "no answer".to_owned() });
                self.put(self.now_ns + PROBE_EVERY_NS, What::ProbeFails(id));
            }
            What::RegionLost(region) => self.lose(region),
            What::Noticed(id) if self.is_seated(id) => {
                self.put(self.after(self.des.faults.notice.as_secs_f64()), What::Taken(id));
                self.fleet.handle(now, Event::Drain { id });
            }
            What::Settled(id) if self.is_seated(id) => return self.settle(id),
            What::Taken(id) => self.end(id, Exit::Signal(SIGKILL)),
            What::Crash(id) => self.end(id, Exit::Code(1)),
            What::Gone(id) => self.end(id, Exit::Code(0)),
            What::Killed(id) => self.end(id, Exit::Signal(SIGKILL)),
            What::Ready(_) | What::Warm(_) | What::Hang(_) | What::ProbeFails(_) => {}
            What::Noticed(_) | What::Settled(_) => return,
        }
        self.obey();
    }

    /// Puts down when regions are lost.
    pub(super) fn expect_losses(&mut self) {
        let regions = self.des.faults.regions.max(1);
        for (at, region) in self.des.faults.region_losses.iter().zip((0..regions).cycle()) {
            let at_ns = u64::try_from(at.as_nanos()).unwrap_or(NEVER);
            self.put(at_ns, What::RegionLost(region));
        }
    }

    /// Every process of a region ends at once.
    fn lose(&mut self, region: u32) {
        let regions = self.des.faults.regions.max(1);
        let there = self.stations.iter().map(|seat| seat.id);
        let lost: Vec<WorkerId> = there.filter(|id| id.run > 0 && id.slot % regions == region).collect();
        for id in lost {
            self.end(id, Exit::Signal(SIGKILL));
        }
    }

    /// A process ends, with all that it was doing.
    fn end(&mut self, id: WorkerId, exit: Exit) {
        if !self.is_seated(id) {
            return;
        }
        let seat = &mut self.stations[place(id)];
        let jobs = seat.station.abandon(self.now_ns);
        let backend = seat.backend.take();
        seat.id.run = 0;
        seat.ready_ns = None;
        self.completions.set(place(id), NEVER);
        let now = self.moment();
        self.fleet.handle(now, Event::Exited { id, exit });
        // Out of rotation first: what it had must not go back to it.
        self.obey();
        if let Some(backend) = backend {
            self.bereave(jobs, id, &backend);
        }
    }

    fn ready(&mut self, id: WorkerId) {
        let now = self.moment();
        self.fleet.handle(now, Event::ProbePassed { id });
        self.stations[place(id)].ready_ns = Some(self.now_ns);
        let faults = &self.des.faults;
        let (crashes, hangs) = (faults.crashes_per_hour, faults.hangs_per_hour);
        let taken = faults.interruptions_per_hour;
        if !faults.warm_up.is_zero() {
            let (speed, length_s) = (faults.warm_up_speed, faults.warm_up.as_secs_f64());
            self.set_speed(id, speed);
            self.put(self.after(length_s), What::Warm(id));
        }
        for (per_hour, what) in
            [(crashes, What::Crash(id)), (hangs, What::Hang(id)), (taken, What::Noticed(id))]
        {
            if per_hour > 0.0 {
                let wait_s = self.mishaps.exponential() * 3_600.0 / per_hour;
                self.put(self.after(wait_s), what);
            }
        }
    }

    fn seat(&mut self, id: WorkerId) {
        let station = Station::new(self.des.threads, self.now_ns);
        let account = self.des.credits.map(|credits| Account::open(credits, self.now_ns));
        if account.is_some() {
            self.put(self.now_ns + LOOK_EVERY_NS, What::Settled(id));
        }
        let seat =
            Seat { id, backend: None, station, ready_ns: None, busy_before_s: 0.0, routed: false, account };
        let place = place(id);
        if place < self.stations.len() {
            self.stations[place] = seat;
        } else {
            // The fleet takes the lowest free slot, so that a new one is the next.
            self.stations.push(seat);
        }
        self.completions.set(place, NEVER);
    }

    /// Settles a worker's account: it goes on at full speed, or at its baseline.
    fn settle(&mut self, id: WorkerId) {
        let now_ns = self.now_ns;
        let Seat { station, account, .. } = &mut self.stations[place(id)];
        let Some(account) = account else { return };
        let allowed = account.settle(now_ns, station.busy_s(now_ns));
        if station.allow(now_ns, allowed) {
            self.completions.set(place(id), station.next_ns());
            self.enter_supply();
        }
        self.put(now_ns + LOOK_EVERY_NS, What::Settled(id));
    }

    fn is_seated(&self, id: WorkerId) -> bool {
        self.stations.get(place(id)).is_some_and(|seat| seat.id == id)
    }

    fn set_speed(&mut self, id: WorkerId, speed: f64) {
        let station = &mut self.stations[place(id)].station;
        station.set_speed(self.now_ns, speed);
        self.completions.set(place(id), station.next_ns());
    }

    fn after(&self, seconds: f64) -> u64 {
        self.now_ns.saturating_add(crate::number::count(seconds * 1e9))
    }
}

fn started(id: WorkerId) -> Event {
    // Nobody listens there; a route needs an address, and each worker its own.
    let port = u16::try_from(id.slot).unwrap_or(u16::MAX);
    Event::Started { id, pid: id.slot, address: Address::Tcp(([127, 0, 0, 1], port).into()) }
}
