//! What was going on when a forecast was made: models fail by regime, not on average.

use serde::Serialize;

use crate::Series;
use crate::series::median;

/// What the series was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// Readings were missing shortly before.
    AfterOutage,
    /// It jumped far above what was usual, within the horizon.
    Spike,
    /// It fell far below what was usual, within the horizon.
    Drop,
    /// It had been rising or falling steadily.
    Ramp,
    /// It was low for its day.
    Night,
    /// Its level had left that of the days before.
    Drift,
    /// None of these.
    Steady,
}

impl Regime {
    /// In the order in which they are decided.
    pub const ALL: [Self; 7] =
        [Self::AfterOutage, Self::Spike, Self::Drop, Self::Ramp, Self::Night, Self::Drift, Self::Steady];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterOutage => "after an outage",
            Self::Spike => "spike",
            Self::Drop => "drop",
            Self::Ramp => "ramp",
            Self::Night => "night",
            Self::Drift => "drift",
            Self::Steady => "steady",
        }
    }
}

/// Steps before an origin in which a gap makes it "after an outage".
const OUTAGE_STEPS: usize = 15;
/// Steps that say what is usual now.
const LOCAL: usize = 30;
/// Steps that say what is usual at all.
const LONG: usize = 600;
/// Robust deviations from the local median that make a spike or a drop.
const FAR: f64 = 4.0;

/// The regime of the forecast made at `origin` for slot `origin + horizon − 1`; spikes and drops
/// are told by what came, the others by what was known.
pub fn regime_of(series: &Series, origin: usize, horizon: usize) -> Regime {
    let known = &series.values()[..origin];
    let tail = |steps: usize| &known[origin.saturating_sub(steps)..];
    if tail(OUTAGE_STEPS).iter().any(|value| value.is_nan()) {
        return Regime::AfterOutage;
    }
    let local = finite(tail(LOCAL));
    let long = finite(tail(LONG));
    let (Some(middle), Some(usual)) = (middle(&local), middle(&long)) else { return Regime::Steady };
    let noise = deviation(&local, middle);
    let actual = series.values()[origin + horizon - 1];
    let moved = actual - middle;
    if moved.abs() > FAR * noise {
        return if moved > 0.0 { Regime::Spike } else { Regime::Drop };
    }
    let half = local.len() / 2;
    let (first, second) = local.split_at(half);
    if let (Some(first), Some(second)) = (self::middle(first), self::middle(second))
        && (second - first).abs()
            > 2.0 * deviation(&local, middle).min(deviation(second_half(&local), second))
    {
        return Regime::Ramp;
    }
    let mut sorted = long.clone();
    sorted.sort_by(f64::total_cmp);
    if middle < sorted[sorted.len() / 5] && middle < 0.7 * usual {
        return Regime::Night;
    }
    if (middle - usual).abs() > 0.5 * usual.abs() {
        return Regime::Drift;
    }
    Regime::Steady
}

fn second_half(values: &[f64]) -> &[f64] {
    &values[values.len() / 2..]
}

fn finite(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|value| value.is_finite()).collect()
}

fn middle(values: &[f64]) -> Option<f64> {
    median(&mut values.to_vec())
}

fn deviation(values: &[f64], from: f64) -> f64 {
    let mut far: Vec<f64> = values.iter().map(|value| (value - from).abs()).collect();
    let usual = 1.4826 * median(&mut far).unwrap_or(0.0);
    usual.max(0.01 * from.abs()).max(1e-9)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn regimes_are_told_apart() {
        let noise = move |index: usize| ((index * 7919) % 101) as f64 / 20.0;
        let base = move |index: usize| 100.0 + noise(index);
        type Shape = Box<dyn Fn(usize) -> f64>;
        let rows: [(Regime, Shape); 6] = [
            (Regime::Steady, Box::new(base)),
            (Regime::Spike, Box::new(move |i| if i >= 700 { 400.0 } else { base(i) })),
            (Regime::Drop, Box::new(move |i| if i >= 700 { 5.0 } else { base(i) })),
            (Regime::Ramp, Box::new(move |i| base(i) + 5.0 * i.saturating_sub(660) as f64)),
            (Regime::Night, Box::new(move |i| if i > 640 { 20.0 + noise(i) } else { base(i) })),
            (Regime::AfterOutage, Box::new(move |i| if i == 695 { f64::NAN } else { base(i) })),
        ];
        for (expected, shape) in rows {
            let values = (0..720).map(shape).collect();
            let series = Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(60), values).unwrap();
            assert_eq!(regime_of(&series, 700, 1), expected);
        }
    }
}
