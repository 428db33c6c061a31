//! A recorded run as a trace: requests a second, turn by turn, and what a worker of it can do.

use std::time::Duration;

use control::{Cycle, State};
use jiff::Timestamp;

use super::{BUCKETS_MAX, Hygiene, Kind, Trace, TraceError};
use crate::number::{count, index};

/// What a run says about the workers that it ran on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Requests a second that one busy worker served; `None` if nothing was measured.
    pub worker_rate: Option<f64>,
    /// Median time from launch to ready.
    pub start_up: Option<Duration>,
}

impl Trace {
    /// Reads the turns of a run, oldest first. Turns without a reading leave a gap.
    ///
    /// # Errors
    /// When there are too few turns, or far too long a time between them.
    pub fn of_run<'a>(
        name: &str,
        cycles: impl IntoIterator<Item = &'a Cycle>,
    ) -> Result<(Self, Measured), TraceError> {
        let mut turns: Vec<(Timestamp, Option<f64>)> = Vec::new();
        let (mut requests, mut busy_s) = (0.0, 0.0);
        let mut starts: Vec<f64> = Vec::new();
        for cycle in cycles {
            let Cycle::Decided { seen, .. } = cycle else {
                turns.push((cycle.at(), None));
                continue;
            };
            let window = seen.traffic.as_ref().filter(|window| !window.length.is_zero());
            turns.push((seen.at, window.map(traffic::Window::rate_per_second)));
            for worker in seen.workers.iter().filter(|worker| worker.state == State::Ready) {
                if let (Some(cpu), Some(window)) = (worker.cpu_percent, window) {
                    busy_s += cpu / 100.0 * window.length.as_secs_f64();
                }
                // Counted at the turn at which it is new.
                if let Some(ready) = worker.ready_at
                    && window.is_some_and(|window| {
                        seen.at.duration_since(ready).as_secs_f64() <= window.length.as_secs_f64()
                    })
                {
                    starts.push(ready.duration_since(worker.started_at).as_secs_f64());
                }
            }
            requests += window.map_or(0.0, |window| window.completions as f64);
        }
        let (Some(first), Some(last)) = (turns.first(), turns.last()) else {
            return Err(TraceError::Empty(None));
        };
        let length_s = last.0.duration_since(first.0).as_secs_f64();
        let mut gaps: Vec<f64> =
            turns.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).as_secs_f64()).collect();
        gaps.retain(|gap| *gap > 0.0);
        let bucket_s = median(&mut gaps).unwrap_or(0.0).max(0.1);
        let buckets = count((length_s / bucket_s).ceil()).max(1);
        if buckets > BUCKETS_MAX || turns.len() < 3 {
            return Err(TraceError::Grid(format!("{} turns over {length_s} s are no load", turns.len())));
        }
        let start = first.0;
        let values = filled(&turns, start, bucket_s, index(buckets));
        let trace = Self {
            name: name.to_owned(),
            kind: Kind::Rate,
            bucket: Duration::from_millis(count(bucket_s * 1e3)),
            start: Some(start),
            hygiene: Hygiene {
                rows: turns.len(),
                gaps: values.iter().filter(|value| value.is_none()).count(),
                ..Hygiene::default()
            },
            values,
            arrivals: Vec::new(),
        };
        let measured = Measured {
            worker_rate: (busy_s > 0.0 && requests > 0.0).then(|| requests / busy_s),
            start_up: median(&mut starts).and_then(|it| Duration::try_from_secs_f64(it).ok()),
        };
        Ok((trace, measured))
    }
}

/// The mean of each bucket's readings. A turn tells of the time before it.
fn filled(
    turns: &[(Timestamp, Option<f64>)],
    start: Timestamp,
    bucket_s: f64,
    buckets: usize,
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); buckets];
    for (at, rate) in turns {
        let passed = at.duration_since(start).as_secs_f64() / bucket_s - 0.5;
        if let (Some(rate), Some(sum)) = (rate, sums.get_mut(index(count(passed.max(0.0).floor())))) {
            sum.0 += rate;
            sum.1 += 1.0;
        }
    }
    // Turns are not exactly even: a bucket that none fell into is as the one before it.
    let mut before = None;
    let mut empty = 0;
    sums.into_iter()
        .map(|(sum, count)| {
            if count > 0.0 {
                (before, empty) = (Some(sum / count), 0);
            } else {
                empty += 1;
            }
            before.filter(|_| empty <= 1)
        })
        .collect()
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
