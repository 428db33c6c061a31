//! Limits on what a policy asks for, in one order for all policies: stabilization → rate →
//! flap budget → change in flight → paused scale-in → protected → boost → wake → bounds. Each speaks at
//! most once.

mod bend;
pub mod bounds;
pub mod flap_budget;
pub mod in_flight;
pub mod keep;
pub mod protected;
pub mod rate;
pub mod stabilization;
pub mod wake;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::bend::{Bend, Listener, Nobody, Way, Why};
use crate::decision::{Because, Blocked, Boost, Step};
use crate::number;
use crate::observation::{Observation, ScaleEvent};

/// Limits beyond the bounds: a policy brings its own, settings may replace them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Acts on the most cautious recommendation of a window.
    pub stabilization: stabilization::Windows,
    /// How much may change within a time; `None`: as much as asked for.
    pub rate: Option<rate::Behavior>,
    /// How many workers may be started within a time; `None`: any number.
    pub flap_budget: Option<flap_budget::FlapBudget>,
    /// Waits for a change under way before the next; `None`: does not.
    pub in_flight: Option<in_flight::InFlight>,
}

/// Whom a number comes from, and so which limits it meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meets {
    /// A policy's recommendation: all of them.
    #[default]
    All,
    /// A member of a combination: those that belong to it; the rest come after.
    Own,
    /// A policy that is not asked at this turn, or that knows no windows: a paused scale-in,
    /// protected workers, boost, wake and bounds.
    Bounds,
    /// An order by hand: protected workers, boost, wake and bounds.
    Order,
    /// A policy that was switched off from outside: none.
    None,
}

/// What the limits made of a number.
#[derive(Debug, Default)]
pub struct Limited {
    /// A step for each limit that changed it, in order.
    pub steps: Vec<Step>,
    /// Limits that kept it from changing, with their ends.
    pub blocked_by: Vec<Blocked>,
}

/// The limits of one pool.
#[derive(Clone, Debug)]
pub struct Limits {
    min: u32,
    max: u32,
    rules: Rules,
    stabilization: stabilization::Memory,
    events: Events,
    keep: Option<keep::Keep>,
    boost: Option<Boost>,
    begun: bool,
}

impl Limits {
    /// Limits with these bounds and nothing else.
    pub fn new(min: u32, max: u32) -> Self {
        Self::with(Rules::default(), min, max)
    }

    /// Limits with these rules and bounds.
    pub fn with(rules: Rules, min: u32, max: u32) -> Self {
        let keep = rules.longest_period();
        Self {
            min,
            max,
            rules,
            stabilization: stabilization::Memory::default(),
            events: Events { keep, ..Events::default() },
            keep: None,
            boost: None,
            begun: false,
        }
    }

    /// Goes on with other bounds, and other rules where given; what was seen is kept.
    pub(crate) fn replace(&mut self, rules: Rules, min: u32, max: u32) {
        (self.min, self.max) = (min, max);
        self.events.keep = rules.longest_period();
        self.rules = rules;
    }

    /// Raises the floor for a time; `None` ends that.
    pub(crate) fn boost(&mut self, boost: Option<Boost>) {
        self.boost = boost;
    }

    /// Has nothing taken away for a time; `None` ends that.
    pub(crate) fn keep(&mut self, keep: Option<keep::Keep>) {
        self.keep = keep;
    }

    /// Takes up what came before the first turn, and drops what was not carried out.
    pub(crate) fn observe(&mut self, seen: &Observation) {
        self.events.confirm(seen.fleet.desired);
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let past = seen.history.as_deref();
        self.events.load(past.map_or(&[][..], |past| &past.scale_events));
        match past.and_then(|past| past.recommendations.as_ref()) {
            Some(known) => self.stabilization.load(known),
            None => self.stabilization.remember(seen.at, seen.fleet.desired, &self.rules.stabilization),
        }
    }

    /// Runs `asked` through the limits that it meets. Call [`Limits::settled`] with the outcome.
    pub(crate) fn apply(&mut self, seen: &Observation, asked: u32, meets: Meets) -> Limited {
        let mut limited = Limited::default();
        self.bend(seen, asked, meets, &mut limited);
        limited
    }

    /// The number that [`Limits::apply`] ends with, where nobody reads how it came about.
    pub(crate) fn number(&mut self, seen: &Observation, asked: u32, meets: Meets) -> u32 {
        self.bend(seen, asked, meets, &mut Nobody)
    }

    fn bend(&mut self, seen: &Observation, asked: u32, meets: Meets, listener: &mut impl Listener) -> u32 {
        if meets == Meets::None {
            return asked;
        }
        let mut way = Way { current: seen.fleet.desired, replicas: asked, listener };
        if matches!(meets, Meets::All | Meets::Own) {
            self.throttle(seen, &mut way);
        }
        if meets == Meets::Own {
            return way.replicas;
        }
        if let Some(keep) = self.keep.as_ref().filter(|_| meets != Meets::Order) {
            way.pass(keep.limit(way.current, way.replicas));
        }
        way.pass(protected::limit(seen, way.replicas));
        if let Some(boost) = self.boost.filter(|boost| boost.until > seen.at) {
            way.pass(raise(boost, way.replicas));
        }
        way.pass(wake::limit(seen, way.replicas));
        let bound = bounds::limit(self.min, self.max, way.replicas);
        way.end(bound)
    }

    /// Remembers what was decided, so that rates count it.
    pub(crate) fn settled(&mut self, seen: &Observation, desired: u32) {
        self.events.note(seen.at, seen.fleet.desired, desired);
    }

