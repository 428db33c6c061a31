//! Whether one model's forecasts are better than another's, or only luckier.

/// Forecasts of both that a verdict needs.
const COUNT_MIN: usize = 200;

/// The Diebold–Mariano test of two models' losses at the same origins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Losses compared.
    pub count: usize,
    /// Mean loss of the challenger less that of the champion; below 0 it is better.
    pub difference: f64,
    /// The probability of such a difference or a larger one if neither were better.
    pub p_value: f64,
}

impl Comparison {
    /// Enough forecasts, and better by more than chance (5 %).
    pub fn challenger_wins(&self) -> bool {
        self.count >= COUNT_MIN && self.difference < 0.0 && self.p_value < 0.05
    }
}

/// Compares losses at the same origins, `horizon` steps ahead: forecasts that overlap err
/// together, so their covariances up to `horizon − 1` origins apart count into the variance.
pub fn diebold_mariano(challenger: &[f64], champion: &[f64], horizon: usize) -> Comparison {
    let pairs = challenger.iter().zip(champion).map(|(one, other)| one - other);
    let differences: Vec<f64> = pairs.filter(|difference| difference.is_finite()).collect();
    let count = differences.len();
    if count < 2 {
        return Comparison { count, difference: 0.0, p_value: 1.0 };
    }
    let size = count as f64;
    let mean = differences.iter().sum::<f64>() / size;
    let covariance = |lag: usize| {
        differences.iter().skip(lag).zip(&differences).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>()
            / size
    };
    let lags = horizon.saturating_sub(1).min(count / 2);
    // Bartlett's weights keep the variance positive (Newey and West 1987).
    let weighted = |lag: usize| 2.0 * (1.0 - lag as f64 / (lags + 1) as f64) * covariance(lag);
    let variance = (covariance(0) + (1..=lags).map(weighted).sum::<f64>()) / size;
    let p_value = if variance > 0.0 {
        2.0 * upper_tail((mean / variance.sqrt()).abs())
    } else if mean.abs() > 0.0 {
        0.0
    } else {
        1.0
    };
    Comparison { count, difference: mean, p_value }
}

/// The standard normal's upper tail (Abramowitz and Stegun 26.2.17, error below 1e-7).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, factor| t * (factor + sum));
    (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_told_from_skill() {
        assert!((upper_tail(1.959_964) - 0.025).abs() < 1e-6);
        let noise = |index: u32| f64::from(index.wrapping_mul(2_654_435_769) >> 8) / 16_777_216.0;
        let champion: Vec<f64> = (0..300).map(|i| 1.0 + noise(i)).collect();
        let lucky: Vec<f64> = (0..300).map(|i| 1.0 + noise(i + 5_000)).collect();
        let better: Vec<f64> = (0..300).map(|i| 0.8 + noise(i + 9_000)).collect();
        assert!(!diebold_mariano(&lucky, &champion, 5).challenger_wins());
        assert!(diebold_mariano(&better, &champion, 5).challenger_wins());
        assert!(!diebold_mariano(&champion, &better, 5).challenger_wins());
        assert!(!diebold_mariano(&better[..150], &champion[..150], 5).challenger_wins(), "too few");
        assert!(!diebold_mariano(&champion, &champion, 5).challenger_wins());
    }
}
