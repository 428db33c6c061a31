//! Models beside the loop that are slow, hang or panic: no turn may notice.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use forecast::{Budget, FitError, FitReport, Forecaster, ModelState, QuantileForecast, Sample, Series};
use jiff::Timestamp;
use live::forecasting::{Forecasting, Model};

/// Does at each update what it is for.
struct Planted(Box<dyn FnMut(f64) + Send>, f64);

impl Forecaster for Planted {
    fn fit(&mut self, _: &Series, _: Budget) -> Result<FitReport, FitError> {
        Err(FitError::NoBudget)
    }

    fn update(&mut self, _: Timestamp, sample: &Sample) {
        self.1 = sample.target.unwrap_or(f64::NAN);
        (self.0)(self.1);
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        Some(QuantileForecast {
            origin: Timestamp::UNIX_EPOCH,
            step: Duration::from_secs(1),
            horizons: horizons.to_vec(),
            quantiles: quantiles.to_vec(),
            values: vec![vec![self.1; quantiles.len()]; horizons.len()],
        })
    }

    fn state(&self) -> ModelState {
        ModelState { model: "planted".to_owned(), ready: true, samples: 0, bytes: Vec::new() }
    }
}

fn start(does: impl FnMut(f64) + Send + 'static) -> Forecasting {
    let forecaster = Box::new(Planted(Box::new(does), 0.0));
    let model = Model { id: "planted".to_owned(), forecaster, step: Duration::from_secs(1), steps: 8 };
    Forecasting::start(model).expect("a thread")
}

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a second in range")
}

/// Asks until there is an answer.
fn answer(forecasting: &Forecasting) -> Box<control::ForecastSeen> {
    let begun = Instant::now();
    loop {
        if let Some(seen) = forecasting.take() {
            return seen;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no forecast came");
        std::thread::yield_now();
    }
}

#[test]
fn a_forecast_is_found_by_a_later_turn_and_only_once() {
    let forecasting = start(|_| {});
    forecasting.tell(moment(7), Some(42.0));
    let seen = answer(&forecasting);
    assert_eq!((seen.model.as_str(), seen.made_at, seen.rates.len()), ("planted", moment(7), 8));
    assert!((seen.rates[0][0] - 42.0).abs() < 1e-9);
    assert!(forecasting.take().is_none());
}

#[test]
fn a_model_that_hangs_delays_nobody_and_its_queue_is_bounded() {
    let (release, hold) = mpsc::channel::<()>();
    let (hangs, hanging) = mpsc::sync_channel(1);
    let forecasting = start(move |_| {
        let _ = hangs.try_send(());
        let _ = hold.recv();
    });
    forecasting.tell(moment(0), Some(1.0));
    hanging.recv_timeout(Duration::from_secs(60)).unwrap();
    // Ten thousand turns go by while the model hangs in the first: were one to wait for it, this
    // test would never end.
    for second in 1..10_000 {
        forecasting.tell(moment(second), Some(1.0));
        assert!(forecasting.take().is_none());
    }
    drop(release);
    let seen = answer(&forecasting);
    assert!(seen.made_at < moment(100), "those that it could not take were dropped");
}

#[test]
fn a_model_that_panics_is_silent_from_then_on() {
    let forecasting = start(|rate| assert!(rate < 5.0, "planted"));
    forecasting.tell(moment(1), Some(1.0));
    assert_eq!(answer(&forecasting).made_at, moment(1));
    for second in 2..200 {
        forecasting.tell(moment(second), Some(9.0));
        assert!(forecasting.take().is_none());
    }
}
