//! Regression trees on binned columns: grown on gradients, deterministic, small enough to keep.

use rand_core::Rng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// Bins of a column; one byte holds a bin.
const BINS: usize = 48;

/// Rows that edges are drawn from, at most: sixty a bin are enough.
const SORTED_MAX: usize = 3_000;

/// Columns with every value replaced by its bin.
pub(crate) struct Binned {
    columns: Vec<Vec<u8>>,
    /// Upper edges of all bins but the last.
    edges: Vec<Vec<f32>>,
    rows: usize,
}

/// A float small enough to keep by the thousand.
#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
pub(crate) fn short(value: f64) -> f32 {
    value as f32
}

impl Binned {
    /// From rows of equal width.
    pub(crate) fn new(rows: &[Vec<f32>]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        let edges: Vec<Vec<f32>> = (0..width).map(|column| edges(rows, column)).collect();
        let column = |(column, edges): (usize, &Vec<f32>)| {
            let bin = |row: &Vec<f32>| edges.partition_point(|&edge| edge < row[column]);
            rows.iter().map(|row| u8::try_from(bin(row)).unwrap_or(u8::MAX)).collect()
        };
        let columns = edges.iter().enumerate().map(column).collect();
        Self { columns, edges, rows: rows.len() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

/// Evenly filled bins; of equal values, one.
fn edges(rows: &[Vec<f32>], column: usize) -> Vec<f32> {
    let every = rows.len().div_ceil(SORTED_MAX).max(1);
    let mut values: Vec<f32> = rows.iter().step_by(every).map(|row| row[column]).collect();
    values.sort_unstable_by(f32::total_cmp);
    let mut edges: Vec<f32> = (1..BINS).map(|bin| values[bin * (values.len() - 1) / BINS]).collect();
    edges.dedup_by(|a, b| a.total_cmp(b).is_eq());
    // An edge at the largest value would separate nothing.
    let largest = values[values.len() - 1];
    edges.retain(|&edge| edge < largest);
    edges
}

/// How a tree may grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Splits from the root to a leaf, at most.
    pub(crate) depth: usize,
    /// Rows in a leaf, at least.
    pub(crate) leaf_rows: usize,
    /// Share of the columns that each split looks at, 0 to 1.
    pub(crate) column_share: f64,
}

/// A tree; node 0 is the root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Node {
    /// Rows at or below the edge go left, to the next node; the others to `right`.
    Split {
        column: u16,
        edge: f32,
        right: u16,
    },
    Leaf(f32),
}

struct Split {
    column: usize,
    bin: usize,
    gain: f64,
}

impl Tree {
    /// Grows on `gradients` of the rows in `members`, which it reorders; `leaf` gives a leaf's
    /// value from the rows in it.
    pub(crate) fn grow(
        binned: &Binned,
        members: &mut [u32],
        gradients: &[f32],
        growth: Growth,
        random: &mut Pcg64,
        leaf: &mut dyn FnMut(&[u32]) -> f32,
    ) -> Self {
        let mut tree = Self { nodes: Vec::new() };
        tree.branch(binned, members, gradients, growth, random, leaf);
        tree
    }

    fn branch(
        &mut self,
        binned: &Binned,
        members: &mut [u32],
        gradients: &[f32],
        growth: Growth,
        random: &mut Pcg64,
        leaf: &mut dyn FnMut(&[u32]) -> f32,
    ) {
        let split = if growth.depth == 0 || members.len() < 2 * growth.leaf_rows {
            None
        } else {
            best_split(binned, members, gradients, growth, random)
        };
        let Some(split) = split else {
            self.nodes.push(Node::Leaf(leaf(members)));
            return;
        };
        let column = &binned.columns[split.column];
        let middle = partition(members, |row| usize::from(column[row]) <= split.bin);
        let here = self.nodes.len();
        let edge = binned.edges[split.column][split.bin];
        let column = u16::try_from(split.column).unwrap_or(u16::MAX);
        self.nodes.push(Node::Split { column, edge, right: 0 });
        let (left, right) = members.split_at_mut(middle);
        let below = Growth { depth: growth.depth - 1, ..growth };
        self.branch(binned, left, gradients, below, random, leaf);
        let right_at = u16::try_from(self.nodes.len()).unwrap_or(u16::MAX);
        self.branch(binned, right, gradients, below, random, leaf);
        self.nodes[here] = Node::Split { column, edge, right: right_at };
    }

