//! What steps under constant load say about a signal: its slope against the number of workers, its
//! elasticity, and how straight it is against one over that number.

use std::fmt;

use serde::Serialize;

/// Arrivals of two steps may differ by this much, or the load was not constant.
const RATE_SPREAD_MAX: f64 = 0.15;
/// A per-worker signal has an elasticity of -1: twice the workers, half the signal. Rules that
/// multiply by a ratio (HPA, target tracking) rely on it within these.
const ELASTICITY_FIT: std::ops::RangeInclusive<f64> = -1.3..=-0.7;
/// Above this the signal as good as stands still.
const ELASTICITY_FLAT: f64 = -0.2;
/// Least share of the variation that a straight line against 1/workers must explain.
const LINEARITY_FIT: f64 = 0.9;
/// A percentage above this presses against its limit: the true load is hidden.
const SATURATED_PERCENT: f64 = 95.0;

/// One turn's reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) value: f64,
    pub(super) rate_per_second: f64,
    pub(super) queued: u32,
}

/// What was measured with one number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Step {
    workers: u32,
    /// Mean.
    value: f64,
    /// Standard error of that mean.
    error: f64,
    readings: usize,
    rate_per_second: f64,
    queued: f64,
}

impl Step {
    pub(super) fn of(workers: u32, readings: &[Reading]) -> Self {
        let count = f64::from(u32::try_from(readings.len()).unwrap_or(u32::MAX)).max(1.0);
        let mean = |read: fn(&Reading) -> f64| readings.iter().map(read).sum::<f64>() / count;
        let value = mean(|reading| reading.value);
        let squares: f64 = readings.iter().map(|reading| (reading.value - value).powi(2)).sum();
        Self {
            workers,
            value,
            error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
            readings: readings.len(),
            rate_per_second: mean(|reading| reading.rate_per_second),
            queued: mean(|reading| f64::from(reading.queued)),
        }
    }
}

/// The change from one number of workers to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Slope {
    from: u32,
    to: u32,
    /// Change of the signal for one worker more.
    per_worker: f64,
    /// Whether that is more than the readings scatter.
    falls: bool,
}

/// Whether the signal can be scaled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It falls in proportion.
    Fit,
    /// It falls, but not in proportion.
    Weak,
    /// It does not fall when a worker is added.
    Unfit,
    /// The load was not constant, or there was none.
    Invalid,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Finding {
    pub(super) signal: String,
    pub(super) unit: String,
    pub(super) verdict: Verdict,
    /// d(signal)/d(workers): the slope of the straight line through all steps.
    pub(super) slope_per_worker: f64,
    /// Relative change of the signal for a relative change of workers; -1 is in proportion, 0 is
    /// none. `None` where the signal is 0 or less.
    pub(super) elasticity: Option<f64>,
    /// Share of the variation that a straight line against 1/workers explains, from 0 to 1.
    pub(super) linearity: f64,
    pub(super) slopes: Vec<Slope>,
    pub(super) steps: Vec<Step>,
    pub(super) warnings: Vec<String>,
}

impl Finding {
    pub(super) fn of(signal: &str, unit: &str, steps: Vec<Step>) -> Self {
        let workers = |step: &Step| f64::from(step.workers);
        let value = |step: &Step| step.value;
        let slope = fit(&steps, workers, value).slope;
        let positive = steps.iter().all(|step| step.value > 0.0);
        let elasticity = positive.then(|| fit(&steps, |s| f64::from(s.workers).ln(), |s| s.value.ln()).slope);
        let linearity = fit(&steps, |s| 1.0 / f64::from(s.workers), value).explained;
        let mut finding = Self {
            signal: signal.to_owned(),
            unit: unit.to_owned(),
            verdict: Verdict::Fit,
            slope_per_worker: slope,
            elasticity,
            linearity,
            slopes: steps.windows(2).filter_map(slope_between).collect(),
            steps,
            warnings: Vec::new(),
        };
        finding.judge();
        finding
    }

    fn judge(&mut self) {
        let rates = || self.steps.iter().map(|step| step.rate_per_second);
        let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
        if most <= 0.0 {
            self.verdict = Verdict::Invalid;
            self.warnings.push("no request came in: a signal without load says nothing".to_owned());
            return;
        }
        if most - least > RATE_SPREAD_MAX * most {
            self.verdict = Verdict::Invalid;
            let text = format!("the load was not constant: {least:.1} to {most:.1} requests/s");
            self.warnings.push(text);
            return;
        }
        let flat: Vec<String> = self
            .slopes
            .iter()
            .filter(|slope| !slope.falls)
            .map(|slope| format!("from {} to {} ({:+.2})", slope.from, slope.to, slope.per_worker))
            .collect();
        let elastic = self.elasticity.unwrap_or(0.0);
        if self.slope_per_worker >= 0.0 || elastic > ELASTICITY_FLAT {
            self.verdict = Verdict::Unfit;
            self.warnings.push(format!(
                "{} does not fall when a worker is added: a rule on it that scales out goes on to the maximum",
                self.signal
            ));
        } else if !ELASTICITY_FIT.contains(&elastic) || self.linearity < LINEARITY_FIT {
            self.verdict = Verdict::Weak;
            self.warnings.push(format!(
                "{} falls, but not in proportion (elasticity {elastic:.2}, in proportion it is -1): rules that \
                 multiply by a ratio, as HPA and target tracking do, ask for too many or too few",
                self.signal
            ));
        }
        if !flat.is_empty() && self.verdict != Verdict::Unfit {
            let text = format!("it does not fall by more than it scatters {}", flat.join(", "));
            self.warnings.push(text);
        }
        let pressed = self.steps.iter().filter(|step| self.unit == "%" && step.value >= SATURATED_PERCENT);
        let pressed: Vec<String> = pressed.map(|step| step.workers.to_string()).collect();
        if !pressed.is_empty() {
            self.warnings.push(format!(
                "with {} the signal presses against its limit and hides the rest: try less load",
                pressed.join(", ")
            ));
        }
        if self.steps.iter().any(|step| step.queued >= 1.0) {
            self.warnings
                .push("requests waited for a worker: the pool was overloaded at some step".to_owned());
        }
    }
}

