//! Whether a backend is in service: what probes say of it, and what its answers say.
//!
//! Both may only narrow the ready set. Counts, not percentages, decide how far: a pool is small.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::tally::Tally;
use crate::writers::Writers;
use crate::{Address, WorkerId};

/// `out_until` of a backend that is in service.
const IN_SERVICE: i64 = i64::MIN;
/// Ejections in a row beyond which the time out is no longer doubled: by then it is at its longest.
const DOUBLINGS_MAX: u32 = 16;
/// Requests at once that a backend gets when it is back from an ejection, until one of them has ended
/// well: enough to find out, few enough to lose. Threads that choose at the same time may make it one
/// or two more.
const TRIALS_MAX: u32 = 3;

/// When a backend's own answers take it out of service, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    /// So many failures in a row (5xx, broken transfers, refused connections); 0 never ejects.
    pub consecutive: u32,
    /// Or this share of a window's requests (0–1),
    pub failure_ratio: f64,
    /// of which there must be this many.
    pub volume_min: u32,
    /// Length of a window.
    pub window: Duration,
    /// How long the first time; each further one is twice as long as the last,
    pub base: Duration,
    /// up to this.
    pub longest: Duration,
}

impl Default for Ejection {
    /// Envoy's five in a row; its other numbers are for hundreds of hosts and are scaled to few.
    fn default() -> Self {
        Self {
            consecutive: 5,
            failure_ratio: 0.5,
            volume_min: 20,
            window: Duration::from_secs(10),
            base: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        }
    }
}

/// Instead of a window, where no answer ever ejects.
const NEVER_JUDGED: u64 = u64::MAX;

impl Ejection {
    /// Length of a window, in microseconds.
    pub(crate) fn window_micros(&self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(NEVER_JUDGED).min(NEVER_JUDGED - 1)
    }

    /// The same, or [`NEVER_JUDGED`].
    pub(crate) fn judged_over_micros(&self) -> u64 {
        if self.consecutive == 0 { NEVER_JUDGED } else { self.window_micros() }
    }
}

/// What active probes have found, in the words of an ALB's target health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// Nobody probes it.
    #[default]
    Unprobed,
    /// Not probed often enough yet; not in service.
    Initial,
    /// In service.
    Healthy,
    /// It answered with another status than was expected; not in service.
    Mismatch,
    /// It did not answer in time; not in service.
    TimedOut,
    /// It could not be connected to, or broke off; not in service.
    Failed,
}

impl Probed {
    const ALL: [Self; 6] =
        [Self::Unprobed, Self::Initial, Self::Healthy, Self::Mismatch, Self::TimedOut, Self::Failed];

    #[inline]
    fn is_in_service(self) -> bool {
        matches!(self, Self::Unprobed | Self::Healthy)
    }

    /// Whether nothing came back at all.
    pub(crate) fn is_silent(self) -> bool {
        matches!(self, Self::TimedOut | Self::Failed)
    }
}

/// One backend's line in a listing of target health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetHealth {
    /// The worker.
    pub id: WorkerId,
    /// Where it listens.
    pub address: Address,
    /// `healthy`, `unhealthy`, `initial` or `draining`.
    pub state: &'static str,
    /// Why, as ALB codes say it; empty for a healthy one.
    pub reason: &'static str,
}

/// Counts probes: so many alike in a row change the verdict.
#[derive(Clone, Copy, Debug)]
pub struct ProbeCount {
    healthy_threshold: u32,
    unhealthy_threshold: u32,
    verdict: Probed,
    passed: u32,
    failed: u32,
}

impl ProbeCount {
    /// Nothing probed yet. Thresholds of 0 are taken for 1.
    pub fn new(healthy_threshold: u32, unhealthy_threshold: u32) -> Self {
        let (healthy_threshold, unhealthy_threshold) = (healthy_threshold.max(1), unhealthy_threshold.max(1));
        Self { healthy_threshold, unhealthy_threshold, verdict: Probed::Initial, passed: 0, failed: 0 }
    }

