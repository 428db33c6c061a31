//! Arguments of `forecast`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use control::span;

use super::{AskArgs, ValueKind, parse};

/// Arguments of `forecast`.
#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    #[command(subcommand)]
    pub(crate) command: ForecastCommand,
}

/// What to do with forecasts.
#[derive(Debug, Subcommand)]
pub(crate) enum ForecastCommand {
    /// Score models on recorded load, beside the naive forecast, and show how they fail
    Evaluate(EvaluateArgs),
    /// What comes next after recorded load, and what to do about it
    Predict(PredictArgs),
    /// Learn a model from recorded load and keep it; the same training twice gives the same file
    Train(TrainArgs),
    /// How forecasts and the decisions that rested on them turned out, live or in a run file
    Score(ScoreArgs),
    /// The models that are kept: their stages, scores and history
    Models(ModelsArgs),
}

/// How to print results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    #[default]
    Table,
    Json,
    Csv,
}

/// Recorded load, and how to read it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SeriesArgs {
    /// Length of a step, averaged from the trace's buckets [default: the bucket, at least 15s]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) bin: Option<Duration>,
    /// Length of a bucket of the trace [default: as its time stamps say]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) bucket: Option<Duration>,
    /// What the trace's values are [default: as the form says, else requests per bucket]
    #[arg(long, value_enum)]
    pub(crate) kind: Option<ValueKind>,
    /// No remarks about the trace on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What a model is made from.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArgs {
    /// Steps ahead, ascending
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 15], value_name = "N,…")]
    pub(crate) horizons: Vec<usize>,
    /// Lead time: its number of steps is one more horizon
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) lead: Option<Duration>,
    /// Where a day begins: an IANA name
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub(crate) time_zone: String,
    /// Rounds of learning at most
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) iterations: u32,
    /// For models that draw lots
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// Arguments of `forecast evaluate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Forecasts are made at 40 origins, evenly over the last 30 % of each trace, and compared with what came.
relMAE and relQL90 are errors over those of the naive forecast: above 1, naive wins.

Examples:
  autoscale forecast evaluate requests.csv
  autoscale forecast evaluate requests.csv --models naive,theta,ensemble --lead 45s
  autoscale forecast evaluate cloudwatch.json -o csv > forecasts.csv"
)]
pub(crate) struct EvaluateArgs {
    /// Recorded load: CSV, JSON of CloudWatch or Prometheus, an access log
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Models, several with commas, or all
    #[arg(
        long,
        visible_alias = "model",
        value_delimiter = ',',
        default_value = "ensemble",
        value_name = "A,B,…"
    )]
    pub(crate) models: Vec<String>,
    /// How to print it; csv has one row a forecast, its summary goes to standard error
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Form,
    /// Write the summary of csv to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// Arguments of `forecast predict`.
#[derive(Debug, Args)]
#[command(
    after_help = "The advice: Scale Up above --up, Scale Down below --down, else No Change. Where neither is given, 35
and 15 are assumed of a percentage, which the answer says; of anything else there is no advice. A
model that knows too little abstains: predicted_next is then null, and the advice No Change.

Examples:
  autoscale forecast predict cpu.csv --kind cpu_percent --up 35 --down 15
  autoscale forecast predict cloudwatch.json -o json
  autoscale forecast predict requests.csv --model-id 3f2a91"
)]
pub(crate) struct PredictArgs {
    /// Recorded load: CSV, JSON of CloudWatch or Prometheus, an access log
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Which model learns from the file
    #[arg(long, default_value = "ensemble", value_name = "NAME")]
    pub(crate) model: String,
    /// A model that is kept, by the first digits of its name, in place of one that learns now
    #[arg(long, conflicts_with = "model", value_name = "ID")]
    pub(crate) model_id: Option<String>,
    /// Folder of the models that are kept [default: that of the user]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Advise to scale up above this value [default: 35 where readings are a percentage, else none]
    #[arg(long, value_parser = parse::percent, value_name = "VALUE")]
    pub(crate) up: Option<f64>,
    /// Advise to scale down below this value [default: 15 where readings are a percentage, else none]
    #[arg(long, value_parser = parse::percent, value_name = "VALUE")]
    pub(crate) down: Option<f64>,
    /// Print JSON
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// Arguments of `forecast score`.
#[derive(Debug, Args)]
#[command(
    after_help = "Of a policy that plans (predictive): each forecast is compared with what came, each change of the
number with what was needed. A running pool tells of the turns that it still holds; a run file of all.

Examples:
  autoscale forecast score
  autoscale forecast score --run run.db --last 1h
  autoscale forecast score --run run.db -o json"
)]
pub(crate) struct ScoreArgs {
    /// Only what happened within this time before the last turn [default: everything]
    #[arg(long, value_parser = span::parse, value_name = "TIME")]
    pub(crate) last: Option<Duration>,
    /// Read a run file instead of asking a running pool
    #[arg(long, value_name = "FILE")]
    pub(crate) run: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// Arguments of `forecast train`.
#[derive(Debug, Args)]
#[command(after_help = "A manifest states everything that a model is made from:
  data = \"requests.csv\"
  subject = \"web:requests\"
  bin = \"1m\"
  [recipe]
  model = \"ensemble\"
  seed = 0

Examples:
  autoscale forecast train --manifest model.toml
  autoscale forecast train requests.csv --model random_forest --subject web:requests")]
pub(crate) struct TrainArgs {
    /// Recorded load to learn from
    #[arg(required_unless_present = "manifest", conflicts_with = "manifest", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A TOML file that says what to learn from what
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Which model
    #[arg(long, default_value = "ensemble", conflicts_with = "manifest", value_name = "NAME")]
    pub(crate) model: String,
    /// What is forecast; there is one champion each [default: the file's name]
    #[arg(long, conflicts_with = "manifest", value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// Folder of the models that are kept [default: that of the user]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// Arguments of `forecast models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ModelsCommand>,
    /// Folder of the models [default: that of the user]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Form,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List them (what happens without a word, too)
    List,
    /// One model: what made it, its scores
    Show {
        /// The first digits of its name
        id: String,
    },
    /// One stage further: candidate, shadow, champion; the champion before retires
    Promote(PromoteArgs),
    /// The champion of a subject retires, the one before decides again
    Rollback {
        /// What is forecast
        subject: String,
        /// Why, for the record
        #[arg(long, default_value = "by hand")]
        because: String,
    },
    /// Take a model out of the running
    Retire(ChangeArgs),
    /// What happened to the models of a subject, the latest first
    History {
        /// What is forecast
        subject: String,
    },
    /// The kinds of models that there are
    Kinds,
}

/// Which model changes its stage, and why.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// The first digits of its name
    pub(crate) id: String,
    /// Why, for the record
    #[arg(long, default_value = "by hand")]
    pub(crate) because: String,
}

/// Arguments of `forecast models promote`.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
    /// Readings that neither it nor the champion knows: it takes over if its forecasts of them are better
    /// by more than luck (200 or more, Diebold-Mariano, p below 0.05) and cost no more
    #[arg(long, value_name = "TRACE", conflicts_with = "force")]
    pub(crate) on: Option<PathBuf>,
    /// Steps ahead that both are compared at
    #[arg(long, default_value = "1", value_name = "N")]
    pub(crate) ahead: usize,
    /// Without proof
    #[arg(long)]
    pub(crate) force: bool,
}
