//! A trace as a simulation sees it: load in workers, cut into steps between decisions.

use crate::number::{WORKERS_MAX, count, index, seconds, workers_for};
use crate::scenario::{Scenario, ScenarioError, Size};
use crate::trace::{Kind, Trace};

/// Quantile of the load that `Size::PeakWorkers` speaks of: one bucket in a thousand may be
/// higher, so that a single freak reading does not set the scale.
const PEAK_QUANTILE: f64 = 0.999;
/// The longest part at the start of a trace that is simulated but not scored.
const WARM_UP_MAX_MS: u64 = 86_400_000;
/// Decisions that a simulation takes at most, ten years of one every 15 s: what a schedule needs to
/// remember of each is the most memory of all.
const STEPS_MAX: u64 = 21_024_000;
/// Share of a trace that is simulated but not scored, at its start.
const WARM_UP_SHARE: f64 = 0.3;

/// Load over virtual time, in workers that are just busy enough to meet their objective: a
/// load of 3 is what 3 workers carry at the SLO-safe utilisation.
#[derive(Clone, Debug)]
pub struct Load {
    /// What results call it.
    pub name: String,
    bucket_ms: u64,
    /// NaN in a gap: half the size of an `Option`, and a year of minutes is read many times.
    workers: Vec<f64>,
    /// Buckets with a value before each bucket; empty if none is missing.
    present: Vec<u64>,
    requests_per_load: f64,
    step_ms: u64,
    steps: usize,
    scored_from: usize,
    /// Columns of the picture that a run on it leaves behind; `None`: no picture.
    pub(crate) columns: Option<usize>,
}

/// A part of a step in which the load does not change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) length_ms: u64,
    /// NaN in a gap.
    pub(crate) workers: f64,
}

impl Load {
    /// Scales `trace` and cuts it into steps.
    pub fn new(trace: &Trace, scenario: &Scenario) -> Result<Self, ScenarioError> {
        scenario.check()?;
        let wrong = |because: &str| ScenarioError::new(format!("trace {}: {because}", trace.name));
        let bucket_s = trace.bucket.as_secs_f64();
        let bucket_ms = count(bucket_s * 1e3 / scenario.compress);
        if bucket_ms == 0 {
            return Err(wrong("compressed this much, a bucket is shorter than a millisecond"));
        }
        let length_ms = bucket_ms.saturating_mul(trace.values.len() as u64);
        let step_ms = u64::try_from(scenario.decide_every.as_millis()).unwrap_or(u64::MAX);
        let steps = length_ms.div_ceil(step_ms);
        if steps > STEPS_MAX {
            return Err(wrong(&format!(
                "{steps} decisions are too many to simulate (at most {STEPS_MAX}): a longer decide_every"
            )));
        }
        let high = quantile(&trace.values, PEAK_QUANTILE).filter(|high| *high > 0.0);
        let factor = match scenario.size {
            Size::PeakWorkers(peak) => {
                peak / high.ok_or_else(|| wrong("there is no load in it that could be scaled"))?
            }
            Size::WorkerRate(rate) => {
                let per_second = if trace.kind == Kind::RequestsPerBucket { 1.0 / bucket_s } else { 1.0 };
                per_second * scenario.compress / (rate * scenario.slo_utilisation)
            }
        };
        let most = factor * high.unwrap_or(0.0);
        if most > f64::from(WORKERS_MAX) {
            return Err(wrong(&format!(
                "its peak needs {most:.0} workers, too many to simulate (at most {WORKERS_MAX})"
            )));
        }
        // The inverse of the scaling, for requests that come as recorded.
        let per_second =
            if trace.kind == Kind::Rate { scenario.compress } else { scenario.compress / bucket_s };
        let workers: Vec<f64> =
            trace.values.iter().map(|value| value.map_or(f64::NAN, |value| value * factor)).collect();
        let warm_up_ms = count(length_ms as f64 * WARM_UP_SHARE).min(WARM_UP_MAX_MS).min(length_ms / 2);
        Ok(Self {
            name: trace.name.clone(),
            present: present_before(&workers),
            requests_per_load: per_second / factor,
            bucket_ms,
            workers,
            step_ms,
            steps: index(steps),
            scored_from: index(warm_up_ms / step_ms),
            columns: None,
        })
    }

