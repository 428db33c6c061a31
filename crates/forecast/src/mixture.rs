//! Weights of candidates by what each lost of late: exponential in the relative excess loss.

/// One weight a loss, none negative, summing to 1; equal while nothing was ever lost.
pub(crate) fn weights(losses: &[f64], sharpness: f64) -> Vec<f64> {
    let (best, worst) = losses
        .iter()
        .filter(|loss| loss.is_finite())
        .fold((f64::INFINITY, 0.0_f64), |(best, worst), &loss| (best.min(loss), worst.max(loss)));
    // Beside a candidate that is never wrong, the others count for nothing.
    let unit = best.max(1e-9 * worst).max(f64::MIN_POSITIVE);
    let raw = losses
        .iter()
        .map(|loss| if loss.is_finite() { (-sharpness * (loss - best) / unit).exp() } else { 0.0 });
    let raw: Vec<f64> = raw.collect();
    let sum: f64 = raw.iter().sum();
    if sum > 0.0 {
        raw.iter().map(|weight| weight / sum).collect()
    } else {
        vec![1.0 / losses.len().max(1) as f64; losses.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_count_more_and_the_broken_not_at_all() {
        assert_eq!(weights(&[0.0, 0.0], 50.0), [0.5, 0.5]);
        assert_eq!(weights(&[0.0, 1.0], 50.0), [1.0, 0.0]);
        let mixed = weights(&[1.0, 1.01, f64::NAN], 50.0);
        assert!(mixed[0] > mixed[1] && mixed[1] > 0.3 && mixed[2].abs() < 1e-12, "{mixed:?}");
        assert_eq!(weights(&[f64::NAN, f64::NAN], 50.0), [0.5, 0.5]);
    }
}