    /// What the probes so far amount to.
    pub fn verdict(&self) -> Probed {
        self.verdict
    }

    /// Takes one probe's result, and tells the verdict. The first success ever is enough: a new
    /// worker is not to wait for the patience that is owed to an old one.
    pub fn record(&mut self, result: Probed) -> Probed {
        if result == Probed::Healthy {
            self.passed += 1;
            self.failed = 0;
            if self.verdict == Probed::Initial || self.passed >= self.healthy_threshold {
                self.verdict = Probed::Healthy;
            }
        } else {
            self.failed += 1;
            self.passed = 0;
            if self.failed >= self.unhealthy_threshold || self.verdict != Probed::Healthy {
                // While nothing has ever passed it is still in its beginning.
                self.verdict = if self.verdict == Probed::Initial && self.failed < self.unhealthy_threshold {
                    Probed::Initial
                } else {
                    result
                };
            }
        }
        self.verdict
    }
}

/// One backend's health. Threads count in it without locks; a count lost to a race shifts a verdict
/// by one request.
#[derive(Debug, Default)]
pub(crate) struct Health {
    probed: AtomicU8,
    consecutive: AtomicU32,
    window: Tally,
    out_until_micros: OutUntil,
    ejections: AtomicU32,
}

#[derive(Debug)]
struct OutUntil(AtomicI64);

impl Default for OutUntil {
    fn default() -> Self {
        Self(AtomicI64::new(IN_SERVICE))
    }
}

impl Health {
    pub(crate) fn probed(&self) -> Probed {
        Probed::ALL[usize::from(self.probed.load(Relaxed))]
    }

    pub(crate) fn set_probed(&self, probed: Probed) {
        self.probed.store(probed as u8, Relaxed);
    }

    pub(crate) fn is_ejected(&self, at: Timestamp) -> bool {
        let until = self.out_until_micros.0.load(Relaxed);
        until != IN_SERVICE && at.as_microsecond() < until
    }

    pub(crate) fn is_in_service(&self, at: Timestamp) -> bool {
        self.probed().is_in_service() && !self.is_ejected(at)
    }

    /// The same, and not on trial with as many requests as that is done with.
    #[inline]
    pub(crate) fn takes_requests(&self, at: Timestamp, in_flight: impl FnOnce() -> u32) -> bool {
        let until = self.out_until_micros.0.load(Relaxed);
        let is_back = || until <= at.as_microsecond() && in_flight() < TRIALS_MAX;
        self.probed().is_in_service() && (until == IN_SERVICE || is_back())
    }

    fn is_on_trial(&self, at: Timestamp) -> bool {
        self.out_until_micros.0.load(Relaxed) != IN_SERVICE && !self.is_ejected(at)
    }

