//! Readings as they come, in any spacing, into slots; counters into what they counted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Sample;

/// Averages readings until a slot is over, then gives the slot's sample.
#[derive(Clone, Debug)]
pub struct Gatherer {
    step: SignedDuration,
    slot: Option<Timestamp>,
    target: Mean,
    covariates: Vec<Mean>,
}

#[derive(Clone, Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.sum += value;
            self.count += 1;
        }
    }

    fn take(&mut self) -> Option<f64> {
        let mean = (self.count > 0).then(|| self.sum / f64::from(self.count));
        *self = Self::default();
        mean
    }
}

impl Gatherer {
    /// Slots of this length, aligned to the epoch.
    pub fn new(step: Duration) -> Self {
        let step =
            SignedDuration::try_from(step.max(Duration::from_millis(1))).unwrap_or(SignedDuration::MAX);
        Self { step, slot: None, target: Mean::default(), covariates: Vec::new() }
    }

    /// Takes a reading; gives the slot before, with its beginning, if this reading opens
    /// another one. Slots without any reading are not given: the time stamp tells.
    pub fn add(&mut self, at: Timestamp, sample: &Sample) -> Option<(Timestamp, Sample)> {
        let step = self.step.as_nanos();
        let begins = at.as_nanosecond().div_euclid(step) * step;
        let begins = Timestamp::from_nanosecond(begins).unwrap_or(at);
        let over = self.slot.filter(|&slot| slot < begins).map(|slot| (slot, self.take()));
        if self.slot.is_none_or(|slot| slot < begins) {
            self.slot = Some(begins);
        }
        if let Some(target) = sample.target {
            self.target.add(target);
        }
        self.covariates.resize_with(self.covariates.len().max(sample.covariates.len()), Mean::default);
        for (mean, &value) in self.covariates.iter_mut().zip(&sample.covariates) {
            mean.add(value);
        }
        over
    }

    fn take(&mut self) -> Sample {
        let covariates = self.covariates.iter_mut().map(|mean| mean.take().unwrap_or(f64::NAN));
        Sample { target: self.target.take(), covariates: covariates.collect() }
    }
}

/// What a counter that only grows counted between samples, per second. A fall is a restart of
/// whoever counts: what it shows then was counted since, as Prometheus' `rate` takes it.
pub fn increments(counter: &[(Timestamp, f64)]) -> Vec<(Timestamp, f64)> {
    let rate = |pair: &[(Timestamp, f64)]| {
        let [(before, from), (at, to)] = pair else { return None };
        let seconds = at.duration_since(*before).as_secs_f64();
        let counted = if to < from { *to } else { to - from };
        (seconds > 0.0 && counted.is_finite()).then(|| (*at, counted / seconds))
    };
    counter.windows(2).filter_map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: i64) -> Timestamp {
        Timestamp::from_second(at).unwrap()
    }

    #[test]
    fn a_slot_is_given_when_the_next_one_opens() {
        let mut gatherer = Gatherer::new(Duration::from_secs(10));
        assert_eq!(gatherer.add(seconds(12), &Sample::of(1.0)), None);
        assert_eq!(gatherer.add(seconds(19), &Sample::of(3.0)), None);
        assert_eq!(gatherer.add(seconds(41), &Sample::of(9.0)), Some((seconds(10), Sample::of(2.0))));
        assert_eq!(gatherer.add(seconds(30), &Sample::default()), None, "late readings close nothing");
        assert_eq!(gatherer.add(seconds(50), &Sample::default()), Some((seconds(40), Sample::of(9.0))));
    }

    #[test]
    fn a_counter_that_fell_was_restarted() {
        let counter = [(0, 100.0), (10, 150.0), (20, 30.0), (20, 31.0), (30, 50.0)];
        let rates = increments(&counter.map(|(at, value)| (seconds(at), value)));
        assert_eq!(rates, vec![(seconds(10), 5.0), (seconds(20), 3.0), (seconds(30), 1.9)]);
    }
}
