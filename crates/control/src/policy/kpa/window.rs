//! Averages over a sliding window, and the most of a delay window.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

/// Samples kept at most: an hour at 36 ms.
const SAMPLES_MAX: usize = 100_000;

/// The mean over a window, each sample weighing as long as it stood.
#[derive(Clone, Debug)]
pub(super) struct Average {
    length: Duration,
    samples: VecDeque<(Timestamp, f64, f64)>,
}

impl Average {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, samples: VecDeque::new() }
    }

    /// `value` stood for `length` up to `at`.
    pub(super) fn take(&mut self, at: Timestamp, value: f64, length: Duration) {
        while self.samples.pop_front_if(|(old, ..)| !crate::limits::after(*old, at, self.length)).is_some() {}
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        if value.is_finite() && value >= 0.0 {
            // A turn of no length still counts a little, or the first one would not at all.
            self.samples.push_back((at, value, length.as_secs_f64().clamp(1e-3, self.length.as_secs_f64())));
        }
    }

    /// The mean of what is not older than the window at `now`.
    pub(super) fn value(&self, now: Timestamp) -> Option<f64> {
        let recent = self.samples.iter().filter(|(at, ..)| crate::limits::after(*at, now, self.length));
        let (sum, weight) =
            recent.fold((0.0, 0.0), |(sum, all), (_, value, weight)| (sum + value * weight, all + weight));
        (weight > 0.0).then(|| sum / weight)
    }
}

/// The largest number of the last so many ticks.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    tick: Duration,
    ticks: i128,
    kept: VecDeque<(i128, u32)>,
}

impl Delay {
    pub(super) fn new(length: Duration, tick: Duration) -> Self {
        let ticks = length.as_nanos().div_ceil(tick.as_nanos().max(1));
        Self { tick, ticks: i128::try_from(ticks).unwrap_or(i128::MAX).max(1), kept: VecDeque::new() }
    }

    /// Takes up `replicas` and returns the most of the window.
    pub(super) fn record(&mut self, now: Timestamp, replicas: u32) -> u32 {
        let tick = i128::try_from(self.tick.as_nanos()).unwrap_or(i128::MAX).max(1);
        let index = now.as_nanosecond().div_euclid(tick);
        while self.kept.pop_front_if(|(old, _)| index - *old >= self.ticks).is_some() {}
        while self.kept.pop_back_if(|(_, old)| *old <= replicas).is_some() {}
        self.kept.push_back((index, replicas));
        self.kept.front().map_or(replicas, |(_, most)| *most)
    }
}
