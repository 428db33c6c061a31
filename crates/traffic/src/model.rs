//! The lock-free parts under loom, which tries every order that the memory model allows:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p autoscale-traffic --lib model`.
//!
//! Who waits for room while the last request leaves is not here: that needs the one order of all
//! sequentially consistent accesses, which loom does not know; `tests/stress.rs` tries it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jiff::Timestamp;
use loom::sync::Mutex;
use loom::sync::atomic::AtomicU32;
use loom::thread;

use crate::balance::{Balancer, Candidates, Draw, RoundRobin, Rule};
use crate::occupancy::{Occupancy, Shut, UNLIMITED};
use crate::writers::Writers;
use crate::{Meter, Outcome};

const AT: Timestamp = Timestamp::UNIX_EPOCH;

/// What the pool does with a retired backend: whoever finds it empty, once, under a lock.
#[derive(Default)]
struct Roster {
    drained: Mutex<u32>,
}

impl Roster {
    fn settle(&self, occupancy: &Occupancy) {
        let mut drained = self.drained.lock().unwrap();
        if *drained == 0 && occupancy.in_flight() == 0 {
            *drained += 1;
        }
    }
}

fn request(occupancy: &Occupancy, roster: &Roster) -> bool {
    match occupancy.enter(Writers::Many, UNLIMITED) {
        Ok(()) => {
            assert_eq!(*roster.drained.lock().unwrap(), 0, "a request inside, and reported as drained");
            if occupancy.leave(Writers::Many) {
                roster.settle(occupancy);
            }
            true
        }
        Err(Shut::Retired { last }) => {
            if last {
                roster.settle(occupancy);
            }
            false
        }
        Err(Shut::Full) => unreachable!("there is no limit"),
    }
}

/// A retired backend is reported as drained exactly once, and nobody is inside then.
#[test]
fn a_retired_backend_is_drained_once() {
    loom::model(|| {
        let shared = Arc::new((Occupancy::default(), Roster::default()));
        let requests = [0, 1].map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || request(&shared.0, &shared.1))
        });
        shared.0.set_retired(true);
        shared.1.settle(&shared.0);
        for request in requests {
            request.join().unwrap();
        }
        assert_eq!((*shared.1.drained.lock().unwrap(), shared.0.in_flight()), (1, 0));
        assert!(!request(&shared.0, &shared.1), "let in after it was retired");
    });
}

/// A worker put back in rotation keeps its count.
#[test]
fn a_revived_backend_has_lost_nobody() {
    loom::model(|| {
        let occupancy = Arc::new(Occupancy::default());
        let other = Arc::clone(&occupancy);
        let request = thread::spawn(move || other.enter(Writers::Many, UNLIMITED).is_ok());
        occupancy.set_retired(true);
        occupancy.set_retired(false);
        let inside = u32::from(request.join().unwrap());
        assert_eq!((occupancy.in_flight(), occupancy.is_retired()), (inside, false));
    });
}

/// A limit holds at every moment.
#[test]
fn a_limit_is_never_overshot() {
    loom::model(|| {
        let occupancy = Arc::new((Occupancy::default(), AtomicU32::new(0)));
        let requests = [0, 1].map(|_| {
            let occupancy = Arc::clone(&occupancy);
            thread::spawn(move || {
                if occupancy.0.enter(Writers::Many, 1).is_ok() {
                    assert_eq!(occupancy.1.fetch_add(1, SeqCst), 0, "two at once");
                    occupancy.1.fetch_sub(1, SeqCst);
                    occupancy.0.leave(Writers::Many);
                }
            })
        });
        assert!(occupancy.0.in_flight() <= 1);
        for request in requests {
            request.join().unwrap();
        }
        assert_eq!(occupancy.0.in_flight(), 0);
    });
}

/// Two threads that take a turn each take both workers.
#[test]
fn rotation_gives_each_its_turn() {
    loom::model(|| {
        let pool = crate::backend::made_up(2);
        let shared = Arc::new((RoundRobin::default(), pool));
        let pick = |shared: &(RoundRobin, Vec<Arc<crate::Backend>>)| {
            let draw = Draw { at: AT, random: 0, key: 0, stick_to: None };
            let rule = Rule { avoid: None, panic: false, version: None, draw: &draw };
            shared.0.pick(Candidates::new(&shared.1, &rule), &draw)
        };
        let other = Arc::clone(&shared);
        let theirs = thread::spawn(move || pick(&other));
        let (ours, theirs) = (pick(&shared), theirs.join().unwrap());
        assert!(ours.is_some() && theirs.is_some() && ours != theirs, "{ours:?} and {theirs:?}");
    });
}

/// Whoever reads a meter sees no request that has ended and not come.
#[test]
fn no_request_ends_before_it_has_come() {
    loom::model(|| {
        let meter = Arc::new(Meter::default());
        let shard = meter.shard();
        let writer = thread::spawn(move || {
            let shard = Rc::new(shard);
            let arrival = shard.arrive(AT);
            shard.enter_queue();
            shard.leave_queue(Duration::ZERO);
            arrival.finish(AT, Outcome::Answered(200));
        });
        let reading = meter.read(AT);
        assert!(reading.completions + reading.failures() + reading.cancelled <= reading.arrivals);
        assert!(reading.queued <= 1);
        writer.join().unwrap();
        assert_eq!((meter.read(AT).arrivals, meter.read(AT).completions), (1, 1));
    });
}
