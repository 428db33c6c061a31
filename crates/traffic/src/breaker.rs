//! The circuit breaker of a whole pool: where most requests fail wherever they go, none is sent for a
//! while, and then a few to see.
//!
//! A single backend that fails is ejected (`health`); but at least half of them always stay in
//! service, as an error that all have in common is not theirs. This is for that error, for example a
//! database that is down: requests are refused at once instead of being added to what cannot be done.
//! Closed, open, half-open as in Nygard, "Release It!" (2007).

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::sync::AtomicU64;
use crate::tally::Tally;
use crate::writers::Writers;
use crate::{Ejection, Pool};

/// `open_until` of a closed circuit.
const CLOSED: i64 = i64::MIN;
/// Requests that are let through to see, and that must end well.
pub(crate) const TRIALS_MAX: u32 = 3;
/// Openings in a row beyond which the time is no longer doubled: by then it is at its longest.
const DOUBLINGS_MAX: u32 = 16;

/// What is done with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// They go to backends.
    Closed,
    /// They are refused.
    Open,
    /// A few go to backends, to see.
    HalfOpen,
}

impl Circuit {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// As programs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Threads count in it without locks while it is closed.
#[derive(Debug)]
pub(crate) struct Breaker {
    is_on: AtomicBool,
    /// Share of failed requests (0–1) that opens it, as bits.
    failure_ratio: AtomicU64,
    window: Tally,
    open_until_micros: AtomicI64,
    trials: Mutex<Trials>,
}

/// What is known while it is not closed.
#[derive(Debug)]
struct Trials {
    openings: u32,
    /// Since when trials have been given, how many, and how many of them have ended well.
    tried_from: Timestamp,
    tried: u32,
    passed: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            is_on: AtomicBool::new(false),
            open_until_micros: AtomicI64::new(CLOSED),
            failure_ratio: AtomicU64::new(1.0_f64.to_bits()),
            window: Tally::default(),
            trials: Mutex::new(Trials {
                openings: 0,
                tried_from: Timestamp::UNIX_EPOCH,
                tried: 0,
                passed: 0,
            }),
        }
    }
}

impl Breaker {
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    fn set(&self, failure_ratio: Option<f64>) {
        if let Some(ratio) = failure_ratio {
            self.failure_ratio.store(ratio.to_bits(), Relaxed);
        } else {
            self.close(&mut self.trials.lock());
        }
        self.is_on.store(failure_ratio.is_some(), Relaxed);
    }

    fn circuit(&self, at: Timestamp) -> Circuit {
        match self.open_until_micros.load(Acquire) {
            CLOSED => Circuit::Closed,
            until if at.as_microsecond() < until => Circuit::Open,
            _ => Circuit::HalfOpen,
        }
    }

    /// Lets a request through, or says how long that makes no sense.
    fn admit(&self, at: Timestamp, rule: &Ejection) -> Result<(), Duration> {
        let until = self.open_until_micros.load(Acquire);
        if until == CLOSED {
            return Ok(());
        }
        if let Ok(left @ 1..) = u64::try_from(until.saturating_sub(at.as_microsecond())) {
            return Err(Duration::from_micros(left));
        }
        let mut trials = self.trials.lock();
        let tried_for = Duration::try_from(at.duration_since(trials.tried_from)).unwrap_or_default();
        if tried_for >= rule.base {
            // Those given before have been cancelled, or hang.
            (trials.tried_from, trials.tried) = (at, 0);
        }
        if trials.tried >= TRIALS_MAX {
            return Err(rule.base.saturating_sub(tried_for));
        }
        trials.tried += 1;
        Ok(())
    }

    /// Takes the end of a request that was sent at `sent_at`.
    pub(crate) fn record(&self, failed: bool, sent_at: Timestamp, at: Timestamp, rule: &Ejection) {
        let until = self.open_until_micros.load(Acquire);
        if until == CLOSED {
            let (requests, failures) = self.window.count(Writers::Many, failed, at, rule.window_micros());
            let ratio = f64::from_bits(self.failure_ratio.load(Relaxed));
            let too_many = failures as f64 >= ratio * requests as f64;
            if failed && too_many && requests >= u64::from(rule.volume_min) {
                self.open(CLOSED, at, rule);
            }
        } else if sent_at.as_microsecond() < until {
            // Sent before it opened: that says nothing of now.
        } else if failed {
            self.open(until, at, rule);
        } else {
            let mut trials = self.trials.lock();
            trials.passed += 1;
            if trials.passed >= TRIALS_MAX {
                self.close(&mut trials);
            }
        }
    }

