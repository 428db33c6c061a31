//! How forecasts turned out, and how far a model's word can be taken for it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// Outcomes that scores are taken over.
const SCORED: usize = 200;
/// Outcomes before anything is said about trust.
const SCORED_MIN: usize = 30;
/// A model that errs more than this share of what the last reading would is no longer heard.
const WORSE: f64 = 1.2;
/// The share of outcomes that the 0.9 quantile is to cover.
const COVERED: f64 = 0.9;

/// How far a forecast can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Too few of its forecasts have come due.
    Learning,
    /// Better than the last reading, and as sure as it says.
    Trusted,
    /// About as good as the last reading, or surer than it should be.
    Probation,
    /// Worse than the last reading: only what was measured counts.
    Reactive,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learning => "learning",
            Self::Trusted => "trusted",
            Self::Probation => "probation",
            Self::Reactive => "reactive",
        })
    }
}

/// How forecasts for one horizon turned out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// In steps.
    pub steps: usize,
    /// Outcomes scored, the latest 200 at most.
    pub count: usize,
    /// Mean absolute error, in the unit of what is forecast.
    pub mae: f64,
    /// The same over that of repeating the last reading; below 1 the model earns its keep.
    pub relative_mae: f64,
    /// Share of outcomes at or below the 0.9 quantile.
    pub coverage_90: f64,
}

/// A forecast that waits for its time.
struct Waiting {
    slot: Timestamp,
    last: f64,
    rows: Vec<Vec<f64>>,
}

/// What came of one forecast.
struct Outcome {
    error: f64,
    naive_error: f64,
    covered: bool,
}

/// The ledger of one model.
pub(super) struct Scores {
    horizons: Vec<usize>,
    waiting: VecDeque<Waiting>,
    outcomes: Vec<VecDeque<Outcome>>,
}

impl Scores {
    pub(super) fn new(horizons: &[usize]) -> Self {
        let outcomes = horizons.iter().map(|_| VecDeque::new()).collect();
        Self { horizons: horizons.to_vec(), waiting: VecDeque::new(), outcomes }
    }

    /// Forecasts made at `slot`: `rows[horizon]` at the levels 0.1, 0.5 and 0.9.
    pub(super) fn expect(&mut self, slot: Timestamp, last: f64, rows: &[Vec<f64>]) {
        self.waiting.push_back(Waiting { slot, last, rows: rows.to_vec() });
        let furthest = self.horizons.iter().copied().max().unwrap_or(1);
        while self.waiting.len() > furthest + 1 {
            self.waiting.pop_front();
        }
    }

    /// What came at `slot`; a gap settles nothing.
    pub(super) fn settle(&mut self, slot: Timestamp, step: Duration, actual: Option<f64>) {
        let Some(actual) = actual else { return };
        for (index, &horizon) in self.horizons.iter().enumerate() {
            let back = step.saturating_mul(u32::try_from(horizon).unwrap_or(u32::MAX));
            let Ok(made) = slot.checked_sub(back) else { continue };
            let Some(waiting) = self.waiting.iter().find(|waiting| waiting.slot == made) else { continue };
            let row = &waiting.rows[index];
            let outcomes = &mut self.outcomes[index];
            outcomes.push_back(Outcome {
                error: (actual - row[1]).abs(),
                naive_error: (actual - waiting.last).abs(),
                covered: actual <= row[2],
            });
            if outcomes.len() > SCORED {
                outcomes.pop_front();
            }
        }
    }

    /// One a horizon of which any forecast has come due.
    pub(super) fn all(&self) -> Vec<Score> {
        let score = |(&steps, outcomes): (&usize, &VecDeque<Outcome>)| {
            let count = outcomes.len();
            let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / count as f64;
            let (mae, naive) = (mean(|one| one.error), mean(|one| one.naive_error));
            let same = if mae > 0.0 { f64::MAX } else { 1.0 };
            (count > 0).then(|| Score {
                steps,
                count,
                mae,
                relative_mae: if naive > 0.0 { mae / naive } else { same },
                coverage_90: mean(|one| f64::from(u8::from(one.covered))),
            })
        };
        self.horizons.iter().zip(&self.outcomes).filter_map(score).collect()
    }

    /// By the horizon that is worst off.
    pub(super) fn trust(&self, speaks: bool) -> Trust {
        let judged: Vec<Score> = self.all().into_iter().filter(|score| score.count >= SCORED_MIN).collect();
        if !speaks || judged.len() < self.horizons.len() {
            return Trust::Learning;
        }
        let worst = judged.iter().map(|score| score.relative_mae).fold(0.0, f64::max);
        let covers = judged.iter().all(|score| {
            // Three standard deviations of a share: chance alone seldom goes further.
            let slack = 3.0 * (COVERED * (1.0 - COVERED) / score.count as f64).sqrt();
            score.coverage_90 >= COVERED - slack
        });
        match worst {
            worst if worst > WORSE => Trust::Reactive,
            worst if worst <= 1.0 && covers => Trust::Trusted,
            _ => Trust::Probation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: u32, said: impl Fn(f64) -> [f64; 3]) -> Trust {
        let mut scores = Scores::new(&[1]);
        for second in 0..count {
            let at = |second: u32| Timestamp::from_second(i64::from(second)).unwrap();
            let value = |second: u32| f64::from(second % 7);
            scores.settle(at(second), Duration::from_secs(1), Some(value(second)));
            scores.expect(at(second), value(second), &[said(value(second + 1)).to_vec()]);
        }
        scores.trust(true)
    }

    #[test]
    fn trust_follows_from_outcomes() {
        assert_eq!(after(20, |next| [next, next, next]), Trust::Learning);
        assert_eq!(after(100, |next| [next, next, next]), Trust::Trusted);
        assert_eq!(after(100, |next| [next, next + 0.1, next - 0.1]), Trust::Probation, "too sure of itself");
        assert_eq!(after(100, |next| [next, next + 50.0, next + 60.0]), Trust::Reactive);
    }

    #[test]
    fn memory_is_bounded() {
        let mut scores = Scores::new(&[1, 5]);
        for second in 0..5_000 {
            let at = Timestamp::from_second(second).unwrap();
            scores.settle(at, Duration::from_secs(1), Some(1.0));
            scores.expect(at, 1.0, &[vec![1.0; 3], vec![1.0; 3]]);
        }
        assert!(scores.waiting.len() <= 6);
        assert!(scores.all().iter().all(|score| score.count == SCORED));
    }
}
