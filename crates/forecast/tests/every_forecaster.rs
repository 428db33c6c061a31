//! What holds for every row of the registry, and for an ensemble with bad members.

use std::time::Duration;

use forecast::{
    Budget, Ensemble, Entry, FORECASTERS, FitError, FitReport, Forecaster, ModelState, QuantileForecast,
    Sample, Series, Settings, entry,
};
use jiff::Timestamp;

const LEVELS: [f64; 4] = [0.1, 0.5, 0.9, 0.99];

fn settings() -> Settings {
    let mut settings = Settings::new(Duration::from_secs(600));
    settings.horizons = vec![1, 5, 15];
    settings
}

/// Evenly between −1 and 1, the same for every run.
fn noise(index: usize) -> f64 {
    let mixed = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / 8_388_608.0 - 1.0
}

fn daily(index: usize) -> f64 {
    100.0 + 60.0 * (index as f64 / 144.0 * std::f64::consts::TAU).sin() + 5.0 * noise(index)
}

fn series(length: usize, value: impl Fn(usize) -> f64) -> Series {
    Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(600), (0..length).map(value).collect())
        .expect("a grid")
}

fn fitted(entry: &Entry, series: &Series) -> Box<dyn Forecaster> {
    let mut model = (entry.build)(&settings());
    model.fit(series, Budget { iterations: 30 }).expect("the series is long enough for all");
    model
}

fn check(name: &str, forecast: &QuantileForecast, low: f64, high: f64) {
    assert!(forecast.is_finite(), "{name}: {forecast:?}");
    for row in &forecast.values {
        assert!(row.is_sorted(), "{name}: quantiles never fall: {row:?}");
        assert!(row.iter().all(|&value| (low..=high).contains(&value)), "{name}: {row:?} in {low}..{high}");
    }
}

#[test]
fn untrained_it_abstains() {
    for entry in FORECASTERS {
        let mut model = (entry.build)(&settings());
        assert_eq!(model.predict(&[1], &LEVELS), None, "{}", entry.name);
        model.update(Timestamp::UNIX_EPOCH, &Sample::of(5.0));
        assert_eq!(model.predict(&[1], &LEVELS), None, "{}: one reading is no knowledge", entry.name);
        assert!(!model.state().ready, "{}", entry.name);
        assert_eq!(model.fit(&series(900, daily), Budget { iterations: 0 }), Err(FitError::NoBudget));
        let other = Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(60), vec![1.0; 500]).unwrap();
        assert!(model.fit(&other, Budget::default()).is_err(), "{}: another step", entry.name);
    }
}

#[test]
fn a_wave_is_followed_within_bounds() {
    let known = series(1_440, daily);
    for entry in FORECASTERS {
        let mut model = fitted(entry, &known);
        let forecast = model.predict(&[1, 3, 5, 15], &LEVELS).unwrap();
        check(entry.name, &forecast, 0.0, 3.0 * 170.0);
        assert_eq!(model.predict(&[16], &LEVELS), None, "{}: beyond what it learnt", entry.name);
        for index in 1_440..1_500 {
            model.update(known.at(index), &Sample::of(daily(index)));
        }
        let forecast = model.predict(&[1, 15], &LEVELS).unwrap();
        check(entry.name, &forecast, 0.0, 3.0 * 170.0);
        assert_eq!(forecast.origin, known.at(1_499), "{}", entry.name);
    }
}

#[test]
fn gaps_rubbish_and_silence_do_no_harm() {
    let holes = series(1_440, |i| if i % 7 == 0 || (600..640).contains(&i) { f64::NAN } else { daily(i) });
    for entry in FORECASTERS {
        let mut model = fitted(entry, &holes);
        for index in 1_440..1_460 {
            model
                .update(holes.at(index), &Sample { target: Some(f64::INFINITY), covariates: vec![f64::NAN] });
        }
        if let Some(forecast) = model.predict(&[1, 15], &LEVELS) {
            check(entry.name, &forecast, 0.0, 600.0);
        }
        // Late samples change nothing; after a long silence it must find its feet again.
        model.update(holes.at(3), &Sample::of(1e9));
        for index in 60_000..60_060 {
            model.update(holes.at(index), &Sample::of(daily(index)));
        }
        if let Some(forecast) = model.predict(&[1, 15], &LEVELS) {
            check(entry.name, &forecast, 0.0, 600.0);
        }
    }
}

#[test]
fn a_constant_stays_and_an_idle_service_stays_idle() {
    for value in [0.0, 42.0] {
        let flat = series(1_000, |_| value);
        for entry in FORECASTERS {
            let forecast = fitted(entry, &flat).predict(&[1, 15], &LEVELS).unwrap();
            for row in &forecast.values {
                assert!(
                    row.iter().all(|got| (got - value).abs() < 0.05 * value + 1e-6),
                    "{}: {row:?}",
                    entry.name
                );
            }
        }
    }
}

