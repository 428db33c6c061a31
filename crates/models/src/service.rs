//! A model at work beside a live system: readings in, the latest forecast out, learning on a
//! thread of its own.
//!
//! Nobody waits for it. Readings that it cannot take in time are dropped and counted; a model that
//! hangs leaves its last answer to grow old; one that panics abstains until it has learnt anew.

mod learner;
mod scores;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use clock::Clock;
use forecast::series::Gatherer;
use forecast::{Forecaster, Sample};
use jiff::Timestamp;
use serde::Serialize;

use self::learner::Learner;
use self::scores::Scores;
use crate::recipe::{ModelId, Recipe, RecipeError};

pub use scores::{Score, Trust};

/// Readings that may wait for the model: a minute of them at one a second.
const WAITING_MAX: usize = 64;
/// Readings that the current average is taken over.
const AVERAGED: usize = 60;
/// The levels that are forecast.
const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

/// Where readings are handed in. Dropping it ends the service.
#[derive(Debug)]
pub struct Feed {
    readings: SyncSender<(Timestamp, Option<f64>)>,
    dropped: AtomicU64,
}

impl Feed {
    /// Hands in a reading, or that there was none. Never waits.
    pub fn offer(&self, at: Timestamp, value: Option<f64>) {
        if self.readings.try_send((at, value)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Readings that the model was too slow for.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What is known of the future at one horizon.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ahead {
    /// In steps.
    pub steps: usize,
    /// In seconds.
    pub seconds: f64,
    /// One in ten outcomes lies below.
    pub q10: Option<f64>,
    /// As many above as below.
    pub q50: f64,
    /// One in ten outcomes lies above.
    pub q90: Option<f64>,
}

/// The latest forecast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outlook {
    /// When it was made: the end of the last step known.
    pub at: Timestamp,
    /// Length of a step, in seconds.
    pub step_s: f64,
    /// Mean of the readings of the last minute of steps.
    pub current_avg: Option<f64>,
    /// By horizon; empty where the model abstains and nothing was ever read.
    pub horizons: Vec<Ahead>,
    /// The row of the registry that spoke, or the kept model's name; `last_reading` while none can.
    pub model: String,
    /// How often it has learnt; 0 before the first time.
    pub generation: u32,
    /// Why the model itself says nothing.
    pub abstained: Option<String>,
    /// How far its word can be taken.
    pub trust: Trust,
    /// How its forecasts turned out, by horizon.
    pub scores: Vec<Score>,
}

/// Where the latest forecast is read.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<std::sync::Mutex<Option<Outlook>>>);

impl Latest {
    /// The latest forecast, if any reading has come in.
    pub fn read(&self) -> Option<Outlook> {
        self.0.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |latest| latest.clone())
    }

    fn write(&self, outlook: Outlook) {
        match self.0.lock() {
            Ok(mut latest) => *latest = Some(outlook),
            Err(poisoned) => *poisoned.into_inner() = Some(outlook),
        }
    }
}

/// A model that was trained before, which works from the first reading on.
pub struct Kept {
    /// Its name in the store.
    pub id: ModelId,
    /// As it was stored.
    pub model: Box<dyn Forecaster>,
}

/// Starts a model of `recipe` on readings averaged over `step`; it begins with those of the `past`.
/// One that is `kept` takes in what it reads but learns nothing anew, unless it fails.
///
/// # Errors
/// When the recipe makes no sense, or no thread can be started.
pub fn serve(
    recipe: &Recipe,
    step: Duration,
    kept: Option<Kept>,
    past: Vec<(Timestamp, Option<f64>)>,
    clock: Clock,
) -> Result<(Feed, Latest), ServiceError> {
    recipe.entry()?;
    let settings = recipe.settings(step)?;
    let (readings, inbox) = sync_channel(WAITING_MAX);
    let latest = Latest::default();
    let mut learner = Learner::new(recipe.clone(), settings.clone(), clock);
    if kept.is_some() {
        learner.rest();
    }
    let (id, model) = kept.map(|Kept { id, model }| (id, model)).unzip();
    let mut service = Service {
        learner,
        gatherer: Gatherer::new(step),
        model,
        kept: id,
        scores: Scores::new(&settings.horizons),
        averaged: std::collections::VecDeque::new(),
        last: None,
        fault: None,
        recipe: recipe.clone(),
        step,
        latest: latest.clone(),
    };
    std::thread::Builder::new()
        .name("forecast".to_owned())
        .spawn(move || service.run(past, &inbox))
        .map_err(ServiceError::Thread)?;
    Ok((Feed { readings, dropped: AtomicU64::new(0) }, latest))
}

/// Why a service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The recipe makes no sense.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The system gave no thread.
    #[error("a thread for forecasts: {0}")]
    Thread(std::io::Error),
}

