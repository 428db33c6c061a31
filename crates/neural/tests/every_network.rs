//! What every network must do: learn a wave, the same way twice, and come back from its bytes.
#![cfg(feature = "nn")]

use std::time::Duration;

use forecast::backtest::{Protocol, summarise};
use forecast::{Budget, Sample, Series, Settings};
use jiff::Timestamp;

/// Rounds that are enough to see that something was learnt.
const BUDGET: Budget = Budget { iterations: 60 };

fn wave() -> Series {
    let value = |index: u32| {
        let ripple = f64::from(index.wrapping_mul(2_654_435_761) >> 22) / 1_024.0;
        100.0 + 60.0 * (f64::from(index) / 48.0 * std::f64::consts::TAU).sin() + 6.0 * ripple
    };
    Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(1_800), (0..700).map(value).collect())
        .expect("a grid")
}

fn settings() -> Settings {
    Settings { horizons: vec![1, 5], ..Settings::new(Duration::from_secs(1_800)) }
}

#[test]
fn there_is_a_row_for_every_name() {
    let rows: Vec<&str> = neural::FORECASTERS.iter().map(|entry| entry.name).collect();
    assert_eq!(rows, neural::NAMES);
}

#[test]
fn a_wave_is_learnt_better_than_by_repeating_the_last_reading() {
    let series = wave();
    let protocol = Protocol { horizons: vec![1, 5], budget: BUDGET, ..Protocol::default() };
    for entry in neural::FORECASTERS {
        let mut model = (entry.build)(&settings());
        let backtest = protocol.run(model.as_mut(), &series);
        let summary = summarise(&protocol, &series, &backtest);
        assert_eq!(summary.abstained, 0, "{}", entry.name);
        let far = &summary.horizons[1];
        assert!(far.relative_mae < 0.5, "{}: {far:?}", entry.name);
        assert!((0.7..=1.0).contains(&far.coverage_90), "{}: {far:?}", entry.name);
    }
}

#[test]
fn the_same_training_gives_the_same_bytes_and_they_answer_alike() {
    let series = wave();
    for entry in neural::FORECASTERS {
        let trained = || {
            let mut model = (entry.build)(&settings());
            model.fit(&series, Budget { iterations: 5 }).unwrap();
            model
        };
        let (mut one, other) = (trained(), trained());
        assert!(one.state() == other.state(), "{}", entry.name);
        let mut back = (entry.restore)(&settings(), &one.state().bytes).unwrap();
        for index in 700..710_i64 {
            let at = Timestamp::from_second(1_800 * index).unwrap();
            one.update(at, &Sample::of(120.0));
            back.update(at, &Sample::of(120.0));
        }
        let answer = one.predict(&[1, 3, 5], &[0.5, 0.9]);
        assert!(answer.is_some(), "{}", entry.name);
        assert_eq!(back.predict(&[1, 3, 5], &[0.5, 0.9]), answer, "{}", entry.name);
        assert_eq!(one.predict(&[6], &[0.5]), None, "{}: beyond what it learnt", entry.name);
        assert!((entry.restore)(&settings(), &[1, 2, 3]).is_err());
    }
}

#[test]
fn an_untrained_network_abstains() {
    for entry in neural::FORECASTERS {
        let mut model = (entry.build)(&settings());
        model.update(Timestamp::UNIX_EPOCH, &Sample::of(1.0));
        assert_eq!(model.predict(&[1], &[0.5]), None, "{}", entry.name);
        assert!(model.fit(&wave().slice(0, 50), BUDGET).is_err(), "{}", entry.name);
    }
}
