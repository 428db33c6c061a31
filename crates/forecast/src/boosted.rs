//! Boosting of one quantile: each tree follows the sign of what is still wrong, its leaves the
//! quantile of what is left (Friedman 2001, with the pinball loss).

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::trees::{Binned, Growth, Tree, draw, short, weighted_quantile};

/// How far each tree goes.
const RATE: f32 = 0.08;
/// Share of the rows that each tree sees.
const ROW_SHARE: f64 = 0.35;
/// Splits from root to leaf.
const DEPTH: usize = 4;
/// Share of the columns that each split looks at.
const COLUMN_SHARE: f64 = 0.5;

/// One level of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Boosted {
    start: f32,
    trees: Vec<Tree>,
}

impl Boosted {
    /// Learns the `level` of `targets`, each with its weight, in `rounds` trees, starting at `start`.
    pub(crate) fn learn(
        rows: &[Vec<f32>],
        binned: &Binned,
        targets: &[f32],
        weights: &[f32],
        level: f64,
        rounds: u32,
        random: &mut Pcg64,
    ) -> Self {
        let all = targets.iter().copied().zip(weights.iter().copied());
        let start = weighted_quantile(&mut all.collect::<Vec<_>>(), level);
        let mut fitted = vec![start; targets.len()];
        let leaf_rows = (binned.rows() / 100).clamp(10, 60);
        let growth = Growth { depth: DEPTH, leaf_rows, column_share: COLUMN_SHARE };
        let (up, down) = (short(level), short(level - 1.0));
        let mut trees = Vec::new();
        for _ in 0..rounds {
            let gradients: Vec<f32> = (0..targets.len())
                .map(|row| weights[row] * if targets[row] > fitted[row] { up } else { down })
                .collect();
            let count = u32::try_from(binned.rows()).unwrap_or(u32::MAX);
            let mut members: Vec<u32> = (0..count).filter(|_| draw(random) < ROW_SHARE).collect();
            if members.is_empty() {
                continue;
            }
            let mut left = Vec::new();
            let mut leaf = |rows: &[u32]| {
                left.clear();
                left.extend(rows.iter().map(|&row| {
                    let row = row as usize;
                    (targets[row] - fitted[row], weights[row])
                }));
                RATE * weighted_quantile(&mut left, level)
            };
            let tree = Tree::grow(binned, &mut members, &gradients, growth, random, &mut leaf);
            for (fitted, row) in fitted.iter_mut().zip(rows) {
                *fitted += tree.value(row);
            }
            trees.push(tree);
        }
        Self { start, trees }
    }

    /// For a row.
    pub(crate) fn value(&self, row: &[f32]) -> f64 {
        f64::from(self.start + self.trees.iter().map(|tree| tree.value(row)).sum::<f32>())
    }
}
