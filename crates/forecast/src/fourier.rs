//! Harmonic regression: the strongest frequencies of the window, a trend, and what is left of the
//! last error (the Fourier member of Netflix's Scryer).

use std::f64::consts::TAU;

use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use crate::features::View;
use crate::history::History;
use crate::linear::{Normal, dot};
use crate::scored::{Point, Scored};
use crate::scores::Located;
use crate::{Budget, Entry, FitError, FitReport, Settings};

/// The registry row.
pub(crate) const ENTRY: Entry = Entry {
    name: Fourier::NAME,
    about: "the strongest frequencies of the last days, with a trend",
    build: Scored::<Fourier>::build,
    restore: Scored::<Fourier>::restore,
};

/// Readings that a fit needs.
const KNOWN_MIN: usize = 64;
/// Points of the window, at most: more only cost time.
const WINDOW_MAX: usize = 8_192;
/// Frequencies kept.
const FREQUENCIES: usize = 8;
/// Share of the strongest frequency's power that another needs.
const POWER_MIN: f64 = 0.01;
/// Cycles that the window must hold of a frequency.
const CYCLES_MIN: usize = 2;
/// What an error keeps of itself with every step: the regression leaves slow errors behind.
const ERROR_KEEP: f64 = 0.93;
/// Slots after which the window is fitted again.
const FIT_EVERY: usize = 1_024;
/// Pseudo-observations of no wave.
const RIDGE: f64 = 2.0;

/// The waves.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Fourier {
    /// In cycles a step.
    frequencies: Vec<f64>,
    /// Constant, trend, then cosine and sine of each frequency.
    coefficients: Vec<f64>,
    /// The middle of the window, from which phases count.
    middle: usize,
    length: usize,
    error: f64,
    scale: Option<f64>,
}

impl Fourier {
    fn row(&self, slot: usize) -> Vec<f64> {
        let since = slot as f64 - self.middle as f64;
        let trend = (since / self.length as f64).clamp(-1.0, 1.0);
        let mut row = vec![1.0, trend];
        for frequency in &self.frequencies {
            let (sine, cosine) = (TAU * frequency * since).sin_cos();
            row.extend([cosine, sine]);
        }
        row
    }

    fn wave(&self, slot: usize) -> f64 {
        dot(&self.coefficients, &self.row(slot))
    }

    /// The strongest local peaks of the spectrum.
    fn find(&mut self, values: &[f64]) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let count = values.len() as f64;
        // Hann's window, so that a wave between two bins does not leak over all of them.
        let mut signal: Vec<f64> = values
            .iter()
            .enumerate()
            .map(|(index, value)| (value - mean) * (0.5 - 0.5 * (TAU * index as f64 / count).cos()))
            .collect();
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(signal.len());
        let mut spectrum = transform.make_output_vec();
        if transform.process(&mut signal, &mut spectrum).is_err() {
            return;
        }
        let power: Vec<f64> = spectrum.iter().map(realfft::num_complex::Complex::norm_sqr).collect();
        let peak = |&bin: &usize| power[bin] >= power[bin - 1] && power[bin] >= power[bin + 1];
        let mut peaks: Vec<usize> = (CYCLES_MIN..power.len().saturating_sub(1)).filter(peak).collect();
        peaks.sort_by(|&a, &b| power[b].total_cmp(&power[a]));
        let least = peaks.first().map_or(0.0, |&bin| POWER_MIN * power[bin]);
        peaks.retain(|&bin| power[bin] > least);
        peaks.truncate(FREQUENCIES);
        self.frequencies = peaks.iter().map(|&bin| refined(&power, bin) / count).collect();
    }

    fn fitted(&mut self, history: &History) -> Option<usize> {
        let end = history.end();
        let from = end.saturating_sub(WINDOW_MAX).max(history.first());
        let known = history.range(from, end).count();
        if known < KNOWN_MIN {
            return None;
        }
        let mut last = history.range(from, end).next()?;
        let filled: Vec<f64> = (from..end)
            .map(|slot| {
                last = history.get(slot).unwrap_or(last);
                last
            })
            .collect();
        (self.middle, self.length) = (usize::midpoint(from, end), end - from);
        self.find(&filled);
        let mut normal = Normal::new(2 + 2 * self.frequencies.len());
        for slot in from..end {
            if let Some(actual) = history.get(slot) {
                normal.add(&self.row(slot), actual, 1.0);
            }
        }
        self.coefficients = normal.solve(RIDGE / 100.0)?;
        Some(known)
    }
}

/// The peak between bins, by the parabola through the logarithms of three.
fn refined(power: &[f64], bin: usize) -> f64 {
    let log = |bin: usize| power[bin].max(1e-300).ln();
    let (left, here, right) = (log(bin - 1), log(bin), log(bin + 1));
    let bend = left - 2.0 * here + right;
    let shift = if bend.abs() > 1e-12 { 0.5 * (left - right) / bend } else { 0.0 };
    bin as f64 + shift.clamp(-0.5, 0.5)
}

impl Point for Fourier {
    const NAME: &'static str = "fourier";

    fn new(_settings: &Settings) -> Self {
        Self {
            frequencies: Vec::new(),
            coefficients: Vec::new(),
            middle: 0,
            length: 1,
            error: 0.0,
            scale: None,
        }
    }

    fn learn(&mut self, history: &History, _budget: Budget) -> Result<FitReport, FitError> {
        let mut fresh = self.clone();
        let points =
            fresh.fitted(history).ok_or(FitError::TooShort { have: history.known(), need: KNOWN_MIN })?;
        *self = fresh;
        Ok(FitReport { iterations: 1, points })
    }

    fn step(&mut self, history: &History, slot: usize) {
        self.scale = View::from(history, slot).map(|view| view.scale);
        if slot.is_multiple_of(FIT_EVERY) {
            let mut fresh = self.clone();
            if fresh.fitted(history).is_some() {
                *self = fresh;
            }
        }
        if let Some(actual) = history.get(slot).filter(|_| !self.coefficients.is_empty()) {
            self.error = actual - self.wave(slot);
        }
    }

    fn locate(&self, _history: &History, slot: usize, horizon: usize) -> Option<Located> {
        if self.coefficients.is_empty() {
            return None;
        }
        let left = self.error * ERROR_KEEP.powi(i32::try_from(horizon).ok()?);
        Some(Located { middle: self.wave(slot + horizon) + left, scale: self.scale? })
    }
}