struct Service {
    recipe: Recipe,
    step: Duration,
    learner: Learner,
    gatherer: Gatherer,
    model: Option<Box<dyn Forecaster>>,
    /// The name of the model at work, if it was trained before.
    kept: Option<ModelId>,
    scores: Scores,
    averaged: std::collections::VecDeque<f64>,
    last: Option<f64>,
    /// Why the model was given up, until it has learnt anew.
    fault: Option<String>,
    latest: Latest,
}

impl Service {
    fn run(&mut self, past: Vec<(Timestamp, Option<f64>)>, inbox: &Receiver<(Timestamp, Option<f64>)>) {
        for (at, value) in past.into_iter().chain(inbox) {
            let value = value.filter(|value| value.is_finite());
            let reading = Sample { target: value, covariates: Vec::new() };
            if let Some((slot, sample)) = self.gatherer.add(at, &reading) {
                self.step(slot, &sample);
            }
        }
    }

    /// A step is over.
    fn step(&mut self, slot: Timestamp, sample: &Sample) {
        self.learner.add(slot, sample);
        if let Some(value) = sample.target {
            self.last = Some(value);
            self.averaged.push_back(value);
            if self.averaged.len() > AVERAGED {
                self.averaged.pop_front();
            }
        }
        if let Some(fresh) = self.learner.learnt() {
            (self.model, self.fault) = (Some(fresh), None);
        } else {
            self.guarded("update", |model| model.update(slot, sample));
        }
        self.scores.settle(slot, self.step, sample.target);
        let said = self.predict();
        if let (Some(rows), Some(last)) = (&said, self.last) {
            self.scores.expect(slot, last, rows);
        }
        self.publish(slot, said);
    }

    /// Lets the model do something; one that panics is given up.
    fn guarded<T>(&mut self, what: &str, work: impl FnOnce(&mut dyn Forecaster) -> T) -> Option<T> {
        let model = self.model.as_mut()?;
        match catch_unwind(AssertUnwindSafe(|| work(model.as_mut()))) {
            Ok(done) => Some(done),
            Err(_) => {
                (self.model, self.fault) = (None, Some(format!("the model panicked in {what}")));
                if self.kept.take().is_some() {
                    self.learner.wake();
                }
                None
            }
        }
    }

    fn predict(&mut self) -> Option<Vec<Vec<f64>>> {
        let horizons = self.recipe.horizons.clone();
        let forecast = self.guarded("predict", |model| model.predict(&horizons, &LEVELS))??;
        if forecast.is_finite() {
            return Some(forecast.values);
        }
        self.fault = Some("the model's numbers are not finite".to_owned());
        None
    }

