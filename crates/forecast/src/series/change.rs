//! Lasting shifts of the level: the exact optimal segmentation of PELT (Killick, Fearnhead and
//! Eckley 2012) on medians of blocks, with an L2 cost and a penalty per change.

use super::outliers::median;

/// Blocks that are segmented at most; a longer series has longer blocks.
const BLOCKS_MAX: usize = 512;
/// Readings a block holds at least, so that single spikes do not count.
const BLOCK_MIN: usize = 5;
/// Blocks that a regime lasts at least.
const REGIME_MIN: usize = 3;
/// Penalty per change, in variances of the noise times the logarithm of the length.
const PENALTY: f64 = 8.0;

/// Indices at which a new regime begins. `season` steps are differenced out first if the series
/// is long enough, so that morning is no change point.
pub fn change_points(values: &[f64], season: Option<usize>) -> Vec<usize> {
    let season = season.filter(|&season| season > 0 && values.len() >= 3 * season);
    let skip = season.unwrap_or(0);
    let signal: Vec<f64> = match season {
        Some(season) => (season..values.len()).map(|i| values[i] - values[i - season]).collect(),
        None => values.to_vec(),
    };
    let block = (signal.len() / BLOCKS_MAX).max(BLOCK_MIN);
    let middles: Vec<f64> = signal
        .chunks(block)
        .map(|chunk| {
            let mut known: Vec<f64> = chunk.iter().copied().filter(|value| value.is_finite()).collect();
            median(&mut known).unwrap_or(f64::NAN)
        })
        .collect();
    let known: Vec<usize> = (0..middles.len()).filter(|&i| middles[i].is_finite()).collect();
    let levels: Vec<f64> = known.iter().map(|&i| middles[i]).collect();
    segments(&levels).into_iter().map(|cut| skip + known[cut] * block).collect()
}

/// Where the best segmentation of `levels` cuts.
fn segments(levels: &[f64]) -> Vec<usize> {
    let count = levels.len();
    if count < 2 * REGIME_MIN {
        return Vec::new();
    }
    let mut steps: Vec<f64> = levels.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    let noise = median(&mut steps).unwrap_or(0.0) * 1.4826 / std::f64::consts::SQRT_2;
    let spread = levels.iter().fold(0.0_f64, |most, level| most.max((level - levels[0]).abs()));
    let noise = noise.max(1e-3 * spread).max(1e-12);
    let penalty = PENALTY * noise * noise * (count as f64).ln();
    let mut sums = vec![(0.0, 0.0)];
    for level in levels {
        let (sum, squares) = sums[sums.len() - 1];
        sums.push((sum + level, squares + level * level));
    }
    let cost = |from: usize, to: usize| {
        let (sum, squares) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        squares - sum * sum / (to - from) as f64
    };
    let mut best = vec![0.0; count + 1];
    let mut last = vec![0; count + 1];
    let mut alive = vec![0];
    best[0] = -penalty;
    for to in REGIME_MIN..=count {
        let total = |from: usize| best[from] + cost(from, to) + penalty;
        let from = alive
            .iter()
            .copied()
            .filter(|&from| to - from >= REGIME_MIN)
            .min_by(|&a, &b| total(a).total_cmp(&total(b)))
            .unwrap_or(0);
        (best[to], last[to]) = (total(from), from);
        // PELT's pruning: what cannot win later either is dropped.
        let bound = best[to];
        alive.retain(|&from| to - from < REGIME_MIN || best[from] + cost(from, to) <= bound);
        alive.push(to);
    }
    let mut cuts = Vec::new();
    let mut to = count;
    while last[to] > 0 {
        to = last[to];
        cuts.push(to);
    }
    cuts.reverse();
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(index: usize) -> f64 {
        let mixed = (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / 16_777_216.0
    }

    #[test]
    fn a_shift_is_found_near_its_place() {
        let values: Vec<f64> = (0..600).map(|i| if i < 400 { 30.0 } else { 90.0 } + 5.0 * noise(i)).collect();
        let found = change_points(&values, None);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].abs_diff(400) <= 10, "{found:?}");
    }

    #[test]
    fn noise_spikes_and_seasons_are_no_change() {
        let mut flat: Vec<f64> = (0..600).map(|i| 30.0 + 5.0 * noise(i)).collect();
        flat[300] = 900.0;
        assert_eq!(change_points(&flat, None), Vec::<usize>::new());
        let wave: Vec<f64> = (0..1_200)
            .map(|i| 50.0 + 20.0 * (i as f64 / 100.0 * std::f64::consts::TAU).sin() + noise(i))
            .collect();
        assert_eq!(change_points(&wave, Some(100)), Vec::<usize>::new());
    }
}
