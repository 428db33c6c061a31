//! `autoscale forecast evaluate`: every model on every trace by one protocol.

use ::models::{Evaluation, csv_header, evaluate};
use clock::Clock;
use forecast::Budget;
use forecast::backtest::Protocol;
use serde::Serialize;

use super::{read, recipe};
use crate::args::{EvaluateArgs, Form};
use crate::failure::{FAILED, Hint, INVALID, coded};
use crate::output;

/// One model on one trace.
#[derive(Serialize)]
struct Row<'a> {
    trace: &'a str,
    model: &'a str,
    step_s: f64,
    fit_s: f64,
    predict_us: f64,
    fit_fault: Option<String>,
    #[serde(flatten)]
    summary: &'a forecast::backtest::Summary,
}

impl<'a> From<&'a Evaluation> for Row<'a> {
    fn from(found: &'a Evaluation) -> Self {
        Self {
            trace: &found.trace,
            model: &found.model,
            step_s: found.step.as_secs_f64(),
            fit_s: found.fit_time.as_secs_f64(),
            predict_us: found.predict_time.as_secs_f64() * 1e6,
            fit_fault: found.fault().map(ToString::to_string),
            summary: &found.summary,
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &EvaluateArgs) -> anyhow::Result<()> {
    let clock = Clock::start();
    let mut done: Vec<Evaluation> = Vec::new();
    if args.output == Form::Csv {
        output::line(csv_header().trim_end());
    }
    for file in &args.files {
        let (trace, series) = read(file, &args.series)?;
        for model in wanted(&args.models) {
            let recipe = recipe(model, &args.recipe, series.step())?;
            let protocol = Protocol {
                horizons: recipe.horizons.clone(),
                budget: Budget { iterations: args.recipe.iterations },
                ..Protocol::default()
            };
            if protocol.origins(&series).is_empty() {
                let error = anyhow::anyhow!("{}: {} steps are too few", file.display(), series.len());
                return Err(coded(error, "a longer trace, a shorter --bin or nearer --horizons", INVALID));
            }
            let found = evaluate(&clock, &trace.name, &recipe, &series, &protocol).hint("see --help")?;
            match args.output {
                Form::Csv => drop(output::line(found.csv().trim_end())),
                Form::Table => drop(output::line(&table(&found))),
                Form::Json => {}
            }
            done.push(found);
        }
    }
    match args.output {
        Form::Json => output::value(&done.iter().map(Row::from).collect::<Vec<_>>(), false)?,
        Form::Csv => summarise(args, &done)?,
        Form::Table => {}
    }
    Ok(())
}

fn wanted(models: &[String]) -> Vec<&str> {
    if models.iter().any(|model| model == "all") {
        return ::models::entries().map(|entry| entry.name).collect();
    }
    models.iter().map(String::as_str).collect()
}

fn table(found: &Evaluation) -> String {
    let mut text = found.table();
    if let Some(fault) = found.fault() {
        text.push_str(&format!("  learnt nothing: {fault}\n"));
    }
    text
}

fn summarise(args: &EvaluateArgs, done: &[Evaluation]) -> anyhow::Result<()> {
    let text: String = done.iter().map(table).collect();
    match &args.summary {
        Some(path) => fs_err::write(path, text).coded("name another file with --summary", FAILED),
        None => {
            output::complain(text.trim_end());
            Ok(())
        }
    }
}
