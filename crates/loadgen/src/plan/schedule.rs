//! Walks through a plan: the moment of one request after another.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64;

use super::{Arrivals, Plan, Segment};

/// How requests are spread at a given rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly: at 100 a second, one each 10 ms.
    Even,
    /// At random, as from many independent users; equal seeds give equal moments.
    Poisson {
        /// Of the random numbers.
        seed: u64,
    },
}

/// The moments at which requests should go, in order, counted from the start of the run.
#[derive(Clone, Debug)]
pub struct Schedule {
    moments: Moments,
    /// Requests still allowed.
    left: Option<u64>,
    /// End of the plan, in seconds; may be infinite.
    end: f64,
}

#[derive(Clone, Debug)]
enum Moments {
    Rates(Walk),
    Listed { times: Arc<[f64]>, next: usize },
}

/// A position on the line of rates.
#[derive(Clone, Debug)]
struct Walk {
    /// What is left; the first begins at `offset` seconds.
    segments: VecDeque<Segment>,
    offset: f64,
    /// Area under the segments already passed.
    passed: f64,
    /// Area, counted from `offset`, at which the next request is due.
    next: f64,
    steps: Option<Pcg64>,
}

impl Schedule {
    pub(super) fn new(plan: &Plan, spacing: Spacing, requests_max: Option<u64>) -> Self {
        let moments = match &plan.arrivals {
            Arrivals::Rates(segments) => Moments::Rates(Walk::new(segments.clone().into(), spacing)),
            Arrivals::Listed { times, .. } => Moments::Listed { times: Arc::clone(times), next: 0 },
        };
        Self { moments, left: requests_max, end: plan.seconds() }
    }

    /// When the next request is due; `None` when no more is, unless the rate is changed.
    pub fn due(&mut self) -> Option<Duration> {
        if self.left == Some(0) {
            return None;
        }
        let due = self.moments.due().filter(|due| *due < self.end)?;
        Duration::try_from_secs_f64(due).ok()
    }

    /// The request that was due is on its way.
    pub fn advance(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
        match &mut self.moments {
            Moments::Rates(walk) => walk.next += walk.step(),
            Moments::Listed { next, .. } => *next += 1,
        }
    }

    /// True when nothing more will ever be due after `now`, even if the rate were changed.
    pub fn is_over(&self, now: Duration) -> bool {
        self.left == Some(0) || now.as_secs_f64() >= self.end
    }

    /// From `now` to the end of the plan, `rate_per_second` instead of what was planned.
    pub fn set_rate(&mut self, now: Duration, rate_per_second: f64) {
        let now = now.as_secs_f64();
        let rest = Segment::constant((self.end - now).max(0.0), rate_per_second);
        match &mut self.moments {
            Moments::Rates(walk) => walk.replace_after(now, rest),
            Moments::Listed { .. } => {
                let segments = VecDeque::from([Segment::constant(now, 0.0), rest]);
                self.moments = Moments::Rates(Walk::new(segments, Spacing::Even));
            }
        }
    }

    /// Requests due up to `now`: the area under the rate, and never more than were allowed.
    pub fn expected(&self, now: Duration) -> f64 {
        let now = now.as_secs_f64().min(self.end);
        match &self.moments {
            Moments::Rates(walk) => walk.passed + walk.ahead(now),
            Moments::Listed { times, .. } => times.partition_point(|time| *time < now) as f64,
        }
    }

    /// End of the plan, or the moment at which the request after the last allowed one would be
    /// due: what the rate that was asked for refers to.
    pub fn end(&mut self) -> Option<Duration> {
        let end = match self.left {
            Some(0) => self.moments.due().map_or(self.end, |due| due.min(self.end)),
            _ => self.end,
        };
        Duration::try_from_secs_f64(end).ok()
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let due = self.due()?;
        self.advance();
        Some(due)
    }
}

impl Moments {
    fn due(&mut self) -> Option<f64> {
        match self {
            Self::Rates(walk) => walk.due(),
            Self::Listed { times, next } => times.get(*next).copied(),
        }
    }
}

impl Walk {
    fn new(segments: VecDeque<Segment>, spacing: Spacing) -> Self {
        let steps = match spacing {
            Spacing::Even => None,
            Spacing::Poisson { seed } => Some(Pcg64::seed_from_u64(seed)),
        };
        let mut walk = Self { segments, offset: 0.0, passed: 0.0, next: 0.0, steps };
        if walk.steps.is_some() {
            walk.next = walk.step();
        }
        walk
    }