    /// Only its beginning, up to this share of its scored time.
    pub fn until(&self, share: f64) -> Self {
        let last = self.part(share);
        let kept = index(self.begin_ms(last).div_ceil(self.bucket_ms));
        let workers = self.workers[..kept.clamp(1, self.workers.len())].to_vec();
        let steps = index((self.bucket_ms * workers.len() as u64).div_ceil(self.step_ms));
        Self { present: present_before(&workers), workers, steps, ..self.clone() }
    }

    /// All of it, but scored only from this share of its scored time on.
    pub fn scored_after(&self, share: f64) -> Self {
        Self { scored_from: self.part(share), ..self.clone() }
    }

    /// All of it, scored from its beginning.
    pub(crate) fn scored_whole(&self) -> Self {
        Self { scored_from: 0, ..self.clone() }
    }

    /// The step at this share of the scored time; never the end.
    fn part(&self, share: f64) -> usize {
        let scored = self.steps - self.scored_from;
        let before = index(count((scored as f64 * share).floor()));
        (self.scored_from + before).min(self.steps - 1)
    }

    /// Time from beginning to end.
    pub fn length(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.length_ms())
    }

    /// Time from beginning to end, in milliseconds.
    pub(crate) fn length_ms(&self) -> u64 {
        self.bucket_ms * self.workers.len() as u64
    }

    /// Steps between decisions; the last one may be shorter than the others.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// When step `step` begins, or the whole ends, in milliseconds.
    pub(crate) fn begin_ms(&self, step: usize) -> u64 {
        (self.step_ms * step as u64).min(self.length_ms())
    }

    /// The first step that is scored.
    pub(crate) fn scored_from(&self) -> usize {
        self.scored_from
    }

    /// When scoring begins, in milliseconds.
    pub(crate) fn scored_from_ms(&self) -> u64 {
        self.begin_ms(self.scored_from)
    }

    /// Recorded requests a second behind a load of one worker.
    pub(crate) fn requests_per_load(&self) -> f64 {
        self.requests_per_load
    }

    /// Length of a bucket in milliseconds.
    pub(crate) fn bucket_ms(&self) -> u64 {
        self.bucket_ms
    }

    /// How many buckets there are.
    pub(crate) fn buckets(&self) -> usize {
        self.workers.len()
    }

    /// The load of a bucket, NaN in a gap.
    pub(crate) fn bucket(&self, place: usize) -> f64 {
        self.workers[place]
    }

    /// The parts of the time from `from_ms` to `to_ms` with constant load.
    pub(crate) fn pieces(&self, from_ms: u64, to_ms: u64) -> impl Iterator<Item = Piece> {
        let to_ms = to_ms.min(self.length_ms());
        let mut at = from_ms;
        let mut place = index(from_ms / self.bucket_ms);
        std::iter::from_fn(move || {
            if at >= to_ms {
                return None;
            }
            let end = (self.bucket_ms * (place as u64 + 1)).min(to_ms);
            let piece = Piece { length_ms: end - at, workers: self.workers[place] };
            at = end;
            place += 1;
            Some(piece)
        })
    }

    /// Time with a reading before `at_ms`, in milliseconds.
    pub(crate) fn present_ms(&self, at_ms: u64) -> u64 {
        if self.present.is_empty() {
            return at_ms;
        }
        let place = index(at_ms / self.bucket_ms);
        let Some(load) = self.workers.get(place) else {
            return self.present.last().copied().unwrap_or(0) * self.bucket_ms;
        };
        let within = if load.is_nan() { 0 } else { at_ms % self.bucket_ms };
        self.present[place] * self.bucket_ms + within
    }

    /// Workers that carry the load at its lowest and at its highest; `None` without a reading.
    pub fn needs(&self) -> Option<(u32, u32)> {
        let known = || self.workers.iter().copied().filter(|load| !load.is_nan());
        let (least, most) = (known().reduce(f64::min)?, known().reduce(f64::max)?);
        Some((workers_for(least), workers_for(most)))
    }

    /// Workers that carry the load, on average over time; `None` without a reading.
    pub fn mean_need(&self) -> Option<f64> {
        let known = || self.workers.iter().copied().filter(|load| !load.is_nan());
        let (sum, count) =
            known().fold((0.0, 0.0), |(sum, count), load| (sum + f64::from(workers_for(load)), count + 1.0));
        (count > 0.0).then(|| sum / count)
    }

    /// Scored time: that with a reading, after the warm-up; in seconds.
    pub fn scored_s(&self) -> f64 {
        seconds(self.present_ms(self.length_ms()) - self.present_ms(self.scored_from_ms()))
    }

    /// Workers that everyone starts with: what the first load needs.
    pub(crate) fn first_workers(&self, scenario: &Scenario) -> u32 {
        let first = self.workers.iter().copied().find(|load| !load.is_nan());
        scenario.bounded(workers_for(first.unwrap_or(0.0)))
    }

    /// Workers beyond which more are of no use.
    pub(crate) fn most_workers(&self, scenario: &Scenario) -> u32 {
        let most = self.workers.iter().copied().filter(|load| !load.is_nan()).fold(0.0, f64::max);
        scenario.bounded(workers_for(most))
    }
}

