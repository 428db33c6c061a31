//! The signal of every turn goes to a model beside the loop; what it says comes back as the
//! answer of `GET /predict`. The loop never waits for it.

use std::sync::Arc;
use std::time::Duration;

use admin::{PredictedAhead, Prediction, PredictionScore};
use anyhow::Context;
use clock::Clock;
use control::{Advice, Cycle};
use jiff::Timestamp;
use models::service::{Feed, Kept, Latest, Outlook, serve};
use models::{Recipe, Store};
use parking_lot::Mutex;

use crate::config::Config;
use crate::failure::{Hint, hint};
use crate::session;

/// Forecasts are made on steps of at least this length: nobody starts a worker faster.
const STEP_MIN: Duration = Duration::from_secs(1);
/// Steps ahead.
const HORIZONS: [usize; 4] = [1, 5, 15, 30];
/// Stands before the subject of a kept model.
const CHAMPION: &str = "champion:";
/// The model where none is named.
pub(crate) const DEFAULT: &str = "autoregressive";
/// Where the policy has no lines: a forecast above or below these multiples of the current
/// average is worth a recommendation.
const BAND: (f64, f64) = (0.7, 1.1);

/// The model at work, and what it is asked about.
#[derive(Debug)]
pub(super) struct Expectation {
    feed: Feed,
    latest: Latest,
    asked: Mutex<Asked>,
    clock: Clock,
    horizon_s: f64,
}

/// The signal of the last turn.
#[derive(Debug, Default)]
struct Asked {
    signal: String,
    up: Option<f64>,
    down: Option<f64>,
}

impl Expectation {
    /// The model that the configuration names; `None` where it is off.
    pub(super) fn start(
        config: &Config,
        past: &[Cycle],
        clock: Clock,
        notices: &mut Vec<String>,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(model) = &config.forecast else { return Ok(None) };
        let past = past.iter().filter_map(reading).collect();
        let live = |model: &str| Begin {
            recipe: Recipe { horizons: HORIZONS.to_vec(), ..Recipe::of(model) },
            step: config.control.interval.max(STEP_MIN),
            kept: None,
        };
        let begin = match model.strip_prefix(CHAMPION) {
            None => live(model),
            // A model that cannot be used is no reason not to scale.
            Some(subject) => champion(subject).unwrap_or_else(|error| {
                notices.push(format!(
                    "warning: no champion of `{subject}` forecasts: {error:#}; `{DEFAULT}` learns in its place\n\
                     hint: `autoscale forecast models` lists what is kept; scaling goes on as before"
                ));
                live(DEFAULT)
            }),
        };
        let Begin { recipe, step, kept } = begin;
        let (feed, latest) =
            serve(&recipe, step, kept, past, clock).hint("choose another with --forecast, or off")?;
        let horizon_s = step.as_secs_f64();
        Ok(Some(Arc::new(Self { feed, latest, asked: Mutex::default(), clock, horizon_s })))
    }

    /// Takes a turn's signal. Never waits.
    pub(super) fn see(&self, cycle: &Cycle) {
        let Cycle::Decided { decision, .. } = cycle else { return };
        let (Some((at, value)), Some(measured)) = (reading(cycle), &decision.measured) else { return };
        self.feed.offer(at, value);
        let signal = measured.signal.clone().into_owned();
        *self.asked.lock() = Asked { signal, up: measured.up, down: measured.down };
    }