    fn throttle<L: Listener>(&mut self, seen: &Observation, way: &mut Way<L>) {
        let (now, current, rules) = (seen.at, seen.fleet.desired, &self.rules);
        self.stabilization.limit(now, way, &rules.stabilization);
        if let Some(behavior) = &rules.rate {
            way.pass(behavior.limit(now, current, way.replicas, (self.min, self.max), &self.events));
        }
        if let Some(budget) = rules.flap_budget {
            way.pass(budget.limit(now, current, way.replicas, &self.events));
        }
        if let Some(guard) = rules.in_flight {
            way.pass(guard.limit(seen, way.replicas, &self.events));
        }
    }
}

fn raise(Boost { min, until }: Boost, asked: u32) -> Option<Bend<impl FnOnce() -> Why>> {
    let why = move || {
        let numbers = [("asked", f64::from(asked)), ("min", f64::from(min))];
        (Because::new("{asked} asked for, a boost demands at least {min}", numbers), Some(until))
    };
    (asked < min).then_some(Bend { rule: "boost", replicas: min, why })
}

impl Rules {
    fn longest_period(&self) -> Duration {
        let rate = self.rate.as_ref().map_or(Duration::ZERO, rate::Behavior::longest_period);
        let budget = self.flap_budget.map_or(Duration::ZERO, |budget| budget.within);
        rate.max(budget).max(self.in_flight.map_or(Duration::ZERO, |guard| guard.at_most))
    }

    /// Refuses values that make no sense.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.stabilization.check()?;
        self.rate.as_ref().map_or(Ok(()), rate::Behavior::check)
    }
}

/// Changes that are kept at most; older ones are forgotten. A change at every turn of 10 ms
/// for the longest period that Kubernetes allows (30 min) would be 180,000; real pools have
/// dozens.
const EVENTS_MAX: usize = 10_000;

/// Changes carried out, oldest first, as far back as the longest period looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    past: std::collections::VecDeque<ScaleEvent>,
    /// The number decided last, if that was a change; it counts once it is seen.
    ordered: Option<u32>,
    keep: Duration,
}

impl Events {
    fn load(&mut self, past: &[ScaleEvent]) {
        self.past.extend(past.iter().rev().take(EVENTS_MAX).rev());
    }

    fn note(&mut self, at: Timestamp, from: u32, to: u32) {
        self.ordered = None;
        if from == to || self.keep.is_zero() {
            return;
        }
        let change = i64::from(to) - i64::from(from);
        let change = i32::try_from(change).unwrap_or(if change < 0 { i32::MIN } else { i32::MAX });
        while let Some(oldest) = self.past.front()
            && (!after(oldest.at, at, self.keep) || self.past.len() >= EVENTS_MAX)
        {
            self.past.pop_front();
        }
        self.past.push_back(ScaleEvent { at, change });
        self.ordered = Some(to);
    }

    /// A change that was ordered but is not there was not carried out, or not for long.
    fn confirm(&mut self, desired: u32) {
        if self.ordered.take().is_some_and(|ordered| ordered != desired) {
            self.past.pop_back();
        }
    }

    /// Replicas added and removed later than `period` before `now`.
    pub(crate) fn within(&self, now: Timestamp, period: Duration) -> (i64, i64) {
        let recent = self.past.iter().filter(|event| after(event.at, now, period));
        recent.fold((0, 0), |(added, removed), event| match i64::from(event.change) {
            change @ 0.. => (added + change, removed),
            change => (added, removed - change),
        })
    }

    /// When the latest change in one direction took place, as far as it is kept.
    pub(crate) fn latest(&self, upward: bool) -> Option<Timestamp> {
        self.past.iter().rev().find(|event| (event.change > 0) == upward).map(|event| event.at)
    }

    /// When the oldest change in one direction leaves the period.
    pub(crate) fn next_out(&self, now: Timestamp, period: Duration, upward: bool) -> Option<Timestamp> {
        let oldest =
            self.past.iter().find(|event| after(event.at, now, period) && (event.change > 0) == upward)?;
        oldest.at.saturating_add(period).ok()
    }
}

/// Whether `at` lies later than `length` before `now`, as Go's `After(now.Add(-length))`.
pub(crate) fn after(at: Timestamp, now: Timestamp, length: Duration) -> bool {
    elapsed(at, now).is_none_or(|age| age < length)
}

/// Time from `at` to `now`; `None` where `at` is later. It is asked for several times a turn, and
/// costs a fraction of a difference with all that a calendar knows.
pub(crate) fn elapsed(at: Timestamp, now: Timestamp) -> Option<Duration> {
    const NANOS: i32 = 1_000_000_000;
    let mut seconds = now.as_second() - at.as_second();
    let mut nanos = now.subsec_nanosecond() - at.subsec_nanosecond();
    // At most twice, where 1970 lies between.
    while nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + NANOS);
    }
    while nanos >= NANOS {
        (seconds, nanos) = (seconds + 1, nanos - NANOS);
    }
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos.unsigned_abs()))
}

/// `current` plus `change`; for reasons.
pub(crate) fn moved(current: u32, change: i64) -> u32 {
    number::changed(current, change)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn elapsed_is_the_difference(first in any::<i64>(), second in any::<i64>(), near in -3_000_000_000_i64..3_000_000_000) {
            let at = |nanos: i64| Timestamp::from_nanosecond(nanos.into()).unwrap();
            for (one, other) in [(first, second), (first, first.saturating_add(near)), (near, 0), (near, near)] {
                let (one, other) = (at(one), at(other));
                prop_assert_eq!(elapsed(one, other), Duration::try_from(other.duration_since(one)).ok());
            }
        }
    }
}