#[test]
fn twice_the_same_and_read_back_the_same() {
    let known = series(900, daily);
    for entry in FORECASTERS {
        let (one, two) = (fitted(entry, &known), fitted(entry, &known));
        assert!(one.state() == two.state(), "{}: two fits differ", entry.name);
        let mut back = (entry.restore)(&settings(), &one.state().bytes).unwrap();
        assert!(back.state() == one.state(), "{}: written and read it differs", entry.name);
        let mut one = one;
        for index in 900..930 {
            one.update(known.at(index), &Sample::of(daily(index)));
            back.update(known.at(index), &Sample::of(daily(index)));
        }
        assert_eq!(one.predict(&[1, 5], &LEVELS), back.predict(&[1, 5], &LEVELS), "{}", entry.name);
        let bytes = one.state().bytes;
        assert!((entry.restore)(&settings(), &bytes[..bytes.len() / 2]).is_err(), "{}: cut off", entry.name);
        let mut other = settings();
        other.horizons = vec![1];
        assert!((entry.restore)(&other, &bytes).is_err(), "{}: other settings", entry.name);
    }
}

/// A member made to fail.
struct Bad(Kind);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Constant,
    TenTimes,
    NotANumber,
    Panics,
    PanicsLater(u32),
    TooFew,
}

impl Forecaster for Bad {
    fn fit(&mut self, _series: &Series, _budget: Budget) -> Result<FitReport, FitError> {
        assert!(self.0 != Kind::Panics, "planted");
        Ok(FitReport { iterations: 1, points: 1 })
    }

    fn update(&mut self, _at: Timestamp, _sample: &Sample) {
        if let Kind::PanicsLater(left) = &mut self.0 {
            *left = left.checked_sub(1).expect("planted");
        }
    }

    fn predict(&self, horizons: &[usize], quantiles: &[f64]) -> Option<QuantileForecast> {
        let value = match self.0 {
            Kind::NotANumber => f64::NAN,
            Kind::TenTimes => 1_000.0,
            _ => 1.0,
        };
        let rows = if self.0 == Kind::TooFew { 0 } else { horizons.len() };
        Some(QuantileForecast {
            origin: Timestamp::UNIX_EPOCH,
            step: Duration::from_secs(600),
            horizons: horizons.to_vec(),
            quantiles: quantiles.to_vec(),
            values: vec![vec![value; quantiles.len()]; rows],
        })
    }

    fn state(&self) -> ModelState {
        ModelState { model: "bad".to_owned(), ready: true, samples: 0, bytes: Vec::new() }
    }
}

#[test]
fn bad_members_stop_nobody_and_move_nothing() {
    let known = series(1_200, daily);
    let good = || ("autoregressive".to_owned(), (entry("autoregressive").unwrap().build)(&settings()));
    let alone = {
        let mut ensemble = Ensemble::of(&settings(), vec![good()]);
        ensemble.fit(&known, Budget::default()).unwrap();
        ensemble.predict(&[1, 5, 15], &LEVELS).unwrap()
    };
    for kind in
        [Kind::Constant, Kind::TenTimes, Kind::NotANumber, Kind::Panics, Kind::PanicsLater(100), Kind::TooFew]
    {
        let bad: Box<dyn Forecaster> = Box::new(Bad(kind));
        let mut ensemble = Ensemble::of(&settings(), vec![good(), ("bad".to_owned(), bad)]);
        ensemble.fit(&known, Budget::default()).unwrap();
        let forecast = ensemble.predict(&[1, 5, 15], &LEVELS).unwrap();
        for (row, row_alone) in forecast.values.iter().zip(&alone.values) {
            for (value, value_alone) in row.iter().zip(row_alone) {
                assert!((value - value_alone).abs() < 0.1 * value_alone, "{kind:?}: {row:?}, {row_alone:?}");
            }
        }
        let standings = ensemble.standings();
        assert!(standings[1].weights.iter().all(|&weight| weight < 0.05), "{kind:?}: {standings:?}");
        let counted = !matches!(kind, Kind::Constant | Kind::TenTimes);
        assert_eq!(standings[1].failures > 0, counted, "{kind:?}: {standings:?}");
    }
}

#[test]
fn when_all_fail_so_does_the_ensemble() {
    let bad: Box<dyn Forecaster> = Box::new(Bad(Kind::Panics));
    let mut ensemble = Ensemble::of(&settings(), vec![("bad".to_owned(), bad)]);
    let failed = ensemble.fit(&series(300, daily), Budget::default());
    assert!(matches!(failed, Err(FitError::AllFailed(_))), "{failed:?}");
    assert_eq!(ensemble.predict(&[1], &LEVELS), None);
}
