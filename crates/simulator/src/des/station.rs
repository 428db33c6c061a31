//! One worker's requests: processor sharing among those in service, the rest in line.
//!
//! Time is kept in service: `virtual_s` is how much service every request in service has had
//! since the station last ran empty, so that a request is done when it reaches a fixed mark.

use std::collections::VecDeque;

use super::schedule::{NEVER, Schedule};
use super::slab::Slab;
use crate::number::seconds_of;

/// A worker's processor.
#[derive(Debug)]
pub(super) struct Station {
    /// The tickets of requests in service, each in a place.
    served: Slab<usize>,
    /// By place, the marks at which they are done, as ordered bits.
    marks: Schedule,
    /// How many they are.
    serving: u32,
    /// Requests beyond the worker's own limit, each with the service that it needs.
    line: VecDeque<(usize, f64)>,
    threads: u32,
    virtual_s: f64,
    since_ns: u64,
    /// Service a second of time; 0 while it hangs, below 1 while it warms up.
    speed: f64,
    /// Share of the processor that it is allowed.
    allowed: f64,
    /// Whether both are 1, so that nothing need be multiplied by them.
    is_whole: bool,
    /// Time with requests in service × that share, in seconds.
    busy_s: f64,
}

impl Station {
    /// An idle one; `threads` requests are served at a time.
    pub(super) fn new(threads: Option<u32>, now_ns: u64) -> Self {
        Self {
            served: Slab::default(),
            marks: Schedule::default(),
            serving: 0,
            line: VecDeque::new(),
            threads: threads.map_or(u32::MAX, |threads| threads.max(1)),
            virtual_s: 0.0,
            since_ns: now_ns,
            speed: 1.0,
            allowed: 1.0,
            is_whole: true,
            busy_s: 0.0,
        }
    }

    /// Whether no request is at the worker.
    pub(super) fn is_empty(&self) -> bool {
        // None is in line where there is a thread for it.
        self.serving == 0
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
        self.is_whole = is_one(self.speed) && is_one(self.allowed);
    }

    /// Changes which share of the processor it is allowed; whether that is news.
    pub(super) fn allow(&mut self, now_ns: u64, share: f64) -> bool {
        self.advance(now_ns);
        let before = std::mem::replace(&mut self.allowed, share);
        self.is_whole = is_one(self.speed) && is_one(self.allowed);
        before.total_cmp(&share).is_ne()
    }

    /// Which share of the processor it is allowed.
    pub(super) fn allowed(&self) -> f64 {
        self.allowed
    }

    /// Takes a request that needs so much service.
    pub(super) fn enter(&mut self, now_ns: u64, ticket: usize, service_s: f64) {
        self.advance(now_ns);
        if self.serving < self.threads {
            self.serve(ticket, service_s);
        } else {
            self.line.push_back((ticket, service_s));
        }
    }

    /// The request that is done now; the next in line takes its place.
    pub(super) fn finish(&mut self, now_ns: u64) -> Option<usize> {
        self.advance(now_ns);
        if self.serving == 0 {
            return None;
        }
        let (mark, place) = (f64::from_bits(self.marks.earliest()), self.marks.first());
        let done = self.served.take(place);
        self.marks.set(place, NEVER);
        self.serving -= 1;
        if mark > self.virtual_s {
            self.virtual_s = mark;
        }
        if let Some((ticket, service_s)) = self.line.pop_front() {
            self.serve(ticket, service_s);
        }
        if self.serving == 0 {
            // Small numbers keep their digits.
            self.virtual_s = 0.0;
        }
        done
    }

    /// All requests at once: the worker is gone.
    pub(super) fn abandon(&mut self, now_ns: u64) -> Vec<usize> {
        self.advance(now_ns);
        self.marks.clear();
        self.serving = 0;
        self.served.drain().chain(self.line.drain(..).map(|(ticket, _)| ticket)).collect()
    }

    /// When the next request is done if nothing changes.
    pub(super) fn next_ns(&self) -> u64 {
        if self.serving == 0 {
            return NEVER;
        }
        let left_s = f64::from_bits(self.marks.earliest()) - self.virtual_s;
        let mut left_s = if left_s > 0.0 { left_s } else { 0.0 } * f64::from(self.serving);
        if !self.is_whole {
            let speed = self.speed * self.allowed;
            if speed <= 0.0 {
                return NEVER;
            }
            left_s /= speed;
        }
        self.since_ns.saturating_add(crate::number::count_up(left_s * 1e9))
    }

    fn serve(&mut self, ticket: usize, service_s: f64) {
        // Positive floats are ordered as their bits are.
        let mark = (self.virtual_s + service_s.max(0.0)).to_bits();
        self.marks.advance(self.served.put(ticket), mark);
        self.serving += 1;
    }

    fn advance(&mut self, now_ns: u64) {
        let passed_s = seconds_of(now_ns.saturating_sub(self.since_ns));
        self.since_ns = now_ns;
        if self.serving == 0 {
            return;
        }
        if self.is_whole {
            // What is multiplied by 1 only takes longer.
            self.virtual_s += passed_s / f64::from(self.serving);
            self.busy_s += passed_s;
        } else {
            self.virtual_s += passed_s * self.speed * self.allowed / f64::from(self.serving);
            self.busy_s += passed_s * self.allowed;
        }
    }
}

fn is_one(share: f64) -> bool {
    share.total_cmp(&1.0).is_eq()
}
