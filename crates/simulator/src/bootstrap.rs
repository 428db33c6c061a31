//! How much of a result is the luck of its days: a ratio of sums over blocks of time, with the
//! blocks drawn anew (Künsch's block bootstrap; blocks, since neighbouring minutes are alike).

use rand_core::Rng;
use rand_pcg::Pcg64;
use serde::Serialize;

use crate::curve::Curve;

/// Blocks that a run is cut into: enough to draw from, few enough that each holds a whole
/// scaling episode.
const BLOCKS: usize = 24;
/// Times that the blocks are drawn: the ends of a 90 % interval then move by a few percent of it.
const DRAWS: usize = 1_000;
/// One seed for all: the same command gives the same interval.
const SEED: u128 = 0x5eed;

/// Where a value lies with 90 % confidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Sums over the blocks of a run, as a numerator and a denominator each.
pub(crate) fn blocks(count: usize, of: impl Fn(usize) -> (f64, f64)) -> Vec<(f64, f64)> {
    let blocks = BLOCKS.min(count);
    let sum = |block: usize| {
        let (from, to) = (block * count / blocks, (block + 1) * count / blocks);
        (from..to).map(&of).fold((0.0, 0.0), |(top, bottom), (more, below)| (top + more, bottom + below))
    };
    (0..blocks).map(sum).collect()
}

/// Ratios of the sums, each over as many blocks as there are, drawn with repetition; ascending.
/// Draws without anything to divide by are left out.
pub(crate) fn ratios(blocks: &[(f64, f64)]) -> Vec<f64> {
    let mut chance = Pcg64::new(SEED, 1);
    let mut all = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let (mut top, mut bottom) = (0.0, 0.0);
        for _ in blocks {
            // The bias of a remainder is below one in 10^17.
            let place = crate::number::index(chance.next_u64() % blocks.len() as u64);
            top += blocks[place].0;
            bottom += blocks[place].1;
        }
        if bottom > 0.0 {
            all.push(top / bottom);
        }
    }
    all.sort_by(f64::total_cmp);
    all
}

/// The 90 % interval of the ratio; `None` with less than two blocks.
pub(crate) fn interval(blocks: &[(f64, f64)]) -> Option<Interval> {
    if blocks.len() < 2 {
        return None;
    }
    let all = ratios(blocks);
    let at = |percent: usize| all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied();
    Some(Interval { low: at(5)?, high: at(95)? })
}

/// The interval of a run's cost over the optimum's, from both as pictures of the same columns.
pub(crate) fn cost_ratio(run: &Curve, optimum: &Curve, kappa: f64) -> Option<Interval> {
    let cost = |curve: &Curve, at: usize| {
        curve.columns.get(at).map_or(0.0, |column| column.billed + kappa * column.late)
    };
    interval(&blocks(run.columns.len(), |at| (cost(run, at), cost(optimum, at))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_blocks_leave_no_doubt_and_different_ones_some() {
        let equal = blocks(480, |_| (3.0, 2.0));
        assert_eq!(equal.len(), BLOCKS);
        let sure = interval(&equal).unwrap();
        assert!((sure.low - 1.5).abs() < 1e-12 && (sure.high - 1.5).abs() < 1e-12);
        let different = blocks(480, |at| if at % 160 < 80 { (1.0, 1.0) } else { (2.0, 1.0) });
        let unsure = interval(&different).unwrap();
        assert!(unsure.low < 1.45 && unsure.high > 1.55, "{unsure:?}");
        // The normal approximation: 1.5 ± 1.645 × 0.5 / √24.
        assert!((unsure.high - 1.668).abs() < 0.05 && (unsure.low - 1.332).abs() < 0.05, "{unsure:?}");
        assert_eq!(interval(&blocks(1, |_| (1.0, 1.0))), None);
    }
}
