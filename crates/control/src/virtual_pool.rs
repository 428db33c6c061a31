//! Workers that exist only in numbers: launched, ready after a delay, taken out newest first.
//! Shadows and the simulator's fluid engine run on them.

pub mod flow;

use std::collections::VecDeque;

use jiff::Timestamp;
use traffic::{Version, WorkerId};

use crate::fleet::status::{FleetStatus, State};
use crate::observation::{WorkerSeen, Workers};

/// Virtual workers. As in [`crate::Fleet`], a scale-in first cancels workers that are not ready
/// yet, the newest first, and then retires the newest ready ones.
#[derive(Debug, Default)]
pub struct VirtualPool {
    /// In order of slot; policies see this list.
    pub seen: Workers,
    /// What policies do not see of each of `seen`.
    marks: Vec<Mark>,
    /// When each draining worker is gone; ascending.
    draining: VecDeque<u64>,
    /// Processes each slot has had.
    runs: Vec<u32>,
    ready: u32,
    /// Nobody was ever to become ready later than this.
    settled_ms: u64,
    /// The earliest time at which a worker becomes ready, where any is starting.
    next_ready_ms: Option<u64>,
    /// Workers launched in all.
    pub launched: u64,
}

/// The times that belong to an order.
#[derive(Clone, Copy, Debug, Default)]
pub struct When {
    /// The time of the order.
    pub now_ms: u64,
    /// When workers launched now are ready.
    pub ready_ms: u64,
    /// When workers retired now are gone.
    pub gone_ms: u64,
    /// Busy time so far of a worker that was ready all the time, in seconds.
    pub busy_s: f64,
}

/// When a worker became, or becomes, ready.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// In milliseconds since 1970.
    pub ready_ms: u64,
    /// Busy time of a worker that was ready all the time, at that moment, in seconds.
    pub busy_s: f64,
}

impl VirtualPool {
    /// Workers that are ready at once, before time 0.
    pub fn ready_from_start(count: u32) -> Self {
        let mut pool = Self::default();
        for _ in 0..count {
            pool.launch(&When::default());
        }
        pool.launched = 0;
        pool
    }

    /// Workers that take requests.
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// Workers that are paid for.
    #[inline]
    pub fn existing(&self) -> u32 {
        size(self.seen.len() + self.draining.len())
    }

    /// The pool in numbers.
    #[inline]
    pub fn status(&self) -> FleetStatus {
        FleetStatus {
            desired: size(self.seen.len()),
            starting: size(self.seen.len()) - self.ready,
            ready: self.ready,
            draining: size(self.draining.len()),
            ..FleetStatus::default()
        }
    }

    /// The next time at which a worker becomes ready or is gone.
    #[inline]
    pub fn wake_at(&self) -> Option<u64> {
        match (self.next_ready_ms, self.draining.front().copied()) {
            (Some(ready), Some(gone)) => Some(ready.min(gone)),
            (one, other) => one.or(other),
        }
    }

    /// Whether all workers were ready before then.
    pub fn were_ready_before(&self, at_ms: u64) -> bool {
        self.settled_ms < at_ms
    }

    /// What is known of each worker beyond what policies see, in the same order.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Lets everything happen that is due by `now_ms`, when a worker that was ready all the
    /// time has been busy for `busy_s`.
    #[inline]
    pub fn wake(&mut self, now_ms: u64, busy_s: f64) {
        if self.wake_at().is_some_and(|due_ms| due_ms <= now_ms) {
            self.let_happen(now_ms, busy_s);
        }
    }

    fn let_happen(&mut self, now_ms: u64, busy_s: f64) {
        while self.draining.front().is_some_and(|gone| *gone <= now_ms) {
            self.draining.pop_front();
        }
        if self.next_ready_ms.is_none_or(|due| due > now_ms) {
            return;
        }
        let (first, others) = self.seen.others_mut();
        for (worker, mark) in others.iter_mut().zip(&mut self.marks[first..]) {
            if worker.state == State::Starting && mark.ready_ms <= now_ms {
                settle(worker, mark.ready_ms);
                mark.busy_s = busy_s;
                self.ready += 1;
            }
        }
        self.find_next();
    }

