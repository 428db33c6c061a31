//! Errors over those of the naive forecast, by the protocol of `forecast evaluate`.

use ::forecast::Series;
use ::forecast::backtest::{Protocol, Row};
use clock::Clock;
use jiff::Timestamp;
use models::{Evaluation, Recipe, evaluate, on_grid};

use super::Trace;
use super::chance::{Estimate, geometric, ratio_of};

/// Who forecasts, beside the naive forecast; those that this build has not are left out.
const MODELS: [&str; 8] = [
    "ensemble",
    "autoregressive",
    "gradient_boosting",
    "random_forest",
    "arima",
    "theta",
    "holt_winters",
    "seasonal_naive",
];

/// One model over all traces; three numbers are those of the horizons 1, 5 and 15.
pub(super) struct Model {
    pub(super) name: &'static str,
    pub(super) relative_mae: Vec<Estimate>,
    pub(super) relative_loss_90: Vec<Estimate>,
    pub(super) coverage_90: Vec<f64>,
    /// Longest fit, and mean update and forecast, in seconds.
    pub(super) fit_s: f64,
    pub(super) predict_s: f64,
    /// Traces and horizons at which the naive forecast was better.
    pub(super) naive_wins: Vec<String>,
}

pub(super) fn measure(traces: &[Trace], series: &[Series]) -> anyhow::Result<Vec<Model>> {
    let naive = evaluations("naive", traces, series)?;
    let one = |name: &&'static str| {
        eprintln!("model {name}");
        Ok(model(name, &evaluations(name, traces, series)?, &naive))
    };
    MODELS.iter().filter(|name| ::forecast::entry(name).is_some()).map(one).collect()
}

pub(super) fn series(trace: &Trace) -> anyhow::Result<Series> {
    let values = trace.values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    let series = Series::new(trace.start.unwrap_or(Timestamp::UNIX_EPOCH), trace.bucket, values)?;
    Ok(on_grid(&series, None))
}

fn evaluations(name: &str, traces: &[Trace], series: &[Series]) -> anyhow::Result<Vec<Evaluation>> {
    let (clock, protocol) = (Clock::start(), Protocol::default());
    let one = |(trace, series): (&Trace, &Series)| -> anyhow::Result<Evaluation> {
        let recipe = Recipe { horizons: protocol.horizons.clone(), ..Recipe::of(name) };
        Ok(evaluate(&clock, &trace.name, &recipe, series, &protocol)?)
    };
    traces.iter().zip(series).map(one).collect()
}

fn model(name: &'static str, own: &[Evaluation], naive: &[Evaluation]) -> Model {
    let horizons = Protocol::default().horizons;
    let over = |horizon: usize, loss: fn(&Row) -> f64| -> Vec<Vec<(f64, f64)>> {
        let pairs = |(own, naive): (&Evaluation, &Evaluation)| {
            let rows = own.backtest.rows.iter().zip(&naive.backtest.rows);
            let made = rows.filter(|(own, naive)| {
                own.horizon == horizon && own.values.len() == 2 && naive.values.len() == 2
            });
            made.map(|(own, naive)| (loss(own), loss(naive))).collect()
        };
        own.iter().zip(naive).map(pairs).filter(|pairs: &Vec<_>| !pairs.is_empty()).collect()
    };
    let error = |row: &Row| (row.actual - row.values[0]).abs();
    let loss = |row: &Row| {
        let miss = row.actual - row.values[1];
        if miss >= 0.0 { 0.9 * miss } else { -0.1 * miss }
    };
    let covered = |horizon: usize| {
        let rows = own.iter().flat_map(|one| &one.backtest.rows);
        let made: Vec<bool> = rows
            .filter(|row| row.horizon == horizon && row.values.len() == 2)
            .map(|row| row.actual <= row.values[1])
            .collect();
        made.iter().filter(|covered| **covered).count() as f64 / made.len().max(1) as f64
    };
    let lost = |one: &Evaluation| {
        let wins = one.summary.horizons.iter().filter(|score| score.relative_mae > 1.0);
        wins.map(|score| format!("{} at {} ({:.2})", one.trace, score.horizon, score.relative_mae))
            .collect::<Vec<_>>()
    };
    let times: Vec<f64> = own.iter().map(|one| one.predict_time.as_secs_f64().max(1e-9)).collect();
    Model {
        name,
        relative_mae: horizons.iter().map(|horizon| ratio_of(&over(*horizon, error))).collect(),
        relative_loss_90: horizons
            .iter()
            .map(|horizon| to_normal(own, *horizon, ratio_of(&over(*horizon, loss))))
            .collect(),
        coverage_90: horizons.iter().map(|horizon| covered(*horizon)).collect(),
        fit_s: own.iter().map(|one| one.fit_time.as_secs_f64()).fold(0.0, f64::max),
        predict_s: geometric(&times),
        naive_wins: own.iter().flat_map(lost).collect(),
    }
}

/// The loss over that of the naive forecast with normal intervals, by which the goals are; how far luck
/// reaches is taken from the ratio to the naive forecast whose intervals are calibrated, as ours are.
fn to_normal(own: &[Evaluation], horizon: usize, calibrated: Estimate) -> Estimate {
    let scores = own.iter().flat_map(|one| &one.summary.horizons).filter(|score| score.horizon == horizon);
    // Who abstained on a trace is judged by the others.
    let known = scores.map(|score| score.relative_loss_90).filter(|ratio| ratio.is_finite());
    let value = geometric(&known.collect::<Vec<_>>());
    let scale = value / calibrated.value;
    Estimate { value, low: calibrated.low * scale, high: calibrated.high * scale }
}
