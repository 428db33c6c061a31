//! Chance in the discrete-event engine: one named generator, so that a seed means the same
//! everywhere, and the laws that times follow.

use rand_core::Rng;
use rand_pcg::Pcg64;

/// A source of chance; streams of one seed do not disturb each other.
#[derive(Clone, Debug)]
pub(super) struct Chance(Pcg64);

impl Chance {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64::new(u128::from(seed), u128::from(stream)))
    }

    /// Evenly distributed bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Evenly in `0 .. 1`.
    pub(super) fn even(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        // 1 - u lies in (0, 1], so that the logarithm is finite.
        -(1.0 - self.even()).ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.even()).cos()
    }
}

/// How a time varies around its mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// Not at all.
    Constant,
    /// Exponential.
    Exponential,
    /// Lognormal with this coefficient of variation.
    Lognormal(f64),
    /// As measured: values drawn with equal chance, scaled to the mean.
    Measured(Vec<f64>),
}

impl Law {
    /// A time with mean `mean`.
    #[inline]
    pub(super) fn draw(&self, mean: f64, chance: &mut Chance) -> f64 {
        match self {
            Self::Constant => mean,
            Self::Exponential => mean * chance.exponential(),
            Self::Lognormal(variation) => {
                let variance = (1.0 + variation * variation).ln();
                mean * (variance.sqrt() * chance.normal() - variance / 2.0).exp()
            }
            Self::Measured(values) => {
                let sum: f64 = values.iter().sum();
                let Some(last) = values.len().checked_sub(1).filter(|_| sum > 0.0) else { return mean };
                let place =
                    crate::number::index(crate::number::count((chance.even() * values.len() as f64).floor()));
                mean * values[place.min(last)] * values.len() as f64 / sum
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_law_keeps_its_mean_and_spread() {
        let mut chance = Chance::new(1, 1);
        for (law, variation) in [
            (Law::Constant, 0.0),
            (Law::Exponential, 1.0),
            (Law::Lognormal(0.5), 0.5),
            (Law::Lognormal(2.0), 2.0),
            (Law::Measured(vec![1.0, 1.0, 4.0]), 0.707),
        ] {
            let draws: Vec<f64> = (0..200_000).map(|_| law.draw(3.0, &mut chance)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((mean - 3.0).abs() < 0.05, "{law:?}: {mean}");
            assert!((variance.sqrt() / 3.0 - variation).abs() < 0.05 + variation * 0.05, "{law:?}");
        }
    }
}
