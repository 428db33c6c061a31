//! What the default ensemble costs at each reading, and what it costs to fit it anew.

use std::time::Duration;

use ::forecast::backtest::Protocol;
use ::forecast::{Forecaster, Sample, Series, Settings};
use clock::Clock;
use jiff::Timestamp;

use super::Trace;

/// Readings before the clock runs: all members speak by then.
const BEFORE: u32 = 3_000;
/// Readings that are timed.
const TIMED: u32 = 500;
/// Fits of each trace, of which the quickest counts: others may run on the same core's other half.
const FITS: u32 = 3;

/// The longest fit of all traces.
pub(super) struct Refit {
    pub(super) seconds: f64,
    pub(super) readings: usize,
    pub(super) on: String,
}

/// Mean wall time of an update and a forecast, in seconds.
pub(super) fn measure() -> anyhow::Result<f64> {
    let mut model = ensemble(Duration::from_secs(60))?;
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

fn ensemble(step: Duration) -> anyhow::Result<Box<dyn Forecaster>> {
    let entry = ::forecast::entry("ensemble").ok_or_else(|| anyhow::anyhow!("there is no ensemble"))?;
    let settings = Settings { horizons: Protocol::default().horizons, ..Settings::new(step) };
    Ok((entry.build)(&settings))
}

/// Seconds that this thread has had a core: what others take of it does not count.
fn core_s() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}

/// A fit on what the protocol learns from, trace by trace.
pub(super) fn refit(traces: &[Trace], series: &[Series]) -> anyhow::Result<Refit> {
    let mut longest = Refit { seconds: 0.0, readings: 0, on: String::new() };
    for (trace, series) in traces.iter().zip(series) {
        let known = series.slice(0, Protocol::default().train_end(series.len()));
        let mut quickest = f64::INFINITY;
        for _ in 0..FITS {
            let mut model = ensemble(series.step())?;
            let begun = core_s();
            model.fit(&known, ::forecast::Budget::default())?;
            quickest = quickest.min(core_s() - begun);
        }
        if quickest > longest.seconds {
            longest = Refit { seconds: quickest, readings: known.len(), on: trace.name.clone() };
        }
    }
    Ok(longest)
}
