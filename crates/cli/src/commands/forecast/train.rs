//! `autoscale forecast train`: a model from data and recipe, kept under the hash of both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::models::{Metric, Recipe, Trained, data_hash, evaluate, train};
use clock::Clock;
use forecast::Series;
use forecast::backtest::Protocol;
use serde::{Deserialize, Serialize};

use super::{read, recipe, store};
use crate::args::{Form, SeriesArgs, TrainArgs};
use crate::failure::{FAILED, Hint, INVALID, read_text};
use crate::output;

/// What a manifest states.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Path of the trace, from the manifest's own folder.
    data: PathBuf,
    /// What is forecast.
    subject: String,
    /// Length of a step, such as `1m`.
    bin: Option<String>,
    recipe: Recipe,
}

/// All that a training needs.
struct Job {
    data: PathBuf,
    subject: String,
    series: Series,
    recipe: Recipe,
}

/// What is printed.
#[derive(Serialize)]
struct Report {
    id: String,
    subject: String,
    model: String,
    data_hash: String,
    points: usize,
    iterations: u32,
    stage: String,
    scores: Vec<Score>,
}

/// A score, as the store keeps it.
#[derive(Serialize)]
struct Score {
    horizon: u32,
    name: String,
    value: f64,
}

/// Runs the command.
pub(super) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let clock = Clock::start();
    let job = job(args)?;
    let trained = train(&job.recipe, &job.series)
        .map_err(|error| anyhow::Error::from(error).context(job.data.display().to_string()))
        .coded("a longer trace, or a model that needs less (naive, drift)", INVALID)?;
    let scores = scores(&clock, &job)?;
    let mut store = store(args.store.as_ref())?;
    let kept =
        store.add(clock.now(), &job.subject, &trained).coded("name another folder with --store", FAILED)?;
    store.score(&trained.id, &scores).coded("name another folder with --store", FAILED)?;
    print(args.output, &report(&job, &trained, kept.stage.to_string(), scores))
}

fn job(args: &TrainArgs) -> anyhow::Result<Job> {
    if let Some(path) = &args.manifest {
        return from_manifest(path, &args.series);
    }
    let data = args.file.clone().expect("clap asks for a file where there is no manifest");
    let (trace, series) = read(&data, &args.series)?;
    let recipe = recipe(&args.model, &args.recipe, series.step())?;
    Ok(Job { data, subject: args.subject.clone().unwrap_or(trace.name), series, recipe })
}

fn from_manifest(path: &Path, args: &SeriesArgs) -> anyhow::Result<Job> {
    let text = read_text(path, "name a manifest: see `forecast train --help`")?;
    let named = |error: anyhow::Error| error.context(path.display().to_string());
    let manifest: Manifest = toml::from_str(&text)
        .map_err(|error| named(error.into()))
        .hint("`autoscale forecast train --help` shows a manifest")?;
    let bin = match &manifest.bin {
        Some(bin) => Some(bin_of(bin).map_err(named).hint("bin is a length of time, such as 1m")?),
        None => args.bin,
    };
    let data = path.parent().unwrap_or(Path::new("")).join(&manifest.data);
    let (_, series) = read(&data, &SeriesArgs { bin, ..args.clone() })?;
    manifest
        .recipe
        .entry()
        .map_err(|error| named(error.into()))
        .hint("`autoscale forecast models kinds` lists them")?;
    manifest.recipe.settings(series.step()).map_err(|error| named(error.into())).hint("mend the [recipe]")?;
    Ok(Job { data, subject: manifest.subject, series, recipe: manifest.recipe })
}

fn bin_of(text: &str) -> anyhow::Result<Duration> {
    control::span::parse(text).map_err(|error| anyhow::anyhow!("bin: {error}"))
}

/// How the same recipe does where it has not seen the end of the trace; nothing on a short one.
fn scores(clock: &Clock, job: &Job) -> anyhow::Result<Vec<Metric>> {
    let recipe = &job.recipe;
    let protocol =
        Protocol { horizons: recipe.horizons.clone(), budget: recipe.budget(), ..Protocol::default() };
    if protocol.origins(&job.series).is_empty() {
        return Ok(Vec::new());
    }
    let found = evaluate(clock, &job.subject, recipe, &job.series, &protocol).hint("mend the recipe")?;
    let all = found.summary.horizons.iter().flat_map(|one| {
        let horizon = u32::try_from(one.horizon).unwrap_or(u32::MAX);
        [
            ("mase", one.mase),
            ("relative_mae", one.relative_mae),
            ("relative_loss_90", one.relative_loss_90),
            ("coverage_90", one.coverage_90),
        ]
        .map(|(name, value)| Metric { horizon, name: name.to_owned(), value })
    });
    Ok(all.filter(|metric| metric.value.is_finite()).collect())
}

fn report(job: &Job, trained: &Trained, stage: String, scores: Vec<Metric>) -> Report {
    let score = |metric: Metric| Score { horizon: metric.horizon, name: metric.name, value: metric.value };
    Report {
        id: trained.id.as_str().to_owned(),
        subject: job.subject.clone(),
        model: job.recipe.model.clone(),
        data_hash: data_hash(&job.series),
        points: trained.report.points,
        iterations: trained.report.iterations,
        stage,
        scores: scores.into_iter().map(score).collect(),
    }
}

fn print(how: Form, report: &Report) -> anyhow::Result<()> {
    if how == Form::Json {
        return output::value(report, false);
    }
    output::line(&format!("model     {}", report.id));
    output::line(&format!("kind      {}, {} for {}", report.model, report.stage, report.subject));
    output::line(&format!("learnt    {} points in {} rounds", report.points, report.iterations));
    for score in &report.scores {
        output::line(&format!("  {:>3} ahead  {:18} {:.3}", score.horizon, score.name, score.value));
    }
    Ok(())
}