    /// Launches or takes out workers, so that there are `desired`.
    pub fn set_desired(&mut self, desired: u32, when: &When) {
        let When { now_ms, gone_ms, .. } = *when;
        while size(self.seen.len()) < desired {
            self.launch(when);
            self.launched += 1;
        }
        let mut removed_starting = false;
        while size(self.seen.len()) > desired {
            let starting = self.seen.iter().rposition(|worker| worker.state == State::Starting);
            let place = starting.unwrap_or(self.seen.len() - 1);
            let worker = self.seen.remove(place);
            self.marks.remove(place);
            if worker.state == State::Ready {
                self.ready -= 1;
                if gone_ms > now_ms {
                    self.draining.push_back(gone_ms);
                }
            } else {
                removed_starting = true;
            }
        }
        if removed_starting {
            self.find_next();
        }
    }

    fn launch(&mut self, when: &When) {
        let When { now_ms, ready_ms, busy_s, .. } = *when;
        // Slots are few and reused, so the lowest free one it is; the list is in their order.
        let place = self
            .seen
            .iter()
            .zip(1_u32..)
            .position(|(worker, slot)| worker.id.slot != slot)
            .unwrap_or(self.seen.len());
        if self.runs.len() <= place {
            self.runs.resize(place + 1, 0);
        }
        self.runs[place] += 1;
        let launched_at = moment(now_ms);
        let mut worker = WorkerSeen {
            id: WorkerId { slot: size(place + 1), run: self.runs[place] },
            pid: None,
            address: None,
            state: State::Starting,
            since: launched_at,
            started_at: launched_at,
            ready_at: None,
            first_request_at: None,
            cpu_percent: None,
            memory_bytes: None,
            in_flight: 0,
            requests: 0,
            restarts: 0,
            version: Version::default(),
            protected: false,
            metrics: Vec::new(),
        };
        if ready_ms <= now_ms {
            settle(&mut worker, now_ms);
            self.ready += 1;
        } else {
            self.next_ready_ms = Some(self.next_ready_ms.map_or(ready_ms, |next| next.min(ready_ms)));
        }
        self.settled_ms = self.settled_ms.max(ready_ms).max(now_ms);
        self.seen.insert(place, worker);
        self.marks.insert(place, Mark { ready_ms: ready_ms.max(now_ms), busy_s });
    }

    fn find_next(&mut self) {
        let starting =
            self.seen.iter().zip(&self.marks).filter(|(worker, _)| worker.state == State::Starting);
        self.next_ready_ms = starting.map(|(_, mark)| mark.ready_ms).min();
    }
}

fn settle(worker: &mut WorkerSeen, at_ms: u64) {
    let at = moment(at_ms);
    worker.state = State::Ready;
    worker.since = at;
    worker.ready_at = Some(at);
    worker.first_request_at = Some(at);
}

/// Virtual time 0 is 1970: a moment that nobody takes for a real one.
#[inline]
pub fn moment(at_ms: u64) -> Timestamp {
    let millis = i64::try_from(at_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

#[inline]
fn size(count: usize) -> u32 {
    u32::try_from(count).expect("the number of workers is bounded far below")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now_ms: u64, ready_ms: u64, gone_ms: u64) -> When {
        When { now_ms, ready_ms, gone_ms, busy_s: 0.0 }
    }

    #[test]
    fn starting_workers_go_first_and_their_slots_are_reused() {
        let mut pool = VirtualPool::ready_from_start(2);
        pool.set_desired(4, &at(0, 30_000, 0));
        assert_eq!((pool.ready(), pool.existing(), pool.wake_at()), (2, 4, Some(30_000)));
        pool.set_desired(3, &at(15_000, 45_000, 15_000));
        assert_eq!((pool.ready(), pool.existing()), (2, 3));
        pool.wake(29_999, 1.0);
        assert_eq!(pool.ready(), 2);
        pool.wake(30_000, 1.0);
        assert_eq!((pool.ready(), pool.wake_at()), (3, None));
        assert_eq!(pool.seen[2].ready_at, Some(moment(30_000)));
        pool.set_desired(4, &at(45_000, 75_000, 45_000));
        let newest = pool.seen.last().unwrap().id;
        assert_eq!((newest.slot, newest.run), (4, 2));
        assert_eq!(pool.launched, 3);
    }

    #[test]
    fn draining_workers_are_paid_for_until_they_are_gone() {
        let mut pool = VirtualPool::ready_from_start(3);
        pool.set_desired(1, &at(0, 0, 10_000));
        assert_eq!((pool.ready(), pool.existing(), pool.status().draining), (1, 3, 2));
        assert_eq!(pool.wake_at(), Some(10_000));
        pool.wake(10_000, 0.0);
        assert_eq!((pool.ready(), pool.existing()), (1, 1));
    }
}