    /// The leaf's value for a row.
    pub(crate) fn value(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf(value) => return value,
                Node::Split { column, edge, right } => {
                    at = if row[usize::from(column)] <= edge { at + 1 } else { usize::from(right) };
                }
            }
        }
    }
}

/// The rows for which `left` holds come first; gives their number. Keeps no order.
fn partition(members: &mut [u32], left: impl Fn(usize) -> bool) -> usize {
    let mut end = 0;
    for index in 0..members.len() {
        if left(members[index] as usize) {
            members.swap(index, end);
            end += 1;
        }
    }
    end
}

/// The split that lowers the squared error of the gradients most.
fn best_split(
    binned: &Binned,
    members: &[u32],
    gradients: &[f32],
    growth: Growth,
    random: &mut Pcg64,
) -> Option<Split> {
    let total: f64 = members.iter().map(|&row| f64::from(gradients[row as usize])).sum();
    let count = members.len() as f64;
    let base = total * total / count;
    let mut best: Option<Split> = None;
    // In the order of the members once, not once a column.
    let own: Vec<f32> = members.iter().map(|&row| gradients[row as usize]).collect();
    for (column, bins) in binned.columns.iter().enumerate() {
        if draw(random) >= growth.column_share || binned.edges[column].is_empty() {
            continue;
        }
        let mut sums = [(0.0_f32, 0_u32); BINS];
        for (&row, gradient) in members.iter().zip(&own) {
            let sum = &mut sums[usize::from(bins[row as usize]).min(BINS - 1)];
            sum.0 += gradient;
            sum.1 += 1;
        }
        let (mut left, mut rows) = (0.0, 0_usize);
        for (bin, &(sum, number)) in sums.iter().enumerate().take(binned.edges[column].len()) {
            left += f64::from(sum);
            rows += number as usize;
            if rows < growth.leaf_rows || members.len() - rows < growth.leaf_rows {
                continue;
            }
            let right = total - left;
            let gain = left * left / rows as f64 + right * right / (count - rows as f64) - base;
            if gain > 1e-9 && best.as_ref().is_none_or(|best| gain > best.gain) {
                best = Some(Split { column, bin, gain });
            }
        }
    }
    best
}

/// Evenly between 0 and 1.
pub(crate) fn draw(random: &mut Pcg64) -> f64 {
    (random.next_u64() >> 11) as f64 / 9_007_199_254_740_992.0
}

/// The level's quantile of weighted values, which it sorts.
pub(crate) fn weighted_quantile(values: &mut [(f32, f32)], level: f64) -> f32 {
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let total: f64 = values.iter().map(|&(_, weight)| f64::from(weight)).sum();
    let mut reached = 0.0;
    for &(value, weight) in values.iter() {
        reached += f64::from(weight);
        if reached >= level * total {
            return value;
        }
    }
    values.last().map_or(0.0, |&(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_finds_the_step_and_the_column() {
        let rows: Vec<Vec<f32>> =
            (0..400_u16).map(|i| vec![f32::from(i % 7), f32::from(i), f32::from(i % 3)]).collect();
        let target: Vec<f32> = (0..400_u16).map(|i| if i < 100 { 1.0 } else { 5.0 }).collect();
        let binned = Binned::new(&rows);
        let mut members: Vec<u32> = (0..400).collect();
        let growth = Growth { depth: 3, leaf_rows: 10, column_share: 1.0 };
        let mut random = Pcg64::new(1, 1);
        let tree = Tree::grow(&binned, &mut members, &target, growth, &mut random, &mut |rows| {
            rows.iter().map(|&row| target[row as usize]).sum::<f32>() / rows.len() as f32
        });
        assert!((tree.value(&[3.0, 20.0, 1.0]) - 1.0).abs() < 0.3);
        assert!((tree.value(&[3.0, 350.0, 1.0]) - 5.0).abs() < 0.3);
    }

    #[test]
    fn quantiles_count_weights() {
        let mut values = [(3.0, 1.0), (1.0, 1.0), (2.0, 8.0)];
        assert!((weighted_quantile(&mut values, 0.5) - 2.0).abs() < 1e-6);
        assert!((weighted_quantile(&mut values, 0.95) - 3.0).abs() < 1e-6);
    }
}
