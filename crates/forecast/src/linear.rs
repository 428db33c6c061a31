//! Least squares from sums of products: weighted, discounted, and ridged so that it stays bounded.

use serde::{Deserialize, Serialize};

/// Normal equations that forget. In information form the ridge is never forgotten, so the
/// covariance's trace is at most `width / ridge` however long the input says nothing: the wind-up
/// of recursive least squares in covariance form cannot happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Normal {
    width: usize,
    /// Lower triangle, row by row.
    products: Vec<f64>,
    moments: Vec<f64>,
    /// Discounted number of rows.
    weight: f64,
}

impl Normal {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, products: vec![0.0; width * (width + 1) / 2], moments: vec![0.0; width], weight: 0.0 }
    }

    /// Discounted number of rows it rests on.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// Whether `row` has the right number of columns.
    pub(crate) fn fits(&self, row: &[f64]) -> bool {
        row.len() == self.width
    }

    /// Everything so far counts `keep` times as much.
    pub(crate) fn discount(&mut self, keep: f64) {
        self.products.iter_mut().chain(&mut self.moments).for_each(|sum| *sum *= keep);
        self.weight *= keep;
    }

    /// One more row; what is not finite is left out whole.
    pub(crate) fn add(&mut self, row: &[f64], target: f64, weight: f64) {
        let usable = row.len() == self.width && target.is_finite() && weight.is_finite();
        if !usable || row.iter().any(|value| !value.is_finite()) {
            return;
        }
        let mut at = 0;
        for (i, &left) in row.iter().enumerate() {
            let scaled = weight * left;
            for (sum, &right) in self.products[at..=at + i].iter_mut().zip(row) {
                *sum += scaled * right;
            }
            at += i + 1;
            self.moments[i] += scaled * target;
        }
        self.weight += weight;
    }

    /// Coefficients that minimise the squared error plus `ridge` times their squares, each
    /// measured in the spread of its own column; `None` before there is anything to solve.
    pub(crate) fn solve(&self, ridge: f64) -> Option<Vec<f64>> {
        if self.weight <= 0.0 {
            return None;
        }
        let diagonal: Vec<f64> = (0..self.width).map(|i| self.products[i * (i + 3) / 2]).collect();
        let most = diagonal.iter().copied().fold(0.0, f64::max);
        // What has been forgotten down to nothing says nothing.
        if most < 1e-200 {
            return Some(vec![0.0; self.width]);
        }
        let mut factor = self.products.clone();
        for (i, own) in diagonal.iter().enumerate() {
            // A column that never moved gets the ridge of the largest: its coefficient stays 0.
            let own = if *own > 1e-12 * most { *own } else { most };
            factor[i * (i + 3) / 2] += ridge * own / self.weight + 1e-12 * most;
        }
        cholesky(&mut factor, self.width)?;
        let solved = substitute(&factor, &self.moments);
        solved.iter().all(|value| value.is_finite()).then_some(solved)
    }
}

/// In place: the lower triangle of a positive definite matrix becomes its factor. Column by column, each
/// taken at once from all rows below: sums along rows in memory, which the compiler makes wide.
fn cholesky(triangle: &mut [f64], width: usize) -> Option<()> {
    let mut column = vec![0.0; width];
    for j in 0..width {
        let pivot = triangle[j * (j + 3) / 2];
        if pivot <= 0.0 || !pivot.is_finite() {
            return None;
        }
        let root = pivot.sqrt();
        triangle[j * (j + 3) / 2] = root;
        for i in j + 1..width {
            let row = i * (i + 1) / 2;
            let own = triangle[row + j] / root;
            triangle[row + j] = own;
            column[i] = own;
            let rest = &mut triangle[row + j + 1..=row + i];
            for (value, other) in rest.iter_mut().zip(&column[j + 1..=i]) {
                *value -= own * other;
            }
        }
    }
    Some(())
}

fn substitute(factor: &[f64], moments: &[f64]) -> Vec<f64> {
    let width = moments.len();
    let mut solved = moments.to_vec();
    for i in 0..width {
        let row = i * (i + 1) / 2;
        let dot: f64 = (0..i).map(|k| factor[row + k] * solved[k]).sum();
        solved[i] = (solved[i] - dot) / factor[row + i];
    }
    for i in (0..width).rev() {
        let dot: f64 = (i + 1..width).map(|k| factor[k * (k + 1) / 2 + i] * solved[k]).sum();
        solved[i] = (solved[i] - dot) / factor[i * (i + 3) / 2];
    }
    solved
}

/// The inner product.
pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudo(seed: &mut u64) -> f64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 40) as f64 / 16_777_216.0 - 0.5
    }

    #[test]
    fn finds_the_coefficients_that_made_the_rows() {
        let mut normal = Normal::new(3);
        let mut seed = 7;
        for _ in 0..500 {
            let row = [pseudo(&mut seed), 10.0 * pseudo(&mut seed), 1.0];
            normal.add(&row, 2.0 * row[0] - 0.3 * row[1] + 5.0, 1.0);
        }
        let solved = normal.solve(1e-6).unwrap();
        for (got, made) in solved.iter().zip([2.0, -0.3, 5.0]) {
            assert!((got - made).abs() < 1e-6, "{solved:?}");
        }
    }

    #[test]
    fn silence_does_not_wind_it_up() {
        let mut normal = Normal::new(2);
        let mut seed = 3;
        for _ in 0..200 {
            let row = [pseudo(&mut seed), 1.0];
            normal.add(&row, row[0], 1.0);
        }
        for _ in 0..100_000 {
            normal.discount(0.99);
            normal.add(&[0.0, 0.0], 0.0, 1.0);
        }
        let solved = normal.solve(1.0).unwrap();
        assert!(solved.iter().all(|value| value.abs() <= 1.1), "{solved:?}");
        normal.add(&[f64::NAN, 1.0], 1.0, 1.0);
        assert_eq!(normal.solve(1.0).unwrap(), solved, "a row that is no number is left out");
    }
}
