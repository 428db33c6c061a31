//! `autoscale forecast predict`: what comes next, how sure that is, and what to do about it.

use ::models::{Recipe, train};
use control::Advice;
use forecast::backtest::{Protocol, summarise};
use forecast::{Forecaster, Series};
use jiff::Timestamp;
use serde::Serialize;
use simulator::Trace;
use simulator::trace::Kind;

use super::{read, recipe, store};
use crate::args::{Form, PredictArgs};
use crate::failure::{FAILED, Hint, NOT_FOUND};
use crate::output;

/// The default policy's lines, in percent of a worker's CPU.
const UP: f64 = 35.0;
const DOWN: f64 = 15.0;
/// The levels that are shown.
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

/// The answer; its first three fields are those of the services that people know.
#[derive(Serialize)]
struct Answer {
    /// Mean of the readings in the file.
    current_avg: Option<f64>,
    /// Median at the nearest horizon; nothing if the model abstains.
    predicted_next: Option<f64>,
    recommendation: Advice,
    up: Option<f64>,
    down: Option<f64>,
    /// Where the two come from.
    thresholds: &'static str,
    /// The forecast over what is: how many times today's load.
    factor: Option<f64>,
    /// Share of outcomes at or below the 0.9 quantile, measured on the file itself.
    confidence: Option<f64>,
    model: String,
    model_id: Option<String>,
    /// Why there is no forecast.
    abstained: Option<String>,
    step_s: f64,
    origin: Timestamp,
    horizons: Vec<Ahead>,
}

/// One horizon.
#[derive(Serialize)]
struct Ahead {
    steps: usize,
    seconds: f64,
    q10: f64,
    q50: f64,
    q90: f64,
}

/// The values between which nothing is advised, and where they come from.
struct Lines {
    up: Option<f64>,
    down: Option<f64>,
    origin: &'static str,
}

impl Lines {
    /// Those that were given. Where none was, those of the pool's own default policy, but only for
    /// what is on their scale.
    fn of(args: &PredictArgs, trace: &Trace) -> Self {
        let told = args.series.kind.is_some();
        let within = || trace.values.iter().flatten().all(|value| (0.0..=100.0).contains(value));
        match (args.up, args.down) {
            (None, None) if trace.kind == Kind::CpuPercent => {
                Self { up: Some(UP), down: Some(DOWN), origin: "assumed for CPU percent" }
            }
            (None, None) if !told && within() => {
                let origin = "assumed: readings between 0 and 100 are taken for CPU percent";
                Self { up: Some(UP), down: Some(DOWN), origin }
            }
            (None, None) => {
                let origin = "none: readings that are no percentage need --up and --down";
                Self { up: None, down: None, origin }
            }
            (up, down) => Self { up, down, origin: "given" },
        }
    }

    fn advice(&self, predicted: Option<f64>) -> Advice {
        Advice::of(predicted, self.up.unwrap_or(f64::INFINITY), self.down.unwrap_or(f64::NEG_INFINITY))
    }
}

/// A model ready to answer, or why it is not.
struct Ready {
    model: Option<Box<dyn Forecaster>>,
    recipe: Recipe,
    id: Option<String>,
    fault: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &PredictArgs) -> anyhow::Result<()> {
    let (trace, series) = read(&args.file, &args.series)?;
    let lines = Lines::of(args, &trace);
    let mut ready = match &args.model_id {
        Some(id) => kept(args, id, &series)?,
        None => learnt(args, &series)?,
    };
    let answer = answer(&lines, &series, &mut ready);
    match args.output {
        Form::Json => output::value(&answer, false),
        Form::Csv => csv(&answer),
        Form::Table => table(&answer),
    }
}

fn learnt(args: &PredictArgs, series: &Series) -> anyhow::Result<Ready> {
    let recipe = recipe(&args.model, &args.recipe, series.step())?;
    let (model, id, fault) = match train(&recipe, series) {
        Ok(trained) => {
            let id = trained.id.to_string();
            let restore = recipe.entry().hint("see --help")?.restore;
            let model = restore(&trained.file.settings, &trained.file.state.bytes);
            (Some(model.coded("this is a defect: please report it", FAILED)?), Some(id), None)
        }
        Err(error) => (None, None, Some(error.to_string())),
    };
    Ok(Ready { model, recipe, id, fault })
}

