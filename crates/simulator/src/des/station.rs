//! One worker's requests: processor sharing among those in service, the rest in line.
//!
//! Time is kept in service: `virtual_s` is how much service every request in service has had
//! since the station last ran empty, so that a request is done when it reaches a fixed mark.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use traffic::{Arrival, Lease};

use super::schedule::NEVER;

/// A request at a worker.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) arrival: Arrival,
    pub(super) lease: Lease,
    pub(super) arrived_ns: u64,
    /// CPU time that it takes.
    pub(super) service_s: f64,
    /// It was sent once more after its first worker failed.
    pub(super) again: bool,
}

/// A worker's processor.
#[derive(Debug)]
pub(super) struct Station {
    /// Requests in service by the mark at which they are done, as ordered bits.
    marks: BinaryHeap<Reverse<(u64, usize)>>,
    jobs: Vec<Option<Job>>,
    free: Vec<usize>,
    /// Requests beyond the worker's own limit.
    line: VecDeque<Job>,
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
            jobs: Vec::new(),
            free: Vec::new(),
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

    /// Takes a request.
    pub(super) fn enter(&mut self, now_ns: u64, job: Job) {
        self.advance(now_ns);
        if self.marks.len() < self.threads { self.serve(job) } else { self.line.push_back(job) }
    }

    /// The request that is done now; the next in line takes its place.
    pub(super) fn finish(&mut self, now_ns: u64) -> Option<Job> {
        self.advance(now_ns);
        let Reverse((mark, place)) = self.marks.pop()?;
        self.virtual_s = self.virtual_s.max(f64::from_bits(mark));
        let job = self.jobs[place].take();
        self.free.push(place);
        if let Some(next) = self.line.pop_front() {
            self.serve(next);
        }
        if self.marks.is_empty() {
            // Small numbers keep their digits.
            self.virtual_s = 0.0;
        }
        job
    }

    /// All requests at once: the worker is gone.
    pub(super) fn abandon(&mut self, now_ns: u64) -> Vec<Job> {
        self.advance(now_ns);
        self.marks.clear();
        self.free.clear();
        let served = std::mem::take(&mut self.jobs).into_iter().flatten();
        served.chain(std::mem::take(&mut self.line)).collect()
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

    fn serve(&mut self, job: Job) {
        let mark = (self.virtual_s + job.service_s.max(0.0)).to_bits();
        let place = match self.free.pop() {
            Some(place) => {
                self.jobs[place] = Some(job);
                place
            }
            None => {
                self.jobs.push(Some(job));
                self.jobs.len() - 1
            }
        };
        // Positive floats are ordered as their bits are.
        self.marks.push(Reverse((mark, place)));
    }

    fn advance(&mut self, now_ns: u64) {
        let passed_s = now_ns.saturating_sub(self.since_ns) as f64 / 1e9;
        self.since_ns = now_ns;
        if !self.marks.is_empty() {
            self.virtual_s += passed_s * self.speed * self.allowed / self.marks.len() as f64;
            self.busy_s += passed_s * self.allowed;
        }
    }
}
