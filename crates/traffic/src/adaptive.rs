//! A limit of requests at each worker that is learned from how long they take: one trait, one file
//! an algorithm, one table.
//!
//! The algorithm is asked now and then with what requests did since; no request pays for it. What it
//! says is in force like a limit set by hand, which stays the most that it may say.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jiff::Timestamp;

use crate::occupancy::UNLIMITED;
use crate::recent::Recent;
use crate::{Backend, Pool};

mod aimd;
mod gradient;

/// Every algorithm, by name.
pub static ADAPTIVE_LIMITS: &[Entry] = &[gradient::ENTRY, aimd::ENTRY];

/// The limit before anything is known: what Netflix's concurrency-limits begins with.
const INITIAL: f64 = 20.0;
/// One request at a time can always be had.
const LEAST: f64 = 1.0;
/// No worker on one machine has use for more at once.
const MOST: f64 = 10_000.0;
/// A window is at least this long: long enough to mean something, short enough that a burst is met
/// within a second,
const WINDOW: Duration = Duration::from_millis(250);
/// and goes on until so many requests have ended: a median of fewer is chance.
const REQUESTS_MIN: u64 = 20;

/// A row of [`ADAPTIVE_LIMITS`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What users write.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub about: &'static str,
    build: fn(&AdaptiveRule) -> Box<dyn Algorithm>,
}

/// Which algorithm, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdaptiveRule {
    /// A name in [`ADAPTIVE_LIMITS`].
    pub algorithm: String,
    /// A median time at a worker beyond which it has too many requests; for `aimd`.
    pub too_slow: Duration,
}

/// What is taken for too slow where nobody says.
pub const TOO_SLOW: Duration = Duration::from_secs(1);

/// What requests did in a window, at all workers together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    /// Median time at a worker of those that ended.
    latency: Duration,
    /// Requests at one worker, on the average over the window or at its end.
    in_flight: f64,
}

/// Decides how many requests one worker may have.
trait Algorithm: Send + fmt::Debug {
    /// The limit from `at` on, after a window in which the last one was in force.
    fn next(&mut self, at: Timestamp, seen: &Seen) -> f64;
}

/// Whether so many requests at a worker say anything about a limit: below half of it, nobody has met
/// it (as in Netflix's concurrency-limits).
fn is_in_use(limit: f64, seen: &Seen) -> bool {
    seen.in_flight >= limit / 2.0
}

/// The limits of a pool: by hand, and learned.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    by_hand: Option<NonZeroU32>,
    learned: Option<Learned>,
}

#[derive(Debug)]
struct Learned {
    rule: AdaptiveRule,
    algorithm: Box<dyn Algorithm>,
    limit: f64,
    recent: Recent,
}

impl Limits {
    pub(crate) fn by_hand(by_hand: Option<NonZeroU32>) -> Self {
        Self { by_hand, learned: None }
    }

    fn in_force(&self) -> u32 {
        let by_hand = self.by_hand.map_or(UNLIMITED, NonZeroU32::get);
        self.learned.as_ref().map_or(by_hand, |learned| whole(learned.limit).min(by_hand))
    }
}

impl Learned {
    fn new(rule: &AdaptiveRule) -> Option<Self> {
        let entry = ADAPTIVE_LIMITS.iter().find(|entry| entry.name == rule.algorithm)?;
        Some(Self {
            rule: rule.clone(),
            algorithm: (entry.build)(rule),
            limit: INITIAL,
            recent: Recent::default(),
        })
    }

    /// Ends a window, if it is long enough; whether there is another limit.
    fn look(&mut self, at: Timestamp, ready: &[Arc<Backend>]) -> bool {
        let Some(ended) = self.recent.end(at, ready, WINDOW, REQUESTS_MIN) else { return false };
        let latency = ended.durations.quantile(0.5).unwrap_or_default();
        // Little's law; a burst at the end of a window is seen by those that are still there.
        let on_average = ended.durations.sum().as_secs_f64() / ended.length.as_secs_f64();
        let now: f64 = ready.iter().map(|backend| f64::from(backend.in_flight())).sum();
        let seen = Seen { latency, in_flight: on_average.max(now) / (ready.len().max(1) as f64) };
        let next = self.algorithm.next(at, &seen);
        let changed = whole(next) != whole(self.limit);
        self.limit = next;
        changed
    }
}

/// At least one, and far from the end of its type.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 1 and 10,000")]
fn whole(limit: f64) -> u32 {
    limit.clamp(LEAST, MOST).round() as u32
}

impl Pool {
    /// Changes each backend's limit of requests. More are left to end by themselves.
    pub fn set_in_flight_max(&self, in_flight_max: Option<NonZeroU32>) {
        self.limits.lock().by_hand = in_flight_max;
        self.limit();
    }

    /// Has the limit learned from now on by this rule, or not any more. The same rule goes on with
    /// what it has learned; one with an unknown name is none.
    pub fn set_adaptive_limit(&self, rule: Option<&AdaptiveRule>) {
        {
            let mut limits = self.limits.lock();
            if limits.learned.as_ref().map(|learned| &learned.rule) == rule {
                return;
            }
            limits.learned = rule.and_then(Learned::new);
        }
        self.limit();
    }

    /// Learns from what requests did until `at`. To be called every quarter of a second or so.
    pub fn learn(&self, at: Timestamp) {
        let changed = match &mut self.limits.lock().learned {
            Some(learned) => learned.look(at, &self.snapshot.load().ready),
            None => false,
        };
        if changed {
            self.limit();
        }
        self.hedging.lock().learn(at, &self.snapshot.load().ready, &self.shared.hedge_after_nanos);
    }

    /// Requests at one backend at most, now; `None` without a limit.
    pub fn in_flight_max(&self) -> Option<u32> {
        Some(self.shared.in_flight_max.load(SeqCst)).filter(|max| *max != UNLIMITED)
    }

    /// Puts the limit in force, and has those who wait look for room.
    fn limit(&self) {
        let limits = self.limits.lock();
        self.shared.in_flight_max.store(limits.in_force(), SeqCst);
        drop(limits);
        self.vacated();
    }
}