    /// What is expected now.
    pub(super) fn prediction(&self) -> Prediction {
        let asked = self.asked.lock();
        let outlook = self.latest.read();
        let current = outlook.as_ref().and_then(|outlook| outlook.current_avg);
        let next = outlook.as_ref().and_then(|outlook| outlook.horizons.first());
        let predicted = next.map(|next| next.q50);
        let line = |own: Option<f64>, times: f64| own.or_else(|| current.map(|current| current * times));
        let (up, down) = (line(asked.up, BAND.1), line(asked.down, BAND.0));
        let recommendation = match (up, down) {
            (Some(up), Some(down)) => Advice::of(predicted, up, down),
            _ => Advice::NoChange,
        };
        let at = outlook.as_ref().map(|outlook| outlook.at);
        Prediction {
            at,
            age_s: at.map(|at| self.clock.now().duration_since(at).as_secs_f64().max(0.0)),
            signal: asked.signal.clone(),
            current_avg: current,
            predicted_next: predicted,
            recommendation,
            up: asked.up,
            down: asked.down,
            factor: predicted.zip(current).map(|(next, now)| next / now).filter(|factor| factor.is_finite()),
            confidence: outlook
                .as_ref()
                .and_then(|outlook| outlook.scores.first())
                .map(|score| score.coverage_90),
            horizon_s: next.map(|next| next.seconds),
            dropped: self.feed.dropped(),
            ..self.spoken(outlook)
        }
    }

    /// What the model itself said.
    fn spoken(&self, outlook: Option<Outlook>) -> Prediction {
        let Some(outlook) = outlook else { return nothing() };
        let ahead = outlook.horizons.iter().map(|ahead| PredictedAhead {
            seconds: ahead.seconds,
            q10: ahead.q10,
            q50: ahead.q50,
            q90: ahead.q90,
        });
        let scores = outlook.scores.iter().map(|score| PredictionScore {
            seconds: score.steps as f64 * self.horizon_s,
            count: score.count as u64,
            mae: score.mae,
            relative_mae: score.relative_mae,
            coverage_90: score.coverage_90,
        });
        Prediction {
            horizons: ahead.collect(),
            scores: scores.collect(),
            model: outlook.model,
            generation: outlook.generation,
            trust: outlook.trust.to_string(),
            abstained: outlook.abstained,
            ..nothing()
        }
    }
}

/// A turn's signal, if its policy has one.
fn reading(cycle: &Cycle) -> Option<(Timestamp, Option<f64>)> {
    let Cycle::Decided { seen, decision, .. } = cycle else { return None };
    Some((seen.at, decision.measured.as_ref()?.value))
}

/// Before the first reading.
fn nothing() -> Prediction {
    Prediction {
        at: None,
        age_s: None,
        signal: String::new(),
        current_avg: None,
        predicted_next: None,
        recommendation: Advice::NoChange,
        up: None,
        down: None,
        factor: None,
        confidence: None,
        horizon_s: None,
        model: "none".to_owned(),
        generation: 0,
        trust: "learning".to_owned(),
        abstained: Some("nothing has been read yet".to_owned()),
        horizons: Vec::new(),
        scores: Vec::new(),
        dropped: 0,
    }
}

/// What forecasts, and on which grid.
struct Begin {
    recipe: Recipe,
    step: Duration,
    kept: Option<Kept>,
}

/// The kept model that decides for `subject`, checked.
fn champion(subject: &str) -> anyhow::Result<Begin> {
    let store = Store::open(&session::models_folder())?;
    let stored = store.champion(subject)?.context("there is none; `forecast models promote` makes one")?;
    let (file, model) = store.load(&stored.id)?;
    let kept = Some(Kept { id: stored.id, model });
    Ok(Begin { recipe: file.recipe, step: file.settings.step, kept })
}

/// The model that a name stands for; `off` stands for none.
pub(crate) fn model(name: &str) -> anyhow::Result<Option<String>> {
    if name == "off" {
        return Ok(None);
    }
    // Whether there is one is found when it is needed: its file must not keep the pool from starting.
    if name.strip_prefix(CHAMPION).is_some_and(|subject| !subject.is_empty()) {
        return Ok(Some(name.to_owned()));
    }
    let recipe = Recipe::of(name);
    recipe.entry().map_err(|error| {
        hint(
            error.into(),
            "`autoscale forecast models kinds` lists them; champion:SUBJECT is one that is kept, off none",
        )
    })?;
    Ok(Some(recipe.model))
}
