//! Scores of a backtest: scaled errors, pinball loss beside the naive forecast's, coverage.

use serde::Serialize;

use crate::Series;
use crate::backtest::{Backtest, Protocol, Regime, Row, regime_of};

/// Readings that the naive forecast's spread is taken from, as the published baselines do.
const NAIVE_WINDOW: usize = 512;
/// The 0.9 quantile of a standard normal distribution.
const NORMAL_90: f64 = 1.281_551_565_544_9;
/// Episodes that a summary lists.
const EPISODES: usize = 10;

/// How a model did on one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// One a horizon.
    pub horizons: Vec<HorizonScore>,
    /// One for each regime that occurred, all horizons together.
    pub regimes: Vec<RegimeScore>,
    /// The worst forecasts, worst first.
    pub worst: Vec<Episode>,
    /// Forecasts that were not made.
    pub abstained: usize,
}

/// How a model did at one horizon.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HorizonScore {
    /// In steps.
    pub horizon: usize,
    /// Forecasts scored.
    pub count: usize,
    /// Mean absolute error, in the series' unit.
    pub mae: f64,
    /// Mean absolute error to the mean absolute step of the training part.
    pub mase: f64,
    /// Root mean squared error to the root mean squared step of the training part.
    pub rmsse: f64,
    /// Mean absolute error to the naive forecast's.
    pub relative_mae: f64,
    /// Pinball loss at 0.5 and 0.9, twice its sum to the sum of the absolute outcomes.
    pub weighted_loss: [f64; 2],
    /// Pinball loss at 0.9 to that of the naive forecast with normal intervals.
    pub relative_loss_90: f64,
    /// Share of outcomes at or below the 0.9 quantile.
    pub coverage_90: f64,
}

/// How a model did in one regime.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegimeScore {
    /// Which.
    pub regime: Regime,
    /// Forecasts scored.
    pub count: usize,
    /// Mean absolute error to the naive forecast's; above 1, naive wins.
    pub relative_mae: f64,
    /// Share of outcomes at or below the 0.9 quantile.
    pub coverage_90: f64,
}

/// One forecast that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// Slots known.
    pub origin: usize,
    /// In steps.
    pub horizon: usize,
    /// In which regime.
    pub regime: Regime,
    /// The median.
    pub forecast: f64,
    /// What came.
    pub actual: f64,
    /// Absolute error to the mean absolute step of the training part.
    pub scaled_error: f64,
}

/// The loss of forecasting `quantile` where `actual` came.
pub(crate) fn pinball(level: f64, quantile: f64, actual: f64) -> f64 {
    let miss = actual - quantile;
    if miss >= 0.0 { level * miss } else { (level - 1.0) * miss }
}

/// The naive forecast at `origin`: median and 0.9 quantile of a random walk.
fn naive(series: &Series, origin: usize, horizon: usize) -> Option<(f64, f64)> {
    let known = &series.values()[..origin];
    let last = known.iter().rev().copied().find(|value| value.is_finite())?;
    let window = &known[origin.saturating_sub(NAIVE_WINDOW)..];
    let steps: Vec<f64> =
        window.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| step.is_finite()).collect();
    let squares = steps.iter().map(|step| step * step).sum::<f64>();
    let sigma = (squares / steps.len().saturating_sub(1).max(1) as f64).sqrt();
    Some((last, last + NORMAL_90 * sigma * (horizon as f64).sqrt()))
}

struct Scored<'a> {
    row: &'a Row,
    median: f64,
    ninety: f64,
    naive: (f64, f64),
    regime: Regime,
}

