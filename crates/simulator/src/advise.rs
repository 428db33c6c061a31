//! What kind of load a trace is: the features that decide which policies suit it.

use serde::Serialize;

use crate::number::{count, index};
use crate::trace::Trace;

/// Kinds of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Hardly moves.
    Steady,
    /// Repeats each day.
    Daily,
    /// Rises far above its mean without warning.
    Bursty,
    /// Is idle for much of the time.
    Intermittent,
    /// Grows or shrinks all the time.
    Trend,
    /// Stays on a level for long, and then moves to another.
    Levels,
}

/// A load in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Character {
    /// What it is.
    pub kind: Workload,
    /// Standard deviation over mean.
    pub variation: f64,
    /// 99.9th percentile over mean.
    pub peak_over_mean: f64,
    /// Mean change from bucket to bucket over mean.
    pub jumpiness: f64,
    /// Share of the time with next to no load.
    pub idle_share: f64,
    /// Correlation of each hour with the same hour a day before; `None` for less than two days.
    pub daily_correlation: Option<f64>,
    /// Change along the fitted line from beginning to end, over mean.
    pub trend: f64,
    /// Share of the variance that this line explains.
    pub trend_explains: f64,
}

/// Load below this share of the mean counts as idle.
const IDLE: f64 = 0.02;
const HOUR_S: f64 = 3_600.0;

/// Measures a trace; `None` without any load in it.
pub fn character(trace: &Trace) -> Option<Character> {
    let known: Vec<f64> = trace.values.iter().copied().flatten().collect();
    let many = known.len() as f64;
    let mean = known.iter().sum::<f64>() / many;
    if !(mean.is_finite() && mean > 0.0) {
        return None;
    }
    let variance = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / many;
    let mut sorted = known.clone();
    sorted.sort_by(f64::total_cmp);
    let high = sorted[index(count((many * 0.999).floor())).min(sorted.len() - 1)];
    let jumps: f64 = known.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    let idle = known.iter().filter(|value| **value < IDLE * mean).count();
    let (trend, trend_explains) = line(&known, mean, variance);
    let mut found = Character {
        kind: Workload::Steady,
        variation: variance.sqrt() / mean,
        peak_over_mean: high / mean,
        jumpiness: jumps / (many - 1.0).max(1.0) / mean,
        idle_share: idle as f64 / many,
        daily_correlation: daily(trace),
        trend,
        trend_explains,
    };
    found.kind = kind(&found);
    Some(found)
}

/// The most telling feature first.
fn kind(found: &Character) -> Workload {
    if found.idle_share > 0.25 {
        Workload::Intermittent
    } else if found.daily_correlation.is_some_and(|correlation| correlation > 0.5) && found.variation > 0.15 {
        Workload::Daily
    } else if found.trend_explains > 0.6 && found.trend.abs() > 0.5 {
        Workload::Trend
    } else if found.peak_over_mean > 3.0 || found.jumpiness > 0.2 || found.variation > 0.6 {
        Workload::Bursty
    } else if found.variation > 0.25 {
        Workload::Levels
    } else {
        Workload::Steady
    }
}

/// The least-squares line: its change over the whole, over the mean, and what it explains.
fn line(values: &[f64], mean: f64, variance: f64) -> (f64, f64) {
    let many = values.len() as f64;
    let middle = (many - 1.0) / 2.0;
    let (mut both, mut across) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let from = at as f64 - middle;
        both += from * (value - mean);
        across += from * from;
    }
    if across <= 0.0 || variance <= 0.0 {
        return (0.0, 0.0);
    }
    let slope = both / across;
    (slope * many / mean, slope * slope * across / (variance * many))
}

/// Correlation of hourly means with those a day before.
fn daily(trace: &Trace) -> Option<f64> {
    let bucket_s = trace.bucket.as_secs_f64();
    let per_hour = index(count((HOUR_S / bucket_s).floor())).max(1);
    let hours: Vec<Option<f64>> = trace
        .values
        .chunks(per_hour)
        .map(|hour| {
            let known: Vec<f64> = hour.iter().copied().flatten().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect();
    let a_day = index(count((86_400.0 / (bucket_s * per_hour as f64)).round())).max(1);
    if hours.len() < 2 * a_day {
        return None;
    }
    let pairs: Vec<(f64, f64)> = hours
        .iter()
        .zip(&hours[a_day..])
        .filter_map(|(before, after)| Some(((*before)?, (*after)?)))
        .collect();
    let many = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / many;
    let (one, other) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let both = sum(&|pair| (pair.0 - one) * (pair.1 - other));
    let spread = sum(&|pair| (pair.0 - one).powi(2)) * sum(&|pair| (pair.1 - other).powi(2));
    (spread > 0.0).then(|| both / spread.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Told;

    fn kind_of(value: impl Fn(f64) -> f64, hours: u32) -> Workload {
        let rows: String =
            (0..hours * 12).map(|at| format!("{},{:.3}\n", at * 300, value(f64::from(at) / 12.0))).collect();
        let trace = Trace::read("made_up", &format!("time_s,value\n{rows}"), &Told::default()).unwrap();
        character(&trace).unwrap().kind
    }

    #[test]
    fn each_kind_is_recognised() {
        let noise = |hour: f64| ((hour * 7_919.0).sin() * 43_758.5).fract().abs();
        let daily = |hour: f64| 100.0 + 60.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
        assert_eq!(kind_of(|hour| 100.0 + 5.0 * noise(hour), 72), Workload::Steady);
        assert_eq!(kind_of(daily, 96), Workload::Daily);
        assert_eq!(kind_of(|hour| 10.0 + 4.0 * hour, 30), Workload::Trend);
        let levels = |hour: f64| {
            let is_high = (17.0..34.0).contains(&(hour % 51.0));
            noise(hour) + if is_high { 220.0 } else { 100.0 }
        };
        assert_eq!(kind_of(levels, 100), Workload::Levels);
        let burst = |hour: f64| if noise(hour) > 0.95 { 900.0 } else { 100.0 };
        assert_eq!(kind_of(burst, 40), Workload::Bursty);
        let idle = |hour: f64| if hour % 5.0 < 3.0 { 0.0 } else { 100.0 };
        assert_eq!(kind_of(idle, 40), Workload::Intermittent);
    }
}
