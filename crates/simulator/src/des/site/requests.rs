//! What becomes of single requests: they come, wait, are served, and end.

use control::Event;
use traffic::{Backend, Draw, Outcome as Ending, WorkerId};

use super::super::schedule::NEVER;
use super::{Site, place};
use crate::number;

/// Requests that wait for a worker at most; the next one is refused. More would wait longer
/// than anyone's patience at any sensible rate.
const WAITING_MAX: usize = 1_000_000;

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    arrived_ns: u64,
    /// When the worker that has it got it.
    leased_ns: u64,
    /// CPU time that it takes.
    service_s: f64,
    /// It was sent once more after its first worker failed.
    again: bool,
    /// That worker.
    avoid: Option<WorkerId>,
}

impl Site<'_> {
    /// Keeps the sum for Little's law.
    pub(super) fn count_present(&mut self) {
        let from_ns = self.present_since_ns.max(self.scored_from_ns);
        let passed_ns = self.now_ns.saturating_sub(from_ns);
        self.present_sum_ns += u128::from(passed_ns) * u128::from(self.present);
        self.present_since_ns = self.now_ns;
    }

    pub(super) fn arrive(&mut self) {
        let service_s = self.next.service_s;
        self.next = self.coming.next();
        self.count_present();
        self.present += 1;
        self.requests.arrived += u64::from(self.scoring());
        self.shard.count_arrival();
        let ticket = self.open.put(Request {
            arrived_ns: self.now_ns,
            leased_ns: self.now_ns,
            service_s,
            again: false,
            avoid: None,
        });
        // Those who came before are served before.
        if self.waiting.is_empty() && self.serve(ticket) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX { self.refuse(ticket) } else { self.wait(ticket) }
    }

    /// Gives a request to a worker; whether one could take it.
    fn serve(&mut self, ticket: usize) -> bool {
        let draw = Draw { at: self.moment(), random: self.balance.bits(), key: 0, stick_to: None };
        let Some(request) = self.open.get_mut(ticket) else { return true };
        let Some(backend) = self.routes.admit(&draw, request.avoid) else { return false };
        let place = place(backend.id());
        request.leased_ns = self.now_ns;
        let station = &mut self.stations[place].station;
        let was_idle = station.is_empty();
        station.enter(self.now_ns, ticket, request.service_s);
        if was_idle {
            self.completions.advance(place, station.next_ns());
        } else {
            self.completions.set(place, station.next_ns());
        }
        true
    }

    fn wait(&mut self, ticket: usize) {
        self.shard.enter_queue();
        self.waiting.push_back((self.now_ns, ticket));
        self.look_ahead();
    }

    /// When the request that waits longest gives up.
    pub(super) fn impatient_ns(&self) -> u64 {
        self.waiting.front().map_or(NEVER, |(since_ns, _)| since_ns.saturating_add(self.patience_ns))
    }

    pub(super) fn give_up(&mut self) {
        if let Some((_, ticket)) = self.waiting.pop_front() {
            self.look_ahead();
            self.shard.leave_queue(self.scenario.patience);
            self.refuse(ticket);
        }
    }

    fn refuse(&mut self, ticket: usize) {
        let Some(request) = self.open.take(ticket) else { return };
        self.count_present();
        self.present -= 1;
        let refused = Ending::Refused { status: 503, reason: "queue_full" };
        self.shard.count_end(refused, self.now_ns - request.arrived_ns);
        if self.scoring() {
            self.requests.dropped += 1;
            self.books.dropped(1.0 / self.requests_per_load);
        }
    }

    /// The earliest request in service is done.
    pub(super) fn complete(&mut self) {
        let place = self.completions.first();
        let seat = &mut self.stations[place];
        let done = seat.station.finish(self.now_ns);
        self.completions.set(place, seat.station.next_ns());
        let (id, drained) = (seat.id, !seat.routed && seat.station.is_empty());
        let Some(request) = done.and_then(|done| self.open.take(done)) else { return };
        let at = self.moment();
        if let Some(backend) = &self.stations[place].backend {
            backend.end(at, self.now_ns - request.leased_ns, Ending::Answered(200));
        }
        self.count_present();
        self.present -= 1;
        let response_ns = self.now_ns - request.arrived_ns;
        self.shard.count_end(Ending::Answered(200), response_ns);
        if self.scoring() {
            let response_s = number::seconds_of(response_ns);
            self.requests.completed += 1;
            self.requests.response_s += response_s;
            self.books.answered(response_s);
        }
        if drained {
            self.fleet.handle(at, Event::Drained { id });
            self.obey();
        }
        self.let_in();
    }

    /// Whoever waits longest goes first, as long as there is room.
    pub(super) fn let_in(&mut self) {
        while let Some(&(since_ns, ticket)) = self.waiting.front() {
            if !self.serve(ticket) {
                return;
            }
            self.waiting.pop_front();
            self.look_ahead();
            let waited = std::time::Duration::from_nanos(self.now_ns - since_ns);
            self.shard.leave_queue(waited);
            if self.scoring() {
                self.requests.wait_s += waited.as_secs_f64();
            }
        }
    }

    /// What a worker had when it ended: once more elsewhere, as the proxy does it, or lost.
    pub(super) fn bereave(&mut self, tickets: Vec<usize>, id: WorkerId, backend: &Backend) {
        for ticket in tickets {
            let at = self.moment();
            let Some(request) = self.open.get_mut(ticket) else { continue };
            backend.end(at, self.now_ns - request.leased_ns, Ending::Broken);
            if !std::mem::replace(&mut request.again, true) {
                request.avoid = Some(id);
                self.shard.count_retry();
                if !self.serve(ticket) {
                    self.wait(ticket);
                }
            } else if let Some(request) = self.open.take(ticket) {
                self.count_present();
                self.present -= 1;
                self.shard.count_end(Ending::Answered(502), self.now_ns - request.arrived_ns);
                self.requests.failed += u64::from(self.scoring());
            }
        }
    }
}
