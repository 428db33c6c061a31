//! `autoscale forecast score`: how forecasts turned out, and the decisions that rested on them.

use control::Cycle;
use control::outcome::{DecisionOutcomes, ForecastOutcome, Outcomes};
use serde::Serialize;
use serde_json::Value;

use crate::args::{Output, ScoreArgs};
use crate::commands::reach::{connect, failed};
use crate::commands::replay::open;
use crate::output;

/// Turns that are read of a run file at most: a day at one a second; of longer runs the latest.
const RECORDED_MAX: u32 = 86_400;
/// Turns that a running pool is asked for: all that it holds.
const HELD_MAX: usize = 600;

/// The answer.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    outcomes: Outcomes,
    /// Of a running pool whose policy does not plan: the scores of the model beside its loop, by
    /// horizon, as `GET /predict` has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Value>,
}

/// Runs the command.
pub(super) async fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    let (cycles, beside) = match &args.run {
        Some(path) => {
            let recorded = open(path)?.last(RECORDED_MAX)?;
            (recorded.into_iter().map(|recorded| recorded.cycle).collect(), None)
        }
        None => {
            let client = connect(&args.ask.pool)?;
            let cycles: Vec<Cycle> = client.cycles(HELD_MAX).await.map_err(failed)?;
            (cycles, Some(client.prediction().await.map_err(failed)?))
        }
    };
    let last = cycles.iter().map(Cycle::at).max();
    let from = args.last.zip(last).and_then(|(length, last)| last.checked_sub(length).ok());
    let outcomes = Outcomes::of(cycles.iter().filter(|cycle| from.is_none_or(|from| cycle.at() >= from)));
    let signal = beside.filter(|_| outcomes.forecasts.is_empty()).filter(|told| told.get("scores").is_some());
    let answer = Answer { outcomes, signal };
    match args.ask.output {
        Output::Table => table(&answer),
        Output::Json => output::value(&answer, false)?,
        Output::Yaml => output::value(&answer, true)?,
    }
    Ok(())
}

fn table(answer: &Answer) {
    let Outcomes { forecasts, decisions, over_s } = &answer.outcomes;
    if forecasts.is_empty() {
        output::line("no forecasts of the load: only `--policy predictive` makes them");
        if let Some(signal) = &answer.signal {
            beside(signal);
        }
        return;
    }
    output::line(&format!("over {over_s:.0} s, loads in workers"));
    output::line(&format!(
        "{:<18} {:>7} {:>8} {:>12} {:>10} {:>10}",
        "model", "scored", "error", "err ÷ naive", "under q90", "under q10"
    ));
    forecasts.iter().for_each(row);
    let DecisionOutcomes { in_time, late, over, released, early, broken } = decisions;
    output::line(&format!("scale-outs  {in_time} in time, {late} late, {over} not needed"));
    output::line(&format!("scale-ins   {released} not missed, {early} too early"));
    output::line(&format!("of all      {broken} with failed requests before help was there"));
}

fn row(one: &ForecastOutcome) {
    let relative = one.relative_mae.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
    output::line(&format!(
        "{:<18} {:>7} {:>8.3} {:>12} {:>8.0} % {:>8.0} %",
        one.model,
        one.scored,
        one.mae,
        relative,
        100.0 * one.coverage_90,
        100.0 * one.below_10
    ));
}

/// How the model beside the loop did on the signal itself.
fn beside(told: &Value) {
    let text = |key: &str| told[key].as_str().unwrap_or("–").to_owned();
    output::line(&format!("{} on {}, trust {}:", text("model"), text("signal"), text("trust")));
    for score in told["scores"].as_array().into_iter().flatten() {
        let number = |key: &str| score[key].as_f64().unwrap_or(f64::NAN);
        output::line(&format!(
            "  {:>4} s ahead: {} scored, error {:.3}, {:.2} of the last reading's, {:.0} % under q90",
            number("seconds"),
            score["count"],
            number("mae"),
            number("relative_mae"),
            100.0 * number("coverage_90")
        ));
    }
}
