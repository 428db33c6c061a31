//! What a reading costs a model that knows thousands of them: an update and a forecast of the default
//! ensemble take less than 1 ms.

use std::time::Duration;

use forecast::{Forecaster, Sample, Settings};
use jiff::Timestamp;

/// Readings that a model knows before the clock runs.
const KNOWN: u32 = 3_000;

fn main() {
    divan::main();
}

/// A daily wave of minutes with a ripple.
fn reading(minute: u32) -> (Timestamp, Sample) {
    let ripple = f64::from(minute.wrapping_mul(2_654_435_761) >> 22) / 1_024.0;
    let value = 100.0 + 60.0 * (f64::from(minute) / 1_440.0 * std::f64::consts::TAU).sin() + 8.0 * ripple;
    let at = Timestamp::from_second(i64::from(minute) * 60).expect("some days after 1970");
    (at, Sample::of(value))
}

fn model(name: &str) -> Box<dyn Forecaster> {
    let entry = forecast::entry(name).expect("it is in the registry");
    let settings = Settings { horizons: vec![1, 5, 15], ..Settings::new(Duration::from_secs(60)) };
    let mut model = (entry.build)(&settings);
    for minute in 0..KNOWN {
        let (at, sample) = reading(minute);
        model.update(at, &sample);
    }
    model
}

#[divan::bench(args = ["naive", "autoregressive", "ensemble"])]
fn update_and_predict(bencher: divan::Bencher<'_, '_>, name: &str) {
    let mut model = model(name);
    let mut minute = KNOWN;
    bencher.bench_local(|| {
        let (at, sample) = reading(minute);
        minute += 1;
        model.update(at, &sample);
        model.predict(&[1, 5, 15], &[0.1, 0.5, 0.9])
    });
}
