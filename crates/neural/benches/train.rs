//! What training costs: each network on 10,000 points takes less than a minute on two cores.
//!
//! `cargo bench -p autoscale-neural --features nn`; without the feature there is nothing to train.

use std::time::Duration;

use forecast::{Budget, Series, Settings};
use jiff::Timestamp;

/// Points to learn from.
const POINTS: u32 = 10_000;

fn main() {
    divan::main();
}

/// A daily wave of minutes with a ripple.
fn series() -> Series {
    let value = |minute: u32| {
        let ripple = f64::from(minute.wrapping_mul(2_654_435_761) >> 22) / 1_024.0;
        100.0 + 60.0 * (f64::from(minute) / 1_440.0 * std::f64::consts::TAU).sin() + 8.0 * ripple
    };
    Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(60), (0..POINTS).map(value).collect())
        .expect("it is evenly spaced")
}

#[divan::bench(args = neural::FORECASTERS.iter().map(|entry| entry.name), sample_count = 1, sample_size = 1)]
fn fit(bencher: divan::Bencher<'_, '_>, name: &str) {
    let series = series();
    let settings = Settings { horizons: vec![1, 5, 15], ..Settings::new(series.step()) };
    let entry = neural::FORECASTERS.iter().find(|entry| entry.name == name).expect("it was just listed");
    bencher.bench_local(|| (entry.build)(&settings).fit(&series, Budget::default()));
}