    /// Area from one request to the next: 1, or exponential with mean 1.
    fn step(&mut self) -> f64 {
        let Some(random) = &mut self.steps else { return 1.0 };
        // 53 random bits in (0, 1]: never 0, whose logarithm is infinite.
        let uniform = ((random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln()
    }

    fn due(&mut self) -> Option<f64> {
        while let Some(segment) = self.segments.front() {
            if let Some(due) = segment.due(self.next) {
                return Some(self.offset + due);
            }
            let area = segment.count(segment.length);
            self.next -= area;
            self.passed += area;
            self.offset += segment.length;
            self.segments.pop_front();
        }
        None
    }

    /// Area under what is left, up to `now`.
    fn ahead(&self, now: f64) -> f64 {
        let mut start = self.offset;
        let mut area = 0.0;
        for segment in &self.segments {
            area += segment.count(now - start);
            start += segment.length;
        }
        area
    }

    fn replace_after(&mut self, now: f64, rest: Segment) {
        let mut kept = VecDeque::new();
        let mut start = self.offset;
        for segment in &self.segments {
            if start < now {
                kept.push_back(segment.cut(now - start));
            }
            start += segment.length;
        }
        if self.offset > now {
            // Looking for the next request went past `now`, over segments too poor to hold one.
            self.offset = now;
        }
        kept.push_back(rest);
        self.segments = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Stages;
    use crate::units::Rate;
    use proptest::prelude::*;

    fn constant(rate: f64, seconds: u64) -> Plan {
        Plan::constant(Rate::per_second(rate).unwrap(), Some(Duration::from_secs(seconds)))
    }

    #[test]
    fn an_even_rate_starts_at_once_and_keeps_its_distance() {
        let moments: Vec<_> = constant(4.0, 2).schedule(Spacing::Even, None).collect();
        assert_eq!(moments, [0, 250, 500, 750, 1000, 1250, 1500, 1750].map(Duration::from_millis));
        assert_eq!(constant(4.0, 2).schedule(Spacing::Even, Some(3)).count(), 3);
        assert_eq!(constant(0.0, 2).schedule(Spacing::Even, None).count(), 0);
    }

    #[test]
    fn the_rate_asked_for_refers_to_the_time_of_the_requests() {
        let mut schedule = constant(50.0, 60).schedule(Spacing::Even, Some(100));
        assert_eq!(schedule.by_ref().count(), 100);
        let end = schedule.end().unwrap();
        assert_eq!(end, Duration::from_secs(2));
        assert!((schedule.expected(end) - 100.0).abs() < 1e-9);
        assert!(schedule.is_over(Duration::ZERO));
    }

    #[test]
    fn a_changed_rate_holds_from_that_moment_to_the_end() {
        let mut schedule = constant(10.0, 10).schedule(Spacing::Even, None);
        assert_eq!(schedule.by_ref().take_while(|due| due.as_secs() < 5).count(), 50);
        schedule.set_rate(Duration::from_secs(5), 100.0);
        let rest: Vec<_> = schedule.by_ref().collect();
        assert!((495..=500).contains(&rest.len()), "{}", rest.len());
        assert!(rest.is_sorted() && rest[0] >= Duration::from_secs(5));
        assert!((schedule.expected(Duration::from_secs(10)) - 550.0).abs() < 1e-6);
        schedule.set_rate(Duration::from_secs(8), 0.0);
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn a_rate_can_be_raised_from_nothing() {
        let plan = Plan::constant(Rate::ZERO, None);
        let mut schedule = plan.schedule(Spacing::Even, None);
        assert_eq!(schedule.due(), None);
        assert!(!schedule.is_over(Duration::from_secs(1000)), "it may still be changed");
        schedule.set_rate(Duration::from_secs(3), 2.0);
        let moments: Vec<_> = schedule.take(3).collect();
        assert_eq!(moments, [3000, 3500, 4000].map(Duration::from_millis));
    }

    #[test]
    fn random_moments_repeat_with_their_seed() {
        let moments =
            |seed| constant(100.0, 10).schedule(Spacing::Poisson { seed }, None).collect::<Vec<_>>();
        assert_eq!(moments(7), moments(7));
        assert_ne!(moments(7), moments(8));
    }

    proptest! {
        #[test]
        fn as_many_requests_as_the_area_in_order(
            stages in prop::collection::vec((0_u32..5000, 0_u32..300), 1..12),
            start in 0_u32..300,
        ) {
            let text: Vec<_> = stages.iter().map(|(ms, rate)| format!("{}ms:{rate}", ms + 1)).collect();
            let stages: Stages = text.join(",").parse().unwrap();
            let plan = Plan::stages(Rate::per_second(f64::from(start)).unwrap(), &stages);
            let moments: Vec<_> = plan.schedule(Spacing::Even, None).collect();
            prop_assert!((moments.len() as f64 - plan.expected()).abs() <= 1.0);
            prop_assert!(moments.is_sorted());
            prop_assert!(moments.iter().all(|at| *at < plan.length().unwrap()));
            // The same holds for every beginning of the plan, so the rate is kept on the way too.
            let schedule = plan.schedule(Spacing::Even, None);
            for (index, at) in moments.iter().enumerate() {
                prop_assert!((schedule.expected(*at) - index as f64).abs() <= 1e-3);
            }
        }

        #[test]
        fn random_moments_keep_the_rate(seed in any::<u64>()) {
            let moments: Vec<_> = constant(200.0, 20).schedule(Spacing::Poisson { seed }, None).collect();
            // Six standard deviations of a Poisson count of mean 4000.
            prop_assert!((moments.len() as f64 - 4000.0).abs() < 6.0 * 4000_f64.sqrt());
            prop_assert!(moments.is_sorted());
        }
    }
}
