//! `autoscale forecast`: models of load, their scores, their versions.

mod evaluate;
mod models;
mod predict;
mod score;
mod train;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::models::{Recipe, Store, on_grid};
use forecast::Series;
use jiff::Timestamp;
use simulator::Trace;

use super::simulate;
use crate::args::{ForecastArgs, ForecastCommand, RecipeArgs, SeriesArgs};
use crate::failure::{FAILED, Hint};
use crate::session;

/// Runs the command.
pub(crate) async fn run(args: &ForecastArgs) -> anyhow::Result<()> {
    match &args.command {
        ForecastCommand::Evaluate(args) => evaluate::run(args),
        ForecastCommand::Predict(args) => predict::run(args),
        ForecastCommand::Score(args) => score::run(args).await,
        ForecastCommand::Train(args) => train::run(args),
        ForecastCommand::Models(args) => models::run(args),
    }
}

/// A trace, and its values as a series on the grid that the arguments ask for.
fn read(path: &Path, args: &SeriesArgs) -> anyhow::Result<(Trace, Series)> {
    let trace = simulate::read_as(path, args.bucket, args.kind, args.quiet)?;
    let series = series(&trace).hint("the trace must have at least two buckets")?;
    Ok((trace, on_grid(&series, args.bin)))
}

fn series(trace: &Trace) -> Result<Series, forecast::series::SeriesError> {
    let values = trace.values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    Series::new(trace.start.unwrap_or(Timestamp::UNIX_EPOCH), trace.bucket, values)
}

/// The recipe that the arguments describe, for steps of this length.
fn recipe(model: &str, args: &RecipeArgs, step: Duration) -> anyhow::Result<Recipe> {
    let mut horizons = args.horizons.clone();
    if let Some(lead) = args.lead {
        let steps = lead.as_nanos().div_ceil(step.as_nanos()).max(1);
        horizons.push(usize::try_from(steps).unwrap_or(usize::MAX));
    }
    horizons.sort_unstable();
    horizons.dedup();
    let recipe = Recipe {
        seed: args.seed,
        iterations: args.iterations,
        horizons,
        time_zone: args.time_zone.clone(),
        ..Recipe::of(model)
    };
    recipe.entry().hint("`autoscale forecast models kinds` lists them with what each does")?;
    recipe.settings(step).hint("see `autoscale forecast --help`")?;
    Ok(recipe)
}

/// The models that are kept, in the folder asked for or the user's own.
fn store(folder: Option<&PathBuf>) -> anyhow::Result<Store> {
    let folder = folder.cloned().unwrap_or_else(session::models_folder);
    Store::open(&folder)
        .map_err(|error| anyhow::Error::from(error).context(folder.display().to_string()))
        .coded("name another folder with --store", FAILED)
}