/// A kept model, brought up to the end of the file.
fn kept(args: &PredictArgs, id: &str, series: &Series) -> anyhow::Result<Ready> {
    let store = store(args.store.as_ref())?;
    let advice = "`autoscale forecast models` lists them";
    let stored = store.find(id).coded(advice, NOT_FOUND)?;
    let (file, mut model) = store.load(&stored.id).coded(advice, FAILED)?;
    if file.settings.step != series.step() {
        let steps = (file.settings.step.as_secs_f64(), series.step().as_secs_f64());
        return Err(anyhow::anyhow!(
            "{}: steps of {} s, but {} was trained on {} s",
            args.file.display(),
            steps.1,
            stored.id,
            steps.0
        ))
        .hint(format!("add --bin {}s", steps.0));
    }
    for index in 0..series.len() {
        model.update(series.at(index), &series.sample(index));
    }
    Ok(Ready { model: Some(model), recipe: file.recipe, id: Some(stored.id.to_string()), fault: None })
}

fn answer(lines: &Lines, series: &Series, ready: &mut Ready) -> Answer {
    let horizons = &ready.recipe.horizons;
    let forecast = ready.model.as_ref().and_then(|model| model.predict(horizons, &QUANTILES));
    let ahead: Vec<Ahead> = forecast
        .iter()
        .flat_map(|forecast| {
            horizons.iter().zip(&forecast.values).map(|(&steps, values)| Ahead {
                steps,
                seconds: steps as f64 * series.step().as_secs_f64(),
                q10: values[0],
                q50: values[1],
                q90: values[2],
            })
        })
        .collect();
    let known: Vec<f64> = series.values().iter().copied().filter(|value| value.is_finite()).collect();
    let current_avg = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    let predicted_next = ahead.first().map(|ahead| ahead.q50);
    let silent = || "the model knows too little to say".to_owned();
    Answer {
        current_avg,
        predicted_next,
        recommendation: lines.advice(predicted_next),
        up: lines.up,
        down: lines.down,
        thresholds: lines.origin,
        factor: predicted_next
            .zip(current_avg)
            .map(|(next, now)| next / now)
            .filter(|factor| factor.is_finite()),
        confidence: predicted_next.and_then(|_| confidence(&ready.recipe, series)),
        model: ready.recipe.model.clone(),
        model_id: ready.id.take(),
        abstained: if predicted_next.is_none() {
            ready.fault.take().or_else(|| Some(silent()))
        } else {
            None
        },
        step_s: series.step().as_secs_f64(),
        origin: series.at(series.len().saturating_sub(1)),
        horizons: ahead,
    }
}

/// How often the 0.9 quantile held over the last part of the file.
fn confidence(recipe: &Recipe, series: &Series) -> Option<f64> {
    let protocol =
        Protocol { horizons: recipe.horizons.clone(), budget: recipe.budget(), ..Protocol::default() };
    let mut model = (recipe.entry().ok()?.build)(&recipe.settings(series.step()).ok()?);
    let backtest = protocol.run(model.as_mut(), series);
    let summary = summarise(&protocol, series, &backtest);
    summary.horizons.first().map(|one| one.coverage_90).filter(|share| share.is_finite())
}

fn csv(answer: &Answer) -> anyhow::Result<()> {
    output::line("steps,seconds,q10,q50,q90");
    for one in &answer.horizons {
        output::line(&format!("{},{},{},{},{}", one.steps, one.seconds, one.q10, one.q50, one.q90));
    }
    Ok(())
}

fn table(answer: &Answer) -> anyhow::Result<()> {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    output::line(&format!("on average     {}", number(answer.current_avg)));
    output::line(&format!("next           {}", number(answer.predicted_next)));
    let line = |word: &str, value: Option<f64>| value.map(|value| format!("{word} {value}"));
    let lines: Vec<String> =
        [line("up above", answer.up), line("down below", answer.down)].into_iter().flatten().collect();
    let named = [lines.join(", "), answer.thresholds.to_owned()].into_iter().filter(|part| !part.is_empty());
    let named = named.collect::<Vec<_>>().join("; ");
    output::line(&format!("advice         {} ({named})", answer.recommendation.name()));
    output::line(&format!(
        "confidence     {} of outcomes below q90 (0.9 is right)",
        number(answer.confidence)
    ));
    let id = answer.model_id.as_deref().map_or(String::new(), |id| format!(" {id}"));
    output::line(&format!("model          {}{id}", answer.model));
    if let Some(because) = &answer.abstained {
        output::line(&format!("abstains       {because}"));
        return Ok(());
    }
    output::line("");
    output::line(&format!("{:>6}  {:>9}  {:>12}  {:>12}  {:>12}", "steps", "in", "q10", "q50", "q90"));
    for one in &answer.horizons {
        output::line(&format!(
            "{:>6}  {:>7} s  {:>12.4}  {:>12.4}  {:>12.4}",
            one.steps, one.seconds, one.q10, one.q50, one.q90
        ));
    }
    Ok(())
}
