//! Says when each request should go, whatever the answers do: pure arithmetic on rates.
//!
//! A plan is a rate over time, made of straight lines. Arrival number `n` is due when the area
//! under that line first exceeds `n`; with [`Spacing::Poisson`] the whole numbers are replaced
//! by the partial sums of exponential steps of mean 1, which makes arrivals as random as those
//! of many independent users while keeping the rate (time change of a Poisson process, Çinlar
//! 1975).

mod pattern;
mod schedule;
mod stages;
mod trace;

use std::sync::Arc;
use std::time::Duration;

pub use pattern::{Pattern, PatternError, PatternKind};
pub use schedule::{Schedule, Spacing};
pub use stages::{Stage, Stages, StagesError};
pub use trace::{Trace, TraceError};

use crate::units::Rate;

/// A straight line: the rate goes from one value to another over some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Segment {
    /// In seconds; may be infinite when the rate is constant.
    pub(crate) length: f64,
    /// Requests per second at its start.
    pub(crate) from: f64,
    /// Requests per second at its end.
    pub(crate) to: f64,
}

impl Segment {
    pub(crate) fn constant(length: f64, rate: f64) -> Self {
        Self { length, from: rate, to: rate }
    }

    /// Change of the rate per second; infinite segments are constant.
    fn slope(&self) -> f64 {
        if self.length.is_finite() && self.length > 0.0 { (self.to - self.from) / self.length } else { 0.0 }
    }

    /// Rate at `at` seconds after the segment's start.
    fn rate_at(&self, at: f64) -> f64 {
        if self.length.is_finite() {
            self.from + self.slope() * at.clamp(0.0, self.length)
        } else {
            self.from
        }
    }

    /// Requests due in the first `at` seconds.
    pub(crate) fn count(&self, at: f64) -> f64 {
        let at = at.clamp(0.0, self.length);
        let mean = f64::midpoint(self.from, self.rate_at(at));
        if mean > 0.0 { mean * at } else { 0.0 }
    }

    /// The first moment at which more than `count` requests are due; `None` when that is not
    /// within the segment.
    fn due(&self, count: f64) -> Option<f64> {
        if count >= self.count(self.length) {
            return None;
        }
        // The root of `slope/2·t² + from·t = count`, in the form that does not cancel.
        let root = (self.from * self.from + 2.0 * self.slope() * count).max(0.0).sqrt();
        let divisor = self.from + root;
        Some(if divisor > 0.0 { 2.0 * count / divisor } else { 0.0 })
    }

    /// The first `length` seconds of it.
    fn cut(&self, length: f64) -> Self {
        let length = length.min(self.length);
        Self { length, from: self.from, to: self.rate_at(length) }
    }
}

/// When requests should go.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    arrivals: Arrivals,
}

#[derive(Clone, Debug, PartialEq)]
enum Arrivals {
    /// A rate over time.
    Rates(Vec<Segment>),
    /// Single moments, in seconds, in order; and the plan's length.
    Listed { times: Arc<[f64]>, length: f64 },
}

impl Plan {
    /// The same rate all the time; without `length`, until stopped.
    pub fn constant(rate: Rate, length: Option<Duration>) -> Self {
        let length = length.map_or(f64::INFINITY, |length| length.as_secs_f64());
        Self::rates(vec![Segment::constant(length, rate.as_per_second())])
    }

    /// From `start`, each stage in turn.
    pub fn stages(start: Rate, stages: &Stages) -> Self {
        Self::rates(stages.segments(start))
    }

    /// A pattern whose highest rate is `rate`, over `length`.
    ///
    /// # Errors
    /// When the pattern's period is too short for the length.
    pub fn pattern(pattern: &Pattern, rate: Rate, length: Duration) -> Result<Self, PatternError> {
        pattern.segments(rate, length).map(Self::rates)
    }

    /// The arrivals of a recorded trace.
    pub fn trace(trace: &Trace) -> Self {
        trace.plan()
    }

    pub(crate) fn rates(segments: Vec<Segment>) -> Self {
        Self { arrivals: Arrivals::Rates(segments) }
    }

    pub(crate) fn listed(times: Vec<f64>, length: f64) -> Self {
        Self { arrivals: Arrivals::Listed { times: times.into(), length } }
    }

    /// The same plan for `length`: cut short, or going on at its last rate.
    #[must_use]
    pub fn lasting(self, length: Duration) -> Self {
        let wanted = length.as_secs_f64();
        match self.arrivals {
            Arrivals::Listed { times, .. } => Self { arrivals: Arrivals::Listed { times, length: wanted } },
            Arrivals::Rates(segments) => {
                let last = segments.last().map_or(0.0, |segment| segment.to);
                let mut left = wanted;
                let mut kept = Vec::with_capacity(segments.len());
                for segment in segments {
                    let cut = segment.cut(left);
                    left -= cut.length;
                    kept.push(cut);
                }
                if left > 0.0 {
                    kept.push(Segment::constant(left, last));
                }
                Self::rates(kept)
            }
        }
    }

    /// How long it lasts; `None` when until stopped.
    pub fn length(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.seconds()).ok()
    }

    fn seconds(&self) -> f64 {
        match &self.arrivals {
            Arrivals::Rates(segments) => segments.iter().map(|segment| segment.length).sum(),
            Arrivals::Listed { length, .. } => *length,
        }
    }

    /// Requests due in all: the area under the rate. Infinite for a plan without an end.
    pub fn expected(&self) -> f64 {
        match &self.arrivals {
            Arrivals::Rates(segments) => segments.iter().map(|segment| segment.count(segment.length)).sum(),
            Arrivals::Listed { times, length } => times.partition_point(|time| time < length) as f64,
        }
    }

    /// The moments, one after another; no more than `requests_max` of them.
    pub fn schedule(&self, spacing: Spacing, requests_max: Option<u64>) -> Schedule {
        Schedule::new(self, spacing, requests_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_and_its_inverse_agree() {
        for (length, from, to) in [(10.0, 0.0, 100.0), (10.0, 100.0, 0.0), (3.0, 7.0, 7.0), (5.0, 20.0, 50.0)]
        {
            let segment = Segment { length, from, to };
            let total = segment.count(length);
            for step in 0..100 {
                let count = total * f64::from(step) / 100.0;
                let due = segment.due(count).unwrap();
                assert!((segment.count(due) - count).abs() < 1e-9, "{segment:?} {count}");
            }
            assert_eq!(segment.due(total), None);
        }
        assert_eq!(Segment::constant(f64::INFINITY, 0.0).due(0.0), None);
        assert_eq!(Segment::constant(f64::INFINITY, 2.0).due(10.0), Some(5.0));
    }

    #[test]
    fn a_plan_can_be_cut_and_prolonged() {
        let stages: Stages = "10s:100,10s:hold".parse().unwrap();
        let plan = Plan::stages(Rate::ZERO, &stages);
        assert_eq!((plan.length(), plan.expected()), (Some(Duration::from_secs(20)), 1500.0));
        let cut = plan.clone().lasting(Duration::from_secs(5));
        assert_eq!((cut.length(), cut.expected()), (Some(Duration::from_secs(5)), 125.0));
        let longer = plan.lasting(Duration::from_secs(30));
        assert_eq!((longer.length(), longer.expected()), (Some(Duration::from_secs(30)), 2500.0));
    }
}
