//! What the default ensemble costs at each reading.

use std::time::Duration;

use ::forecast::{Sample, Settings};
use clock::Clock;
use jiff::Timestamp;

/// Readings before the clock runs: all members speak by then.
const BEFORE: u32 = 3_000;
/// Readings that are timed.
const TIMED: u32 = 500;

/// Mean wall time of an update and a forecast, in seconds.
pub(super) fn measure() -> anyhow::Result<f64> {
    let entry = ::forecast::entry("ensemble").ok_or_else(|| anyhow::anyhow!("there is no ensemble"))?;
    let step = Duration::from_secs(60);
    let settings = Settings { horizons: vec![1, 5, 15], ..Settings::new(step) };
    let mut model = (entry.build)(&settings);
    let mut next = |minute: u32| -> anyhow::Result<()> {
        let noise = f64::from(minute.wrapping_mul(2_654_435_761) >> 22) / 1_024.0;
        let value = 100.0 + 60.0 * (f64::from(minute) / 1_440.0 * std::f64::consts::TAU).sin() + 8.0 * noise;
        model.update(Timestamp::from_second(i64::from(minute) * 60)?, &Sample::of(value));
        std::hint::black_box(model.predict(&[1, 5, 15], &[0.1, 0.5, 0.9]));
        Ok(())
    };
    (0..BEFORE).try_for_each(&mut next)?;
    let clock = Clock::start();
    (BEFORE..BEFORE + TIMED).try_for_each(&mut next)?;
    Ok(clock.uptime().as_secs_f64() / f64::from(TIMED))
}