/// Scores `backtest`, whose levels were the protocol's; 0.5 and 0.9 must be among them.
pub fn summarise(protocol: &Protocol, series: &Series, backtest: &Backtest) -> Summary {
    let level = |wanted: f64| protocol.quantiles.iter().position(|one| (one - wanted).abs() < 1e-9);
    let columns = level(0.5).zip(level(0.9));
    let scored = |row| -> Option<Scored<'_>> {
        let row: &Row = row;
        let (middle, high) = columns?;
        Some(Scored {
            row,
            median: *row.values.get(middle)?,
            ninety: *row.values.get(high)?,
            naive: naive(series, row.origin, row.horizon)?,
            regime: regime_of(series, row.origin, row.horizon),
        })
    };
    let all: Vec<Scored<'_>> = backtest.rows.iter().filter_map(scored).collect();
    let train = &series.values()[..protocol.train_end(series.len())];
    let steps: Vec<f64> =
        train.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| step.is_finite()).collect();
    let count = steps.len().max(1) as f64;
    let mean_step = steps.iter().map(|step| step.abs()).sum::<f64>() / count;
    let square_step = (steps.iter().map(|step| step * step).sum::<f64>() / count).sqrt();
    let horizon = |&horizon: &usize| {
        let own: Vec<&Scored<'_>> = all.iter().filter(|one| one.row.horizon == horizon).collect();
        horizon_score(horizon, &own, mean_step, square_step)
    };
    let regime = |&regime: &Regime| {
        let own: Vec<&Scored<'_>> = all.iter().filter(|one| one.regime == regime).collect();
        let (relative_mae, coverage_90) = (relative_mae(&own), coverage(&own));
        (!own.is_empty()).then_some(RegimeScore { regime, count: own.len(), relative_mae, coverage_90 })
    };
    let mut worst: Vec<Episode> = all.iter().map(|one| episode(one, mean_step)).collect();
    worst.sort_by(|a, b| b.scaled_error.total_cmp(&a.scaled_error));
    worst.truncate(EPISODES);
    Summary {
        horizons: protocol.horizons.iter().map(horizon).collect(),
        regimes: Regime::ALL.iter().filter_map(regime).collect(),
        worst,
        abstained: backtest.abstained,
    }
}

fn episode(one: &Scored<'_>, mean_step: f64) -> Episode {
    Episode {
        origin: one.row.origin,
        horizon: one.row.horizon,
        regime: one.regime,
        forecast: one.median,
        actual: one.row.actual,
        scaled_error: (one.row.actual - one.median).abs() / mean_step,
    }
}

fn horizon_score(horizon: usize, own: &[&Scored<'_>], mean_step: f64, square_step: f64) -> HorizonScore {
    let count = own.len().max(1) as f64;
    let mean = |of: &dyn Fn(&Scored<'_>) -> f64| own.iter().map(|one| of(one)).sum::<f64>() / count;
    let mae = mean(&|one| (one.row.actual - one.median).abs());
    let square = mean(&|one| (one.row.actual - one.median).powi(2));
    let size = mean(&|one| one.row.actual.abs());
    let loss_50 = mean(&|one| pinball(0.5, one.median, one.row.actual));
    let loss_90 = mean(&|one| pinball(0.9, one.ninety, one.row.actual));
    let naive_90 = mean(&|one| pinball(0.9, one.naive.1, one.row.actual));
    HorizonScore {
        horizon,
        count: own.len(),
        mae,
        mase: mae / mean_step,
        rmsse: square.sqrt() / square_step,
        relative_mae: relative_mae(own),
        weighted_loss: [2.0 * loss_50 / size, 2.0 * loss_90 / size],
        relative_loss_90: loss_90 / naive_90,
        coverage_90: coverage(own),
    }
}

fn relative_mae(own: &[&Scored<'_>]) -> f64 {
    let model: f64 = own.iter().map(|one| (one.row.actual - one.median).abs()).sum();
    let naive: f64 = own.iter().map(|one| (one.row.actual - one.naive.0).abs()).sum();
    model / naive
}

fn coverage(own: &[&Scored<'_>]) -> f64 {
    let within = own.iter().filter(|one| one.row.actual <= one.ninety).count();
    within as f64 / own.len().max(1) as f64
}
