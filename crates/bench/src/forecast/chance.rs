//! How much of a geometric mean is luck.

use rand_core::Rng;
use rand_pcg::Pcg64;

/// Times that outcomes are drawn anew.
const DRAWS: usize = 1_000;
/// One seed for all: the same command gives the same interval.
const SEED: u128 = 0xface;
/// Standard deviations of a normal law that 90 % lie within.
const NINETY: f64 = 1.645;

/// A value and where it lies with 90 % confidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

pub(super) fn geometric(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// The geometric mean of values whose own 90 % intervals are known and independent.
pub(super) fn mean_of(values: &[(f64, Option<(f64, f64)>)]) -> Estimate {
    let middle = geometric(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    let deviation = |(_, interval): &(f64, Option<(f64, f64)>)| {
        interval.map_or(0.0, |(low, high)| (high.ln() - low.ln()) / (2.0 * NINETY))
    };
    let sum = values.iter().map(|value| deviation(value).powi(2)).sum::<f64>();
    let wide = NINETY * sum.sqrt() / values.len() as f64;
    Estimate { value: middle, low: middle * (-wide).exp(), high: middle * wide.exp() }
}

/// The geometric mean over traces of a ratio of sums over origins, with its interval by drawing the
/// origins of each trace anew.
pub(super) fn ratio_of(traces: &[Vec<(f64, f64)>]) -> Estimate {
    let ratio = |pairs: &mut dyn Iterator<Item = (f64, f64)>| {
        let (top, bottom) =
            pairs.fold((0.0, 0.0), |(top, bottom), (more, below)| (top + more, bottom + below));
        top / bottom
    };
    let value = geometric(&traces.iter().map(|pairs| ratio(&mut pairs.iter().copied())).collect::<Vec<_>>());
    let mut chance = Pcg64::new(SEED, 1);
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn = traces.iter().map(|pairs| {
                let count = pairs.len() as u64;
                ratio(&mut pairs.iter().map(|_| {
                    let place = usize::try_from(chance.next_u64() % count).unwrap_or(0);
                    pairs[place]
                }))
            });
            geometric(&drawn.collect::<Vec<_>>())
        })
        .filter(|value| value.is_finite())
        .collect();
    draws.sort_by(f64::total_cmp);
    let at =
        |share: usize| draws.get(draws.len() * share / 100).or(draws.last()).copied().unwrap_or(f64::NAN);
    Estimate { value, low: at(5), high: at(95) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_value_and_narrows() {
        let one = mean_of(&[(1.1, Some((1.0, 1.2)))]);
        let four = mean_of(&[(1.1, Some((1.0, 1.2))); 4]);
        assert!(one.low < 1.1 && 1.1 < one.high && four.high - four.low < 0.6 * (one.high - one.low));
        let pairs: Vec<(f64, f64)> =
            (0..40).map(|index| (f64::from(index % 5), f64::from(index % 3 + 1))).collect();
        let ratio = ratio_of(&[pairs.clone(), pairs]);
        assert!(ratio.low < ratio.value && ratio.value < ratio.high, "{ratio:?}");
    }
}
