//! Whether a model may take the place of another: both forecast the same readings one after the other,
//! before either knows them.

use std::fmt;

use forecast::compare::{Comparison, diebold_mariano};
use forecast::{Forecaster, Sample, Series};

/// The level that capacity is bought at, and what a missing worker costs with it: the newsvendor's
/// fractile (κ − 1) / κ of the specification.
const LEVEL: f64 = 0.9;
const KAPPA: f64 = 10.0;
/// Workers that the highest reading needs, as in `simulate`.
const PEAK_WORKERS: f64 = 20.0;

/// What two models' forecasts came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duel {
    /// Of their losses at the 0.9 quantile.
    pub comparison: Comparison,
    /// Mean cost of a step, in workers, of ordering what each forecast: the challenger's, then the
    /// champion's.
    pub costs: [f64; 2],
}

impl Duel {
    /// Better by more than luck on enough forecasts, and no dearer.
    pub fn challenger_wins(&self) -> bool {
        self.comparison.challenger_wins() && self.costs[0] <= self.costs[1]
    }
}

impl fmt::Display for Duel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { count, difference, p_value } = self.comparison;
        let [own, other] = self.costs;
        write!(
            f,
            "{count} forecasts, loss {difference:+.4} against the champion's (p {p_value:.3}), cost {own:.3} \
             against {other:.3} workers a step"
        )
    }
}

/// Lets both forecast `horizon` steps ahead through `series`. Readings that one of them knew already
/// count for nothing.
pub fn duel(
    challenger: &mut dyn Forecaster,
    champion: &mut dyn Forecaster,
    series: &Series,
    horizon: usize,
) -> Duel {
    let highest = series.values().iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let workers = |value: f64| value.max(0.0) / highest.max(f64::MIN_POSITIVE) * PEAK_WORKERS;
    let (mut losses, mut costs, mut count) = ([Vec::new(), Vec::new()], [0.0; 2], 0.0_f64);
    for index in 0..series.len() {
        let (at, sample) = (series.at(index), series.sample(index));
        let said = [high(challenger, at, &sample, horizon), high(champion, at, &sample, horizon)];
        let actual = series.values().get(index + horizon).copied().filter(|actual| actual.is_finite());
        let ([Some(own), Some(other)], Some(actual)) = (said, actual) else { continue };
        count += 1.0;
        for (place, said) in [own, other].into_iter().enumerate() {
            let miss = actual - said;
            losses[place].push(if miss >= 0.0 { LEVEL * miss } else { (LEVEL - 1.0) * miss });
            let supply = workers(said).ceil();
            costs[place] += supply + KAPPA * (workers(actual) - supply).max(0.0);
        }
    }
    let comparison = diebold_mariano(&losses[0], &losses[1], horizon);
    Duel { comparison, costs: costs.map(|cost| cost / count.max(1.0)) }
}

/// The upper quantile after this reading, if the model did not know it yet.
fn high(model: &mut dyn Forecaster, at: jiff::Timestamp, sample: &Sample, horizon: usize) -> Option<f64> {
    let before = model.predict(&[horizon], &[LEVEL]).map(|forecast| forecast.origin);
    model.update(at, sample);
    let forecast = model.predict(&[horizon], &[LEVEL])?;
    let news = forecast.origin == at && before.is_none_or(|before| before < at);
    forecast.at(horizon, LEVEL).filter(|value| news && value.is_finite())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forecast::{Budget, Settings};
    use jiff::Timestamp;

    use super::*;

    /// A wave of hours with some noise.
    fn series(points: u32) -> Series {
        let value = |index: u32| {
            let ripple = f64::from(index.wrapping_mul(2_654_435_761) >> 22) / 1_024.0;
            100.0 + 60.0 * (f64::from(index) / 48.0 * std::f64::consts::TAU).sin() + 4.0 * ripple
        };
        let values = (0..points).map(value).collect();
        Series::new(Timestamp::UNIX_EPOCH, Duration::from_secs(60), values).unwrap()
    }

    fn fitted(name: &str, known: &Series) -> Box<dyn Forecaster> {
        let mut model = (forecast::entry(name).unwrap().build)(&Settings::new(known.step()));
        model.fit(known, Budget::default()).unwrap();
        model
    }

    #[test]
    fn the_better_model_wins_and_the_worse_does_not() {
        let all = series(1_000);
        let known = all.slice(0, 600);
        let fight = |challenger: &str, champion: &str, on: &Series| {
            duel(fitted(challenger, &known).as_mut(), fitted(champion, &known).as_mut(), on, 5)
        };
        let won = fight("autoregressive", "naive", &all);
        assert!(won.challenger_wins(), "{won}");
        assert!((390..=400).contains(&won.comparison.count), "only what is new counts: {won}");
        let lost = fight("naive", "autoregressive", &all);
        assert!(!lost.challenger_wins(), "{lost}");
        assert!(!fight("autoregressive", "autoregressive", &all).challenger_wins(), "no better than itself");
        let nothing_new = fight("autoregressive", "naive", &known);
        assert_eq!(nothing_new.comparison.count, 0);
        assert!(!nothing_new.challenger_wins());
    }
}
