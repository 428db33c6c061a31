//! One worker's requests: processor sharing among those in service, the rest in line.
//!
//! Time is kept in service: `virtual_s` is how much service every request in service has had
//! since the station last ran empty, so that a request is done when it reaches a fixed mark.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::schedule::NEVER;
use super::slab::Slab;
use crate::number::seconds_of;

/// A worker's processor.
#[derive(Debug)]
pub(super) struct Station {
    /// Requests in service by the mark at which they are done, as ordered bits.
    marks: BinaryHeap<Reverse<(u64, usize)>>,
    /// The tickets of those requests.
    served: Slab<usize>,
    /// Requests beyond the worker's own limit, each with the service that it needs.
    line: VecDeque<(usize, f64)>,
    threads: usize,
    virtual_s: f64,
    since_ns: u64,
    /// Service a second of time; 0 while it hangs, below 1 while it warms up.
    speed: f64,
    /// Share of the processor that it is allowed.
    allowed: f64,
    /// Time with requests in service × that share, in seconds.
    busy_s: f64,
}

impl Station {
    /// An idle one; `threads` requests are served at a time.
    pub(super) fn new(threads: Option<u32>, now_ns: u64) -> Self {
        Self {
            marks: BinaryHeap::new(),
            served: Slab::default(),
            line: VecDeque::new(),
            threads: threads.map_or(usize::MAX, |threads| crate::number::index(u64::from(threads.max(1)))),
            virtual_s: 0.0,
            since_ns: now_ns,
            speed: 1.0,
            allowed: 1.0,
            busy_s: 0.0,
        }
    }

    /// Requests at the worker.
    pub(super) fn len(&self) -> usize {
        self.marks.len() + self.line.len()
    }

    /// Busy time until `now_ns`, in seconds.
    pub(super) fn busy_s(&mut self, now_ns: u64) -> f64 {
        self.advance(now_ns);
        self.busy_s
    }

    /// Changes how fast it works.
    pub(super) fn set_speed(&mut self, now_ns: u64, speed: f64) {
        self.advance(now_ns);
        self.speed = speed;
    }

    /// Changes which share of the processor it is allowed; whether that is news.
    pub(super) fn allow(&mut self, now_ns: u64, share: f64) -> bool {
        self.advance(now_ns);
        let before = std::mem::replace(&mut self.allowed, share);
        before.total_cmp(&share).is_ne()
    }

    /// Takes a request that needs so much service.
    pub(super) fn enter(&mut self, now_ns: u64, ticket: usize, service_s: f64) {
        self.advance(now_ns);
        if self.marks.len() < self.threads {
            self.serve(ticket, service_s);
        } else {
            self.line.push_back((ticket, service_s));
        }
    }

    /// The request that is done now; the next in line takes its place.
    pub(super) fn finish(&mut self, now_ns: u64) -> Option<usize> {
        self.advance(now_ns);
        let Reverse((mark, place)) = self.marks.pop()?;
        self.virtual_s = self.virtual_s.max(f64::from_bits(mark));
        let done = self.served.take(place);
        if let Some((ticket, service_s)) = self.line.pop_front() {
            self.serve(ticket, service_s);
        }
        if self.marks.is_empty() {
            // Small numbers keep their digits.
            self.virtual_s = 0.0;
        }
        done
    }

    /// All requests at once: the worker is gone.
    pub(super) fn abandon(&mut self, now_ns: u64) -> Vec<usize> {
        self.advance(now_ns);
        self.marks.clear();
        self.served.drain().chain(self.line.drain(..).map(|(ticket, _)| ticket)).collect()
    }

    /// When the next request is done if nothing changes.
    pub(super) fn next_ns(&self) -> u64 {
        let Some(Reverse((mark, _))) = self.marks.peek() else { return NEVER };
        let speed = self.speed * self.allowed;
        if speed <= 0.0 {
            return NEVER;
        }
        let left_s = (f64::from_bits(*mark) - self.virtual_s).max(0.0) * self.marks.len() as f64 / speed;
        self.since_ns.saturating_add(crate::number::count_up(left_s * 1e9))
    }

    fn serve(&mut self, ticket: usize, service_s: f64) {
        // Positive floats are ordered as their bits are.
        let mark = (self.virtual_s + service_s.max(0.0)).to_bits();
        self.marks.push(Reverse((mark, self.served.put(ticket))));
    }

    fn advance(&mut self, now_ns: u64) {
        let passed_s = seconds_of(now_ns.saturating_sub(self.since_ns));
        self.since_ns = now_ns;
        if !self.marks.is_empty() {
            self.virtual_s += passed_s * self.speed * self.allowed / self.marks.len() as f64;
            self.busy_s += passed_s * self.allowed;
        }
    }
}