    /// Whether its last request failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.consecutive.load(Relaxed) > 0
    }

    /// Takes an answer. It counts for [`Ejection::judged_over_micros`].
    #[inline]
    pub(crate) fn answered(&self, at: Timestamp, window_micros: u64, writers: Writers) {
        if window_micros == NEVER_JUDGED {
            return;
        }
        self.window.count(writers, false, at, window_micros);
        if self.consecutive.load(Relaxed) > 0 {
            self.consecutive.store(0, Relaxed);
        }
        let until = self.out_until_micros.0.load(Relaxed);
        if until != IN_SERVICE && at.as_microsecond() >= until {
            // Only a real request restores a backend: it has served one since its return.
            self.out_until_micros.0.store(IN_SERVICE, Relaxed);
            self.ejections.store(0, Relaxed);
        }
    }

    /// Takes a failure. True when it ought to be ejected.
    pub(crate) fn failed(&self, at: Timestamp, rule: &Ejection) -> bool {
        let window_micros = rule.judged_over_micros();
        if window_micros == NEVER_JUDGED {
            return false;
        }
        let (requests, failures) = self.window.count(Writers::Many, true, at, window_micros);
        let in_a_row = self.consecutive.fetch_add(1, Relaxed).saturating_add(1);
        let on_probation = self.out_until_micros.0.load(Relaxed) != IN_SERVICE;
        let too_many =
            requests >= u64::from(rule.volume_min) && failures as f64 >= rule.failure_ratio * requests as f64;
        on_probation || in_a_row >= rule.consecutive || too_many
    }

    /// Takes it out of service; it comes back by itself.
    pub(crate) fn eject(&self, at: Timestamp, rule: &Ejection) {
        let before = self.ejections.fetch_add(1, Relaxed).min(DOUBLINGS_MAX);
        let length = rule.base.saturating_mul(2_u32.saturating_pow(before)).min(rule.longest);
        let until = at.saturating_add(length).unwrap_or(Timestamp::MAX);
        self.out_until_micros.0.store(until.as_microsecond(), Relaxed);
        self.window.forget();
    }

    /// State and reason, for people.
    pub(crate) fn describe(&self, at: Timestamp, is_retired: bool) -> (&'static str, &'static str) {
        if is_retired {
            return ("draining", "Target.DeregistrationInProgress");
        }
        match self.probed() {
            Probed::Initial => ("initial", "Elb.InitialHealthChecking"),
            Probed::Mismatch => ("unhealthy", "Target.ResponseCodeMismatch"),
            Probed::TimedOut => ("unhealthy", "Target.Timeout"),
            Probed::Failed => ("unhealthy", "Target.FailedHealthChecks"),
            Probed::Unprobed | Probed::Healthy if self.is_ejected(at) => ("unhealthy", "Target.Ejected"),
            Probed::Unprobed | Probed::Healthy if self.is_on_trial(at) => ("initial", "Target.OnTrial"),
            Probed::Unprobed | Probed::Healthy => ("healthy", ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn probes_change_the_verdict_only_in_rows() {
        let (good, bad) = (Probed::Healthy, Probed::TimedOut);
        let mut count = ProbeCount::new(2, 3);
        let verdicts =
            [bad, good, bad, bad, good, bad, bad, bad, good, good].map(|result| count.record(result));
        let initial = Probed::Initial;
        assert_eq!(verdicts, [initial, good, good, good, good, good, good, bad, bad, good]);
        let mut never = ProbeCount::new(1, 2);
        assert_eq!([bad, bad, bad].map(|result| never.record(result)), [initial, bad, bad]);
    }

    #[test]
    fn ejections_double_and_one_good_request_forgives() {
        let rule = Ejection { volume_min: u32::MAX, ..Ejection::default() };
        let health = Health::default();
        let failures = (0..5).map(|_| health.failed(at(0), &rule)).collect::<Vec<_>>();
        assert_eq!(failures, [false, false, false, false, true]);
        health.eject(at(0), &rule);
        assert!(health.is_ejected(at(999)) && !health.is_ejected(at(1_000)));
        assert!(health.failed(at(1_000), &rule), "the first failure after the return is enough");
        health.eject(at(1_000), &rule);
        assert!(health.is_ejected(at(2_999)) && !health.is_ejected(at(3_000)));
        health.answered(at(3_000), rule.judged_over_micros(), Writers::Many);
        assert!(!health.failed(at(3_000), &rule), "forgiven");
        for _ in 0..20 {
            health.eject(at(10_000), &rule);
        }
        assert!(!health.is_ejected(at(70_001)), "never longer than the longest");
    }

    #[test]
    fn a_ratio_needs_its_volume() {
        let rule = Ejection { consecutive: u32::MAX, ..Ejection::default() };
        let health = Health::default();
        let verdict = |_| {
            health.answered(at(100_000), rule.judged_over_micros(), Writers::Many);
            health.failed(at(100_000), &rule)
        };
        let verdicts: Vec<bool> = (0..10).map(verdict).collect();
        assert_eq!(verdicts.iter().filter(|&&eject| eject).count(), 1);
        assert!(verdicts[9]);
        assert!(!health.failed(at(120_000), &rule), "a new window");
    }
}