/// Linear between the two nearest values, as most programs do it.
fn quantile(values: &[Option<f64>], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = index(count(place.floor()));
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some(low + (high - low) * (place - below as f64))
}

/// One entry more than there are buckets: the last is the total.
fn present_before(workers: &[f64]) -> Vec<u64> {
    if !workers.iter().any(|load| load.is_nan()) {
        return Vec::new();
    }
    let mut before = 0;
    let mut all = Vec::with_capacity(workers.len() + 1);
    for load in workers {
        all.push(before);
        before += u64::from(!load.is_nan());
    }
    all.push(before);
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trace::Told;

    fn trace(text: &str) -> Trace {
        Trace::read("made_up", text, &Told::default()).unwrap()
    }

    #[test]
    fn the_peak_is_where_it_was_asked_for() {
        let rows: String = (0..=1000).map(|at| format!("{},{at}\n", at * 60)).collect();
        let load = Load::new(&trace(&format!("time_s,value\n{rows}")), &Scenario::default()).unwrap();
        assert!((load.bucket(999) - 20.0).abs() < 1e-9, "999 is the 99.9th percentile of 0..=1000");
        assert!((load.bucket(500) - 20.0 * 500.0 / 999.0).abs() < 1e-9);
        let sized = Scenario { size: Size::WorkerRate(2.0), ..Scenario::default() };
        let load = Load::new(&trace(&format!("time_s,value\n{rows}")), &sized).unwrap();
        assert!((load.bucket(102) - 1.0).abs() < 1e-9, "102 a minute is 1.7 a second, 85 % of 2");
    }

    #[test]
    fn steps_cut_buckets_and_gaps_are_not_scored() {
        let load = Load::new(&trace("time_s,value\n0,1\n10,2\n30,4\n"), &Scenario::default()).unwrap();
        assert_eq!((load.length_ms(), load.steps(), load.scored_from()), (40_000, 3, 0));
        let second: Vec<Piece> = load.pieces(load.begin_ms(1), load.begin_ms(2)).collect();
        assert_eq!(second.iter().map(|piece| piece.length_ms).collect::<Vec<_>>(), [5_000, 10_000]);
        assert!(second[1].workers.is_nan());
        assert_eq!(
            [0, 15_000, 25_000, 30_000, 40_000].map(|at| load.present_ms(at)),
            [0, 15_000, 20_000, 20_000, 30_000]
        );
        assert!((load.scored_s() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn warm_up_is_a_share_but_no_longer_than_a_day() {
        let short = Load::new(&trace("time_s,value\n0,1\n600,2\n1200,1\n"), &Scenario::default()).unwrap();
        assert_eq!(short.scored_from_ms(), 540_000, "30 % of half an hour");
        let rows: String = (0..500).map(|at| format!("{},1\n", at * 3_600)).collect();
        let long = Load::new(&trace(&format!("time_s,value\n{rows}")), &Scenario::default()).unwrap();
        assert_eq!(long.scored_from_ms(), WARM_UP_MAX_MS);
    }

    #[test]
    fn compressed_it_is_the_same_load_sooner() {
        let fast = Scenario { compress: 60.0, decide_every: Duration::from_secs(1), ..Scenario::default() };
        let load = Load::new(&trace("time_s,value\n0,1\n60,2\n"), &fast).unwrap();
        assert_eq!((load.length_ms(), load.steps()), (2_000, 2));
    }
}
