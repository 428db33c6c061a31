//! A model beside the loop: it is told each turn's rate and leaves its latest forecast where the
//! next turn finds it. No turn waits for it, however long it takes, and it may panic or hang.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::ForecastSeen;
use forecast::{Forecaster, Sample};
use jiff::Timestamp;

/// Samples that wait for a busy model: a model that is further behind sees a gap, and its answers
/// would be too old anyway.
const WAITING_MAX: usize = 64;

/// Levels of the quantiles that are published: the upper side, which capacity is bought for, finer.
const LEVELS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995];

/// A model with its name and how far it is to look.
pub struct Model {
    /// By which records name it.
    pub id: String,
    /// Answers to `horizons`; knows as much as it was fitted on.
    pub forecaster: Box<dyn Forecaster>,
    /// Length of a step.
    pub step: Duration,
    /// Steps to forecast.
    pub steps: usize,
}

/// The loop's end of a model that runs by itself.
#[derive(Debug)]
pub struct Forecasting {
    samples: SyncSender<(Timestamp, Option<f64>)>,
    latest: Arc<Mutex<Option<Box<ForecastSeen>>>>,
}

impl Forecasting {
    /// Starts the model's thread. It ends with this, or when the model panics.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(model: Model) -> std::io::Result<Self> {
        let (samples, told) = sync_channel(WAITING_MAX);
        let latest = Arc::new(Mutex::new(None));
        let found = Arc::clone(&latest);
        std::thread::Builder::new().name("forecast".to_owned()).spawn(move || work(model, &told, &found))?;
        Ok(Self { samples, latest })
    }

    /// Tells the rate of the step that ended at `at`; `None` is a gap. A model that is far behind is
    /// not told.
    pub fn tell(&self, at: Timestamp, rate: Option<f64>) {
        let _ = self.samples.try_send((at, rate));
    }

    /// The latest forecast, if there is a new one.
    pub fn take(&self) -> Option<Box<ForecastSeen>> {
        // The other side holds the lock for the time of one assignment; if just now, the next turn
        // is early enough.
        self.latest.try_lock().ok()?.take()
    }
}

fn work(
    mut model: Model,
    told: &Receiver<(Timestamp, Option<f64>)>,
    latest: &Mutex<Option<Box<ForecastSeen>>>,
) {
    let horizons: Vec<usize> = (1..=model.steps).collect();
    while let Ok((at, rate)) = told.recv() {
        let forecaster = &mut model.forecaster;
        let answer = catch_unwind(AssertUnwindSafe(|| {
            forecaster.update(at, &Sample { target: rate, covariates: Vec::new() });
            forecaster.predict(&horizons, &LEVELS)
        }));
        // What panicked once is in a state that nobody knows: its last word grows old.
        let Ok(answer) = answer else { return };
        let Some(answer) = answer else { continue };
        let seen = ForecastSeen {
            model: model.id.clone(),
            made_at: at,
            step_s: model.step.as_secs_f64(),
            levels: answer.quantiles,
            rates: answer.values,
        };
        if let Ok(mut latest) = latest.lock() {
            *latest = Some(Box::new(seen));
        }
    }
}