fn slope_between(pair: &[Step]) -> Option<Slope> {
    let [before, after] = pair else { return None };
    let per_worker =
        (after.value - before.value) / f64::from(after.workers.saturating_sub(before.workers).max(1));
    // Two standard errors of the difference: what scatters falls by so much once in forty times.
    let scatter = 2.0 * (before.error.powi(2) + after.error.powi(2)).sqrt();
    Some(Slope {
        from: before.workers,
        to: after.workers,
        per_worker,
        falls: before.value - after.value > scatter,
    })
}

struct Line {
    slope: f64,
    explained: f64,
}

/// The straight line of least squares.
fn fit(steps: &[Step], x: impl Fn(&Step) -> f64, y: impl Fn(&Step) -> f64) -> Line {
    let count = f64::from(u32::try_from(steps.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean = |of: &dyn Fn(&Step) -> f64| steps.iter().map(of).sum::<f64>() / count;
    let (middle_x, middle_y) = (mean(&x), mean(&y));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        steps.iter().map(|step| of(x(step) - middle_x, y(step) - middle_y)).sum()
    };
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    Line { slope, explained: if xx * yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 } }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        writeln!(f, "WORKERS  {:<24} PER WORKER MORE   REQUESTS/S", self.signal.to_uppercase())?;
        for (index, step) in self.steps.iter().enumerate() {
            let change = index.checked_sub(1).and_then(|before| self.slopes.get(before));
            let change = change.map_or("–".to_owned(), |slope| format!("{:+.2}", slope.per_worker));
            let value = format!("{:.2}{unit} ± {:.2}", step.value, step.error);
            writeln!(f, "{:<8} {value:<24} {change:<17} {:.1}", step.workers, step.rate_per_second)?;
        }
        let verdict = match self.verdict {
            Verdict::Fit => "fit to scale by",
            Verdict::Weak => "weak",
            Verdict::Unfit => "unfit to scale by",
            Verdict::Invalid => "invalid",
        };
        let elasticity = self.elasticity.map_or("–".to_owned(), |value| format!("{value:.2}"));
        writeln!(f, "slope       {:+.2}{unit} per worker", self.slope_per_worker)?;
        writeln!(f, "elasticity  {elasticity} (in proportion: -1)")?;
        writeln!(f, "linearity   {:.2} against 1/workers (straight: 1)", self.linearity)?;
        writeln!(f, "verdict     {verdict}")?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning     {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps from one worker on, each with three readings around its value at 30 requests/s.
    fn finding(values: &[f64]) -> Finding {
        let step = |(value, workers): (&f64, u32)| {
            let reading = |offset: f64| Reading { value: value + offset, rate_per_second: 30.0, queued: 0 };
            Step::of(workers, &[reading(-0.1), reading(0.0), reading(0.1)])
        };
        Finding::of("worker_cpu", "%", values.iter().zip(1..).map(step).collect())
    }

    #[test]
    fn a_signal_in_proportion_is_fit() {
        let found = finding(&[60.0, 30.0, 20.0, 15.0]);
        assert_eq!((found.verdict, found.warnings.as_slice()), (Verdict::Fit, &[][..]));
        assert!((found.elasticity.unwrap() + 1.0).abs() < 1e-9 && found.linearity > 0.999, "{found:?}");
        let slopes: Vec<f64> = found.slopes.iter().map(|slope| slope.per_worker).collect();
        assert!(slopes.iter().zip([-30.0, -10.0, -5.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{slopes:?}");
        assert!((found.slope_per_worker + 14.5).abs() < 1e-9, "{}", found.slope_per_worker);
    }

    #[test]
    fn a_signal_that_does_not_fall_is_told() {
        for values in [[40.0, 40.0, 40.0], [40.0, 41.0, 45.0], [0.0, 0.0, 0.0]] {
            let found = finding(&values);
            assert_eq!(found.verdict, Verdict::Unfit, "{values:?}");
            assert!(found.warnings[0].contains("does not fall when a worker is added"), "{found:?}");
        }
        let weak = finding(&[60.0, 50.0, 45.0]);
        assert_eq!(weak.verdict, Verdict::Weak);
        assert!(finding(&[99.0, 60.0, 40.0]).warnings.iter().any(|text| text.contains("limit")));
        assert!(
            finding(&[60.0, 30.0, 29.95]).warnings.iter().any(|text| text.contains("scatters from 2 to 3"))
        );
    }

    #[test]
    fn load_that_is_not_constant_is_no_measurement() {
        let of = |workers: u32, rate_per_second: f64| {
            Step::of(workers, &[Reading { value: 50.0 / f64::from(workers), rate_per_second, queued: 0 }])
        };
        assert_eq!(Finding::of("rps", "", vec![of(1, 20.0), of(2, 40.0)]).verdict, Verdict::Invalid);
        assert_eq!(Finding::of("rps", "", vec![of(1, 0.0), of(2, 0.0)]).verdict, Verdict::Invalid);
        assert_eq!(Finding::of("rps", "", vec![of(1, 40.0), of(2, 39.0)]).verdict, Verdict::Fit);
    }
}