    /// Opens it, unless another thread has already done something else with it since it was `seen`.
    fn open(&self, seen: i64, at: Timestamp, rule: &Ejection) {
        let mut trials = self.trials.lock();
        if self.open_until_micros.load(Acquire) != seen {
            return;
        }
        let doublings = trials.openings.min(DOUBLINGS_MAX);
        let length = rule.base.saturating_mul(2_u32.saturating_pow(doublings)).min(rule.longest);
        let until = at.saturating_add(length).unwrap_or(Timestamp::MAX);
        *trials =
            Trials { openings: trials.openings.saturating_add(1), tried_from: until, tried: 0, passed: 0 };
        self.open_until_micros.store(until.as_microsecond(), Release);
    }

    fn close(&self, trials: &mut Trials) {
        (trials.openings, trials.passed) = (0, 0);
        self.window.forget();
        self.open_until_micros.store(CLOSED, Release);
    }
}

impl Pool {
    /// Has requests refused for a while where this share of them (0–1) fails; `None`: never. Windows,
    /// volume and times are those of the pool's [`Ejection`].
    pub fn set_circuit_breaker(&self, failure_ratio: Option<f64>) {
        self.shared.breaker.set(failure_ratio);
    }

    /// Whether there is a breaker that must be asked.
    pub fn has_circuit_breaker(&self) -> bool {
        self.shared.breaker.is_on()
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// For how long that makes no sense.
    pub fn admit(&self, at: Timestamp) -> Result<(), Duration> {
        self.shared.breaker.admit(at, &self.shared.ejection.load())
    }

    /// What is done with requests now; `None` without a breaker.
    pub fn circuit(&self, at: Timestamp) -> Option<Circuit> {
        self.has_circuit_breaker().then(|| self.shared.breaker.circuit(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn breaker() -> (Breaker, Ejection) {
        let breaker = Breaker::default();
        breaker.set(Some(0.5));
        (breaker, Ejection::default())
    }

    fn end(breaker: &Breaker, failed: bool, millis: i64) {
        breaker.record(failed, at(millis), at(millis), &Ejection::default());
    }

    #[test]
    fn it_opens_tries_a_few_and_closes() {
        let (breaker, rule) = breaker();
        for request in 0..20 {
            assert_eq!(breaker.circuit(at(0)), Circuit::Closed, "after {request}");
            end(&breaker, request % 2 == 1, 0);
        }
        assert_eq!(breaker.admit(at(100), &rule), Err(Duration::from_millis(900)));
        end(&breaker, false, 900);
        assert_eq!(breaker.circuit(at(999)), Circuit::Open, "an answer to a request from before");
        let admitted = (0..10).filter(|_| breaker.admit(at(1_000), &rule).is_ok()).count();
        assert_eq!(admitted, usize::try_from(TRIALS_MAX).unwrap());
        assert_eq!(breaker.circuit(at(1_000)), Circuit::HalfOpen);
        for _ in 0..TRIALS_MAX {
            end(&breaker, false, 1_010);
        }
        assert_eq!(breaker.circuit(at(1_010)), Circuit::Closed);
        assert!((0..10).all(|_| breaker.admit(at(1_010), &rule).is_ok()));
        end(&breaker, true, 1_020);
        assert_eq!(breaker.circuit(at(1_020)), Circuit::Closed, "a new beginning");
    }

    #[test]
    fn a_failed_trial_opens_it_for_twice_as_long() {
        let (breaker, rule) = breaker();
        (0..20).for_each(|_| end(&breaker, true, 0));
        let mut opened_at = 0;
        for length in [1_000, 2_000, 4_000] {
            assert!(breaker.admit(at(opened_at + length - 1), &rule).is_err());
            opened_at += length;
            assert!(breaker.admit(at(opened_at), &rule).is_ok());
            end(&breaker, true, opened_at);
        }
        assert!(breaker.admit(at(opened_at + 7_999), &rule).is_err());
        breaker.set(None);
        assert_eq!(breaker.circuit(at(opened_at)), Circuit::Closed);
    }

    #[test]
    fn trials_that_never_end_are_followed_by_others() {
        let (breaker, rule) = breaker();
        (0..20).for_each(|_| end(&breaker, true, 0));
        let admitted = |millis| (0..10).filter(|_| breaker.admit(at(millis), &rule).is_ok()).count();
        assert_eq!((admitted(1_000), admitted(1_999), admitted(2_000)), (3, 0, 3));
    }

    #[test]
    fn few_requests_or_few_failures_leave_it_closed() {
        let (breaker, _) = breaker();
        (0..19).for_each(|_| end(&breaker, true, 0));
        assert_eq!(breaker.circuit(at(0)), Circuit::Closed);
        (0..100).for_each(|request| end(&breaker, request % 3 == 0, 20_000));
        assert_eq!(breaker.circuit(at(20_000)), Circuit::Closed);
    }
}
