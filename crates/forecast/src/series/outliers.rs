//! Readings far from their neighbours (Hampel's identifier): flagged, never deleted.

/// Neighbours on each side that a reading is compared with.
const REACH: usize = 12;
/// Deviations (median absolute, made comparable to a standard deviation) that are still usual.
const USUAL: f64 = 6.0;
/// Median absolute deviation of a normal distribution to its standard deviation.
const MAD_TO_SIGMA: f64 = 1.4826;

/// Indices of readings that lie more than six robust deviations from the median of their
/// neighbours. A lasting shift is no outlier: half of its neighbours share it.
pub fn outliers(values: &[f64]) -> Vec<usize> {
    let mut near = Vec::with_capacity(2 * REACH + 1);
    let mut found = Vec::new();
    for (index, &value) in values.iter().enumerate() {
        let range = index.saturating_sub(REACH)..values.len().min(index + REACH + 1);
        near.clear();
        near.extend(values[range].iter().copied().filter(|value| value.is_finite()));
        let Some(middle) = median(&mut near) else { continue };
        for one in &mut near {
            *one = (*one - middle).abs();
        }
        let usual = median(&mut near).unwrap_or(0.0) * MAD_TO_SIGMA;
        // Where half the neighbours are equal, a small share of the level stands in.
        let usual = usual.max(1e-3 * middle.abs());
        if value.is_finite() && (value - middle).abs() > USUAL * usual && usual > 0.0 {
            found.push(index);
        }
    }
    found
}

/// The middle value; reorders.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, value, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_is_flagged_and_a_shift_is_not() {
        let mut values: Vec<f64> = (0..100).map(|i| 50.0 + f64::from(i % 5)).collect();
        values[40] = 400.0;
        values[41] = f64::NAN;
        assert_eq!(outliers(&values), [40]);
        let shift: Vec<f64> = (0..100).map(|i| if i < 50 { 10.0 } else { 90.0 } + f64::from(i % 3)).collect();
        assert_eq!(outliers(&shift), Vec::<usize>::new());
    }
}