    fn publish(&self, slot: Timestamp, said: Option<Vec<Vec<f64>>>) {
        let step_s = self.step.as_secs_f64();
        let abstained = said.is_none().then(|| {
            self.fault.clone().or_else(|| self.learner.fault().map(str::to_owned)).unwrap_or_else(|| {
                let known = self.learner.known();
                match self.kept {
                    Some(_) => format!("it has read too little since it was trained: {known} steps"),
                    None => format!("it learns from {known} steps so far"),
                }
            })
        });
        let model = match &self.kept {
            _ if said.is_none() => "last_reading".to_owned(),
            Some(id) => id.to_string(),
            None => self.recipe.model.clone(),
        };
        let ahead = |(index, &steps): (usize, &usize)| {
            let seconds = steps as f64 * step_s;
            match &said {
                Some(rows) => {
                    let row = &rows[index];
                    Some(Ahead { steps, seconds, q10: Some(row[0]), q50: row[1], q90: Some(row[2]) })
                }
                None => self.last.map(|q50| Ahead { steps, seconds, q10: None, q50, q90: None }),
            }
        };
        let count = self.averaged.len();
        self.latest.write(Outlook {
            at: slot.saturating_add(self.step).unwrap_or(slot),
            step_s,
            current_avg: (count > 0).then(|| self.averaged.iter().sum::<f64>() / count as f64),
            horizons: self.recipe.horizons.iter().enumerate().filter_map(ahead).collect(),
            model,
            generation: self.learner.generation(),
            trust: self.scores.trust(abstained.is_none()),
            abstained,
            scores: self.scores.all(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use forecast::{Budget, FitError, FitReport, ModelState, QuantileForecast, Series};

    use super::*;

    /// Readings of a slow wave, one a second, until the outlook is as wanted.
    fn until(recipe: &Recipe, wanted: impl Fn(&Outlook) -> bool) -> Outlook {
        let (feed, latest) = serve(recipe, Duration::from_secs(1), None, Vec::new(), Clock::start()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        for second in 0_u32.. {
            let value = 50.0 + 20.0 * (f64::from(second) / 40.0).sin();
            let at = Timestamp::from_second(i64::from(second)).unwrap();
            // Whoever feeds it in a test has time.
            feed.readings.send((at, Some(value))).unwrap();
            if let Some(outlook) = latest.read().filter(|outlook| wanted(outlook)) {
                return outlook;
            }
            assert!(Instant::now() < deadline, "{:?}", latest.read());
        }
        unreachable!("a loop without end ends by its return")
    }

    #[test]
    fn before_it_has_learnt_it_says_so_and_shows_the_last_reading() {
        let outlook = until(&Recipe::of("autoregressive"), |_| true);
        assert_eq!((outlook.model.as_str(), outlook.generation), ("last_reading", 0));
        assert_eq!(outlook.trust, Trust::Learning);
        assert!(outlook.abstained.is_some() && outlook.horizons[0].q90.is_none());
    }

    #[test]
    fn it_learns_beside_its_work_and_earns_trust_on_what_can_be_foreseen() {
        let outlook = until(&Recipe::of("autoregressive"), |outlook| outlook.trust == Trust::Trusted);
        assert!(outlook.generation >= 1 && outlook.abstained.is_none());
        assert_eq!(outlook.model, "autoregressive");
        let far = outlook.scores.last().unwrap();
        assert!(far.relative_mae < 1.0, "a wave is more than its last reading: {far:?}");
    }

    /// Says the same of every future, until it has read enough.
    struct Fixed {
        reads: usize,
    }

    impl Forecaster for Fixed {
        fn fit(&mut self, _: &Series, _: Budget) -> Result<FitReport, FitError> {
            unreachable!("a kept model does not learn anew")
        }

        fn update(&mut self, _: Timestamp, _: &Sample) {
            assert!(self.reads > 0, "it has read enough");
            self.reads -= 1;
        }

        fn predict(&self, horizons: &[usize], levels: &[f64]) -> Option<QuantileForecast> {
            let values = vec![vec![7.0; levels.len()]; horizons.len()];
            Some(QuantileForecast {
                origin: Timestamp::UNIX_EPOCH,
                step: Duration::from_secs(1),
                horizons: horizons.to_vec(),
                quantiles: levels.to_vec(),
                values,
            })
        }

        fn state(&self) -> ModelState {
            unreachable!("nobody stores it")
        }
    }

    #[test]
    fn a_kept_model_works_at_once_and_is_followed_by_one_that_learns_if_it_fails() {
        let recipe = Recipe::of("autoregressive");
        let id: ModelId = "ab".repeat(32).parse().unwrap();
        let kept = Kept { id: id.clone(), model: Box::new(Fixed { reads: 100 }) };
        let (feed, latest) =
            serve(&recipe, Duration::from_secs(1), Some(kept), Vec::new(), Clock::start()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut spoke = Vec::new();
        for second in 0_i64.. {
            feed.readings.send((Timestamp::from_second(second).unwrap(), Some(50.0))).unwrap();
            let Some(outlook) = latest.read() else { continue };
            if spoke.last() != Some(&outlook.model) {
                spoke.push(outlook.model.clone());
            }
            if outlook.generation > 0 && outlook.abstained.is_none() {
                break;
            }
            assert!(Instant::now() < deadline, "{spoke:?}");
        }
        assert_eq!(spoke, [&id.to_string(), "last_reading", "autoregressive"]);
    }

    #[test]
    fn readings_never_wait_for_a_slow_model() {
        let (readings, inbox) = sync_channel(WAITING_MAX);
        let feed = Feed { readings, dropped: AtomicU64::new(0) };
        for _ in 0..1_000 {
            feed.offer(Timestamp::UNIX_EPOCH, Some(1.0));
        }
        assert_eq!(feed.dropped(), 1_000 - WAITING_MAX as u64);
        drop(inbox);
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_once() {
        let recipe = Recipe::of("tea_leaves");
        let refused = serve(&recipe, Duration::from_secs(1), None, Vec::new(), Clock::start());
        assert!(refused.is_err());
    }
}
